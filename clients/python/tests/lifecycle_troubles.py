"""What happens to a session: of the network, the server, the devices and the machine."""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from lifecycle import Bench
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from voxwire._websocket import refusal
from voxwire.testing import NetworkState
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode

WEBSOCKET = wire.Carrier.CARRIER_WEBSOCKET


@dataclass(frozen=True)
class Trouble:
    """Something that happens.

    Attributes:
        happen: Does it; whatever state the session is in.
        connect: What a connect that it happens to ends with; empty = it succeeds.
        session: What a session that it happens to ends with; empty = it lives on.
        lasts_ms: How long the session may take to end by itself.
        live: The devices are live ones.
        rtc: The audio goes over WebRTC.
        far: The server cannot be told that the program has left.
    """

    happen: Callable[[Bench], object]
    connect: str = ""
    session: str = ""
    lasts_ms: float = 900
    live: bool = False
    rtc: bool = False
    far: bool = False


def _nothing(bench: Bench) -> None:
    pass


def _silent(bench: Bench) -> None:
    bench.server.mute = True
    bench.server.deaf_to.add(WEBSOCKET)
    for session in bench.server.sessions:
        session.hang()


def _dark(bench: Bench) -> None:
    bench.network.state = NetworkState.DARK


def _cut(bench: Bench) -> None:
    bench.network.cut()


def _killed(bench: Bench) -> None:
    bench.network.state = NetworkState.REFUSED
    bench.network.cut()
    for session in bench.server.sessions:
        session.finish(wire.EndReason.END_REASON_SERVER)


def _refused(code: ErrorCode, **more: int) -> Callable[[Bench], None]:
    def happen(bench: Bench) -> None:
        bench.server.refuse_with(code, **more)
        bench.network.cut()

    return happen


def _dial_fails(error: BaseException) -> Callable[[Bench], None]:
    def happen(bench: Bench) -> None:
        bench.dial_error = refusal(error, bench.server.url)
        bench.network.cut()

    return happen


def _http(status: int, *, retry_after: str = "") -> BaseException:
    headers = Headers({"Retry-After": retry_after} if retry_after else {})
    return InvalidStatus(Response(status, "no", headers, b""))


def _expired(bench: Bench) -> None:
    for session in bench.server.sessions:
        session.finish(wire.EndReason.END_REASON_EXPIRED)
    bench.network.cut()


def _ice(bench: Bench) -> None:
    bench.ice_fails = True
    for path in tuple(bench.rtc_paths):
        path.lose()


def _path_refused(bench: Bench) -> None:
    bench.server.refused_paths[WEBSOCKET] = ErrorCode.CAPACITY
    for session in bench.server.sessions:
        session.close_path()


def _path_lost(bench: Bench) -> None:
    for session in bench.server.sessions:
        session.close_path()


def _missing(bench: Bench) -> None:
    for device in bench.devices.all:
        device.working = False
        device.end()


def _stalls(bench: Bench) -> None:
    for device in bench.devices.all:
        device.calling = False
        device.stall()


def _read_fails(bench: Bench) -> None:
    bench.mic.failure = OSError("the microphone was pulled out")


def _write_fails(bench: Bench) -> None:
    bench.ear.failure = OSError("the speaker was pulled out")


def _goes_away(bench: Bench) -> None:
    for session in bench.server.sessions:
        session.go_away(time_left_ms=100)
        session.close_socket(1012)


def _moves(bench: Bench) -> None:
    for session in bench.server.sessions:
        session.go_away(time_left_ms=100, resume_url="ws://other.test/v1/session")


def _bye(bench: Bench) -> None:
    for session in bench.server.sessions:
        session.finish(wire.EndReason.END_REASON_SERVER)


def _bot_fails(bench: Bench) -> None:
    for session in bench.server.sessions:
        session.fail(ErrorCode.BOT_FAILED)


def _superseded(bench: Bench) -> None:
    for session in bench.server.sessions:
        session.close_socket(4000 + ErrorCode.SUPERSEDED)


def _suspended(bench: Bench) -> None:
    """Everything stands still for a minute and a half, and then all is due at once."""
    bench.time._loop.jump(90)
    for one in bench.running.values():
        one.began_ms += 90_000


TROUBLES: dict[str, Trouble] = {
    "none": Trouble(_nothing, lasts_ms=350),
    "server never ready": Trouble(_silent, "TIMEOUT", "SESSION_EXPIRED", 2600, far=True),
    "network dark": Trouble(_dark, "TIMEOUT", "SESSION_EXPIRED", 2600, far=True),
    "server killed": Trouble(_killed, "UNREACHABLE", "SESSION_EXPIRED", far=True),
    "socket dropped": Trouble(_cut),
    "token refused": Trouble(
        _refused(ErrorCode.UNAUTHORIZED), "UNAUTHORIZED", "UNAUTHORIZED", far=True
    ),
    "server busy": Trouble(
        _refused(ErrorCode.CAPACITY, retry_after_ms=300), "CAPACITY", "SESSION_EXPIRED", far=True
    ),
    "name not found": Trouble(
        _dial_fails(socket.gaierror(-2, "Name or service not known")),
        *("UNREACHABLE", "SESSION_EXPIRED"),
        far=True,
    ),
    "TLS fails": Trouble(
        _dial_fails(ssl.SSLError(1, "WRONG_VERSION_NUMBER")),
        "UNREACHABLE",
        "SESSION_EXPIRED",
        far=True,
    ),
    "HTTP 403": Trouble(_dial_fails(_http(403)), "FORBIDDEN", "FORBIDDEN", far=True),
    "HTTP 429": Trouble(_dial_fails(_http(429)), "RATE_LIMITED", "SESSION_EXPIRED", far=True),
    "HTTP 503": Trouble(
        _dial_fails(_http(503, retry_after="1")), "CAPACITY", "SESSION_EXPIRED", far=True
    ),
    "resume refused": Trouble(_expired, "", "SESSION_EXPIRED"),
    "superseded": Trouble(_superseded, "", "SUPERSEDED", far=True),
    "ICE fails": Trouble(_ice, "ICE_FAILED", "ICE_FAILED", 8500, rtc=True),
    "WebRTC, none": Trouble(_nothing, lasts_ms=350, rtc=True),
    "path refused": Trouble(_path_refused, "CAPACITY", "CAPACITY", 8500),
    "path lost": Trouble(_path_lost, lasts_ms=350),
    "device missing": Trouble(_missing, "DEVICE", "", 400, live=True),
    "device stalls": Trouble(_stalls, lasts_ms=800, live=True),
    "devices, none": Trouble(_nothing, lasts_ms=350, live=True),
    "microphone fails": Trouble(_read_fails, "DEVICE", "DEVICE"),
    "speaker fails": Trouble(_write_fails, "DEVICE", "DEVICE"),
    "server goes away": Trouble(_goes_away),
    "server names another": Trouble(_moves),
    "server says the end": Trouble(_bye, "CONNECTION_LOST", ""),
    "bot fails": Trouble(_bot_fails, "BOT_FAILED", "BOT_FAILED"),
    "machine suspended": Trouble(_suspended, "", ""),
}


def heal(bench: Bench) -> None:
    """All troubles that can be over are over."""
    bench.dial_error = None
    bench.network.state = NetworkState.UP
    bench.server.welcome_again()
    bench.server.deaf_to.clear()
    bench.server.refused_paths.clear()
    bench.ice_fails = False
    bench.mic.failure = bench.ear.failure = None
    for device in bench.devices.all:
        device.working = device.calling = True
