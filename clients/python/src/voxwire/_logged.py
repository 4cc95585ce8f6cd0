"""One utterance in the turn log: its words, and which of them were heard. Pure."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from voxwire.conversation import LoggedUtterance, LoggedWord, WordState
from voxwire_protocol import events

__all__ = ["cut_short", "ended", "placed", "with_heard", "with_words"]


MAX_TEXT_CHARS: Final = 1 << 20
"""No utterance is longer; a piece that would lie behind it follows on what there is."""


def placed(text: str, offset: int, piece: str) -> str:
    """Puts a piece of the text at its place, counted in code points; what is missing is blank."""
    if offset + len(piece) > MAX_TEXT_CHARS:
        return (text + piece)[:MAX_TEXT_CHARS]
    return text[:offset].ljust(offset) + piece + text[offset + len(piece) :]


def with_words(utterance: LoggedUtterance, event: events.UtteranceWords) -> LoggedUtterance:
    """Adds words that are known now; a word that was heard stays as it is.

    A word that lies outside the piece of text in the event is a piece of what came before.
    """
    whole = placed(utterance.text, event.text_offset, event.text)
    words = {word.index: word for word in utterance.words}
    end = event.text_offset + len(event.text)
    for told in event.words:
        within = event.text_offset <= told.char_start < end
        text = told.text if within else whole[told.char_start : told.char_end]
        known = words.get(told.index)
        if known is None or known.state == "unheard":
            words[told.index] = LoggedWord(told.index, text, told.start_ms, told.end_ms)
    return replace(utterance, words=tuple(words[at] for at in sorted(words)), text=whole)


def with_heard(utterance: LoggedUtterance, index: int) -> LoggedUtterance:
    """The own speaker reached a word."""
    return _marked(
        utterance,
        lambda word: "heard" if word.index == index and word.state == "unheard" else word.state,
    )


def ended(utterance: LoggedUtterance, event: events.UtteranceEnded) -> LoggedUtterance:
    """How it ended is the server's word, whatever this speaker thought."""
    if event.end == events.UtteranceEnd.COMPLETED:
        return replace(_marked(utterance, lambda _: "heard"), end="completed")
    marked = _marked(utterance, lambda word: "heard" if word.index < event.heard_words else "cut")
    return replace(marked, end="interrupted" if event.heard_words else "unheard")


def cut_short(utterance: LoggedUtterance) -> LoggedUtterance:
    """The session is over: what was not heard by now never is."""
    if utterance.end != "speaking":
        return utterance
    heard = bool(utterance.heard_words)
    marked = _marked(utterance, lambda word: "cut" if word.state == "unheard" else word.state)
    return replace(marked, end="interrupted" if heard else "unheard")


def _marked(
    utterance: LoggedUtterance, state: Callable[[LoggedWord], WordState]
) -> LoggedUtterance:
    words = tuple(
        word if (after := state(word)) == word.state else replace(word, state=after)
        for word in utterance.words
    )
    same = all(after is before for after, before in zip(words, utterance.words, strict=True))
    return utterance if same else replace(utterance, words=words)
