"""TURN spoken by hand (RFC 8656): ``turn_by_hand.py JSON`` does what the JSON says, step by step.

The JSON holds ``host``, ``ports`` (``plain`` and ``tls``) and ``steps``. A step names a client
(made when it is first named, from ``way``: udp, tcp or tls, and ``credentials``: name and
password) and what it ``asks``. Prints a JSON list of what each step was answered: 0 or an error
code; for ``receive`` the text that came, for ``relayed`` the
client's address there, for ``seen`` the attributes of all answers.
"""

import hashlib
import hmac
import ipaddress
import json
import os
import socket
import ssl
import struct
import sys
from typing import Any, Final

COOKIE: Final = 0x2112A442
BINDING, ALLOCATE, SEND, DATA, PERMISSION, CHANNEL = 1, 3, 0x16, 0x17, 8, 9
USERNAME, INTEGRITY, ERROR, PEER, DATA_OF, REALM, NONCE, RELAYED = 6, 8, 9, 18, 19, 20, 21, 22
CHANNEL_NUMBER, FAMILY, TRANSPORT = 0x0C, 0x17, 0x19
UDP: Final = b"\x11\0\0\0"
TCP: Final = b"\x06\0\0\0"


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def mask(transaction: bytes, size: int) -> bytes:
    """What an address is XORed with."""
    return (COOKIE.to_bytes(4, "big") + transaction)[:size]


def address_of(host: str, port: int, transaction: bytes) -> bytes:
    """An address as XOR-PEER-ADDRESS has it."""
    packed = ipaddress.ip_address(host).packed
    family = 1 if len(packed) == 4 else 2
    hidden = bytes(a ^ b for a, b in zip(packed, mask(transaction, len(packed)), strict=True))
    return struct.pack("!BBH", 0, family, port ^ COOKIE >> 16) + hidden


class Client:
    """One client of the relay, on a socket of its own."""

    def __init__(self, at: dict[str, Any], way: str, credentials: tuple[str, str]) -> None:
        self._stream = way != "udp"
        kind = socket.SOCK_STREAM if self._stream else socket.SOCK_DGRAM
        port = at["ports"]["tls" if way == "tls" else "plain"]
        made = socket.socket(socket.AF_INET, kind)
        made.settimeout(20)
        made.connect((at["host"], port))
        if way == "tls":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            made = context.wrap_socket(made)
        self._socket = made
        self._name, self._password = credentials
        self._realm = self._nonce = b""
        self._pending = b""
        self.relayed = ("", 0)
        self.seen: set[int] = set()

    def ask(self, method: int, *fields: tuple[int, Any]) -> int:
        """Ask, once more with the credentials when they are wanted; 0 or the error code."""
        code = self._ask(method, fields)
        if code in (401, 438) and self._realm and self._name:
            code = self._ask(method, fields)
        return code

    def _ask(self, method: int, fields: tuple[tuple[int, Any], ...]) -> int:
        transaction = os.urandom(12)
        body = b"".join(
            attribute(kind, address_of(*value, transaction) if kind == PEER else value)
            for kind, value in fields
        )
        if self._nonce and self._name:
            who = ((USERNAME, self._name.encode()), (REALM, self._realm), (NONCE, self._nonce))
            body += b"".join(attribute(*each) for each in who)
            head = struct.pack("!HHI", method, len(body) + 24, COOKIE) + transaction
            secret = f"{self._name}:{self._realm.decode()}:{self._password}".encode()
            key = hashlib.md5(secret, usedforsecurity=False).digest()
            body += attribute(INTEGRITY, hmac.digest(key, head + body, "sha1"))
        self._socket.sendall(struct.pack("!HHI", method, len(body), COOKIE) + transaction + body)
        while True:
            kind, theirs, found = self._message()
            if theirs == transaction:
                break
        self._realm, self._nonce = found.get(REALM, self._realm), found.get(NONCE, self._nonce)
        if RELAYED in found:
            self.relayed = self._plain(found[RELAYED], transaction)
        return found[ERROR][2] * 100 + found[ERROR][3] if kind & 0x110 == 0x110 else 0

    def send(self, host: str, port: int, text: str) -> None:
        """Send to a peer through the relay; nothing says whether it arrives."""
        transaction = os.urandom(12)
        body = attribute(PEER, address_of(host, port, transaction))
        body += attribute(DATA_OF, text.encode())
        kind = SEND | 0x10
        self._socket.sendall(struct.pack("!HHI", kind, len(body), COOKIE) + transaction + body)

    def receive(self) -> str:
        """What a peer has sent through the relay."""
        while True:
            kind, _, found = self._message()
            if kind == DATA | 0x10:
                return found[DATA_OF].decode()

    def _plain(self, value: bytes, transaction: bytes) -> tuple[str, int]:
        port = struct.unpack("!H", value[2:4])[0] ^ COOKIE >> 16
        packed = bytes(a ^ b for a, b in zip(value[4:], mask(transaction, 16), strict=False))
        return str(ipaddress.ip_address(packed)), port

    def _message(self) -> tuple[int, bytes, dict[int, bytes]]:
        data = self._exactly(20) if self._stream else self._socket.recv(65_536)
        kind, size = struct.unpack("!HH", data[:4])
        body = self._exactly(size) if self._stream else data[20:]
        found: dict[int, bytes] = {}
        at = 0
        while at + 4 <= len(body):
            name, length = struct.unpack("!HH", body[at : at + 4])
            found[name] = body[at + 4 : at + 4 + length]
            at += 4 + length + -length % 4
        self.seen |= found.keys()
        return kind, data[8:20], found

    def _exactly(self, size: int) -> bytes:
        while len(self._pending) < size:
            part = self._socket.recv(65_536)
            if not part:
                raise EOFError
            self._pending += part
        data, self._pending = self._pending[:size], self._pending[size:]
        return data


def done(clients: dict[str, Client], at: dict[str, Any], step: dict[str, Any]) -> Any:
    """Do one step."""
    name = step["client"]
    if name not in clients:
        clients[name] = Client(at, step.get("way", "udp"), tuple(step.get("credentials", ("", ""))))
    client, peer = clients[name], step.get("peer", ("", 0))
    if isinstance(peer, str):
        peer = clients[peer].relayed
    match step["asks"]:
        case "binding":
            return client.ask(BINDING)
        case "allocate":
            family = [(FAMILY, b"\x02\0\0\0")] if step.get("family") == 6 else []
            return client.ask(ALLOCATE, (TRANSPORT, TCP if step.get("tcp") else UDP), *family)
        case "permission":
            return client.ask(PERMISSION, (PEER, peer))
        case "channel":
            return client.ask(CHANNEL, (CHANNEL_NUMBER, b"\x40\0\0\0"), (PEER, peer))
        case "send":
            return client.send(*peer, step["text"])
        case "receive":
            return client.receive()
        case "relayed":
            return client.relayed
        case "seen":
            return sorted(client.seen)
        case other:
            raise ValueError(other)


def main(told: dict[str, Any]) -> None:
    """Do all steps."""
    clients: dict[str, Client] = {}
    print(json.dumps([done(clients, told, step) for step in told["steps"]]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
