"""What stands between this machine and a conversation, one check after the other."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError

from voxwire._arguments import token_text
from voxwire._attach import Greeting, Refusal
from voxwire._dial import Dialler
from voxwire._environment import Environment
from voxwire._live.audio import device_of
from voxwire._live.backend import Device, choose
from voxwire._live.portaudio import machine_devices
from voxwire._simulate import Gate
from voxwire._socket import Lost, Socket
from voxwire._threads import in_thread
from voxwire._url import normalise_url
from voxwire._websocket import dial_websocket
from voxwire.tokens import TokenLike, TokenRequest, ask_for_token
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError, make_error
from voxwire_protocol.events import DeviceKind

__all__ = ["Check", "CheckName", "Diagnosis", "diagnose"]

CheckName = Literal["name", "server", "token", "rtt", "webrtc", "microphone", "speaker"]
CHECK_MS: Final = 5000
"""How long one check may take."""
BYE_MS: Final = 1000
"""How long the last word may take to be written."""

PINGS: Final = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried.

    Attributes:
        name: What it was.
        state: ``skipped`` = not tried, since it was not asked for or one before it failed.
        detail: One sentence: what was found, or what is wrong and what to do.
        code: The error's code when it failed.
        duration_ms: How long it took.
    """

    name: CheckName
    state: Literal["ok", "failed", "skipped"]
    detail: str = ""
    code: ErrorCode | None = None
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found, in the order in which it was tried."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(check.state != "failed" for check in self.checks)

    def __str__(self) -> str:
        """A line a check, for people."""
        marks = {"ok": "ok", "failed": "FAILED", "skipped": "–"}
        return "\n".join(
            f"{check.name:<11} {marks[check.state]:<7} {check.detail}".rstrip()
            for check in self.checks
        )


async def diagnose(
    url: str,
    *,
    token: TokenLike = None,
    bot: str | None = None,
    microphone: bool | int | Device | None = None,
    speaker: bool | int | Device | None = None,
    environment: Environment | None = None,
) -> Diagnosis:
    """Tries what a conversation needs. Opens a session, without media, and ends it again.

    Args:
        url: The server, as for `connect`.
        token: As for `connect`. One that is good once is used up.
        bot: As for `connect`.
        microphone: The device to look for; None = none.
        speaker: The same.
        environment: For tests.

    Returns:
        What was found. What is wrong is in it, and not raised. Takes 5 s a check at most.
    """
    run = _Run(url, token=token, bot=bot or "", environment=environment or Environment())
    try:
        await run.network()
    finally:
        await run.close()
    await run.check("webrtc", run.webrtc)
    await run.device("microphone", microphone)
    await run.device("speaker", speaker)
    return Diagnosis(tuple(run.checks))


class _Skip(Exception):
    """A check that is not to be made; its text says why."""


@dataclass
class _Run:
    url: str
    token: TokenLike = field(kw_only=True, repr=False)
    bot: str = field(kw_only=True)
    environment: Environment = field(kw_only=True)
    checks: list[Check] = field(default_factory=list[Check])
    _socket: Socket | None = None
    _dialler: Dialler | None = None
    _greeting: Greeting | None = None
    _welcomed: bool = False

    async def check(self, name: CheckName, attempt: Callable[[], Awaitable[str]]) -> bool:
        """Makes one check; true when it went well."""
        began = self.environment.clock.now_ms()
        state: Literal["ok", "failed", "skipped"] = "failed"
        code: ErrorCode | None = None
        try:
            async with asyncio.timeout(CHECK_MS / 1000):
                detail, state = await attempt(), "ok"
        except _Skip as why:
            detail, state = str(why), "skipped"
        except TimeoutError:
            detail, code = f"it took longer than {CHECK_MS / 1000:g} s", ErrorCode.TIMEOUT
        except (Refusal, Lost) as error:
            detail, code = error.error.reason, ErrorCode(error.error.code)
        except VoxwireError as error:
            detail, code = error.reason, ErrorCode(error.code)
        except Exception as error:
            detail, code = f"it failed with {type(error).__name__}", ErrorCode.INTERNAL
        took = round(self.environment.clock.now_ms() - began)
        self.checks.append(Check(name, state, detail, code, took))
        return state == "ok"

    def skip(self, *names: CheckName) -> None:
        self.checks.extend(Check(name, "skipped") for name in names)

    async def network(self) -> None:
        """The checks up to the round trip; what one needs that failed is skipped."""
        steps: list[tuple[CheckName, Callable[[], Awaitable[str]]]] = [
            ("name", self._name),
            ("server", self._server),
            ("token", self._let_in),
            ("rtt", self._round_trip),
        ]
        failed = False
        for name, attempt in steps:
            if failed:
                self.skip(name)
            else:
                failed = not await self.check(name, attempt) and self.checks[-1].state == "failed"

    async def _name(self) -> str:
        self.url = normalise_url(self.url)
        host = urlsplit(self.url).hostname or ""
        if self.environment.dial is not dial_websocket:
            raise _Skip("this is a test")
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None)
        except OSError:
            raise make_error(ErrorCode.UNREACHABLE, f"the name {host} was not found") from None
        addresses = sorted({str(address[0]) for *_, address in found})
        return f"{host} is {', '.join(addresses[:4])}"

    async def _server(self) -> str:
        self._greeting = greeting = Greeting(
            self.url, token="", bot=self.bot, metadata_json="", webrtc=False, resume=False
        )
        gate = Gate(self.environment.clock)
        self._dialler = Dialler(
            greeting, gate, environment=self.environment, last_received=lambda: 0
        )
        self._socket = await self._dialler.open(CHECK_MS)
        secure = "encrypted" if self.url.startswith("wss") else "not encrypted"
        return f"{urlsplit(self.url).netloc} opened the control channel, {secure}"

    async def _let_in(self) -> str:
        assert self._dialler is not None and self._socket is not None
        assert self._greeting is not None
        if isinstance(self.token, str):
            self._greeting.renew(token_text(self.token))
        elif self.token is not None:
            self._greeting.renew(await ask_for_token(self.token, TokenRequest("connect")))
        await self._dialler.greet(self._socket)
        welcome = await self._dialler.read_welcome(self._socket)
        self._welcomed = True
        return f"the server lets this client in, to the bot {welcome.bot or '(no name)'}"

    async def _round_trip(self) -> str:
        assert self._socket is not None
        clock, best_ms = self.environment.clock, float("inf")
        for number in range(1, PINGS + 1):
            sent_ms = clock.now_ms()
            ping = wire.Envelope(ping=wire.Ping(number=number))
            await self._socket.send(ping.SerializeToString())
            while True:
                data = await self._socket.receive()
                try:
                    said = wire.Envelope.FromString(data if isinstance(data, bytes) else b"")
                except DecodeError:
                    continue
                if said.WhichOneof("payload") == "pong" and said.pong.number == number:
                    break
            best_ms = min(best_ms, clock.now_ms() - sent_ms)
        slow = ": too long for a conversation" if best_ms > 400 else ""
        return f"{best_ms:.0f} ms there and back{slow}"

    async def webrtc(self) -> str:
        """Whether WebRTC is installed; without it the WebSocket carries the audio."""
        if find_spec("aiortc") is None:
            raise _Skip("not installed, the WebSocket carries the audio: voxwire[webrtc]")
        return "aiortc is installed"

    async def device(self, name: Literal["microphone", "speaker"], asked: Any) -> None:
        """Whether a device is there."""
        wanted = device_of(asked)
        if wanted is None:
            self.skip(name)
            return

        async def look() -> str:
            backend = self.environment.devices or await in_thread(machine_devices)
            found = await in_thread(lambda: choose(backend, DeviceKind(name), wanted))
            return f"{found.index}: {found.name}"

        await self.check(name, look)

    async def close(self) -> None:
        """Ends the session that was opened."""
        socket, self._socket = self._socket, None
        if socket is None:
            return
        try:
            if self._welcomed:
                bye = wire.Envelope(bye=wire.Bye(reason="a diagnosis"), seq=1)
                async with asyncio.timeout(BYE_MS / 1000):
                    await socket.send(bye.SerializeToString())
        except (VoxwireError, Lost, TimeoutError):
            pass
        finally:
            await socket.close()
