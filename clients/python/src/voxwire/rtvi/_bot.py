"""A bot of Pipecat's own runner at the other end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from voxwire._arguments import flag, invalid, items, json_text, text
from voxwire._environment import Environment
from voxwire._ice import IceChoice
from voxwire._options import Options, ladder, no_webrtc
from voxwire._path import Capture, MediaPath
from voxwire._simulate import Gate
from voxwire.rtvi._control import StockControl
from voxwire.rtvi._dialling import Dialling, Ways
from voxwire.rtvi._http import check_installed
from voxwire.rtvi._inflow import Inflow
from voxwire.rtvi._path import StockPath
from voxwire.rtvi._socket_line import MAX_MESSAGE_BYTES as MAX_SOCKET_BYTES
from voxwire.rtvi._url import base_of
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, UsageError
from voxwire_protocol.rtvi import MAX_MESSAGE_BYTES as MAX_CHAT_BYTES

__all__ = ["PipecatBot"]

_MAX_START_BYTES: Final = 16 * 1024
_MAX_CHARS: Final = 4096
_WEBSOCKET: Final = wire.Carrier.CARRIER_WEBSOCKET


@dataclass(frozen=True, slots=True, kw_only=True)
class PipecatBot:
    """A bot that Pipecat's runner serves: ``voxwire.connect(url, peer=PipecatBot())``.

    The URL is the runner's (``http://localhost:7860``). `transport` of `connect` chooses the
    carrier: "webrtc" its SmallWebRTC, "websocket" its WebSocket, "auto" WebRTC where it is
    installed. `token` goes into ``Authorization: Bearer``; `metadata` is the body that the bot
    finds in its runner arguments.

    Attributes:
        start: True, or members for the request: ``POST /start`` comes first, and the session goes
            where its answer says.
        endpoint: Route of offers, or of the WebSocket; empty = ``/api/offer``, ``/ws-client``.
        headers: Of every request.
    """

    start: bool | Mapping[str, Any] = field(default=False, repr=False)
    endpoint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def check(self, url: str, options: Options, environment: Environment) -> str:
        """Checks what the caller wants of it; the URL that its routes are below.

        Raises:
            UsageError: It cannot be had of a stock bot, or not be understood.
        """
        if options.bot:
            raise UsageError(ErrorCode.UNSUPPORTED, "a Pipecat runner has one bot: leave bot out")
        ways = self._ways(base_of(url), options, environment)
        if ways.carrier == _WEBSOCKET and options.metadata_json and ways.start is None:
            reason = "over WebSocket metadata goes with a start alone: PipecatBot(start=True)"
            raise UsageError(ErrorCode.UNSUPPORTED, reason)
        if ways.carrier != _WEBSOCKET or ways.start is not None:
            check_installed()
        return ways.base

    def link(
        self, url: str, options: Options, *, gate: Gate, environment: Environment
    ) -> "_StockLink":
        """Makes the way to it for one session; nothing is dialled yet."""
        ways = self._ways(url, options, environment)
        return _StockLink(ways, options, gate=gate, environment=environment)

    def _ways(self, base: str, options: Options, environment: Environment) -> Ways:
        if options.transport == "daily":
            reason = "a Pipecat bot is not spoken with through a Daily room"
            raise UsageError(ErrorCode.UNSUPPORTED, reason)
        return Ways(
            base=base,
            endpoint=text(self.endpoint, "endpoint", max_chars=_MAX_CHARS),
            start=_start(self.start),
            headers=_headers(self.headers),
            carrier=ladder(options.transport, webrtc=environment.webrtc)[0],
        )


class _StockLink:
    """A control channel, and the path on the same line."""

    awaited = "the bot did not say that it is ready"

    def __init__(
        self, ways: Ways, options: Options, *, gate: Gate, environment: Environment
    ) -> None:
        self.carriers = (ways.carrier,)
        self.fallback = no_webrtc(options.transport, webrtc=environment.webrtc)
        self._inflow = Inflow()
        self.control = StockControl(
            Dialling(ways, options, inflow=self._inflow, gate=gate, environment=environment),
            tools=frozenset(tool.name for tool in options.tools),
            inflow=self._inflow,
            max_bytes=MAX_SOCKET_BYTES if ways.carrier == _WEBSOCKET else MAX_CHAT_BYTES,
            resume_ms=options.resume_ms if options.resume else 0,
            environment=environment,
            taps=options.taps,
        )

    def path(
        self, carrier: wire.Carrier.ValueType, path_id: int, *, capture: Capture, ice: IceChoice
    ) -> MediaPath:
        """Makes a media path that is not asked for yet."""
        return StockPath(
            path_id,
            carrier,
            capture=capture,
            inflow=self._inflow,
            line=self.control.wait_line,
        )


def _start(given: object) -> Mapping[str, Any] | None:
    if isinstance(given, Mapping):
        members = dict(cast("Mapping[str, Any]", given))
        json_text(members, "start", max_bytes=_MAX_START_BYTES)
        return members
    return {} if flag(given, "start") else None


def _headers(given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise invalid("headers must be a dict of texts")
    found = cast("Mapping[object, object]", given)
    for value in items(list(found.items()), "headers"):
        for part in value:
            line = text(part, "a header", max_chars=_MAX_CHARS)
            if not line.isascii() or not line.isprintable():
                raise invalid("a header is one line of ASCII")
    return dict(cast("Mapping[str, str]", found))
