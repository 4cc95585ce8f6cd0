"""The media paths of a session: opened on request of the client, replaced, closed."""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from voxwire_protocol import wire
from voxwire_server.media.base import MediaPath
from voxwire_server.media.websocket import WebSocketPath

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

__all__ = ["BLOCKS_MS", "SAMPLE_RATES", "Paths"]

_log = logging.getLogger("voxwire.session")

SAMPLE_RATES: Final = frozenset({8000, 16000, 24000, 32000, 44100, 48000})
"""Rates that a client may name in a format, Hz."""
BLOCKS_MS: Final = frozenset({0, 10, 20, 40, 60})
"""Block lengths that a client may name, milliseconds; 0 = the server's choice."""

_CODECS: Final = frozenset(wire.Codec.values())
_MAX_OPENING: Final = 4
_MAX_PATHS: Final = 1000
_CONNECT_MS: Final = 15_000


class Paths:
    """The media paths of one session: those that open, the one in use, those that close.

    Args:
        session: The session; its owner task awaits :meth:`release` at the end.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._closing: set[MediaPath] = set()
        self._used: set[int] = set()

    def open(self, request: wire.PathOpen) -> None:
        """Begin to open a path. What comes of it is ``PathReady`` or ``PathClose``."""
        path_id, session = request.path_id, self._session
        if path_id == 0 or path_id in self._used:
            # no PathClose: that would name the path which has the number already
            session.emit_error(
                wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT,
                "path_id starts at 1 and is used once in a session",
                subject=str(path_id),
            )
            return
        if len(self._opening) >= _MAX_OPENING or len(self._used) >= _MAX_PATHS:
            reason = "too many media paths were asked for"
            _refuse(session, request, wire.ErrorCode.ERROR_CODE_RATE_LIMITED, reason)
            return
        self._used.add(path_id)
        if not (_format_known(request, "capture") and _format_known(request, "playout")):
            reason = "a format that this server does not carry"
            _refuse(session, request, wire.ErrorCode.ERROR_CODE_UNSUPPORTED_FORMAT, reason)
            return
        task = session.spawn(self._open(request))
        if task is not None:
            self._opening[path_id] = task
            task.add_done_callback(lambda _: self._opening.pop(path_id, None))

    def close(self, path_id: int) -> None:
        """Give a path up, whether it opens still or is in use."""
        opening = self._opening.get(path_id)
        if opening is not None:
            opening.cancel()
        self._session.spawn(self.drop(path_id))  # one in use may still be closing the one before

    async def use(self, path: MediaPath) -> None:
        """Make ``path`` the one that carries the conversation; the older one is closed.

        Raises:
            ConnectionError: It went with its socket meanwhile. Nothing has changed then.
        """
        session = self._session
        link = session.link
        stalled_ms = session.playout.heard.stalled_ms(session.now_ms())
        if session.path is not None and stalled_ms > 0:
            session.absence.begin(session.now_ms() - stalled_ms)
        await session.absence.end()
        if path.carrier == wire.Carrier.CARRIER_WEBSOCKET and session.link is not link:
            session.absence.begin(session.control.last_received_ms)
            raise ConnectionError("the socket of the path was lost")
        old, session.path = session.path, path
        if old is not None:
            session.playout.detach(session.now_ms())
        session.flushes.say_unsaid(path.path_id)
        reports = wire.Feature.FEATURE_PLAYOUT_REPORTS in session.features
        session.playout.attach(session.now_ms(), reports=reports)
        path.wake()
        if session.port is not None:
            session.port.heard_changed()
        if old is not None:
            session.capture.closed(old.path_id)
            await self.retire(old)

    async def drop(self, path_id: int) -> None:
        """Give the path in use up; the bot is parked until another one comes."""
        session = self._session
        if session.path is not None and session.path.path_id == path_id:
            path, session.path = session.path, None
            session.playout.detach(session.now_ms())
            session.absence.suspend(suspended=False)
            session.absence.begin(session.now_ms())
            session.capture.closed(path_id)
            session.spawn(session.capture.hush())
            await self.retire(path)

    async def retire(self, path: MediaPath) -> None:
        """Close a path; when this is cancelled, :meth:`release` sees to the rest."""
        self._closing.add(path)
        await path.close()
        self._closing.discard(path)

    async def release(self) -> None:
        """Close whatever is left. The session has cancelled its tasks before."""
        session = self._session
        path, session.path = session.path, None
        left: set[MediaPath] = set(self._closing)
        if path is not None:
            left.add(path)
        if not left:
            return
        closing = {asyncio.get_running_loop().create_task(p.close()) for p in left}
        done, slow = await asyncio.wait(closing, timeout=session.settings.end_timeout_ms / 1000)
        for task in slow:
            task.cancel()
            _log.warning("media path did not close in time", extra={"session": session.id})
        for error in (task.exception() for task in done):
            if error is not None:
                _log.error("media path failed", exc_info=error, extra={"session": session.id})

    async def _open(self, request: wire.PathOpen) -> None:
        if request.carrier == wire.Carrier.CARRIER_WEBSOCKET:
            await _open_websocket(self._session, request)
        elif request.carrier == wire.Carrier.CARRIER_WEBRTC:
            await _open_webrtc(self._session, request)
        else:
            _refuse(
                self._session,
                request,
                wire.ErrorCode.ERROR_CODE_UNSUPPORTED,
                "this server carries audio over WebSocket and WebRTC",
            )


def _format_known(request: wire.PathOpen, name: str) -> bool:
    """True when a format is left open or one that exists: nothing is computed from odd numbers."""
    if not request.HasField(name):  # type: ignore[arg-type]
        return True
    asked: wire.AudioFormat = getattr(request, name)
    return (
        asked.codec in _CODECS
        and asked.sample_rate in SAMPLE_RATES
        and asked.num_channels in (0, 1)
        and asked.block_ms in BLOCKS_MS
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


async def _ready(session: "Session", request: wire.PathOpen) -> None:
    await session.pipeline_ready.wait()
    session.emit(path_ready=session.capture.ready(request.path_id, request.carrier))


async def _open_websocket(session: "Session", request: wire.PathOpen) -> None:
    link = session.link
    if link is None:
        return
    session.emit(path_answer=_answer(session, request, wire.Codec.CODEC_PCM_S16LE))
    path = WebSocketPath(
        request.path_id,
        link,
        playout=session.playout,
        block_ms=session.settings.block_ms,
        now_ms=session.now_ms,
        guarded=session.guarded,
    )
    session.emit(
        media_anchor=wire.MediaAnchor(
            path_id=request.path_id,
            media_ms=0,
            sample_index=0,
            clock_rate=session.settings.audio_out_sample_rate,
        )
    )
    await session.pipeline_ready.wait()
    try:
        if session.link is not link:
            raise ConnectionError
        await _ready(session, request)
        await session.paths.use(path)
    except ConnectionError:
        reason = "the control channel that carried the audio was lost"
        _refuse(session, request, wire.ErrorCode.ERROR_CODE_CONNECTION_LOST, reason)
    finally:
        if session.path is not path:
            session.capture.closed(request.path_id)
            session.spawn(session.capture.hush())


async def _open_webrtc(session: "Session", request: wire.PathOpen) -> None:
    try:
        from voxwire_server.media.webrtc import BadSdpError, TurnError, WebRtcPath
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
        async with asyncio.timeout(_CONNECT_MS / 1000):
            await path.connected()
        await _ready(session, request)
        await session.paths.use(path)
    except BadSdpError as error:
        await session.paths.retire(path)
        _refuse(session, request, wire.ErrorCode.ERROR_CODE_BAD_SDP, str(error))
    except TurnError as error:
        await session.paths.retire(path)
        reason = f"the server is reached through TURN alone, and has no relay: {error}"
        _refuse(session, request, wire.ErrorCode.ERROR_CODE_TURN_FAILED, reason)
    except (TimeoutError, ConnectionError):
        await session.paths.retire(path)
        _refuse(
            session,
            request,
            wire.ErrorCode.ERROR_CODE_ICE_FAILED,
            "no connection came about; a firewall may need a TURN server",
        )
    except BaseException:
        if session.path is not path:
            await session.paths.retire(path)
        raise
    finally:
        if session.path is not path:
            session.capture.closed(request.path_id)
            session.spawn(session.capture.hush())
