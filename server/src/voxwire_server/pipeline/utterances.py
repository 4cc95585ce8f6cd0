"""Utterances: contexts of the synthesiser, their words, and what the client is told of them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from voxwire_protocol import wire
from voxwire_server.pipeline.estimate import envelope, estimate_words
from voxwire_server.pipeline.model_turns import is_live

__all__ = ["PlacedWord", "Utterance", "Utterances"]

_BATCH_SECS: Final = 0.003
_MS_PER_LETTER: Final = 60


@dataclass(slots=True)
class PlacedWord:
    """A word with its characters in the utterance and its time on the media clock, ms."""

    text: str
    char_start: int
    char_end: int
    start_ms: int
    end_ms: int
    end_estimated: bool = False


@dataclass(slots=True)
class Utterance:
    """One context of the synthesiser on the media clock."""

    utterance_id: str
    context_id: str
    start_ms: int
    end_ms: int
    source: wire.TimingSource = wire.TimingSource.TIMING_SOURCE_UNSPECIFIED
    text: str = ""
    words: list[PlacedWord] = field(default_factory=list)
    sent: int = 0
    revised_from: int | None = None
    revision: int = 0
    pcm: bytearray = field(default_factory=bytearray)
    pcm_start_ms: int = 0
    announced: bool = False

    def heard(self, media_ms: float) -> tuple[int, int]:
        """Words whose onset was heard before ``media_ms``, and the end of that prefix."""
        count = sum(1 for word in self.words if word.start_ms < media_ms)
        return count, self.words[count - 1].char_end if count else 0


class Utterances:
    """Names contexts, collects their words and tells the client, in small batches.

    Args:
        emit: Sends an envelope payload, for instance ``Session.emit``.
        sample_rate: Rate of the placed audio, Hz.
    """

    def __init__(self, emit: Callable[..., None], *, sample_rate: int) -> None:
        self._emit = emit
        self._rate = sample_rate
        self._open: dict[str, Utterance] = {}
        self._early: dict[str, list[tuple[str, float, float | None]]] = {}
        self._dirty: dict[str, Utterance] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._number = 0
        self.source = wire.TimingSource.TIMING_SOURCE_UNSPECIFIED
        """Where the pipeline's synthesiser takes its word times from, as far as it is known."""
        self.turn_id = "t0"
        self.response_id = ""

    @property
    def open(self) -> list[Utterance]:
        """Utterances that have not ended, oldest first."""
        return list(self._open.values())

    def get(self, context_id: str) -> Utterance | None:
        """The open utterance of a context."""
        return self._open.get(context_id)

    def audio(self, context_id: str, start_ms: int, end_ms: int, pcm: bytes) -> bool:
        """Audio of a context was placed.

        Returns:
            True when it is the context's first.
        """
        utterance = self._open.get(context_id)
        first = utterance is None
        if utterance is None:
            self._number += 1
            utterance = Utterance(
                f"u{self._number}", context_id, start_ms, end_ms, pcm_start_ms=start_ms
            )
            self._open[context_id] = utterance
            for text, offset, end in self._early.pop(context_id, []):
                self.timed_word(context_id, text, offset, end)
            self._announce(utterance)
        utterance.end_ms = end_ms
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
        self, context_id: str, text: str, offset_ms: float, end_ms: float | None
    ) -> PlacedWord | None:
        """A word with a time from its context's first sample.

        Returns:
            The placed word, or None when the context has no audio yet (the word waits).
        """
        utterance = self._open.get(context_id)
        if utterance is None:
            self._early.setdefault(context_id, []).append((text, offset_ms, end_ms))
            return None
        utterance.source = wire.TimingSource.TIMING_SOURCE_PROVIDER_WORD
        utterance.pcm.clear()
        start = utterance.start_ms + max(0, round(offset_ms))
        if utterance.words:
            last = utterance.words[-1]
            start = max(start, last.start_ms)
            if last.end_estimated or last.end_ms > start:
                last.end_ms = start
                self._revise(utterance, len(utterance.words) - 1)
        if end_ms is None:
            end = start + max(120, _MS_PER_LETTER * len(text))
        else:
            end = max(start, utterance.start_ms + round(end_ms))
        return self._append(utterance, text, start, end, estimated=end_ms is None)

    def sentence(self, context_id: str, text: str) -> list[PlacedWord]:
        """Text without times whose audio was just placed: its words are estimated."""
        utterance = self._open.get(context_id)
        if utterance is None:
            return []
        if utterance.source == wire.TimingSource.TIMING_SOURCE_UNSPECIFIED:
            utterance.source = wire.TimingSource.TIMING_SOURCE_ESTIMATED
        base = utterance.pcm_start_ms
        loudness = envelope(bytes(utterance.pcm), self._rate)
        utterance.pcm.clear()
        utterance.pcm_start_ms = utterance.end_ms
        return [
            self._append(utterance, w.text, base + w.start_ms, base + w.end_ms, estimated=True)
            for w in estimate_words(text, loudness)
        ]

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
        del utterance.words[first:]
        utterance.text = utterance.text[: utterance.words[-1].char_end if first else 0]
        placed = [
            self._append(utterance, text, start, end, estimated=True) for text, start, end in words
        ]
        if first < utterance.sent:
            before = utterance.revised_from
            utterance.revised_from = first if before is None else min(before, first)
        return placed

    def _append(
        self, utterance: Utterance, text: str, start: int, end: int, *, estimated: bool
    ) -> PlacedWord:
        char_start = len(utterance.text) + 1 if utterance.text else 0
        utterance.text += f" {text}" if utterance.text else text
        word = PlacedWord(text, char_start, len(utterance.text), start, end, estimated)
        utterance.words.append(word)
        self._touch(utterance)
        return word

    def _revise(self, utterance: Utterance, index: int) -> None:
        if index < utterance.sent:
            utterance.revised_from = index
        self._touch(utterance)

    def _touch(self, utterance: Utterance) -> None:
        self._dirty[utterance.utterance_id] = utterance
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_BATCH_SECS, self.flush_words)

    def flush_words(self) -> None:
        """Send the words that wait for their batch."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for utterance in self._dirty.values():
            first = utterance.sent if utterance.revised_from is None else utterance.revised_from
            if utterance.announced and first < len(utterance.words):
                self._send_words(utterance, first)
        self._dirty.clear()

    def _send_words(self, utterance: Utterance, first: int) -> None:
        words = utterance.words[first:]
        base = words[0].start_ms
        offset = words[0].char_start
        if utterance.revised_from is not None:
            utterance.revision += 1
        self._emit(
            utterance_words=wire.UtteranceWords(
                utterance_id=utterance.utterance_id,
                first_index=first,
                base_media_ms=base,
                text_offset=offset,
                text=utterance.text[offset:],
                revision=0 if utterance.revised_from is None else utterance.revision,
                source=utterance.source,
                words=[
                    wire.Word(
                        char_start=w.char_start,
                        char_end=w.char_end,
                        start_ms=w.start_ms - base,
                        end_ms=w.end_ms - base,
                        end_estimated=w.end_estimated,
                    )
                    for w in words
                ],
            )
        )
        utterance.sent = len(utterance.words)
        utterance.revised_from = None

    def end(
        self,
        context_id: str,
        how: wire.UtteranceEnd,
        heard_ms: float,
        source: wire.HeardSource,
    ) -> None:
        """An utterance was heard to its end, or cut at ``heard_ms``."""
        self.flush_words()
        self._early.pop(context_id, None)
        utterance = self._open.pop(context_id, None)
        if utterance is None:
            return
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

    def forget_early(self) -> None:
        """Drop words whose context never got audio (an interruption)."""
        self._early.clear()

    def close(self) -> None:
        """Stop the batch timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
