"""Sees to it that what the bot was asked is answered in time, or said to have failed."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from voxwire_protocol import wire
from voxwire_server.conversation.answer_deadline import AnswerDeadline, Overdue
from voxwire_server.conversation.lane import Errand, Kind
from voxwire_server.pipeline.troubles import SILENT
from voxwire_server.session.session import Session

__all__ = ["Answers"]

_log = logging.getLogger("voxwire.pipeline")

_THINKING: Final = wire.BotState.BOT_STATE_THINKING
_SPEAKING: Final = wire.BotState.BOT_STATE_SPEAKING
_SERVER: Final = wire.InterruptionSource.INTERRUPTION_SOURCE_SERVER


class Answers:
    """Drives an :class:`AnswerDeadline` for one session.

    Args:
        session: The session.
        turn_id: Names the turn that runs.
    """

    def __init__(self, session: Session, turn_id: Callable[[], str]) -> None:
        self._session = session
        self._turn_id = turn_id
        self.deadline = AnswerDeadline(session.settings.answer_timeout_ms)
        self._tools: set[str] = set()

    def begin(self, *, listener: str = "") -> None:
        """The pipeline has started.

        Args:
            listener: Name of a model that hears by itself: it owes what nobody else was asked.
        """
        self.deadline.listener = listener
        if self._session.settings.answer_timeout_ms:
            self._session.spawn(self._watch())

    def tool_started(self, call_id: str) -> None:
        """A tool call of the answer runs."""
        self._tools.add(call_id)
        self.deadline.sign()

    def tool_ended(self, call_id: str) -> None:
        """It runs no more."""
        self._tools.discard(call_id)
        self.deadline.sign()

    def clear(self) -> None:
        """Another turn, or the answer was cut."""
        self._tools.clear()
        self.deadline.clear()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.deadline.step_ms / 1000)
            overdue = self.deadline.pass_time(
                self._session.now_ms(), waits=self._waits, held=self._held
            )
            if overdue is not None:
                self._overdue(overdue)

    @property
    def _waits(self) -> bool:
        """An answer is owed, or the bot's voice has stopped without an end."""
        session = self._session
        unended = session.state.bot == _SPEAKING and not session.playout.backlog_ms(
            session.now_ms()
        )
        return session.state.bot == _THINKING or unended

    @property
    def _held(self) -> bool:
        session = self._session
        return bool(self._tools) or session.link is None or session.absence.waits

    def _overdue(self, overdue: Overdue) -> None:
        session, turn = self._session, self._turn_id()
        fields = {"session": session.id, "service": overdue.service}
        _log.warning("an answer did not come in time", extra=fields)
        if overdue.service and not overdue.told:
            session.emit_error(
                wire.ErrorCode.ERROR_CODE_SERVICE_FAILED,
                SILENT.reason,
                subject=overdue.service,
                retryable=True,
            )

        async def cut(_: Errand) -> None:
            if session.port is not None and self._turn_id() == turn and self._waits:
                session.interruption_source = _SERVER
                await session.port.interrupt(settle=True)

        session.lane.put(Kind.CUT, cut)
