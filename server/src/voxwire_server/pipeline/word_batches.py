"""Words on their way to the client: a few milliseconds' worth of them in one message."""

import asyncio
from collections.abc import Callable
from typing import Final

from voxwire_protocol import wire
from voxwire_server.pipeline.utterance import Utterance

__all__ = ["WordBatches"]

_BATCH_SECS: Final = 0.003


class WordBatches:
    """Sends what is new or revised of the words of utterances.

    Args:
        emit: Sends an envelope payload, for instance ``SessionPort.emit``.
        dropped: Told of words that could not be sent, and why; without it that is raised.
    """

    def __init__(
        self,
        emit: Callable[..., None],
        *,
        dropped: Callable[[object, Exception], None] | None = None,
    ) -> None:
        self._emit = emit
        self._dropped = dropped
        self._dirty: dict[str, Utterance] = {}
        self._timer: asyncio.TimerHandle | None = None

    def touch(self, utterance: Utterance) -> None:
        """Words of an utterance are new, or revised."""
        self._dirty[utterance.utterance_id] = utterance
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_BATCH_SECS, self.flush)

    def flush(self) -> None:
        """Send what waits for its batch."""
        self.close()
        dirty, self._dirty = self._dirty, {}
        for utterance in dirty.values():
            first = utterance.sent if utterance.revised_from is None else utterance.revised_from
            if not utterance.announced or first >= len(utterance.words):
                continue
            try:
                self._send(utterance, first)
            except Exception as error:
                if self._dropped is None:
                    raise
                self._dropped(f"words of {utterance.utterance_id}", error)
            utterance.sent = len(utterance.words)
            utterance.revised_from = None

    def forget(self) -> None:
        """Give up what waits."""
        self._dirty.clear()

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self, utterance: Utterance, first: int) -> None:
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
