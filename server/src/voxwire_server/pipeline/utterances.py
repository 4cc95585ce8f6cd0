"""Utterances: contexts of the synthesiser, their words, and what the client is told of them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from voxwire_protocol import wire
from voxwire_server.pipeline.contexts import is_live
from voxwire_server.pipeline.past_sound import PastSound
from voxwire_server.pipeline.timing.estimate import envelope, estimate_words
from voxwire_server.pipeline.utterance import PlacedWord, Utterance
from voxwire_server.pipeline.word_batches import WordBatches

__all__ = ["Utterances"]

_MS_PER_LETTER: Final = 60


class Utterances:
    """Names contexts, collects their words and tells the client, in small batches.

    Args:
        emit: Sends an envelope payload, for instance ``Session.emit``.
        sample_rate: Rate of the placed audio, Hz.
        dropped: Told of words that could not be sent, and why; without it that is raised.
        mark: What their ids end with.
    """

    def __init__(
        self,
        emit: Callable[..., None],
        *,
        sample_rate: int,
        dropped: Callable[[object, Exception], None] | None = None,
        mark: str = "",
    ) -> None:
        self._mark = mark
        self._emit = emit
        self._batches = WordBatches(emit, dropped=dropped)
        self._rate = sample_rate
        self._open: dict[str, Utterance] = {}
        self._number = 0
        self.past = PastSound()
        """What contexts said in utterances that have ended."""
        self.source = wire.TimingSource.TIMING_SOURCE_UNSPECIFIED
        """Where the pipeline's synthesiser takes its word times from, as far as it is known."""
        self.num_cuts = 0
        """Interruptions that have reached the voice."""
        self.turn_id = f"t0{mark}"
        self.response_id = ""

    @property
    def open(self) -> list[Utterance]:
        """Utterances that have not ended, oldest first."""
        return list(self._open.values())

    def get(self, context_id: str) -> Utterance | None:
        """The open utterance of a context."""
        return self._open.get(context_id)

    def audio(
        self, context_id: str, start_ms: int, end_ms: int, pcm: bytes, *, timed: bool = False
    ) -> bool:
        """Audio of a context was placed.

        Args:
            context_id: The context.
            start_ms: Position of the first sample on the media clock.
            end_ms: Position behind the last one.
            pcm: The audio: int16 mono at the session's rate.
            timed: True when words with times of their own wait for it.

        Returns:
            True when it is the context's first.
        """
        utterance = self._open.get(context_id)
        first = utterance is None
        if utterance is None:
            self._number += 1
            utterance = Utterance(
                f"u{self._number}{self._mark}", context_id, start_ms, end_ms, pcm_start_ms=start_ms
            )
            self._open[context_id] = utterance
            if timed:
                utterance.source = wire.TimingSource.TIMING_SOURCE_PROVIDER_WORD
            self._announce(utterance)
        utterance.end_ms = end_ms
        utterance.sound_ms += end_ms - start_ms
        provided = utterance.source == wire.TimingSource.TIMING_SOURCE_PROVIDER_WORD
        if not provided and not is_live(context_id):
            utterance.pcm += pcm
        return first

    def _announce(self, utterance: Utterance) -> None:
        utterance.announced = True
        self._emit(
            utterance_started=wire.UtteranceStarted(
                utterance_id=utterance.utterance_id,
                turn_id=self.turn_id,
                response_id=self.response_id,
                media_ms=utterance.start_ms,
                source=utterance.source or self.source,
            )
        )

    def timed_word(
        self,
        context_id: str,
        text: str,
        offset_ms: float | None,
        end_ms: float | None,
        *,
        own_spaces: bool = False,
    ) -> PlacedWord | None:
        """A word with a time from its context's first sample.

        Args:
            context_id: The context.
            text: The word.
            offset_ms: Its start; what was said in utterances that have ended counts, too. One that
                cannot be (None, NaN, ten minutes ahead of the audio) is that of the word before.
            end_ms: Its end, if it is known.
            own_spaces: Whether the word comes with the spaces around it.

        Returns:
            The placed word, or None when there is no word or the context has no audio.
        """
        utterance = self._open.get(context_id)
        if utterance is None:
            return None
        if not text.strip():
            utterance.space_after = utterance.space_after or bool(text)
            return None
        utterance.source = wire.TimingSource.TIMING_SOURCE_PROVIDER_WORD
        utterance.pcm.clear()
        past_ms = self.past.ms(context_id)
        offset_ms = None if offset_ms is None else offset_ms - past_ms
        end_ms = None if end_ms is None else end_ms - past_ms
        start = utterance.start_ms + utterance.offset(offset_ms)
        if utterance.words:
            last = utterance.words[-1]
            start = max(start, last.start_ms)
            if last.end_estimated or last.end_ms > start:
                last.end_ms = start
                self._revise(utterance, len(utterance.words) - 1)
        known = end_ms is not None and utterance.plausible(end_ms)
        if end_ms is None or not known:
            end = start + max(120, _MS_PER_LETTER * len(text))
        else:
            end = max(start, utterance.start_ms + round(end_ms))
        return self._append(utterance, text, start, end, estimated=not known, own_spaces=own_spaces)

    def settle(self, context_id: str) -> None:
        """All audio of a context is placed: no word begins behind its end."""
        utterance = self._open.get(context_id)
        if utterance is None or is_live(context_id):
            return
        last = max(utterance.start_ms, utterance.end_ms - 1)
        for index, word in enumerate(utterance.words):
            if word.start_ms > last:
                word.start_ms, word.end_ms = last, utterance.end_ms
                if index:
                    before = utterance.words[index - 1]
                    before.end_ms = min(before.end_ms, last)
                self._revise(utterance, max(0, index - 1))

    def sentence(self, context_id: str, text: str) -> list[PlacedWord]:
        """Text without times whose audio was just placed: its words are estimated.

        Returns:
            Them; nothing when no audio was placed since the text before.
        """
        utterance = self._open.get(context_id)
        if utterance is None:
            return []
        if utterance.source == wire.TimingSource.TIMING_SOURCE_UNSPECIFIED:
            utterance.source = wire.TimingSource.TIMING_SOURCE_ESTIMATED
        base = utterance.pcm_start_ms
        loudness = envelope(bytes(utterance.pcm), self._rate)
        utterance.pcm.clear()
        utterance.pcm_start_ms = utterance.end_ms
        words = estimate_words(text, loudness)
        glued = any(b.char_start == a.char_end for a, b in pairwise(words))
        placed: list[PlacedWord] = []
        end = 0
        for w in words:
            piece = text[end : w.char_end] if glued else w.text
            span = base + w.start_ms, base + w.end_ms
            placed.append(self._append(utterance, piece, *span, estimated=True, own_spaces=glued))
            end = w.char_end
        return placed

    def place_words(
        self, context_id: str, first: int, words: Sequence[tuple[str, int, int]]
    ) -> list[PlacedWord]:
        """Words from index ``first`` on are these from now on, and no others.

        Args:
            context_id: The context of an open utterance.
            first: Index of the first of them, at most one behind the last known word.
            words: Text, start and end on the media clock, ms; estimated.
        """
        utterance = self._open.get(context_id)
        if utterance is None:
            return []
        utterance.source = wire.TimingSource.TIMING_SOURCE_ESTIMATED
        utterance.keep(first)
        placed = [
            self._append(utterance, text, start, end, estimated=True) for text, start, end in words
        ]
        if first < utterance.sent:
            self._revise(utterance, first)
        return placed

    def _append(
        self,
        utterance: Utterance,
        text: str,
        start: int,
        end: int,
        *,
        estimated: bool,
        own_spaces: bool = False,
    ) -> PlacedWord:
        word = utterance.append(text, start, end, estimated=estimated, own_spaces=own_spaces)
        self._batches.touch(utterance)
        return word

    def _revise(self, utterance: Utterance, index: int) -> None:
        utterance.revise(index)
        self._batches.touch(utterance)

    def flush_words(self) -> None:
        """Send the words that wait for their batch."""
        self._batches.flush()

    def end(
        self,
        context_id: str,
        how: wire.UtteranceEnd,
        heard_ms: float,
        source: wire.HeardSource,
    ) -> None:
        """An utterance was heard to its end, or cut at ``heard_ms``."""
        self.flush_words()
        utterance = self._open.pop(context_id, None)
        if utterance is None:
            return
        self._remember(utterance)
        heard = min(max(heard_ms, utterance.start_ms), utterance.end_ms)
        if how == wire.UtteranceEnd.UTTERANCE_END_COMPLETED:
            heard = utterance.end_ms
        words, char_end = utterance.heard(
            heard if how == wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED else float("inf")
        )
        self._emit(
            utterance_ended=wire.UtteranceEnded(
                utterance_id=utterance.utterance_id,
                end=how,
                heard_media_ms=int(heard),
                heard_char_end=char_end,
                heard_words=words,
                heard_source=source,
            )
        )

    def _remember(self, utterance: Utterance) -> None:
        words = utterance.words
        self.past.add(
            utterance.context_id,
            utterance.sound_ms,
            last_word_ms=words[-1].start_ms - utterance.start_ms if words else 0,
            wordless=utterance.source != wire.TimingSource.TIMING_SOURCE_ESTIMATED
            or bool(utterance.pcm),
        )

    def forget(self) -> None:
        """Give up what is open without a word to the client."""
        for utterance in self._open.values():
            self._remember(utterance)
        self._open.clear()
        self._batches.forget()

    def close(self) -> None:
        """Stop the batch timer."""
        self._batches.close()
