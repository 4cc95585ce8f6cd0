"""Asking the STUN and TURN servers that a session is told, each by its own protocol."""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from voxwire._diagnosis.stun import Allocation, Answer, Binding, Conversation, message_bytes
from voxwire._threads import in_thread
from voxwire_protocol import wire

__all__ = ["ASK_MS", "LOOK_UP", "Asked", "Trouble", "ask_all"]

ASK_MS: Final = 3000
"""How long one server may take."""
ALL_MS: Final = 4500
"""How long all of them may take."""
_PROMPT_S: Final = 1.0
"""Who has not answered by then is waited for beside the others' second turn."""
LOOK_UP: Final = "voxwire-look-up"
"""The threads that names are looked up in: a program does not wait for those that hang."""
_AGAIN_S: Final = 0.5
"""After which a datagram that was not answered is sent again; then after twice as long, ..."""
_FAREWELL_S: Final = 0.5
_RELEASE_S: Final = 1.3
"""coturn counts an allocation over UDP for a second after it was given back."""
_QUOTA: Final = 486
"""Allocation Quota Reached (RFC 8656 §7.2)."""
_MAX_URLS: Final = 8
_MAX_MESSAGE: Final = 2048
_URL: Final = re.compile(
    r"(stun|turns?):(\[[0-9A-Fa-f:.]+\]|[^?:\[\]]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?"
)

Trouble = Literal["", "refused", "silent", "closed", "blocked", "tls", "name"]
"""What is wrong: nothing; the server said no; nothing came back; its machine says that nobody
listens there; it cannot be sent to; its certificate; its name is not known."""
Kind = Literal["stun", "turn_udp", "turn_tcp", "turn_tls"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one URL.

    Attributes:
        url: As the server names it.
        kind: The check that it belongs to.
        host: Whom it asks.
        trouble: What is wrong; empty = it works.
        told: In words: the address that it gave, or why it gave none.
        error: The server's error code; 0 = it sent none.
        username: Of its credentials.
    """

    url: str
    kind: Kind
    host: str
    trouble: Trouble = ""
    told: str = ""
    error: int = 0
    username: str = ""


@dataclass(frozen=True, slots=True)
class _Target:
    url: str
    kind: Kind
    host: str
    port: int
    username: str
    credential: str


def _targets(servers: Iterable[wire.IceServer]) -> list[_Target]:
    """The URLs of a list that can be asked; STUN over TLS and TURN over DTLS cannot."""
    found: list[_Target] = []
    for server in servers:
        for url in server.urls:
            match = _URL.fullmatch(url)
            if match is None or (match[1] == "turns" and match[4] == "udp"):
                continue
            kind: Kind = "turn_tls" if match[1] == "turns" else "turn_udp"
            if match[1] == "stun":
                kind = "stun"
            elif match[1] == "turn" and match[4] == "tcp":
                kind = "turn_tcp"
            port = int(match[3] or (5349 if kind == "turn_tls" else 3478))  # RFC 7065 §3.1
            host = match[2].strip("[]")
            found.append(_Target(url, kind, host, port, server.username, server.credential))
    return found[:_MAX_URLS]


async def ask_all(servers: Iterable[wire.IceServer]) -> list[Asked]:
    """Asks every server, all at once, and gives back what they gave. Cancel-safe.

    Where the quota of a user has room for a session and not for all of these, those that were too
    much are asked again by themselves, beside those that are silent. Takes 3 s, and 4.5 s at most
    in that case; whom there was no time for is told as it was the first time.
    """
    targets = _targets(servers)
    asking = [asyncio.create_task(_ask(target)) for target in targets]
    again: dict[int, Asked] = {}
    try:
        async with asyncio.timeout(ALL_MS / 1000):
            if asking:
                await asyncio.wait(asking, timeout=_PROMPT_S)
            await _ask_again(targets, asking, again)
            await asyncio.gather(*asking)
            await _ask_again(targets, asking, again)  # who answered late
    except TimeoutError:
        pass  # the first turn is over: it takes ASK_MS
    finally:
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    return [again.get(at) or one.result() for at, one in enumerate(asking) if not one.cancelled()]


async def _ask_again(
    targets: list[_Target], asking: list[asyncio.Task[Asked]], again: dict[int, Asked]
) -> None:
    """Asks those for whom the quota had no room, beside others of the same user, once more."""
    found = {at: one.result() for at, one in enumerate(asking) if one.done()}
    served = {one.username for one in found.values() if one.kind != "stun" and not one.trouble}
    ours = [at for at, one in found.items() if one.error == _QUOTA and one.username in served]
    ours = [at for at in ours if at not in again]
    ours.sort(key=lambda at: found[at].kind == "turn_udp")  # what is freed late comes last
    for at in ours:
        if at == ours[0]:
            await asyncio.sleep(_RELEASE_S)
        again[at] = await _ask(targets[at])
    if ours and again[ours[-1]].kind == "turn_udp":
        await asyncio.sleep(_RELEASE_S)


async def _ask(target: _Target) -> Asked:
    asked: Conversation = Binding()
    if target.kind != "stun":
        asked = Allocation(target.username, target.credential)
    over = _over_udp if target.kind in ("stun", "turn_udp") else _over_tcp
    trouble: Trouble = ""
    answer = Answer()
    try:
        async with asyncio.timeout(ASK_MS / 1000):
            answer = await over(target, asked)
    except TimeoutError:
        trouble, told = "silent", f"did not answer within {ASK_MS / 1000:g} s"
    except socket.gaierror:
        trouble, told = "name", f"the name {target.host} was not found"
    except ssl.SSLError as error:
        trouble, told = "tls", f"TLS failed: {getattr(error, 'verify_message', '') or error.reason}"
    except OSError as error:
        trouble = "closed" if isinstance(error, ConnectionError) else "blocked"
        told = error.strerror or str(error) or type(error).__name__
    else:
        told = answer.address
        if answer.error:
            trouble, told = "refused", f"{answer.error} {answer.phrase}".strip()
    return Asked(target.url, target.kind, target.host, trouble, told, answer.error, target.username)


async def _heard(answer: Awaitable[Any]) -> None:
    """Waits a moment for the answer to a farewell."""
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(_FAREWELL_S):
            await answer


class _Datagrams(asyncio.DatagramProtocol):
    """What comes on a connected UDP socket."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes | Exception] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """A datagram."""
        self.received.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        """The kernel was told that it does not arrive (ICMP)."""
        self.received.put_nowait(exc)


async def _addresses(target: _Target) -> list[str]:
    """Where a host is, in the order in which it is to be tried.

    Raises:
        OSError: Its name is not known.
    """

    def look_up() -> list[str]:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        return [str(address[0]) for *_, address in found]

    return await in_thread(look_up, name=LOOK_UP)


async def _endpoint(target: _Target) -> tuple[asyncio.DatagramTransport, _Datagrams]:
    """A UDP socket that is connected to the first address that can be."""
    loop, refused = asyncio.get_running_loop(), OSError("the name has no address")
    for address in await _addresses(target):
        try:
            return await loop.create_datagram_endpoint(
                _Datagrams, remote_addr=(address, target.port)
            )
        except OSError as error:
            refused = error
    raise refused


async def _stream(target: _Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TCP connection, with TLS where the URL says so, to the first address that takes one."""
    secure = target.kind == "turn_tls"
    context = ssl.create_default_context() if secure else None
    refused = OSError("the name has no address")
    for address in await _addresses(target):
        try:
            return await asyncio.open_connection(
                address,
                target.port,
                ssl=context,
                server_hostname=target.host if secure else None,
            )
        except ssl.SSLError:
            raise
        except OSError as error:
            refused = error
    raise refused


async def _over_udp(target: _Target, asked: Conversation) -> Answer:
    transport, protocol = await _endpoint(target)
    try:
        wait_s = _AGAIN_S
        transport.sendto(asked.request())
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    came = await protocol.received.get()
            except TimeoutError:
                wait_s *= 2
                transport.sendto(asked.request())
                continue
            if isinstance(came, Exception):
                raise came
            before = asked.request()
            if (answer := asked.receive(came)) is not None:
                if not answer.error and (farewell := asked.farewell()):
                    transport.sendto(farewell)
                    await _heard(protocol.received.get())
                return answer
            if asked.request() != before:
                transport.sendto(asked.request())
    finally:
        transport.close()


async def _over_tcp(target: _Target, asked: Conversation) -> Answer:
    reader, writer = await _stream(target)
    try:
        while True:
            writer.write(asked.request())
            try:
                header = await reader.readexactly(20)
                size = message_bytes(header)
                if size > _MAX_MESSAGE:
                    raise ConnectionError("what answers there is no TURN server")
                data = header + await reader.readexactly(size - len(header))
            except asyncio.IncompleteReadError:
                raise ConnectionResetError("it closed the connection without an answer") from None
            if (answer := asked.receive(data)) is not None:
                if not answer.error and (farewell := asked.farewell()):
                    writer.write(farewell)
                    await _heard(reader.read(_MAX_MESSAGE))
                return answer
    finally:
        writer.transport.abort()
