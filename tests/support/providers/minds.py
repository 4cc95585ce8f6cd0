"""What a mind answers: text or a call of a tool, from a list or from a function of the messages."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Answers", "ToolCall", "answer_of", "pieces_of"]


@dataclass(frozen=True)
class ToolCall:
    """A call that a mind asks for."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    id: str = "call_1"


Answer = str | ToolCall
Answers = Sequence[Answer] | Callable[[list[dict[str, Any]]], Answer]


def answer_of(answers: Answers, messages: list[dict[str, Any]], number: int) -> Answer:
    """The answer to the messages of request `number` (from 0); a list's last one is repeated."""
    if callable(answers):
        return answers(messages)
    return answers[min(number, len(answers) - 1)]


def pieces_of(text: str, *, smallest: bool) -> list[str]:
    """A text as a model streams it: word by word, or character by character."""
    return list(text) if smallest else re.findall(r"\S+\s*|\s+", text)
