"""Sound of synthesis contexts that stood in utterances which have ended. Pure."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

__all__ = ["PastSound"]

_MAX_CONTEXTS: Final = 32


@dataclass(slots=True)
class _Past:
    ms: int = 0
    last_word_ms: int = 0
    wordless: bool = False


class PastSound:
    """How much of a context was said before the utterance that it has now, or has next.

    A context that was silent for long is stopped, and what it says then is another utterance. The
    times of its words go on to count from its first sample.
    """

    def __init__(self) -> None:
        self._of: OrderedDict[str, _Past] = OrderedDict()

    def __contains__(self, context: object) -> bool:
        return context in self._of

    def ms(self, context: str) -> int:
        """How long the context has sounded in utterances that have ended, ms."""
        past = self._of.get(context)
        return 0 if past is None else past.ms

    def add(self, context: str, ms: int, *, last_word_ms: int, wordless: bool) -> None:
        """An utterance has ended.

        Args:
            context: Its context.
            ms: How long it sounded.
            last_word_ms: Start of its last word from its own first sample, ms; 0 without words.
            wordless: Whether text without times that comes now may belong to its sound.
        """
        past = self._of.setdefault(context, _Past())
        past.last_word_ms = past.ms + last_word_ms
        past.ms += ms
        past.wordless = wordless
        self._of.move_to_end(context)
        if len(self._of) > _MAX_CONTEXTS:
            self._of.popitem(last=False)

    def has_said(self, context: str, offset_ms: float, *, fresh: bool) -> bool:
        """Whether a word that starts at ``offset_ms`` is of what was said.

        Args:
            context: Its context.
            offset_ms: Its start from the context's first sample, ms.
            fresh: Whether no word of the next utterance is known. As words come in order, the
                synthesiser has begun to count anew, from the sample that comes next, when the
                first one stands before the last of what was said.
        """
        past = self._of.get(context)
        if past is None:
            return False
        if fresh and offset_ms < past.last_word_ms:
            past.ms = past.last_word_ms = 0
        return offset_ms < past.ms

    def has_text(self, context: str) -> bool:
        """Whether text without times that comes now is taken for what was said, once."""
        past = self._of.get(context)
        if past is None:
            return False
        said, past.wordless = past.wordless, False
        return said
