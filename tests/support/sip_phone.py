"""A SIP telephone in Python: one call, G.711, keys, and the moments of all that comes.

It is written from RFC 3261, 3264, 2617, 3550 and 4733, and has nothing of the gateway's library.
There is no network between it and loopback, so it sends nothing twice.
"""

import asyncio
import contextlib
import hashlib
import re
import secrets
import struct
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from tests.support.waiting import until

__all__ = ["ALAW", "KEYS", "ULAW", "Answered", "Packet", "SipPhone", "rtp", "sip_phone"]

ULAW: Final = 0
ALAW: Final = 8
KEYS: Final = 96
"""Payload type of telephone-event; not the one that everybody takes."""
_SILENCE: Final = {ULAW: b"\xff" * 160, ALAW: b"\xd5" * 160}
_PERIOD_S: Final = 0.02


@dataclass(frozen=True)
class Packet:
    """A packet of RTP as it came.

    Attributes:
        at: Monotonic seconds.
        kind: Payload type.
        number: Sequence number.
        timestamp: In samples.
        payload: The sound.
    """

    at: float
    kind: int
    number: int
    timestamp: int
    payload: bytes


@dataclass(frozen=True)
class Answered:
    """A response, or a request of the far end."""

    first: str
    headers: dict[str, str]
    body: str

    @property
    def status(self) -> int:
        """Of a response; 0 = it is a request."""
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0") else 0


def rtp(kind: int, number: int, timestamp: int, payload: bytes, *, ssrc: int = 7) -> bytes:
    """A packet of RTP (RFC 3550 §5.1)."""
    head = struct.pack("!BBHII", 0x80, kind, number & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return head + payload


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data)


@dataclass
class SipPhone:
    """A telephone with one call.

    Attributes:
        gateway: Port that it calls.
        codec: The only one that it offers.
        packets: What was heard.
        said: Responses and requests that came, in their order.
        over: Whether the far end has hung up.
        sends: Whether silence is sent where nothing is said.
    """

    gateway: int
    codec: int = ULAW
    account: tuple[str, str] = ("", "")
    packets: list[Packet] = field(default_factory=list[Packet])
    said: list[Answered] = field(default_factory=list[Answered])
    over: bool = False
    sends: bool = True
    sip: asyncio.DatagramTransport = field(init=False)
    media: asyncio.DatagramTransport = field(init=False)
    far: tuple[str, int] | None = None
    _cseq: int = 0
    _version: int = 1
    _to: str = ""
    _number: int = 0
    _timestamp: int = 4_294_960_000  # wraps in the first second
    _waiting: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])
    _call_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def port_of(self, transport: asyncio.DatagramTransport) -> int:
        """Where it receives."""
        return transport.get_extra_info("sockname")[1]

    # signalling

    def offer(self, direction: str = "sendrecv", more: str = "") -> str:
        """A description of its sound."""
        name = {ULAW: "PCMU", ALAW: "PCMA"}[self.codec]
        self._version += 1
        return (
            f"v=0\r\no=- 1 {self._version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n"
            f"t=0 0\r\nm=audio {self.port_of(self.media)} RTP/AVP {self.codec} {KEYS}\r\n"
            f"a=rtpmap:{self.codec} {name}/8000\r\na=rtpmap:{KEYS} telephone-event/8000\r\n"
            f"a=fmtp:{KEYS} 0-15\r\n{more}a={direction}\r\n"
        )

    def send(
        self, method: str, body: str = "", *, cseq: int = 0, branch: str = "", more: str = ""
    ) -> str:
        """Send a request; its branch."""
        branch = branch or f"z9hG4bK{secrets.token_hex(8)}"
        if not cseq:
            self._cseq += 1
        kind = "Content-Type: application/sdp\r\n" if body else ""
        at = f"127.0.0.1:{self.port_of(self.sip)}"
        target = f"sip:4711@127.0.0.1:{self.gateway}"
        text = (
            f"{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch={branch}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:+15550100@127.0.0.1>;tag=a{self._call_id}\r\n"
            f"To: <{target}>{self._to}\r\nCall-ID: {self._call_id}\r\n"
            f"CSeq: {cseq or self._cseq} {method}\r\nContact: <sip:phone@{at}>\r\n{more}{kind}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self.sip.sendto(text.encode(), ("127.0.0.1", self.gateway))
        return branch

    async def asked(self, method: str, body: str = "", *, more: str = "") -> Answered:
        """Send a request and wait for what it comes to; an INVITE is acknowledged."""
        branch, cseq = self.send(method, body, more=more), self._cseq
        mine = f"{cseq} {method}"

        def final() -> list[Answered]:
            return [
                each
                for each in self.said
                if each.status >= 200 and each.headers.get("cseq") == mine
            ]

        await until(final)
        answer = final()[0]
        if method == "INVITE":
            if answer.status == 200:
                self._to = _tag(answer.headers["to"])
                self.far = self._described(answer.body)
                self.send("ACK", cseq=cseq)
            else:
                kept, self._to = self._to, _tag(answer.headers["to"])
                self.send("ACK", cseq=cseq, branch=branch)
                self._to = kept
        return answer

    async def dial(self, body: str = "") -> Answered:
        """Call, with the password if it is asked for one."""
        answer = await self.asked("INVITE", body or self.offer())
        if answer.status == 401 and all(self.account):
            head = self.signed(answer.headers["www-authenticate"])
            answer = await self.asked("INVITE", body or self.offer(), more=head)
        return answer

    def signed(self, challenge: str) -> str:
        """The header that answers a challenge (RFC 2617 without qop)."""
        user, password = self.account
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        uri = f"sip:4711@127.0.0.1:{self.gateway}"
        first = _md5(f"{user}:{asked['realm']}:{password}")
        response = _md5(f"{first}:{asked['nonce']}:{_md5(f'INVITE:{uri}')}")
        return (
            f'Authorization: Digest username="{user}", realm="{asked["realm"]}", '
            f'nonce="{asked["nonce"]}", uri="{uri}", response="{response}", algorithm=MD5\r\n'
        )

    async def hang_up(self) -> None:
        """End the call."""
        assert (await self.asked("BYE")).status == 200

    def take(self, data: bytes) -> None:
        """Something came on SIP's port."""
        head, _, body = data.decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        self.said.append(Answered(first, headers, body))
        if first.startswith("BYE"):
            self.over = True
            kept = [line for line in lines if line.split(":")[0] in _KEPT]
            text = "\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""])
            self.sip.sendto(text.encode(), ("127.0.0.1", self.gateway))

    @staticmethod
    def _described(body: str) -> tuple[str, int]:
        host, port = re.search(r"c=IN IP4 (\S+)", body), re.search(r"m=audio (\d+)", body)
        assert host is not None
        assert port is not None
        return host[1], int(port[1])

    # sound

    def hear(self, data: bytes) -> None:
        """Something came on RTP's port."""
        _, kind, number, timestamp, _ = struct.unpack("!BBHII", data[:12])
        self.packets.append(Packet(time.monotonic(), kind & 0x7F, number, timestamp, data[12:]))

    def say(self, sound: bytes) -> None:
        """Say something, as it is encoded."""
        for at in range(0, len(sound), 160):
            piece = sound[at : at + 160]
            self._waiting.append((self.codec, piece + _SILENCE[self.codec][len(piece) :]))

    def press(self, key: str, *, lose: int = 0, times: int = 3) -> None:
        """Press a key (RFC 4733 §2.5): so many packets are lost of those that begin and end it."""
        code = "0123456789*#ABCD".index(key)
        begun = [struct.pack("!BBH", code, 10, 160 * n) for n in range(1, 5)]
        ended = [struct.pack("!BBH", code, 0x8A, 800)] * times
        self._waiting.append((self.codec, _SILENCE[self.codec]))  # between it and another one
        self._waiting += [(KEYS, event) for event in [*begun, *ended][lose:]]

    async def run(self) -> None:
        """Send a packet every 20 ms."""
        began, count, key_from = time.monotonic(), 0, 0
        while True:
            kind, payload = self._waiting.pop(0) if self._waiting else (-1, b"")
            if kind < 0 and self.sends:
                kind, payload = self.codec, _SILENCE[self.codec]
            first = kind == KEYS and payload[1] == 10 and payload[2:] == b"\0\xa0"
            key_from = self._timestamp if kind != KEYS or first else key_from
            if self.far is not None and kind >= 0:
                at = key_from if kind == KEYS else self._timestamp
                self.media.sendto(rtp(kind, self._number, at, payload), self.far)
                self._number += 1
            self._timestamp += 160
            count += 1
            due = began + count * _PERIOD_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))  # real time: pace


_KEPT: Final = ("Via", "From", "To", "Call-ID", "CSeq")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def _tag(header: str) -> str:
    found = re.search(r";tag=[^;>\s]+", header)
    return found[0] if found else ""


@contextlib.asynccontextmanager
async def sip_phone(
    gateway: int, *, codec: int = ULAW, account: tuple[str, str] = ("", "")
) -> AsyncIterator[SipPhone]:
    """A telephone on loopback until the block ends; it hangs up nothing by itself."""
    loop, phone = asyncio.get_running_loop(), SipPhone(gateway, codec, account)
    at = ("127.0.0.1", 0)
    phone.sip, _ = await loop.create_datagram_endpoint(lambda: _Socket(phone.take), at)
    phone.media, _ = await loop.create_datagram_endpoint(lambda: _Socket(phone.hear), at)
    running = asyncio.ensure_future(phone.run())
    try:
        yield phone
    finally:
        running.cancel()
        await asyncio.wait({running})
        phone.sip.close()
        phone.media.close()
