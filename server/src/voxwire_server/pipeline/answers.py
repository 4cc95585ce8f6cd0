"""Sees to it that what the bot was asked is answered in time, or said to have failed."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from voxwire_protocol import wire
from voxwire_server.conversation.answer_deadline import AnswerDeadline, Overdue
from voxwire_server.conversation.lane import Errand, Kind
from voxwire_server.pipeline.troubles import SILENT
from voxwire_server.pipeline.wires import Wires

__all__ = ["Answers", "Interrupt"]

_log = logging.getLogger("voxwire.pipeline")

_THINKING: Final = wire.BotState.BOT_STATE_THINKING
_SPEAKING: Final = wire.BotState.BOT_STATE_SPEAKING
_SERVER: Final = wire.InterruptionSource.INTERRUPTION_SOURCE_SERVER


class Interrupt(Protocol):
    """Cuts the bot off."""

    async def __call__(self, source: wire.InterruptionSource, *, settle: bool = False) -> None:
        """Do it, in whose name; with ``settle`` wait until it has gone through."""
        ...


class Answers:
    """Drives an :class:`AnswerDeadline` for one session.

    Args:
        wires: Of the pipeline to its session.
        turn_id: Names the turn that runs.
        interrupt: Cuts the bot off, as :meth:`ports.Pipeline.interrupt` does.
    """

    def __init__(self, wires: Wires, *, turn_id: Callable[[], str], interrupt: Interrupt) -> None:
        self._wires = wires
        self._turn_id = turn_id
        self._interrupt = interrupt
        self.deadline = AnswerDeadline(wires.answer_timeout_ms)
        self._tools: set[str] = set()

    def begin(self, *, listener: str = "") -> None:
        """The pipeline has started.

        Args:
            listener: Name of a model that hears by itself: it owes what nobody else was asked.
        """
        self.deadline.listener = listener
        if self._wires.answer_timeout_ms:
            self._wires.port.spawn(self._watch())

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
                self._wires.port.clock.now_ms(), waits=self._waits, held=self._held
            )
            if overdue is not None:
                self._overdue(overdue)

    @property
    def _waits(self) -> bool:
        """An answer is owed, or the bot's voice has stopped without an end."""
        bot = self._wires.state.bot
        unended = bot == _SPEAKING and not self._wires.voice.backlog_ms()
        return bot == _THINKING or unended

    @property
    def _held(self) -> bool:
        return bool(self._tools) or not self._wires.attached() or self._wires.voice.waits

    def _overdue(self, overdue: Overdue) -> None:
        wires, turn = self._wires, self._turn_id()
        fields = {"session": wires.session_id, "service": overdue.service}
        _log.warning("an answer did not come in time", extra=fields)
        if overdue.service and not overdue.told:
            wires.port.emit_error(
                wire.ErrorCode.ERROR_CODE_SERVICE_FAILED,
                SILENT.reason,
                subject=overdue.service,
                retryable=True,
            )

        async def cut(_: Errand) -> None:
            if self._turn_id() == turn and self._waits:
                await self._interrupt(_SERVER, settle=True)

        wires.lane.put(Kind.CUT, cut)
