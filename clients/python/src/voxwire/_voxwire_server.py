"""A Voxwire server at the other end: what `connect` talks to unless it is told otherwise."""

from voxwire._arguments import check_hello, invalid
from voxwire._attach import Greeting
from voxwire._codec import CodecChoice, check_codec
from voxwire._control import Control
from voxwire._deadline import Deadline
from voxwire._environment import Environment
from voxwire._ice import IceChoice
from voxwire._options import Options, ladder, no_webrtc
from voxwire._path import Capture, MediaPath
from voxwire._simulate import Gate
from voxwire._url import is_loopback, normalise_url
from voxwire._websocket_path import WebSocketPath
from voxwire.tools import Tool
from voxwire_protocol import wire
from voxwire_protocol.daily import DailyCall, daily_ready
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["VoxwireServer"]

_MAX_DECLARED_BYTES = 12 * 1024


class VoxwireServer:
    """A Voxwire server."""

    def check(self, url: str, options: Options, environment: Environment) -> str:
        """Checks that it all fits into a Hello; the URL of its control channel.

        Raises:
            UsageError: It does not, or the URL cannot be used.
        """
        ladder(options.transport, webrtc=environment.webrtc)
        if (
            options.transport == "daily"
            and environment.make_room is DailyCall
            and not daily_ready()
        ):
            reason = "Daily rooms are not installed: pip install 'voxwire[daily]'"
            raise UsageError(ErrorCode.MISSING_EXTRA, reason)
        address = normalise_url(url)
        check_codec(options.codec, loopback=is_loopback(address))
        tools_bytes = sum(declaration.ByteSize() for declaration in _declared(options.tools))
        if tools_bytes > _MAX_DECLARED_BYTES:
            raise invalid(
                f"the tools' names, descriptions and schemas are above {_MAX_DECLARED_BYTES} bytes"
            )
        check_hello(
            token=options.token,
            bot=options.bot,
            metadata_json=options.metadata_json,
            tools_bytes=tools_bytes,
        )
        return address

    def link(
        self, url: str, options: Options, *, gate: Gate, environment: Environment
    ) -> "_ServerLink":
        """Makes the way to it for one session; nothing is dialled yet."""
        return _ServerLink(url, options, gate=gate, environment=environment)


class _ServerLink:
    """A numbered control channel that knows how to resume, and the paths that it opens."""

    awaited = "the server did not answer Hello"

    def __init__(self, url: str, options: Options, *, gate: Gate, environment: Environment) -> None:
        self.carriers = ladder(options.transport, webrtc=environment.webrtc)
        self.fallback = no_webrtc(options.transport, webrtc=environment.webrtc)
        greeting = Greeting(
            url,
            token=options.token,
            bot=options.bot,
            metadata_json=options.metadata_json,
            webrtc=wire.Carrier.CARRIER_WEBRTC in self.carriers,
            daily=wire.Carrier.CARRIER_DAILY in self.carriers,
            resume=options.resume,
            resume_ms=options.resume_ms,
            tools=tuple(_declared(options.tools)),
            audio_response=options.audio_response,
            waits=options.timeouts.waiting_ms > 0,
        )
        self.control = Control(
            greeting,
            gate,
            environment=environment,
            token_source=options.token_source,
            taps=options.taps,
            deadline=Deadline(
                environment.clock,
                waiting_ms=options.timeouts.waiting_ms,
                told=options.on_waiting,
            ),
        )
        self._environment = environment
        self._loopback = is_loopback(url)
        self._codec = CodecChoice(options.codec, loopback=self._loopback)

    def path(
        self, carrier: wire.Carrier.ValueType, path_id: int, *, capture: Capture, ice: IceChoice
    ) -> MediaPath:
        """Makes a media path that is not asked for yet."""
        if carrier == wire.Carrier.CARRIER_WEBSOCKET:
            return WebSocketPath(
                path_id, capture=capture, send=self.control.send, codec=self._codec
            )
        if carrier == wire.Carrier.CARRIER_DAILY:
            from voxwire._daily_path import DailyPath

            return DailyPath(
                path_id,
                capture=capture,
                make=self._environment.make_room,
                send=self.control.send,
                clock=self._environment.clock,
            )
        from voxwire._webrtc_path import WebRtcPath  # brings in aiortc

        return WebRtcPath(
            path_id,
            capture=capture,
            ice=ice,
            send=self.control.send,
            loopback=self._loopback,
        )


def _declared(tools: tuple[Tool, ...]) -> list[wire.ToolDeclaration]:
    """What the server is told of the tools.

    Raises:
        UsageError: They are too many.
    """
    if not tools:
        return []
    from voxwire_protocol.tool_spec import MAX_DECLARATIONS, declaration_of

    if len(tools) > MAX_DECLARATIONS:
        raise invalid(f"a client has at most {MAX_DECLARATIONS} tools")
    return [declaration_of(tool.spec) for tool in tools]
