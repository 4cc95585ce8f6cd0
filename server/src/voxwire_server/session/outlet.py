"""What a session tells its client: sent, remembered, and nothing behind its farewell."""

import logging
from collections.abc import Callable
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_server.conversation.history import History
from voxwire_server.logs import trace
from voxwire_server.outgoing import sendable
from voxwire_server.ports import ControlChannel

__all__ = ["Outlet"]

_log = logging.getLogger("voxwire.session")

_MAX_REASON_CHARS: Final = 500


def _nobody(_: wire.Envelope) -> None:
    pass


class Outlet:
    """The way out of one session.

    Args:
        channel: Its control channel.
        history: Is told of everything that was sent.
        session_id: For the log.
    """

    def __init__(self, channel: ControlChannel, history: History, *, session_id: str) -> None:
        self._channel = channel
        self._history = history
        self.session_id = session_id
        self._closed = False
        self._tell: list[Callable[[wire.Envelope], object]] = []
        self._note: Callable[[wire.Envelope], object] = _nobody

    def tell(self, whom: Callable[[wire.Envelope], object]) -> None:
        """Have somebody told, too, what is sent from now on."""
        self._tell.append(whom)

    def note(self, whom: Callable[[wire.Envelope], object]) -> None:
        """Have somebody see what is sent from now on, whether or not the channel takes it."""
        self._note = whom

    def send(self, envelope: wire.Envelope) -> None:
        """Send an envelope.

        Nothing goes out behind ``SessionEnded``. One that is too large for the channel is left
        out, and the client is told so.
        """
        if self._closed:
            return
        trace("sent", envelope, self.session_id)
        self._quietly(self._note, envelope)
        try:
            self._channel.send(envelope)
        except ChannelError as error:
            kind = envelope.WhichOneof("payload")
            reason = f"{kind} of {envelope.ByteSize()} bytes was not sent: {error.reason}"
            _log.warning("%s", reason, extra={"session": self.session_id})
            if kind != "error":
                self.error(error.code, reason)
        else:
            self._history.note(envelope)
            for whom in self._tell:
                self._quietly(whom, envelope)

    def _quietly(self, told: Callable[[wire.Envelope], object], envelope: wire.Envelope) -> None:
        try:
            told(envelope)
        except Exception:  # figures are worth no conversation
            _log.exception("figures could not be taken", extra={"session": self.session_id})

    def error(
        self,
        code: wire.ErrorCode,
        reason: str,
        *,
        subject: str = "",
        fatal: bool = False,
        retryable: bool = False,
        retry_after_ms: int = 0,
    ) -> None:
        """Tell the client what went wrong."""
        self.send(
            wire.Envelope(
                error=wire.Error(
                    code=code,
                    reason=sendable(reason)[:_MAX_REASON_CHARS],
                    subject_id=sendable(subject)[:_MAX_REASON_CHARS],
                    fatal=fatal,
                    action=wire.RecoveryAction.RECOVERY_ACTION_NONE,
                    retryable=retryable,
                    retry_after_ms=retry_after_ms,
                )
            )
        )

    def close(self) -> None:
        """Nothing is said any more."""
        self._closed = True

    def farewell(self, reason: wire.EndReason, error: wire.Error | None, duration_ms: int) -> None:
        """Say that the session has ended; the last that is said."""
        if error is not None:
            self.send(wire.Envelope(error=error))
        ended = wire.SessionEnded(reason=reason, duration_ms=duration_ms)
        self.send(wire.Envelope(session_ended=ended))
        self._closed = True
