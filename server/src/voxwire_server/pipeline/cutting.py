"""The recipe that keeps the context exact when the bot is cut off.

Silence first, then the client's last report, then the heard words as system frames; the
interruption itself goes down behind them.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from pipecat.frames.frames import Frame, TTSTextFrame

from voxwire_protocol import wire
from voxwire_server.pipeline.output_frames import BotStarts, FirstSound, HeardWord, copy_word
from voxwire_server.pipeline.releasing import OnItsWay, Releasing
from voxwire_server.pipeline.speech_models.model_output import LiveOutput
from voxwire_server.pipeline.spoken_words import SpokenWords
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.wires import Wires

__all__ = ["Cutting"]

_ON_ITS_WAY_S: Final = 0.5
_INTERRUPTED = wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED


class Cutting:
    """Cuts what the bot says where it was heard last.

    Args:
        wires: Of the pipeline to its session.
        utterances: What the bot says.
        words: Its words that wait for their sound.
        model: The words of a model that speaks by itself.
        releasing: What waits to be heard.
        contexts: Contexts that have sounded and not ended; emptied.
        cut_contexts: Takes the contexts of which nothing is wanted any more.
        on_its_way: Words that were let go before.
        push: Pushes a frame down.
    """

    def __init__(
        self,
        wires: Wires,
        *,
        utterances: Utterances,
        words: SpokenWords,
        model: LiveOutput,
        releasing: Releasing[Frame | BotStarts | FirstSound],
        contexts: set[str],
        cut_contexts: deque[str],
        on_its_way: OnItsWay,
        push: Callable[[Frame], Awaitable[None]],
    ) -> None:
        self._wires = wires
        self._utterances = utterances
        self._words = words
        self._model = model
        self._releasing = releasing
        self._contexts = contexts
        self._cut_contexts = cut_contexts
        self._on_its_way = on_its_way
        self._push = push

    async def cut(self, source: wire.InterruptionSource) -> None:
        """Silence the bot; tell the client, the context and the model what was heard.

        Args:
            source: Who cuts it off; the client is told so if an utterance is cut.
        """
        speaking = self._utterances.open
        current = speaking[0].utterance_id if speaking else ""
        result = await self._wires.voice.flush(current)
        heard, known_by = self._wires.voice.heard_at() if result is None else result
        if speaking:  # what the context has already is not taken back
            heard = max(heard, self._releasing.queue.released_ms + 1)
        void = self._contexts.union(self._model.words.contexts, self._words.contexts)
        self._words.cut()
        await self._on_its_way.arrived(_ON_ITS_WAY_S)
        await self._release_heard(heard)
        for utterance in speaking:
            self._utterances.end(utterance.context_id, _INTERRUPTED, heard, known_by)
        self._cut_contexts.extend(void)
        self._contexts.clear()
        self._model.words.clear()
        for utterance in speaking:
            await self._model.tell_cut(utterance, heard)
        if current:
            self._wires.port.emit(interrupted=wire.Interrupted(source=source, utterance_id=current))

    def end_all(self) -> None:
        """End what is still open where the listener is by now: of a cut that failed on its way."""
        heard, known_by = self._wires.voice.heard_at()
        for utterance in self._utterances.open:
            self._utterances.end(utterance.context_id, _INTERRUPTED, heard, known_by)

    async def _release_heard(self, heard_ms: float) -> None:
        """Push the heard words ahead of the interruption; keep what must not be dropped."""
        for held in self._releasing.take_all():
            item = held.item
            if isinstance(item, BotStarts | FirstSound):
                continue
            if isinstance(item, TTSTextFrame) and item.context_id:
                if held.media_ms < heard_ms:
                    await self._push(copy_word(item, None, HeardWord))
            elif not item.interruptible:
                await self._push(item)
