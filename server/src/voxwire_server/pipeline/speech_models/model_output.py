"""The part of the output that serves models that speak by themselves: words, refits, cuts."""

import asyncio
from collections.abc import Awaitable, Callable, Container
from typing import Final

from pipecat.frames.frames import Frame, TextFrame, TTSStoppedFrame, TTSTextFrame

from voxwire_server.pipeline.contexts import is_live
from voxwire_server.pipeline.output_frames import CutTurn
from voxwire_server.pipeline.speech_models.model_turns import SPOKEN_KEY, AllSaid
from voxwire_server.pipeline.speech_models.model_words import LiveWords
from voxwire_server.pipeline.utterance import Utterance
from voxwire_server.pipeline.utterances import Utterances

__all__ = ["LiveOutput"]

_REFIT_SECS: Final = 0.05


class LiveOutput:
    """Feeds the words of such models, and refits them while audio and transcript arrive.

    Args:
        utterances: Tells the client.
        sample_rate: Rate of the placed audio, Hz.
        hold: Puts a word into the release queue at a position, ms.
        drop: Takes what a predicate chooses out of the release queue.
        heard_ms: The listener's position on the media clock.
        cut_contexts: Contexts of which nothing is wanted any more.
        dropped: Told of words that could not be placed, and why.
    """

    def __init__(
        self,
        utterances: Utterances,
        *,
        sample_rate: int,
        hold: Callable[[TTSTextFrame, float], None],
        drop: Callable[[Callable[[object], bool]], None],
        heard_ms: Callable[[], float],
        cut_contexts: Container[str | None],
        dropped: Callable[[object, Exception], None],
    ) -> None:
        self.words = LiveWords(utterances, sample_rate=sample_rate, hold=hold, drop=drop)
        self._heard_ms = heard_ms
        self._cut_contexts = cut_contexts
        self._dropped = dropped
        self._timer: asyncio.TimerHandle | None = None
        self.cutting = False
        """Whether an interruption is under way: no word is placed anew meanwhile."""
        self.on_cut: Callable[[CutTurn], Awaitable[None]] | None = None
        """Told of each turn that was cut, before anybody else."""

    def take(self, frame: Frame) -> bool:
        """Take what such a model's frame says; True when nobody else needs the frame."""
        if isinstance(frame, TextFrame):
            spoken = frame.metadata.get(SPOKEN_KEY)
            if spoken is not None and spoken not in self._cut_contexts:
                self.words.text(spoken, frame.text)
                self._refit_soon()
            return isinstance(frame, TTSTextFrame) and is_live(frame.context_id)
        if isinstance(frame, TTSStoppedFrame | AllSaid) and is_live(frame.context_id):
            self.words.end(frame.context_id or "", self._heard_ms())
        return isinstance(frame, AllSaid)

    def audio(self, context: str, start_ms: int, pcm: bytes) -> None:
        """Audio of a context was placed: int16 mono PCM at the session's rate."""
        if is_live(context):
            self.words.audio(context, start_ms, pcm)
            self._refit_soon()

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _refit_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_REFIT_SECS, self._refit)

    def _refit(self) -> None:
        self._timer = None
        if self.cutting:
            return
        try:
            self.words.refit(self._heard_ms())
        except Exception as error:
            self._dropped("words of the model's turn", error)
            self.words.clear()

    async def tell_cut(self, utterance: Utterance, heard_ms: float) -> None:
        """Let the service know how much of its turn was heard."""
        if self.on_cut is not None and is_live(utterance.context_id):
            count, char_end = utterance.heard(heard_ms)
            duration = min(max(heard_ms, utterance.start_ms), utterance.end_ms) - utterance.start_ms
            await self.on_cut(
                CutTurn(
                    utterance.context_id,
                    utterance.text[:char_end],
                    int(duration),
                    whole=count == len(utterance.words) and heard_ms >= utterance.end_ms,
                )
            )
