"""The keys that the user presses, by whatever way they come."""

import re
from collections.abc import Callable
from typing import Final

from voxwire_protocol import wire
from voxwire_server.conversation.lane import Errand, Kind, Lane
from voxwire_server.ports import Pipeline, SessionPort

__all__ = ["Keys"]

_DIGITS: Final = re.compile(r"[0-9*#]{1,64}")


class Keys:
    """Hands keys to the pipeline, in their turn.

    Args:
        port: The session.
        lane: What the client asks of the pipeline.
        pipeline: The bot's pipeline, once it has started.
        may_answer: Whether a refusal may be told just now: a flood of them is not.
        active: Called when keys reach the bot: somebody uses the session.
    """

    def __init__(
        self,
        port: SessionPort,
        lane: Lane,
        *,
        pipeline: Callable[[], Pipeline | None],
        may_answer: Callable[[], bool],
        active: Callable[[], None],
    ) -> None:
        self._port = port
        self._lane = lane
        self._pipeline = pipeline
        self._may_answer = may_answer
        self._active = active

    def press(self, digits: object) -> None:
        """Take keys, of a media path or a ``dtmf`` message.

        What is no text of 1 to 64 of ``0``-``9``, ``*`` and ``#`` is answered with an error, and so
        is what comes while too much waits.
        """
        if not isinstance(digits, str) or not _DIGITS.fullmatch(digits):
            reason = "dtmf has digits of 0-9, * and #"
            self._refuse(wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, reason)
        elif self._lane.full:
            reason = "too many keys wait for the bot"
            self._refuse(wire.ErrorCode.ERROR_CODE_RATE_LIMITED, reason)
        else:
            self._hand_over(digits)

    def _hand_over(self, digits: str) -> None:
        async def hand_over(_: Errand) -> None:
            pipeline = self._pipeline()
            if pipeline is not None:
                self._active()
                await pipeline.keys(digits)

        self._lane.put(Kind.INPUT, hand_over)

    def _refuse(self, code: wire.ErrorCode, reason: str) -> None:
        if self._may_answer():
            self._port.emit_error(code, reason)
