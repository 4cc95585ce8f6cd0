"""STUN and TURN messages: what asking a server takes (RFC 8489, RFC 8656). Pure.

aioice knows them, too, but comes with `voxwire[webrtc]` alone, keeps a refusal to itself and
retransmits for half a minute. A diagnosis says the server's own word, and without the extra as
well: browsers use the same servers.
"""

import hashlib
import hmac
import ipaddress
import secrets
import struct
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Allocation", "Answer", "Binding", "Conversation", "message_bytes"]

_COOKIE: Final = 0x2112A442
_HEADER: Final = struct.Struct("!HHI12s")
_BINDING, _ALLOCATE, _REFRESH = 0x001, 0x003, 0x004
_SUCCESS, _ERROR = 0x100, 0x110
_USERNAME, _INTEGRITY, _ERROR_CODE, _LIFETIME = 0x0006, 0x0008, 0x0009, 0x000D
_REALM, _NONCE, _RELAYED, _TRANSPORT, _MAPPED = 0x0014, 0x0015, 0x0016, 0x0019, 0x0020
_UDP: Final = b"\x11\0\0\0"
_UNAUTHENTICATED, _STALE_NONCE = 401, 438
_MAX_PHRASE_CHARS: Final = 64


def message_bytes(header: bytes) -> int:
    """How long a message is that begins so (at least 4 bytes), its header included."""
    return 20 + int.from_bytes(header[2:4], "big")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said in the end.

    Attributes:
        error: Error code; 0 = it gave what it was asked for.
        phrase: Its reason, as the server words it.
        address: Our address as the server sees it (STUN), or the relayed one (TURN).
    """

    error: int = 0
    phrase: str = ""
    address: str = ""


@dataclass
class Binding:
    """Asks for our own address."""

    _transaction: bytes = field(default_factory=lambda: secrets.token_bytes(12))

    def request(self) -> bytes:
        """What is to be sent now, and again while nothing comes."""
        return _encode(_BINDING, self._transaction, [])

    def receive(self, data: bytes) -> Answer | None:
        """Takes a message; what it means, or None: it is not for us."""
        found = _decode(data, self._transaction)
        if found is None:
            return None
        kind, attributes = found
        if kind == _BINDING | _SUCCESS:
            return Answer(address=_address(attributes.get(_MAPPED, b""), self._transaction))
        return _refusal(attributes) if kind == _BINDING | _ERROR else None

    def farewell(self) -> bytes:
        """Nothing was taken that could be given back."""
        return b""


class Allocation:
    """Asks for a relayed address, with long-term credentials (RFC 8489 §9.2)."""

    def __init__(self, username: str, credential: str) -> None:
        """Takes the credentials; both may be empty."""
        self._username, self._credential = username.encode(), credential.encode()
        self._transaction = secrets.token_bytes(12)
        self._realm = self._nonce = b""
        self._renewed = False

    def request(self) -> bytes:
        """What is to be sent now, and again while nothing comes."""
        return self._encode(_ALLOCATE, [(_TRANSPORT, _UDP)])

    def receive(self, data: bytes) -> Answer | None:
        """Takes a message; what it means, or None: `request` has changed, or it is not for us."""
        found = _decode(data, self._transaction)
        if found is None:
            return None
        kind, attributes = found
        if kind == _ALLOCATE | _SUCCESS:
            return Answer(address=_address(attributes.get(_RELAYED, b""), self._transaction))
        if kind != _ALLOCATE | _ERROR:
            return None
        answer = _refusal(attributes)
        if not self._may_answer(answer.error) or not attributes.get(_NONCE):
            return answer
        self._renewed = bool(self._realm)
        self._realm = attributes.get(_REALM, self._realm)
        self._nonce = attributes[_NONCE]
        self._transaction = secrets.token_bytes(12)
        return None

    def farewell(self) -> bytes:
        """Gives the allocation back (RFC 8656 §8: a refresh for no time)."""
        self._transaction = secrets.token_bytes(12)
        return self._encode(_REFRESH, [(_LIFETIME, bytes(4))])

    def _may_answer(self, error: int) -> bool:
        if error == _UNAUTHENTICATED:
            return bool(self._username) and not self._realm
        return error == _STALE_NONCE and bool(self._realm) and not self._renewed

    def _encode(self, method: int, attributes: list[tuple[int, bytes]]) -> bytes:
        if not self._realm:
            return _encode(method, self._transaction, attributes)
        credentials = [(_USERNAME, self._username), (_REALM, self._realm), (_NONCE, self._nonce)]
        key = hashlib.md5(
            b":".join((self._username, self._realm, self._credential)), usedforsecurity=False
        ).digest()
        return _encode(method, self._transaction, [*attributes, *credentials], key=key)


Conversation = Binding | Allocation


def _encode(
    method: int, transaction: bytes, attributes: list[tuple[int, bytes]], *, key: bytes = b""
) -> bytes:
    body = b"".join(
        struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)
        for kind, value in attributes
    )
    if not key:
        return _HEADER.pack(method, len(body), _COOKIE, transaction) + body
    signed = _HEADER.pack(method, len(body) + 24, _COOKIE, transaction) + body
    digest = hmac.digest(key, signed, "sha1")
    return signed + struct.pack("!HH", _INTEGRITY, len(digest)) + digest


def _decode(data: bytes, transaction: bytes) -> tuple[int, dict[int, bytes]] | None:
    """Kind and attributes of a message; None when it is none of that transaction."""
    if len(data) < _HEADER.size:
        return None
    kind, length, cookie, found = _HEADER.unpack_from(data)
    if cookie != _COOKIE or found != transaction or len(data) != _HEADER.size + length:
        return None
    attributes: dict[int, bytes] = {}
    at = _HEADER.size
    while at + 4 <= len(data):
        name, size = struct.unpack_from("!HH", data, at)
        if at + 4 + size > len(data):
            return None
        attributes.setdefault(name, data[at + 4 : at + 4 + size])
        at += 4 + size + -size % 4
    return kind, attributes


def _refusal(attributes: dict[int, bytes]) -> Answer:
    """What ERROR-CODE says (RFC 8489 §14.8)."""
    value = attributes.get(_ERROR_CODE, b"")
    if len(value) < 4:
        return Answer(error=500, phrase="an error without a code")
    phrase = value[4:].decode("utf-8", "replace")
    told = "".join(c for c in phrase if c.isprintable())[:_MAX_PHRASE_CHARS]
    return Answer(error=(value[2] & 7) * 100 + value[3], phrase=told)


def _address(value: bytes, transaction: bytes) -> str:
    """An XOR-…-ADDRESS (RFC 8489 §14.2); empty when it is not one."""
    mask = struct.pack("!I", _COOKIE) + transaction
    if len(value) not in (8, 20):
        return ""
    port = int.from_bytes(value[2:4], "big") ^ _COOKIE >> 16
    host = ipaddress.ip_address(bytes(a ^ b for a, b in zip(value[4:], mask, strict=False)))
    return f"{f'[{host}]' if host.version == 6 else host}:{port}"
