"""What comes from the client: admitted, put in order, acted upon."""

import asyncio
from typing import TYPE_CHECKING, Final

from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_server.control.link import ControlLink
from voxwire_server.conversation.lane import Errand
from voxwire_server.conversation.texts import Texts
from voxwire_server.logs import trace

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

__all__ = ["Reception"]

_WEBSOCKET: Final = wire.Carrier.CARRIER_WEBSOCKET
_MAX_BAD_MESSAGES: Final = 3


class Reception:
    """Takes the messages of one session's client.

    Args:
        session: The session.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._texts = Texts(session)
        self._bad_messages = 0
        self._ack_timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """A new socket: what came on the one before does not count against it."""
        self._bad_messages = 0

    def close(self) -> None:
        """The session is over: no acknowledgement is due any more."""
        if self._ack_timer is not None:
            self._ack_timer.cancel()

    def receive(self, data: bytes, link: ControlLink) -> float:
        """Take one message of the client. Never raises; bad input is answered or counted.

        What comes on a socket that was taken over from is ignored: it comes again on the new one.

        Returns:
            How long the reader should wait before the next one, milliseconds.
        """
        session = self._session
        if link is not session.link:
            return 0.0
        now = session.now_ms()
        session.control.last_received_ms = now
        session.playout.heard.peer_alive(now)
        path = session.path
        # a WebRTC path ends its gap itself, unless nothing is played on it anyway
        if path is not None and (path.carrier == _WEBSOCKET or session.absence.suspended):
            session.absence.over()
        verdict = session.intake.admit(data, now)
        if verdict.wait_ms:
            link.held_back(now)
        if verdict.accepted:
            self._receive(data, now)
        elif verdict.overrun:
            session.capture.overrun(now)
        return verdict.wait_ms

    def _receive(self, data: bytes, now: float) -> None:
        try:
            messages = self._session.control.receive(data)
        except ChannelError as error:
            self._bad_message(error)
            messages = list(error.delivered)
        else:
            self._bad_messages = 0
        for message in messages:
            if self._session.intake.fits(message):
                self.dispatch(message, now)
            else:
                self._answer_bad(wire.ErrorCode.ERROR_CODE_TOO_LARGE, "too large for its kind")
        self._schedule_ack(now)

    def _bad_message(self, error: ChannelError) -> None:
        self._bad_messages += 1
        self._session.intake.dropped.bad += 1
        self._answer_bad(error.code, str(error))
        if self._bad_messages >= _MAX_BAD_MESSAGES:
            self._session.end(
                wire.EndReason.END_REASON_ERROR,
                wire.Error(
                    code=wire.ErrorCode.ERROR_CODE_MALFORMED,
                    reason="three bad messages in a row",
                    fatal=True,
                ),
            )

    def _answer_bad(self, code: wire.ErrorCode, reason: str) -> None:
        if self._session.intake.may_answer(self._session.now_ms()):
            self._session.emit_error(code, reason)

    def _schedule_ack(self, now: float) -> None:
        due = self._session.control.channel.next_due_ms
        if due is None or self._ack_timer is not None:
            return
        delay = max(0.0, due - now) / 1000
        self._ack_timer = asyncio.get_running_loop().call_later(
            delay, self._session.guarded(self._send_acks)
        )

    def _send_acks(self) -> None:
        self._ack_timer = None
        self._session.control.send_due_acks()
        self._schedule_ack(self._session.now_ms())

    def dispatch(self, message: wire.Envelope, now: float) -> None:
        """Act on one message that the channel delivered."""
        session, kind = self._session, message.WhichOneof("payload")
        trace("received", message, session.id)
        if kind == "audio":
            session.capture.chunk(message.audio)
        elif kind == "playout_report":
            self._playout_report(message.playout_report, now)
        elif kind == "ping":
            received = int(now * 1000)
            session.emit(
                pong=session.clock.pong(message.ping, received, int(session.now_ms() * 1000))
            )
        elif kind == "pong":
            session.clock.receive(message.pong, int(now * 1000))
            if session.link is not None:
                session.link.answered()
        elif kind == "path_open":
            session.paths.open(message.path_open)
        elif kind == "path_close":
            session.paths.close(message.path_close.path_id)
        elif kind == "ice_candidate" and session.ice is not None:
            session.ice.remote_candidate(message.ice_candidate)
        elif kind == "send_text":
            session.limits.active(now)
            self._texts.take(message.send_text)
        elif kind == "app_message":
            session.requests.take(message.app_message)
        elif kind == "error":
            session.requests.refused(message.error)
        elif kind == "interrupt":
            self._interrupt()
        elif kind == "mute":
            session.muted = message.mute.muted
            if session.muted:
                session.spawn(session.capture.hush())
        elif kind is not None and kind.startswith("tool_"):
            session.lane.soon(lambda: session.tools.on_message(message))
        elif kind == "bye":
            session.end(wire.EndReason.END_REASON_CLIENT)
        elif kind == "hello":
            self._answer_bad(
                wire.ErrorCode.ERROR_CODE_UNEXPECTED_MESSAGE, "Hello came twice on one socket"
            )

    def _interrupt(self) -> None:
        session = self._session

        async def cut(_: Errand) -> None:
            if session.port is not None:
                session.interruption_source = wire.InterruptionSource.INTERRUPTION_SOURCE_CLIENT
                await session.port.interrupt(settle=True)

        session.lane.cut(cut)

    def _playout_report(self, report: wire.PlayoutReport, now: float) -> None:
        session = self._session
        path = session.path
        if path is None or report.path_id != path.path_id or report.track_id:
            return
        session.playout.heard.report(
            float(report.media_ms), now, playing=report.playing, suspended=report.suspended
        )
        session.absence.suspend(suspended=report.suspended)
        if report.flush_id:
            session.flushes.answered(report.flush_id, session.playout.heard_ms(now))
        path.report(report)
        self._turn_heard(report, now)
        if session.port is not None:
            session.port.heard_changed()

    def _turn_heard(self, report: wire.PlayoutReport, now: float) -> None:
        session = self._session
        way_ms = (session.clock.rtt_us or 0) / 2000
        media_ms = min(float(report.media_ms), session.playout.heard.sent_ms)
        metrics = session.turns.reported(media_ms, now - way_ms, playing=report.playing)
        if metrics is not None:
            session.emit(turn_metrics=metrics)
