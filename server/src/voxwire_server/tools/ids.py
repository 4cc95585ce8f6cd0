"""The ids by which a client knows the tool calls of its session. Pure."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from voxwire_server.outgoing import sendable

__all__ = ["CallIds"]

_KEPT_IDS: Final = 1024


@dataclass(slots=True)
class _Open:
    model_id: str
    name: str
    called: bool
    runs: bool


class CallIds:
    """Gives each call one id, unique in the session; a model may use one of its own twice.

    Two tell of a call, in either order: the pipeline, that the model calls, and the tool's handler,
    that it runs. A call that only the pipeline tells of is run by somebody else.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._given: OrderedDict[str, int] = OrderedDict()  # the newest number behind each id

    def called(self, model_id: str, name: str) -> str:
        """The model calls a tool.

        Args:
            model_id: The model's id of the call.
            name: The tool.

        Returns:
            The call's id.
        """
        for call_id, call in self._open.items():
            if (call.model_id, call.name) == (model_id, name) and not call.called:
                call.called = True
                return call_id
        return self._new(_Open(model_id, name, called=True, runs=False))

    def run(self, model_id: str, name: str) -> str:
        """The tool's handler begins a call.

        Returns:
            The call's id: of the oldest that the model has called and nobody runs, or a new one.
        """
        call_id = self.elsewhere(model_id, name)
        if call_id is None:
            return self._new(_Open(model_id, name, called=False, runs=True))
        self._open[call_id].runs = True
        return call_id

    def elsewhere(self, model_id: str, name: str) -> str | None:
        """The oldest open call with that id of the model's which runs nowhere here."""
        for call_id, call in self._open.items():
            if (call.model_id, call.name) == (model_id, name) and not call.runs:
                return call_id
        return None

    def ended(self, call_id: str) -> None:
        """A call is over; nothing when it was already."""
        self._open.pop(call_id, None)

    def _new(self, call: _Open) -> str:
        first = sendable(call.model_id)
        call_id, number = first, self._given.get(first, 1)
        while call_id in self._given or call_id in self._open:
            number += 1
            call_id = f"{first}~{number}"
        self._open[call_id] = call
        self._keep(call_id, 1)
        self._keep(first, number)
        return call_id

    def _keep(self, call_id: str, number: int) -> None:
        self._given[call_id] = number
        self._given.move_to_end(call_id)
        if len(self._given) > _KEPT_IDS:
            self._given.popitem(last=False)
