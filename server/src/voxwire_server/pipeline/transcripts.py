"""What a transcription frame says beside its text. Pure."""

from typing import Any, Final

from pipecat.frames.frames import InterimTranscriptionFrame, TranscriptionFrame

__all__ = ["confidence_of", "language_of", "shown_text"]

_MAX_LANGUAGE_CHARS: Final = 35
"""RFC 5646 §4.4.1: no tag in use is longer."""


def language_of(frame: TranscriptionFrame | InterimTranscriptionFrame) -> str:
    """The language that was detected or asked for: a BCP 47 tag; empty = unknown."""
    language: object = frame.language
    tag = getattr(language, "value", language)
    fits = isinstance(tag, str) and tag.isascii() and len(tag) <= _MAX_LANGUAGE_CHARS
    return str(tag) if fits else ""


def confidence_of(frame: TranscriptionFrame | InterimTranscriptionFrame) -> float | None:
    """How sure the recogniser is, 0 to 1, where its result says it.

    Looked for on the result itself, on its first alternative (Google) and on that of its channel
    (Deepgram), as attributes or keys. 0 is what those leave in a field that they do not fill.

    Returns:
        None when it is not said.
    """
    result = frame.result
    for holder in (result, _first_of(result), _first_of(_part(result, "channel"))):
        value = _part(holder, "confidence")
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
            return float(value)
    return None


def shown_text(frame: TranscriptionFrame) -> str:
    """What the client is shown of what the user said: the text, as a rule.

    A recogniser that writes a mark where it understood nothing says on its result, as ``shown``,
    what people see in its place; the context keeps the mark.
    """
    shown: object = _part(frame.result, "shown")
    return shown if isinstance(shown, str) and shown else frame.text


def _part(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)


def _first_of(holder: Any) -> Any:
    """The first of its alternatives."""
    alternatives = _part(holder, "alternatives")
    try:
        return next(iter(alternatives), None)
    except TypeError:
        return None
