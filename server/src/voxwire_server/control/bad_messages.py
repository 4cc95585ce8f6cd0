"""Bad messages of a client: answered, counted, and three in a row end its session."""

from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_server.control.intake import Intake
from voxwire_server.ports import Inbox

__all__ = ["MAX_BAD_MESSAGES", "BadMessages"]

MAX_BAD_MESSAGES: Final = 3
"""Bad messages in a row that end a session."""


class BadMessages:
    """The bad messages of one session.

    Args:
        intake: Counts them, and bounds the answers.
        inbox: The session.

    Attributes:
        in_a_row: How many there were since the last good one.
    """

    def __init__(self, intake: Intake, inbox: Inbox) -> None:
        self.in_a_row = 0
        self._intake = intake
        self._inbox = inbox

    def take(self, error: ChannelError, now_ms: float) -> None:
        """A message could not be taken."""
        self.in_a_row += 1
        self._intake.dropped.bad += 1
        self.answer(error.code, str(error), now_ms)
        if self.in_a_row >= MAX_BAD_MESSAGES:
            self._inbox.end(
                wire.EndReason.END_REASON_ERROR,
                wire.Error(
                    code=wire.ErrorCode.ERROR_CODE_MALFORMED,
                    reason="three bad messages in a row",
                    fatal=True,
                ),
            )

    def answer(self, code: wire.ErrorCode, reason: str, now_ms: float) -> None:
        """Tell the client, unless it has been told often enough."""
        if self._intake.may_answer(now_ms):
            self._inbox.emit_error(code, reason)
