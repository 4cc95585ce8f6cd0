"""Opening media paths on request of the client."""

import asyncio
import logging
from typing import TYPE_CHECKING

from voxwire_protocol import wire
from voxwire_server.media.websocket import WebSocketPath

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

__all__ = ["open_path"]

_log = logging.getLogger("voxwire.session")


async def open_path(session: "Session", request: wire.PathOpen) -> None:
    """Answer a ``PathOpen``: a path that carries audio, or ``PathClose`` with the reason."""
    if request.path_id == 0:
        _refuse(session, request, wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, "path_id starts at 1")
    elif request.carrier == wire.Carrier.CARRIER_WEBSOCKET:
        await _open_websocket(session, request)
    elif request.carrier == wire.Carrier.CARRIER_WEBRTC:
        await _open_webrtc(session, request)
    else:
        _refuse(
            session,
            request,
            wire.ErrorCode.ERROR_CODE_UNSUPPORTED,
            "this server carries audio over WebSocket and WebRTC",
        )


def _refuse(session: "Session", request: wire.PathOpen, code: wire.ErrorCode, reason: str) -> None:
    session.emit(path_close=wire.PathClose(path_id=request.path_id, code=code, reason=reason))


def _answer(session: "Session", request: wire.PathOpen, codec: wire.Codec) -> wire.PathAnswer:
    settings = session.settings
    return wire.PathAnswer(
        path_id=request.path_id,
        capture=wire.AudioFormat(
            codec=codec,
            sample_rate=settings.audio_in_sample_rate,
            num_channels=1,
            block_ms=settings.block_ms,
        ),
        playout=wire.AudioFormat(
            codec=codec,
            sample_rate=settings.audio_out_sample_rate,
            num_channels=1,
            block_ms=settings.block_ms,
        ),
    )


async def _ready(session: "Session", path_id: int) -> None:
    await session.pipeline_ready.wait()
    session.emit(path_ready=wire.PathReady(path_id=path_id))


async def _open_websocket(session: "Session", request: wire.PathOpen) -> None:
    if session.link is None:
        return
    session.emit(path_answer=_answer(session, request, wire.Codec.CODEC_PCM_S16LE))
    path = WebSocketPath(
        request.path_id,
        session.link,
        playout=session.playout,
        block_ms=session.settings.block_ms,
        now_ms=session.now_ms,
    )
    session.emit(
        media_anchor=wire.MediaAnchor(
            path_id=request.path_id,
            media_ms=0,
            sample_index=0,
            clock_rate=session.settings.audio_out_sample_rate,
        )
    )
    await _ready(session, request.path_id)
    await session.use_path(path)


async def _open_webrtc(session: "Session", request: wire.PathOpen) -> None:
    try:
        from voxwire_server.media.webrtc import BadSdpError, WebRtcPath
    except ImportError as error:
        reason = "WebRTC needs: pip install 'voxwire-server[webrtc]'"
        _log.warning(reason, exc_info=error)
        _refuse(session, request, wire.ErrorCode.ERROR_CODE_MISSING_EXTRA, reason)
        return
    path = WebRtcPath(request.path_id, session)
    try:
        answer = _answer(session, request, wire.Codec.CODEC_OPUS)
        answer.sdp_answer = await path.answer(request.sdp_offer)
        session.emit(path_answer=answer)
        await asyncio.wait_for(path.connected(), 15)
        await _ready(session, request.path_id)
        await session.use_path(path)
    except BadSdpError as error:
        await path.close()
        _refuse(session, request, wire.ErrorCode.ERROR_CODE_BAD_SDP, str(error))
    except TimeoutError:
        await path.close()
        _refuse(
            session,
            request,
            wire.ErrorCode.ERROR_CODE_ICE_FAILED,
            "no connection within 15 s; a firewall may need a TURN server",
        )
    except BaseException:
        if session.path is not path:
            await path.close()
        raise
