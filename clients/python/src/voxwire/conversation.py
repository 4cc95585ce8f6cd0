"""The turn log: who said what, what of it was heard, and which tools ran. Pure.

The same rules as in the JavaScript client (``protocol/vectors/conversation``).
"""

from dataclasses import dataclass
from typing import Any, Literal

from voxwire_protocol.text_join import join_texts

__all__ = [
    "BotTurn",
    "CallStatus",
    "Conversation",
    "LoggedToolCall",
    "LoggedUtterance",
    "LoggedUtteranceEnd",
    "LoggedWord",
    "UserTurn",
    "WordState",
]

WordState = Literal["unheard", "heard", "cut"]
"""unheard: not reached yet; heard: the own speaker reached it; cut: it was never heard."""

LoggedUtteranceEnd = Literal["speaking", "completed", "interrupted", "unheard"]
CallStatus = Literal["running", "done", "failed", "cancelled", "timed_out", "lost"]


@dataclass(frozen=True, slots=True)
class LoggedWord:
    """A word of the bot; `start_ms` and `end_ms` are on the media clock."""

    index: int
    text: str
    start_ms: int
    end_ms: int
    state: WordState = "unheard"


@dataclass(frozen=True, slots=True)
class LoggedUtterance:
    """What the bot said in one go.

    Attributes:
        id: Its utterance id.
        words: Those that are known so far, by index.
        text: As the bot wrote it; words are pieces of it.
        end: ``speaking``, or how it ended.
    """

    id: str
    words: tuple[LoggedWord, ...] = ()
    text: str = ""
    end: LoggedUtteranceEnd = "speaking"

    @property
    def heard_words(self) -> tuple[str, ...]:
        """The words that were heard."""
        return tuple(word.text for word in self.words if word.state == "heard")

    @property
    def unheard_words(self) -> tuple[str, ...]:
        """The words that were not, or not yet."""
        return tuple(word.text for word in self.words if word.state != "heard")


@dataclass(frozen=True, slots=True)
class LoggedToolCall:
    """A tool that the bot had run.

    Attributes:
        id: Its call id.
        name: The tool.
        status: ``running``, or how it ended.
        own: Whether this client runs it.
        arguments: None unless the server shows them.
        result: None unless the server shows it.
        duration_ms: None until it ended.
        progress: What the tool said last of its progress; empty = nothing.
    """

    id: str
    name: str
    status: CallStatus = "running"
    own: bool = False
    arguments: Any = None
    result: Any = None
    duration_ms: int | None = None
    progress: str = ""


@dataclass(frozen=True, slots=True)
class UserTurn:
    """What the user said or typed until the bot had the floor."""

    id: str
    text: str
    final: bool
    typed: bool = False
    role: Literal["user"] = "user"


@dataclass(frozen=True, slots=True)
class BotTurn:
    """What the bot said and did until the user had the floor.

    Attributes:
        id: Its name in the log.
        utterances: What it said.
        tool_calls: What it had run.
        interrupted: Whether it was cut off.
        heard_text: Of a turn that was taken from a snapshot: what was heard of it, else None.
        unheard_text: The same: what was not.
    """

    id: str
    utterances: tuple[LoggedUtterance, ...] = ()
    tool_calls: tuple[LoggedToolCall, ...] = ()
    interrupted: bool = False
    heard_text: str | None = None
    unheard_text: str | None = None
    role: Literal["bot"] = "bot"

    @property
    def text(self) -> str:
        """All that the bot wrote, heard or not."""
        whole = join_texts(self.heard_text or "", self.unheard_text or "")
        for utterance in self.utterances:
            whole = join_texts(whole, utterance.text)
        return whole


@dataclass(frozen=True, slots=True)
class Conversation:
    """The log at one moment; it does not change.

    Attributes:
        turns: The newest 500, the oldest first.
        skipped: How often events were lost and a snapshot took their place.
    """

    turns: tuple[UserTurn | BotTurn, ...] = ()
    skipped: int = 0

    def __str__(self) -> str:
        """The conversation for people: what was never heard is in brackets."""
        return "\n".join(_line(turn) for turn in self.turns)


def _line(turn: UserTurn | BotTurn) -> str:
    if isinstance(turn, UserTurn):
        return f"user: {turn.text}{'' if turn.final else ' …'}"
    said = [part for part in (turn.heard_text, _bracketed(turn.unheard_text)) if part]
    for utterance in turn.utterances:
        said.extend(utterance.heard_words)
        said.append(_bracketed(" ".join(utterance.unheard_words)))
    calls = [f"({call.name}: {call.status})" for call in turn.tool_calls]
    return "bot: " + " ".join(part for part in (*calls, *said) if part)


def _bracketed(text: str | None) -> str:
    return f"[{text}]" if text else ""
