"""What the client is shown of tool calls: each one once begun and once ended, as far as allowed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_server.outgoing import sendable, shown_json

__all__ = ["ToolReports"]

_HIDDEN: Final = wire.ToolReportLevel.TOOL_REPORT_LEVEL_HIDDEN
_NAME: Final = wire.ToolReportLevel.TOOL_REPORT_LEVEL_NAME
_ARGUMENTS: Final = wire.ToolReportLevel.TOOL_REPORT_LEVEL_ARGUMENTS
_FULL: Final = wire.ToolReportLevel.TOOL_REPORT_LEVEL_FULL


@dataclass(slots=True)
class _Open:
    started: wire.ToolCallStarted
    level: wire.ToolReportLevel
    began_ms: float


class ToolReports:
    """The calls of a session as its client sees them, by the ids that ``CallIds`` gave them.

    Args:
        emit: Sends a payload of the envelope.
        clock: Measures how long a call takes.
    """

    def __init__(self, emit: Callable[..., None], clock: Clock) -> None:
        self._emit = emit
        self._clock = clock
        self.levels: dict[str, wire.ToolReportLevel] = {}
        """Report level by tool name; ``*`` is the default. Arguments and results are hidden
        unless a tool's level shows them."""
        self._open: dict[str, _Open] = {}
        self._lost: list[wire.ToolCallStarted] = []

    def level(self, name: str) -> wire.ToolReportLevel:
        """How much of a tool's calls is shown."""
        return self.levels.get(name, self.levels.get("*", _NAME))

    def started(self, call_id: str, name: str, arguments: object, *, response_id: str) -> None:
        """The model calls a tool; nothing for a call that is open already."""
        if call_id in self._open:
            return
        level = self.level(name)
        started = wire.ToolCallStarted(
            call_id=call_id,
            name=sendable(name),
            arguments_json=shown_json(arguments) if level >= _ARGUMENTS else "",
            response_id=response_id,
        )
        self._open[call_id] = _Open(started, level, self._clock.now_ms())
        if level != _HIDDEN:
            self._emit(tool_call_started=started)

    def progress(self, call_id: str, note: object) -> None:
        """A call that the server runs has something to tell; shown where results are."""
        opened = self._open.get(call_id)
        if opened is not None and opened.level >= _FULL:
            self._emit(tool_progress=wire.ToolProgress(call_id=call_id, note_json=shown_json(note)))

    def ended(self, call_id: str, outcome: wire.ToolOutcome, result: object = None) -> None:
        """A call ended; only the first time counts."""
        opened = self._open.pop(call_id, None)
        if opened is None or opened.level == _HIDDEN:
            return
        shown = opened.level >= _FULL and result is not None
        self._emit(
            tool_call_ended=wire.ToolCallEnded(
                call_id=call_id,
                name=opened.started.name,
                outcome=outcome,
                result_json=shown_json(result) if shown else "",
                duration_ms=int(self._clock.now_ms() - opened.began_ms),
            )
        )

    def restore(self, calls: Iterable[wire.ToolCallStarted]) -> None:
        """Calls that ran in a process which is no more: they are open until :meth:`end_lost`."""
        self._lost.extend(calls)

    def end_lost(self) -> None:
        """Nobody knows what became of them: that is how they end."""
        lost, self._lost = self._lost, []
        for started in lost:
            self._emit(
                tool_call_ended=wire.ToolCallEnded(
                    call_id=started.call_id,
                    name=started.name,
                    outcome=wire.ToolOutcome.TOOL_OUTCOME_LOST,
                )
            )

    def open_calls(self) -> list[wire.ToolCallStarted]:
        """Calls that have not ended, as far as the client sees them: ``Snapshot.tool_calls``."""
        shown = (opened.started for opened in self._open.values() if opened.level != _HIDDEN)
        return [*self._lost, *shown]
