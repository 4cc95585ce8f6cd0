"""The model's conversation, as it is kept for another process, and as that one takes it over."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregator
from pipecat.processors.frame_processor import FrameProcessor

from voxwire_server.pipeline.ahead import Ahead
from voxwire_server.pipeline.light import MAX_MESSAGE_BYTES, light, size_of
from voxwire_server.pipeline.pairing import is_of_late_tool, is_running, settle
from voxwire_server.pipeline.words import walk

__all__ = [
    "LOST",
    "MAX_CONTEXT_BYTES",
    "MAX_INSTRUCTION_BYTES",
    "aggregators_of",
    "messages_of",
    "take_over",
]

MAX_CONTEXT_BYTES: Final = 65_536
"""What is kept of a conversation at most, as JSON; the oldest messages go first. Instructions and
calls that run stay beside it, and leave half of it to the rest.
"""
MAX_INSTRUCTION_BYTES: Final = 4 * MAX_CONTEXT_BYTES
"""What is kept of instructions at most, as JSON: the first ones."""
LOST: Final = "LOST"
"""What stands in a context in the place of the result of a call that nobody knows the end of."""
_INSTRUCTIONS: Final = ("system", "developer")


def aggregators_of(processors: Iterable[FrameProcessor]) -> list[LLMContextAggregator]:
    """What keeps a pipeline's context: the assistant's first, then the user's; it may be none."""
    found = [it for it in walk(processors) if isinstance(it, LLMContextAggregator)]
    return sorted(found, key=lambda it: it.role)


def messages_of(aggregators: Iterable[LLMContextAggregator], ahead: Ahead) -> list[Any]:
    """What a conversation consists of, as far as it is JSON and not too long.

    What is being said is part of it, as far as it was heard: Pipecat adds an answer to its context
    when all of it was, and a user's words when the turn is over. Pictures, sound and files are not.

    Args:
        aggregators: What keeps it.
        ahead: What they have not been given yet.
    """
    messages: list[Any] = []
    for number, aggregator in enumerate(aggregators):
        if not number:
            messages += aggregator.context.get_messages()
        if text := aggregator.aggregation_string().strip():
            messages.append({"role": aggregator.role, "content": text})
        if not number:
            messages = ahead.complete(messages)
    messages += ({"role": "user", "content": text} for text in ahead.texts)
    return _bounded(messages)


def _bounded(given: Iterable[Any]) -> list[Any]:
    """The newest that fit, and what stays in any case; older ones are not even looked into."""
    messages = [message for message in given if isinstance(message, dict)]
    open_calls = _open_calls(messages)
    staying: dict[int, tuple[dict[str, Any], int]] = {}
    room = MAX_INSTRUCTION_BYTES
    for place, message in enumerate(messages):
        if _is_of(message, open_calls):
            staying[place] = _measured(message)
        elif room > 0 and _instructs(message):
            measured = _measured(message)
            room -= measured[1]
            if room >= 0:
                staying[place] = measured
    left = max(MAX_CONTEXT_BYTES - sum(size for _, size in staying.values()), MAX_MESSAGE_BYTES)
    kept: list[Any] = []
    for place in reversed(range(len(messages))):
        message, size = staying.get(place, ({}, 0))
        if place not in staying and left > 0:
            message, size = _measured(messages[place])
            left -= size
            size = size if left >= 0 else 0
        if size:
            kept.append(message)
    return _paired(kept[::-1])


def _measured(message: Any) -> tuple[dict[str, Any], int]:
    """It as it is kept, and its size; 0 = it is no JSON."""
    made = light(message, whole=_instructs(message))
    return made, size_of(made)


def _open_calls(messages: Iterable[Any]) -> set[Any]:
    """The calls that run, and those that the model made with one of them."""
    running = {message.get("tool_call_id") for message in messages if is_running(message)}
    groups = ({call.get("id") for call in message.get("tool_calls") or ()} for message in messages)
    return running.union(*(group for group in groups if group & running))


def _instructs(message: Any) -> bool:
    """Whether it tells the model what to do; Pipecat gives it late results in the same role."""
    return message.get("role") in _INSTRUCTIONS and not is_of_late_tool(message)


def _is_of(message: Any, open_calls: Collection[Any]) -> bool:
    if message.get("tool_call_id") in open_calls:
        return True
    return any(call.get("id") in open_calls for call in message.get("tool_calls") or ())


def _paired(messages: list[Any]) -> list[Any]:
    """Without results whose calls were left out: no model takes those."""
    called = {call.get("id") for message in messages for call in message.get("tool_calls") or ()}
    return [
        message
        for message in messages
        if message.get("role") != "tool" or message.get("tool_call_id") in called
    ]


def take_over(context: LLMContext, messages: Sequence[Any]) -> None:
    """Have a context go on from a conversation; calls that ran when it was kept are lost.

    Args:
        context: That of a new pipeline; what it began with is replaced.
        messages: What was kept.
    """
    context.set_messages(list(messages))
    calls = {call.get("id") for message in messages for call in message.get("tool_calls") or ()}
    for call_id in calls:
        settle(context, call_id, LOST)
