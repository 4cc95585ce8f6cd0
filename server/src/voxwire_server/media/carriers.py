"""Who opens a media path over which carrier."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

from voxwire_protocol import wire
from voxwire_protocol.errors import VoxwireError
from voxwire_protocol.opus import opus_ready
from voxwire_server.control.link import ControlLink
from voxwire_server.daily.rooms import BOT_NAME, DailyRooms
from voxwire_server.media.daily import DailyPath
from voxwire_server.media.websocket import WebSocketPath
from voxwire_server.playout.voice import Voice
from voxwire_server.ports import (
    Format,
    Formats,
    IcePort,
    Opened,
    Opener,
    PathError,
    PathSink,
    SessionPort,
    Sound,
)

__all__ = ["CarrierSettings", "make_carriers"]

_log = logging.getLogger("voxwire.session")
_OPUS: Final = wire.Codec.CODEC_OPUS


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierSettings:
    """The settings that media paths obey.

    Attributes:
        capture_rate: Of the user's audio, Hz.
        playout_rate: Of the bot's voice, Hz.
        block_ms: Length of a block, both ways.
        opus: Whether WebSocket paths carry Opus for clients that ask for it.
        host: Where the server listens.
        ice_addresses: Addresses that it is reached at, comma-separated; empty = its own.
        dead_after_ms: Silence after which a peer is gone.
    """

    capture_rate: int
    playout_rate: int
    block_ms: int
    opus: bool
    host: str
    ice_addresses: str
    dead_after_ms: int

    def formats(self, codec: wire.Codec, playout: wire.Codec | None = None) -> Formats:
        """What a path carries: both ways with that codec, or the bot's voice with another one."""
        return Formats(
            capture=Format(codec, self.capture_rate, self.block_ms),
            playout=Format(playout or codec, self.playout_rate, self.block_ms),
        )

    def websocket_formats(self, request: wire.PathOpen) -> Formats:
        """What a path on the control channel carries: Opus where it is asked for and can be had."""
        return self.formats(
            self._codec(request.capture, self.capture_rate),
            self._codec(request.playout, self.playout_rate),
        )

    def _codec(self, asked: wire.AudioFormat, rate: int) -> wire.Codec:
        wanted = self.opus and asked.codec == _OPUS
        return _OPUS if wanted and opus_ready(rate) else wire.Codec.CODEC_PCM_S16LE


def make_carriers(
    voice: Voice,
    port: SessionPort,
    settings: CarrierSettings,
    *,
    link: Callable[[], ControlLink | None],
    ice: IcePort | None,
    daily: tuple[DailyRooms, Callable[[], float | None]] | None = None,
) -> Mapping[wire.Carrier, Opener]:
    """The carriers of this server, each with what opens it.

    Args:
        voice: The bot's voice.
        port: The session.
        settings: The settings that media paths obey.
        link: The wire of the control channel now; None = none, or none that carries audio.
        ice: The session's STUN and TURN servers; None = none.
        daily: Rooms of Daily's, and how long the session may last still, seconds (None = for ever);
            None = there are none.
    """
    websocket_settings = settings

    async def open_websocket(
        request: wire.PathOpen, sink: PathSink, __: Callable[[int], Sound], /
    ) -> Opened:
        def codec_failed() -> None:
            nonlocal websocket_settings
            websocket_settings = replace(settings, opus=False)
            code = wire.ErrorCode.ERROR_CODE_UNSUPPORTED_FORMAT
            sink.gone(PathError(code, "the bot's voice cannot be encoded any more"))

        wire_now = link()
        if wire_now is None:
            code = wire.ErrorCode.ERROR_CODE_CONNECTION_LOST
            raise PathError(code, "the control channel that carries the audio was lost")
        path = WebSocketPath(
            request.path_id,
            wire_now,
            playout=voice.playout,
            formats=websocket_settings.websocket_formats(request),
            port=port,
            on_codec_failed=codec_failed,
        )
        return Opened(path=path, connected=path.begin, on_channel=True)

    async def open_webrtc(
        request: wire.PathOpen, sink: PathSink, __: Callable[[int], Sound], /
    ) -> Opened:
        return await _open_webrtc(request, sink, voice, port, settings, ice)

    carriers: dict[wire.Carrier, Opener] = {
        wire.Carrier.CARRIER_WEBSOCKET: open_websocket,
        wire.Carrier.CARRIER_WEBRTC: open_webrtc,
    }
    if daily is not None:
        carriers[wire.Carrier.CARRIER_DAILY] = _daily_opener(voice, port, settings, *daily)
    return carriers


def _daily_opener(
    voice: Voice,
    port: SessionPort,
    settings: CarrierSettings,
    rooms: DailyRooms,
    left_s: Callable[[], float | None],
) -> Opener:
    async def open_daily(
        request: wire.PathOpen, sink: PathSink, sound: Callable[[int], Sound], /
    ) -> Opened:
        try:
            room = rooms.make(
                send_rate=settings.playout_rate,
                receive_rate=settings.capture_rate,
                user_name=BOT_NAME,
            )
        except ImportError as error:
            reason = "Daily rooms need: pip install 'voxwire-server[daily]'"
            _log.warning(reason, exc_info=error)
            raise PathError(wire.ErrorCode.ERROR_CODE_MISSING_EXTRA, reason) from error
        try:
            prepared = await rooms.take(left_s())
        except BaseException as error:
            await room.leave()
            if isinstance(error, VoxwireError):
                raise PathError(cast("wire.ErrorCode", error.code.value), error.reason) from error
            raise
        path = DailyPath(
            request.path_id,
            sink=sink,
            sound=sound(settings.playout_rate),
            playout=voice.playout,
            listener=voice,
            port=port,
            room=room,
            prepared=prepared,
            rooms=rooms,
            capture_rate=settings.capture_rate,
        )
        return Opened(
            path=path,
            connected=path.connected,
            way_ms=path.way_ms,
            room_url=prepared.url,
            room_token=prepared.user_token,
        )

    return open_daily


async def _open_webrtc(
    request: wire.PathOpen,
    sink: PathSink,
    voice: Voice,
    port: SessionPort,
    settings: CarrierSettings,
    ice: IcePort | None,
) -> Opened:
    try:
        from voxwire_server.media.peer import Reachable
        from voxwire_server.media.webrtc import WebRtcPath
    except ImportError as error:
        reason = "WebRTC needs: pip install 'voxwire-server[webrtc]'"
        _log.warning(reason, exc_info=error)
        raise PathError(wire.ErrorCode.ERROR_CODE_MISSING_EXTRA, reason) from error
    path = WebRtcPath(
        request.path_id,
        sink=sink,
        playout=voice.playout,
        listener=voice,
        port=port,
        formats=settings.formats(wire.Codec.CODEC_OPUS),
        reachable=Reachable(settings.host, settings.ice_addresses, ice),
        dead_after_ms=settings.dead_after_ms,
    )
    try:
        answer = await path.answer(request.sdp_offer)
    except BaseException:
        await path.close()
        raise
    return Opened(path=path, sdp_answer=answer, connected=path.connected)
