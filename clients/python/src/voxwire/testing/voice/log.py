"""What happened in a session, each thing with its moment, and what of it answers the user. Pure."""

import string
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from voxwire.cli.turns import TurnWatch
from voxwire.conversation import BotTurn, Conversation, LoggedUtterance
from voxwire_protocol import events

__all__ = ["Act", "VoiceLog", "call_text"]

_MARKS: Final = string.punctuation + "…“”‘’«»„¿¡–—"


@dataclass(frozen=True, slots=True)
class Act:
    """Something that the user did.

    Attributes:
        kind: ``connected``, ``typed``, ``spoke`` or ``interrupted``.
        text: What was said, as far as it is known.
        begin_ms: When it began, on the clock of the session.
        end_ms: When it was over; ``within_ms`` counts from here.
    """

    kind: Literal["connected", "typed", "spoke", "interrupted"]
    text: str
    begin_ms: float
    end_ms: float

    def __str__(self) -> str:
        """As a message of a test names it."""
        if self.kind in ("typed", "spoke"):
            return f'"{self.text}"' if self.text else "what the user said"
        return "the interruption" if self.kind == "interrupted" else "the connect"


class VoiceLog:
    """Takes the events of a session and the acts of its user.

    Attributes:
        happened: Every event with the moment of its arrival, milliseconds.
        acts: What the user did, in order.
        watch: Follows the bot's turn.
        understood: Whether the server has told that it knows what the user says now.
    """

    def __init__(self) -> None:
        """Begins empty."""
        self.happened: list[tuple[float, events.Event]] = []
        self.acts: list[Act] = []
        self.watch = TurnWatch()
        self.understood = self._saying = False
        self._known: list[str] = []  # utterances, in order
        self._open: set[str] = set()
        self._first = 0  # the first of `happened` that answers the user
        self._before: frozenset[str] = frozenset()  # utterances that do not
        self._claimed: set[str] = set()

    @property
    def act(self) -> Act:
        """What the user did last."""
        return self.acts[-1]

    @property
    def speaking(self) -> bool:
        """Whether something that the bot says is not over."""
        return bool(self._open)

    @property
    def answering(self) -> bool:
        """Whether the bot has begun to speak since the user said something."""
        return any(name not in self._before for name in self._known)

    @property
    def answered_at_ms(self) -> float:
        """When what the bot said last since then was over; 0 = nothing was."""
        ends = (
            at_ms
            for at_ms, event in self.happened[self._first :]
            if isinstance(event, events.UtteranceEnded) and event.utterance_id not in self._before
        )
        return max(ends, default=0.0)

    @property
    def tool_calls(self) -> list[events.ToolCallStarted]:
        """The calls since the user said something."""
        return [call for _, call in self._calls()]

    def take(self, event: events.Event, now_ms: float) -> None:
        """Takes an event."""
        self.happened.append((now_ms, event))
        self.watch.feed(event, round(now_ms))
        match event:
            case events.UtteranceStarted():
                self._known.append(event.utterance_id)
                self._open.add(event.utterance_id)
            case events.UtteranceEnded():
                self._open.discard(event.utterance_id)
            case events.EventsSkipped():
                self._open.clear()  # what goes on is told again
            case events.UserTranscript(typed=True):
                self._understand(now_ms)
            case events.StateChanged(user=events.UserState.SPEAKING):
                self._understand(now_ms)
            case _:
                pass

    def begin(self, now_ms: float) -> None:
        """The user begins to say something: what the bot says and does from here on answers it.

        Unless the server tells, until `end`, that it knows of it only now: then from there on.
        """
        self.understood, self._saying = False, True
        self._answer_from_here(now_ms)

    def end(self, act: Act) -> None:
        """The user has done something."""
        self.acts.append(act)
        self._saying = False

    def _understand(self, now_ms: float) -> None:
        if self._saying:
            self.understood = True
            self._answer_from_here(now_ms)

    def _answer_from_here(self, now_ms: float) -> None:
        self._first = len(self.happened)
        self._before = frozenset(self._known)
        self._claimed.clear()
        self.watch.arm(round(now_ms))

    def heard_at_ms(self, phrase: str) -> float | None:
        """When the last word of a phrase was heard since the user spoke; None = it was not.

        Words are compared without case and the marks around them.
        """
        wanted = _words(phrase)
        heard = [(at_ms, word) for at_ms, text in self._heard_words() for word in _words(text)]
        at = _place(wanted, [word for _, word in heard])
        return None if at is None else heard[at + len(wanted) - 1][0]

    def _heard_words(self) -> Iterator[tuple[float, str]]:
        """Each word that was heard since the user spoke, and when: when it sounded here; what the
        end of its utterance counts as heard beyond that, then.
        """
        placed: dict[str, dict[int, str]] = defaultdict(dict)
        sounded: dict[str, int] = defaultdict(int)
        for at_ms, event in self.happened[self._first :]:
            match event:
                case events.UtteranceWords():
                    placed[event.utterance_id].update({it.index: it.text for it in event.words})
                case events.BotWord() if event.utterance_id not in self._before:
                    sounded[event.utterance_id] = event.index + 1
                    yield at_ms, event.text
                case events.UtteranceEnded() if event.utterance_id not in self._before:
                    beyond = range(sounded[event.utterance_id], event.heard_words)
                    known = placed[event.utterance_id]
                    yield from ((at_ms, known[index]) for index in beyond if index in known)
                case _:
                    pass

    def heard(self, conversation: Conversation) -> str:
        """What was heard of the answer so far."""
        return " ".join(word for one in self._answer(conversation) for word in one.heard_words)

    def unheard(self, conversation: Conversation) -> str:
        """What was said of it and not, or not yet, heard."""
        return " ".join(word for one in self._answer(conversation) for word in one.unheard_words)

    def claim(
        self, name: str, arguments: dict[str, Any], until_ms: float
    ) -> events.ToolCallStarted | None:
        """The first call since the user spoke, by then, that fits and that nobody has claimed."""
        for at_ms, call in self._calls():
            free = call.name == name and call.call_id not in self._claimed
            if free and at_ms <= until_ms and has_arguments(call, arguments):
                self._claimed.add(call.call_id)
                return call
        return None

    def _calls(self) -> list[tuple[float, events.ToolCallStarted]]:
        since = self.happened[self._first :]
        return [(at_ms, it) for at_ms, it in since if isinstance(it, events.ToolCallStarted)]

    def _answer(self, conversation: Conversation) -> list[LoggedUtterance]:
        turns = (turn for turn in conversation.turns if isinstance(turn, BotTurn))
        said = (one for turn in turns for one in turn.utterances)
        return [one for one in said if one.id not in self._before]


def has_arguments(call: events.ToolCallStarted, wanted: dict[str, Any]) -> bool:
    """Whether a call has these among its arguments (the rule of `voxwire eval`)."""
    known = isinstance(call.arguments, dict)
    given: dict[str, Any] = call.arguments if known else {}
    return all(name in given and given[name] == value for name, value in wanted.items())


def call_text(name: str, arguments: Any) -> str:
    """A call as Python writes it; ``...`` where its arguments are not shown."""
    if not isinstance(arguments, dict):
        return f"{name}(...)"
    given = cast("dict[str, Any]", arguments)
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})"


def same_words(one: str, other: str) -> bool:
    """Whether two texts have the same words, whatever their case and marks."""
    return _words(one) == _words(other)


def begins_with(text: str, beginning: str) -> bool:
    """Whether the words of a text begin with those of another."""
    wanted = _words(beginning)
    return _words(text)[: len(wanted)] == wanted


def has_phrase(text: str, phrase: str) -> bool:
    """Whether the words of a phrase stand in a text, one after the other."""
    return _place(_words(phrase), _words(text)) is not None


def _words(text: str) -> list[str]:
    plain = (word.strip(_MARKS).casefold() for word in text.split())
    return [word for word in plain if word]


def _place(wanted: Sequence[str], words: Sequence[str]) -> int | None:
    size = len(wanted)
    found = (at for at in range(len(words) - size + 1) if words[at : at + size] == wanted)
    return next(found, None)
