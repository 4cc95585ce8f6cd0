"""Keeps the model's context paired: every tool call in it has its result or a cancellation.

Two ways out of that exist in Pipecat 1.14. A cancellation is a system frame and overtakes the
frame that writes the call into the context, when that one waits behind audio: the call then stands
there as in progress for ever. And a call that survives interruptions keeps the text "still
running" in its place when its result is told further down.
"""

import json
from collections import OrderedDict
from typing import Any, Final, cast

from pipecat.frames.frames import (
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
)
from pipecat.processors.aggregators import async_tool_messages
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator

__all__ = [
    "CANCELLED",
    "IN_PROGRESS",
    "Pairing",
    "is_of_late_tool",
    "is_running",
    "result_of",
    "settle",
]

CANCELLED: Final = "CANCELLED"
"""What stands in a context in the place of the result of a call that was cancelled."""
IN_PROGRESS: Final = "IN_PROGRESS"
"""What Pipecat writes there while a call runs that an interruption cancels."""

_KEPT: Final = 256
_ASYNC: Final = "async_tool"
_LOOKED_AT_CHARS: Final = 64


class Pairing:
    """Watches the cancellations of one pipeline, and what its assistant aggregator does."""

    def __init__(self) -> None:
        """Starts with nothing cancelled."""
        self._cancelled: OrderedDict[str, FunctionCallCancelFrame] = OrderedDict()

    def started(self, call_id: str) -> None:
        """A call leaves the model; its id may have been used before."""
        self._cancelled.pop(call_id, None)

    def cancelled(self, frame: FunctionCallCancelFrame) -> None:
        """A cancellation leaves the model."""
        self._cancelled[frame.tool_call_id] = frame
        if len(self._cancelled) > _KEPT:
            self._cancelled.popitem(last=False)

    async def aggregated(self, aggregator: LLMAssistantAggregator, frame: Frame) -> None:
        """The aggregator has processed a frame."""
        if isinstance(frame, FunctionCallInProgressFrame):
            overtaken = self._cancelled.get(frame.tool_call_id)
            if overtaken is not None:
                await aggregator.queue_frame(
                    FunctionCallCancelFrame(
                        function_name=overtaken.function_name,
                        tool_call_id=overtaken.tool_call_id,
                        run_llm=overtaken.run_llm,
                    )
                )
        elif isinstance(frame, FunctionCallResultFrame):
            if frame.properties is None or frame.properties.is_final:
                settle(aggregator.context, frame.tool_call_id, result_of(frame))
        elif isinstance(frame, FunctionCallCancelFrame):
            settle(aggregator.context, frame.tool_call_id, CANCELLED)


def result_of(frame: FunctionCallResultFrame) -> str:
    """What stands in a context for a result: JSON, or COMPLETED."""
    if not frame.result:
        return "COMPLETED"
    return json.dumps(frame.result, ensure_ascii=False, default=str)


def is_running(message: Any) -> bool:
    """Whether a message of a context stands in the place of the result of a call that runs."""
    if not isinstance(message, dict):
        return False
    standing = cast("Any", message)
    content = standing.get("content")
    if standing.get("role") != "tool" or not isinstance(content, str):
        return False
    if content == IN_PROGRESS:
        return True
    return is_of_late_tool(standing)


def is_of_late_tool(message: Any) -> bool:
    """Whether a message is about a call whose result may come when the model has gone on."""
    content = message.get("content")
    if not isinstance(content, str) or _ASYNC not in content[:_LOOKED_AT_CHARS]:
        return False  # it is not read: it may be long
    return async_tool_messages.parse_message(message) is not None


def settle(context: LLMContext, call_id: str, result: str) -> None:
    """Puts a result into the place of a call that stands in a context as running.

    Args:
        context: The context.
        call_id: The model's id of the call.
        result: JSON, or a word like CANCELLED.
    """
    for message in context.get_messages():
        if is_running(message):
            standing: dict[str, Any] = message  # type: ignore[assignment]
            if standing.get("tool_call_id") == call_id:
                standing["content"] = result
