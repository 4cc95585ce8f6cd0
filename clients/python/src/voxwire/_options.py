"""What the caller of `connect` wants, and in which order carriers are tried for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

from voxwire._choices import TRANSPORTS
from voxwire._deadline import OnWaiting
from voxwire._fallback import Fallback
from voxwire._ice import IceServer
from voxwire._tap import Taps
from voxwire._timeouts import Timeouts
from voxwire.tokens import TokenSource
from voxwire.tools import Approve, Tool
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, UsageError
from voxwire_protocol.events import FallbackReason

__all__ = ["Options", "ladder", "no_webrtc", "path_name"]


_NAMES: Final = {wire.Carrier.CARRIER_WEBRTC: "webrtc", wire.Carrier.CARRIER_DAILY: "daily"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller of `connect` wants."""

    transport: str = "auto"
    codec: str = "auto"
    token: str = field(default="", repr=False)
    token_source: TokenSource | None = None
    bot: str = ""
    metadata_json: str = field(default="", repr=False)
    ice_servers: Sequence[IceServer] | None = None
    ice_policy: str = "all"
    tools: tuple[Tool, ...] = ()
    approve: Approve | None = None
    handlers: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict[str, Any])
    on_waiting: OnWaiting | None = None
    audio_response: bool = True
    resume: bool = True
    timeouts: Timeouts = field(default_factory=Timeouts)
    taps: Taps = field(default_factory=Taps)

    @property
    def resume_ms(self) -> int | None:
        """Longest time to come back; None = as long as the server keeps the session."""
        given = self.timeouts.resume_ms
        return None if given is None else max(1, round(given))


def ladder(transport: str, *, webrtc: bool = True) -> tuple[wire.Carrier.ValueType, ...]:
    """The carriers to try, in order.

    Args:
        transport: What the caller of `connect` wants.
        webrtc: False = it is not to be had here.

    Raises:
        UsageError: No such transport, or MISSING_EXTRA with the command that installs it.
    """
    rtc, websocket = wire.Carrier.CARRIER_WEBRTC, wire.Carrier.CARRIER_WEBSOCKET
    match transport:
        case "websocket":
            return (websocket,)
        case "webrtc" if not webrtc:
            raise UsageError(ErrorCode.UNSUPPORTED, "there is no WebRTC in this environment")
        case "webrtc":
            if find_spec("aiortc") is None:
                reason = "WebRTC is not installed: pip install 'voxwire[webrtc]'"
                raise UsageError(ErrorCode.MISSING_EXTRA, reason)
            return (rtc,)
        case "auto":
            return (rtc, websocket) if webrtc and find_spec("aiortc") else (websocket,)
        case "daily":
            return (wire.Carrier.CARRIER_DAILY,)
        case _:
            reason = f"transport is one of {', '.join(TRANSPORTS)}"
            raise UsageError(ErrorCode.INVALID_ARGUMENT, reason)


def no_webrtc(transport: str, *, webrtc: bool = True) -> Fallback | None:
    """Why the ladder of ``auto`` has no WebRTC; None = it has, or it was not asked for."""
    if transport != "auto" or wire.Carrier.CARRIER_WEBRTC in ladder(transport, webrtc=webrtc):
        return None
    detail = "WebRTC is not installed: pip install 'voxwire[webrtc]'"
    if not webrtc:
        detail = "there is no WebRTC in this environment"
    return Fallback(FallbackReason.NOT_INSTALLED, detail)


def path_name(carrier: wire.Carrier.ValueType) -> str:
    """The word for a carrier, as `transport` takes it."""
    return _NAMES.get(carrier, "websocket")
