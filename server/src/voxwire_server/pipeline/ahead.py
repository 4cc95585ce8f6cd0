"""What of a conversation is on its way to the model's context. Pure.

What the user types, or writes beside a file, is told at once, and comes into the context when the
bot was cut off. A tool runs as soon as the model calls it; the frame that writes the call into the
context waits behind the bot's voice, and so does the one with its result. Who goes on with the
conversation in another process is told of all that: a call that stands in no context is made again.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipecat.frames.frames import (
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
)

from voxwire_server.pipeline.pairing import CANCELLED, IN_PROGRESS, is_running, result_of

__all__ = ["Ahead", "Told"]

_MAX_CALLS: Final = 256


@dataclass(slots=True, eq=False)
class Told:
    """A text of the user's.

    Attributes:
        text: The text.
        frame_id: Of the frame that brings it to the context; None = it was not pushed yet.
    """

    text: str
    frame_id: int | None = None


@dataclass(slots=True, eq=False)
class _Call:
    call_id: str
    name: str
    arguments: str
    result: str = ""
    written: bool = False

    def messages(self) -> list[dict[str, Any]]:
        function = {"name": self.name, "arguments": self.arguments}
        call = {"id": self.call_id, "function": function, "type": "function"}
        content = self.result or IN_PROGRESS
        return [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "content": content, "tool_call_id": self.call_id},
        ]


class Ahead:
    """Keeps what one pipeline's context has not been given yet."""

    def __init__(self) -> None:
        """Starts with nothing on its way."""
        self._told: list[Told] = []
        self._calls: list[_Call] = []

    # what the user writes

    def told(self, text: str) -> Told:
        """The user has written something, which the pipeline has not been given yet."""
        told = Told(text)
        self._told.append(told)
        return told

    def forget(self, told: Told) -> None:
        """It is in the context, or never will be. Nothing when that was known."""
        if told in self._told:
            self._told.remove(told)

    @property
    def texts(self) -> list[str]:
        """What the user has written, oldest first."""
        return [told.text for told in self._told if told.text]

    # calls, by the model's ids; a model may use one twice: the oldest that it can be is meant

    def started(self, frame: FunctionCallInProgressFrame) -> None:
        """The model calls a tool."""
        arguments = json.dumps(frame.arguments, ensure_ascii=False, default=str)
        self._calls.append(_Call(frame.tool_call_id, frame.function_name, arguments))
        del self._calls[:-_MAX_CALLS]

    def ended(self, frame: FunctionCallResultFrame | FunctionCallCancelFrame) -> None:
        """A call has its result, or was cancelled."""
        call = self._first(frame.tool_call_id, lambda it: not it.result)
        if call is not None:
            cancelled = isinstance(frame, FunctionCallCancelFrame)
            call.result = CANCELLED if cancelled else result_of(frame)

    def taken(self, frame: Frame) -> None:
        """What keeps the context has taken a frame."""
        if isinstance(frame, FunctionCallInProgressFrame):
            call = self._first(frame.tool_call_id, lambda it: not it.written)
            if call is not None:
                call.written = True
        elif isinstance(frame, FunctionCallResultFrame | FunctionCallCancelFrame):
            call = self._first(frame.tool_call_id, lambda it: it.written)
            if call is not None and _is_final(frame):
                self._calls.remove(call)
        else:
            self._told = [told for told in self._told if told.frame_id != frame.id]

    def _first(self, call_id: str, fits: Callable[[_Call], bool]) -> _Call | None:
        return next((it for it in self._calls if it.call_id == call_id and fits(it)), None)

    def complete(self, messages: Sequence[Any]) -> list[Any]:
        """The messages of a context with the calls that it lacks, and the results that are known.

        Args:
            messages: What the context has, and what is being said.
        """
        standing = {it.get("tool_call_id") for it in messages if self._calls and is_running(it)}
        results = dict[str, str]()
        behind: list[Any] = []
        for call in self._calls:
            if not (call.written or call.call_id in standing):
                behind += call.messages()
            elif call.result:
                results[call.call_id] = call.result
        known = standing & results.keys()
        return [
            {**it, "content": results[it["tool_call_id"]]}
            if known and is_running(it) and it.get("tool_call_id") in known
            else it
            for it in messages
        ] + behind


def _is_final(frame: FunctionCallResultFrame | FunctionCallCancelFrame) -> bool:
    properties = getattr(frame, "properties", None)
    return properties is None or properties.is_final
