"""Opening a session: hello, then the ladder of media paths."""

import asyncio
import platform
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final

from voxwire._ice import IceChoice, IceServer
from voxwire._path import Capture, MediaPath
from voxwire._websocket_path import WebSocketPath
from voxwire.tools import Tool
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, TransportError, UsageError, VoxwireError
from voxwire_protocol.tool_spec import declaration_of

__all__ = ["TRANSPORTS", "Opened", "Opening", "Options", "library_version"]

TRANSPORTS: Final = ("auto", "webrtc", "websocket")
"""What `connect` can be asked for."""

RUNG_MS: Final = 3000
"""How long a path may take while there is another one to try."""

_FEATURES: Final = (
    wire.Feature.FEATURE_PLAYOUT_REPORTS,
    wire.Feature.FEATURE_FLUSH,
    wire.Feature.FEATURE_WORDS,
    wire.Feature.FEATURE_SEQUENCE,
    wire.Feature.FEATURE_CHUNKS,
    wire.Feature.FEATURE_WEBSOCKET_AUDIO,
)


def library_version() -> str:
    """Version of the installed client; 0.0.0 when it runs from a source tree."""
    try:
        return version("voxwire")
    except PackageNotFoundError:
        return "0.0.0"


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller of `connect` wants."""

    transport: str = "auto"
    token: str = ""
    bot: str = ""
    metadata_json: str = ""
    ice_servers: Sequence[IceServer] | None = None
    ice_policy: str = "all"
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A path that carries audio both ways, and the rate of the bot's audio, Hz."""

    path_id: int
    path: MediaPath
    sample_rate: int


def ladder(transport: str) -> tuple[wire.Carrier.ValueType, ...]:
    """The carriers to try, in order.

    Raises:
        UsageError: No such transport, or MISSING_EXTRA with the command that installs it.
    """
    webrtc, websocket = wire.Carrier.CARRIER_WEBRTC, wire.Carrier.CARRIER_WEBSOCKET
    match transport:
        case "websocket":
            return (websocket,)
        case "webrtc":
            if find_spec("aiortc") is None:
                reason = "WebRTC is not installed: pip install 'voxwire[webrtc]'"
                raise UsageError(ErrorCode.MISSING_EXTRA, reason)
            return (webrtc,)
        case "auto":
            return (webrtc, websocket) if find_spec("aiortc") else (websocket,)
        case "daily":
            raise UsageError(ErrorCode.UNSUPPORTED, "this version does not join Daily rooms")
        case _:
            reason = f"transport is one of {', '.join(TRANSPORTS)}"
            raise UsageError(ErrorCode.INVALID_ARGUMENT, reason)


def hello(options: Options) -> wire.Envelope:
    """The first message of a new session."""
    features = list(_FEATURES)
    if wire.Carrier.CARRIER_WEBRTC in ladder(options.transport):
        features.append(wire.Feature.FEATURE_WEBRTC)
    if options.tools:
        features.append(wire.Feature.FEATURE_CLIENT_TOOLS)
    return wire.Envelope(
        hello=wire.Hello(
            protocol_version=wire.PROTOCOL_VERSION,
            attach_nonce=secrets.token_bytes(16),
            token=options.token,
            features=features,
            client=wire.ClientInfo(
                library="voxwire-python",
                library_version=library_version(),
                platform=platform.system().lower(),
                platform_version=platform.release(),
            ),
            bot=options.bot,
            max_message_bytes=wire.DEFAULT_MAX_MESSAGE_BYTES,
            metadata_json=options.metadata_json,
            tools=[declaration_of(tool.spec) for tool in options.tools],
        )
    )


class Opening:
    """Asks for the session and for media paths, one after the other, until one is ready."""

    def __init__(
        self,
        options: Options,
        *,
        capture: Capture,
        send: Callable[[wire.Envelope], None],
        loopback: bool = False,
    ) -> None:
        """Prepares; nothing is sent yet.

        Args:
            options: What the caller wants.
            capture: Reads the user's audio, for the paths.
            send: Sends a message.
            loopback: True when the server is on this machine: no other network is used then.
        """
        self._loopback = loopback
        self._options = options
        self._carriers = ladder(options.transport)
        self._capture = capture
        self._send = send
        self._ice = IceChoice(options.ice_servers, policy=options.ice_policy, loopback=loopback)
        self._welcomed = asyncio.Event()
        self._path: MediaPath | None = None
        self._path_id = 0
        self.stage = "the server did not answer Hello"

    def welcome(self, ice_servers: Iterable[wire.IceServer]) -> None:
        """Notes that Welcome came, and which STUN and TURN servers it names."""
        self.update_ice(ice_servers)
        self._welcomed.set()

    def update_ice(self, ice_servers: Iterable[wire.IceServer]) -> None:
        """Takes fresh STUN and TURN servers for the paths that are opened from here on."""
        self._ice.learn(ice_servers)

    def timed_out(self, timeout_ms: int) -> VoxwireError:
        """The error for a session that did not open in time.

        It names what is known to be wrong, else what was waited for.
        """
        path = self._path
        trouble = path.trouble if path is not None else None
        reason = f"{self.stage} within {timeout_ms / 1000:g} s"
        return trouble or TransportError(ErrorCode.TIMEOUT, reason, retryable=True)

    def receive(self, envelope: wire.Envelope, path_id: int) -> None:
        """Takes a message about a path; one about another path than the current is ignored."""
        if self._path is not None and path_id == self._path_id:
            self._path.receive(envelope)

    def refuse(self, error: wire.Error) -> None:
        """Takes an error that came before the session was ready and does not end it."""
        close = wire.PathClose(path_id=self._path_id, code=error.code, reason=error.reason)
        if error.subject_id in ("", str(self._path_id)):
            self.receive(wire.Envelope(path_close=close), self._path_id)

    async def run(self) -> Opened:
        """Opens the session. The caller sets the deadline; `stage` says what it waited for.

        Raises:
            VoxwireError: No path can be had.
        """
        self._send(hello(self._options))
        for number, carrier in enumerate(self._carriers, 1):
            last = number == len(self._carriers)
            try:
                async with asyncio.timeout(None if last else RUNG_MS / 1000):
                    return await self._try(carrier, number)
            except (VoxwireError, TimeoutError):
                await self.close()
                if last:
                    raise
                self._send(wire.Envelope(path_close=wire.PathClose(path_id=number)))
        raise AssertionError("a ladder has at least one rung")

    async def close(self) -> None:
        """Gives up the path that was being tried."""
        if self._path is not None:
            path, self._path = self._path, None
            await path.close()

    async def _try(self, carrier: wire.Carrier.ValueType, path_id: int) -> Opened:
        path = self._make(carrier, path_id)
        self._path, self._path_id = path, path_id
        self._send(wire.Envelope(path_open=await path.offer()))
        await self._welcomed.wait()
        self.stage = f"the {path_name(carrier)} media path did not become ready"
        return Opened(path_id, path, await path.wait_ready())

    def _make(self, carrier: wire.Carrier.ValueType, path_id: int) -> MediaPath:
        if carrier == wire.Carrier.CARRIER_WEBSOCKET:
            return WebSocketPath(path_id, capture=self._capture, send=self._send)
        from voxwire._webrtc_path import WebRtcPath  # brings in aiortc

        return WebRtcPath(
            path_id,
            capture=self._capture,
            ice=self._ice,
            send=self._send,
            loopback=self._loopback,
        )


def path_name(carrier: wire.Carrier.ValueType) -> str:
    """The word for a carrier, as `transport` takes it."""
    return "webrtc" if carrier == wire.Carrier.CARRIER_WEBRTC else "websocket"
