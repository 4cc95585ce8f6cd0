"""The model's conversation, as it is kept for another process, and as that one takes it over."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregator
from pipecat.processors.frame_processor import FrameProcessor

from voxwire_server.pipeline.pairing import settle
from voxwire_server.pipeline.words import walk

__all__ = ["LOST", "MAX_CONTEXT_BYTES", "aggregators_of", "messages_of", "take_over"]

MAX_CONTEXT_BYTES: Final = 65_536
"""What is kept of a conversation at most, as JSON; the oldest messages go first, instructions last.
"""
LOST: Final = "LOST"
"""What stands in a context in the place of the result of a call that nobody knows the end of."""
_INSTRUCTIONS: Final = ("system", "developer")


def aggregators_of(processors: Iterable[FrameProcessor]) -> list[LLMContextAggregator]:
    """What keeps a pipeline's context: the assistant's first, then the user's; it may be none."""
    found = [it for it in walk(processors) if isinstance(it, LLMContextAggregator)]
    return sorted(found, key=lambda it: it.role)


def messages_of(
    aggregators: Iterable[LLMContextAggregator], typed: Iterable[str] = ()
) -> list[Any]:
    """What a conversation consists of, as far as it is JSON and not too long.

    What is being said is part of it, as far as it was heard: Pipecat adds an answer to its context
    when all of it was, and a user's words when the turn is over.

    Args:
        aggregators: What keeps it.
        typed: What the user has typed and the pipeline has not been given yet.
    """
    messages: list[Any] = []
    for number, aggregator in enumerate(aggregators):
        if not number:
            messages += aggregator.context.get_messages()
        if text := aggregator.aggregation_string().strip():
            messages.append({"role": aggregator.role, "content": text})
    messages += ({"role": "user", "content": text} for text in typed)
    return _bounded(messages)


def _bounded(given: Iterable[Any]) -> list[Any]:
    kept = [
        (message, size)
        for message in given
        if isinstance(message, dict) and (size := _size(message))
    ]
    over = sum(size for _, size in kept) - MAX_CONTEXT_BYTES
    messages: list[Any] = []
    for message, size in kept:
        if over > 0 and message.get("role") not in _INSTRUCTIONS:
            over -= size
        else:
            messages.append(message)
    return _paired(messages)


def _size(message: Any) -> int:
    try:
        return len(json.dumps(message))
    except (TypeError, ValueError):
        return 0


def _paired(messages: list[Any]) -> list[Any]:
    """Without results whose calls were left out: no model takes those."""
    called = {call["id"] for message in messages for call in message.get("tool_calls") or ()}
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
    calls = {call["id"] for message in messages for call in message.get("tool_calls") or ()}
    for call_id in calls:
        settle(context, call_id, LOST)
