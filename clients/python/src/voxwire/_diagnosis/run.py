"""One diagnosis: its checks in their order, each with a deadline."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from voxwire._arguments import token_text
from voxwire._attach import BUSY, Greeting, Refusal
from voxwire._diagnosis.checks import ORDER, Check, CheckName, failed, skipped
from voxwire._diagnosis.devices import DeviceReadiness, device_status
from voxwire._diagnosis.line import ECHO_MS, Echo, Ended, Line, webrtc_is_here
from voxwire._diagnosis.reach import proxy_of, reach
from voxwire._diagnosis.refusals import advice_on
from voxwire._diagnosis.relays import LOOK_UP, ask_all
from voxwire._diagnosis.verdict import PathTried, conclude
from voxwire._dial import Dialler
from voxwire._environment import Environment
from voxwire._live.audio import device_of
from voxwire._rtc_stack import begin_to_load, load
from voxwire._simulate import Gate
from voxwire._socket import Lost, Socket
from voxwire._threads import in_thread
from voxwire._url import normalise_url
from voxwire._websocket import WebSocket, dial_websocket
from voxwire.tokens import TokenLike, TokenRequest, ask_for_token
from voxwire_protocol.errors import ErrorCode, VoxwireError, make_error
from voxwire_protocol.events import DeviceKind
from voxwire_protocol.quality import Grade, grade_of

__all__ = ["CHECK_MS", "TOTAL_MS", "Run"]

CHECK_MS: Final = 5000
"""How long one check may take."""
TOTAL_MS: Final = 18_000
"""How long all of them may take; ending the session may take 2 s more."""
_SLOW_MS: Final = 400
"""A round trip above which people speak into each other's words."""

T = TypeVar("T")

_ADVICE: Final[dict[CheckName, str]] = {
    "name": "correct the URL, or the name server of this machine",
    "server": "start the server, and check host, port and firewall",
    "token": "get a token of POST /v1/tokens, and pass it: --token, VOXWIRE_TOKEN",
    "rtt": "see the server's log: it ended the session, or does not answer",
    "udp": "see the server's log",
    "echo": "see the server's log",
    "microphone": "plug one in and allow its use; voxwire devices lists what there is",
    "speaker": "plug one in; voxwire devices lists what there is",
}
_OF_END: Final = {
    ErrorCode.BOT_FAILED: "mend the bot: the server's log has its traceback",
    ErrorCode.CONNECTION_LOST: "look for what closes connections: a proxy, the network, a restart",
    ErrorCode.DURATION_LIMIT: "get a token that allows longer sessions",
    ErrorCode.GOING_AWAY: "try again when the server is back",
    ErrorCode.INVALID_STATE: "have the bot stay: what comes behind could not be tried",
}
_MEDIA: Final = ORDER[ORDER.index("webrtc") : ORDER.index("udp")]
_NETWORK: Final = ORDER[: ORDER.index("microphone")]


class Run:
    """Makes the checks. `network`, then `close`, then `device`."""

    def __init__(
        self,
        url: str,
        *,
        token: TokenLike,
        bot: str,
        on_check: Callable[[Check], object] | None,
        environment: Environment,
    ) -> None:
        """Prepares; nothing is dialled yet."""
        self.checks: list[Check] = []
        self._url, self._token, self._bot = url, token, bot
        self._on_check, self._environment = on_check, environment
        self._clock = environment.clock
        self._until_ms = self._clock.now_ms() + TOTAL_MS
        self._socket: Socket | None = None
        self._line: Line | None = None
        self._took_ms = 0  # what was attempted last
        self._clock_check: Check | None = None  # it is wrong; not told yet
        self._clock_is_wrong = False
        self._ended: Check | None = None  # why there is no session any more

    # making them

    def _put(self, *checks: Check) -> None:
        for check in checks:
            self.checks.append(check)
            if self._on_check is not None:
                self._on_check(check)

    def _put_timed(self, check: Check) -> None:
        """The same for what was attempted last."""
        self._put(replace(check, duration_ms=self._took_ms))

    def _skip_rest(self, needs: CheckName) -> None:
        """What is left of the network tells nothing without that check."""
        made = {check.name for check in self.checks}
        for name in _NETWORK:
            if name == "session" and self._ended is not None:
                self._put(self._ended)
            elif name not in made:
                self._put(skipped(name, needs=needs))

    def _left_ms(self) -> float:
        return self._until_ms - self._clock.now_ms()

    async def _attempt(
        self, name: CheckName, attempt: Callable[[], Awaitable[T]]
    ) -> tuple[T | None, Check | None]:
        """What an attempt gives, or the check that it failed."""
        began_ms = self._clock.now_ms()
        limit_ms = min(CHECK_MS, self._left_ms())
        if limit_ms <= 0:
            return None, skipped(name, f"no time was left of {TOTAL_MS / 1000:g} s")
        try:
            async with asyncio.timeout(limit_ms / 1000):
                return await attempt(), None
        except TimeoutError:
            detail, code = f"it took longer than {limit_ms / 1000:g} s", ErrorCode.TIMEOUT
        except (Refusal, Lost) as error:
            detail, code = error.error.reason, ErrorCode(error.error.code)
        except VoxwireError as error:
            detail, code = error.reason, ErrorCode(error.code)
        except Exception as error:
            detail, code = f"it failed with {type(error).__name__}", ErrorCode.INTERNAL
        finally:
            self._took_ms = round(self._clock.now_ms() - began_ms)
        return None, failed(name, detail, _ADVICE[name], code, duration_ms=self._took_ms)

    async def network(self) -> None:
        """The checks up to the session's end."""
        if webrtc_is_here(self._environment):
            begin_to_load()
        for step in (self._name, self._reach, self._let_in, self._round_trip, self._media):
            stopped_by = await step()
            if stopped_by is not None:
                self._skip_rest(stopped_by)
                return
        self._put(Check("session", "ok", "it went on as long as it was looked at"))

    # the steps: each gives the name of the check that nothing goes on without

    async def _name(self) -> CheckName | None:
        async def look() -> Check:
            self._url = normalise_url(self._url)
            if self._environment.dial is not dial_websocket:
                return skipped("name", "this is a test")
            host = urlsplit(self._url).hostname or ""
            if (proxy := proxy_of(self._url)) is not None:
                return skipped("name", f"the proxy {proxy} looks it up")
            try:
                found = await in_thread(lambda: socket.getaddrinfo(host, None), name=LOOK_UP)
            except OSError:
                reason = f"the name {host} was not found"
                raise make_error(ErrorCode.UNREACHABLE, reason) from None
            addresses = sorted({str(address[0]) for *_, address in found})
            return Check("name", "ok", f"{host} is {', '.join(addresses[:4])}")

        return self._settled("name", *await self._attempt("name", look))

    def _settled(self, name: CheckName, made: Check | None, bad: Check | None) -> CheckName | None:
        check = made or bad
        assert check is not None, "it is one of them"
        self._put_timed(check)
        return name if bad is not None else None

    async def _reach(self) -> CheckName | None:
        async def dial() -> tuple[list[Check], WebSocket | None, Check | None]:
            found = await reach(self._url, self._environment, timeout_ms=CHECK_MS)
            return found.checks, found.websocket, found.failed()

        made, bad = await self._attempt("server", dial)
        if made is None:
            assert bad is not None, "it is one of them"
            self._put(skipped("tls", needs="server"), bad, skipped("clock", needs="server"))
            return "server"
        checks, websocket, wrong = made
        if websocket is None:
            clock = next((it for it in checks if it.name == "clock" and it.state == "failed"), None)
            wrong = wrong or clock
            assert wrong is not None, "there is no socket"
            for check in checks:
                if check is clock and check is not wrong:  # which is not what stops it
                    self._put(replace(check, state="warning"))
                elif check.name != "capacity":
                    self._put(check)
            if wrong.name == "capacity":
                self._put(skipped("token", needs="capacity"), wrong)
            return wrong.name
        self._clock_check = next(
            (it for it in checks if it.name == "clock" and it.state == "failed"), None
        )
        self._put(*(it for it in checks if it is not self._clock_check))
        gate = Gate(self._clock)
        self._socket = Socket(websocket, gate, self._clock, url=self._url)
        return None

    async def _let_in(self) -> CheckName | None:
        socket = self._socket
        assert socket is not None
        greeting = Greeting(
            self._url,
            token="",
            bot=self._bot,
            metadata_json="",
            webrtc=webrtc_is_here(self._environment),
            resume=False,
        )
        gate = Gate(self._clock)
        dialler = Dialler(greeting, gate, environment=self._environment, last_received=lambda: 0)
        refused: list[VoxwireError] = []

        async def greet() -> Line:
            if isinstance(self._token, str):
                greeting.renew(token_text(self._token))
            elif self._token is not None:
                greeting.renew(await ask_for_token(self._token, TokenRequest("connect")))
            await dialler.greet(socket)
            try:
                welcome = await dialler.read_welcome(socket)
            except Refusal as refusal:
                refused.append(refusal.error)
                raise
            return Line(socket, welcome, self._environment)

        line, bad = await self._attempt("token", greet)
        self._put_clock(refused=bad is not None and bad.code == ErrorCode.UNAUTHORIZED)
        if line is not None:
            self._line = await line.__aenter__()
            bot = line.welcome.bot or "(no name)"
            self._put_timed(
                Check("token", "ok", f"the server lets this client in, to the bot {bot}")
            )
            self._put(Check("capacity", "ok", "the server has room"))
            return None
        assert bad is not None, "it is one of them"
        return self._not_let_in(bad, refused[0] if refused else None)

    def _not_let_in(self, bad: Check, refused: VoxwireError | None) -> CheckName:
        """Why: the server is full, a clock is wrong, or else it is the token."""
        if refused is not None and refused.code in (*BUSY, ErrorCode.GOING_AWAY):
            self._put(skipped("token", needs="capacity"))
            code, advice = ErrorCode(refused.code), advice_on(refused)
            self._put(failed("capacity", bad.detail, advice, code))
            return "capacity"
        if bad.code == ErrorCode.UNAUTHORIZED and self._clock_is_wrong:
            self._put(skipped("token", needs="clock"))
            return "clock"
        advice = "" if refused is None else advice_on(refused)
        self._put(replace(bad, advice=advice or bad.advice))
        return "token"

    def _put_clock(self, *, refused: bool) -> None:
        """Tells of a clock that is wrong: a fault where it costs the session, else a warning."""
        if self._clock_check is not None:
            self._clock_is_wrong = True
            state = "failed" if refused else "warning"
            self._put(replace(self._clock_check, state=state))

    async def _round_trip(self) -> CheckName | None:
        line = self._line
        assert line is not None
        best_ms, bad = await self._on_line("rtt", line, line.best_ping)
        if isinstance(line.lost, Ended):
            return self._over(line.lost)
        if bad is not None or best_ms is None:
            return self._settled("rtt", None, bad)
        detail = f"{best_ms:.0f} ms there and back"
        if best_ms > _SLOW_MS:
            advice = "use a server that is nearer, or another network"
            self._put_timed(
                Check("rtt", "warning", f"{detail}: too long for a conversation", advice=advice)
            )
        else:
            self._put_timed(Check("rtt", "ok", detail))
        return None

    async def _on_line(
        self, name: CheckName, line: Line, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> tuple[T | None, Check | None]:
        """An attempt that is given up with the session."""
        return await self._attempt(name, lambda: line.while_it_lasts(work()))

    def _over(self, lost: Lost) -> CheckName:
        """The session is over, which is nobody's fault but that of what ended it."""
        code = ErrorCode(lost.error.code)
        advice = _OF_END.get(code, "see the server's log: it ended the session")
        self._ended = failed("session", lost.error.reason, advice, code)
        return "session"

    async def _media(self) -> CheckName | None:
        line = self._line
        assert line is not None
        servers = list(line.welcome.ice_servers)

        async def path() -> PathTried:
            if not webrtc_is_here(self._environment):
                detail = "not installed, the WebSocket carries the audio: voxwire[webrtc]"
                return PathTried("absent", detail)
            return await line.open_path(self._url, servers)

        if webrtc_is_here(self._environment):
            await self._on_line("udp", line, load)  # which is no time of the path's
        # one after the other, so that a session's own allocation has the quota for itself
        asked, _ = await self._on_line("udp", line, lambda: ask_all(servers))
        tried, bad = await self._on_line("udp", line, path)
        if line.lost is not None:
            return self._over(line.lost)
        if tried is None:
            self._put(*(skipped(name, needs="udp") for name in _MEDIA))
            return self._settled("udp", None, bad)
        checks = conclude(asked, tried, clock_is_wrong=self._clock_is_wrong, now_s=time.time())
        self._put(*checks)
        if tried.state == "up":
            return await self._echo(line)
        else:
            cause = next((it for it in checks if it.state == "failed" and it.name != "stun"), None)
            needs = None if cause is None else cause.name
            self._put(skipped("echo", "WebRTC carries no audio here", needs=needs))
        return None

    async def _echo(self, line: Line) -> CheckName | None:
        echo, bad = await self._on_line("echo", line, line.echo)
        if line.lost is not None:
            return self._over(line.lost)
        self._put_timed(bad if echo is None and bad is not None else _of_echo(echo))
        return None

    async def device(self, name: Literal["microphone", "speaker"], asked: Any) -> None:
        """Whether a device is there and can be used."""
        wanted = device_of(asked)
        if wanted is None:
            self._put(skipped(name, "not asked for"))
            return

        async def look() -> Check:
            found = await device_status(DeviceKind(name), wanted, self._environment)
            if found.state is DeviceReadiness.NOT_INSTALLED:
                return skipped(name, found.reason)
            if found.state is not DeviceReadiness.READY or found.device is None:
                return failed(name, found.reason, found.advice, ErrorCode.DEVICE)
            return Check(name, "ok", f"{found.device.index}: {found.device.name}")

        self._settled(name, *await self._attempt(name, look))

    async def close(self) -> None:
        """Ends the session that was opened."""
        socket, line = self._socket, self._line
        self._socket = self._line = None
        if line is not None:
            await line.__aexit__()
        elif socket is not None:
            await socket.close()


def _of_echo(echo: Echo | None) -> Check:
    """What was counted, in words."""
    assert echo is not None, "it was made"
    lost = [share for share in (echo.lost_down, echo.lost_up) if share is not None]
    rtt = "" if echo.round_trip_ms is None else f"{echo.round_trip_ms:.0f} ms there and back, "
    down = "unknown" if echo.lost_down is None else f"{echo.lost_down:.1%}"
    up = "unknown" if echo.lost_up is None else f"{echo.lost_up:.1%}"
    jitter = "" if echo.jitter_ms is None else f", jitter {echo.jitter_ms:.0f} ms"
    detail = f"{rtt}lost {down} down and {up} up in {ECHO_MS / 1000:g} s{jitter}"
    if not echo.received:
        advice = "see the server's log: the connection is up and carries nothing"
        return failed("echo", "no packet of the server came", advice, ErrorCode.CONNECTION_LOST)
    grade = grade_of(
        round_trip_ms=echo.round_trip_ms,
        jitter_ms=echo.jitter_ms,
        loss=max(lost, default=None),
        buffered_ms=0,
        lost=False,
    )
    if grade is Grade.POOR:
        advice = "use another network, a cable in place of a radio, or a server that is nearer"
        return Check("echo", "warning", detail, advice=advice)
    return Check("echo", "ok", detail)
