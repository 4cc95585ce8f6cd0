"""A pipeline that runs, as its session drives it (:class:`voxwire_server.ports.Pipeline`)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import InputDTMFFrame, LLMConfigureOutputFrame, LLMRunFrame
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregator

from voxwire_protocol import wire
from voxwire_server.pipeline.ahead import Told
from voxwire_server.pipeline.alarm import Alarm
from voxwire_server.pipeline.files import frame_of
from voxwire_server.pipeline.input import SessionInput
from voxwire_server.pipeline.kept_context import messages_of
from voxwire_server.pipeline.taps import Taps
from voxwire_server.pipeline.typed import push_typed
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.wires import Wires
from voxwire_server.sent_files import SentFile

__all__ = ["RunningPipeline"]

_DRAIN_SECS: Final = 5.0
_SETTLE_SECS: Final = 1.0
_USER: Final = wire.InterruptionSource.INTERRUPTION_SOURCE_USER


class RunningPipeline:
    """Turns what the session asks into frames of the pipeline.

    Args:
        wires: Of the pipeline to its session.
        entry: The pipeline's first processor.
        taps: What is known of the conversation.
        utterances: What the bot says.
        began: Rings when an utterance has begun, and when an interruption has ended some.
        heard: Tells the output that the listener's position moved.
        aggregators: What keeps the model's conversation; empty = nothing does.
        end: Ends the pipeline.
    """

    def __init__(
        self,
        wires: Wires,
        entry: SessionInput,
        *,
        taps: Taps,
        utterances: Utterances,
        began: Alarm,
        heard: Callable[[], None],
        aggregators: Sequence[LLMContextAggregator],
        end: Callable[[], Awaitable[None]],
    ) -> None:
        self._wires = wires
        self._entry = entry
        self._taps = taps
        self._utterances = utterances
        self._began = began
        self._heard = heard
        self._aggregators = aggregators
        self._end = end

    def user_audio(self, pcm: bytes) -> None:
        """Take a block of the user's voice. Never blocks."""
        self._entry.take(pcm)

    def heard(self) -> None:
        """The listener's position moved."""
        self._heard()

    async def interrupt(self, source: wire.InterruptionSource, *, settle: bool = False) -> None:
        """Cut the bot off; nobody waits for the rest of what it was asked.

        Args:
            source: Who does it.
            settle: Wait, 1 s at most, until the interruption has gone through the pipeline.
        """
        wires, taps = self._wires, self._taps
        wires.turns.drop()
        wires.emit_state(wires.state.answer_dropped())
        turn = taps.turn_id
        await self._entry.interrupt(source)
        if settle:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SETTLE_SECS):
                    await self._entry.pipeline_worker.flush_pipeline()
            if taps.turn_id == turn and not taps.answering:
                wires.emit_state(wires.state.answer_dropped())

    async def text(
        self,
        text: str,
        *,
        run_immediately: bool,
        audio_response: bool,
        is_void: Callable[[], bool],
    ) -> None:
        """The user typed: interrupt, then ask (RTVI 2.2 ``send-text``), or only take note.

        A text that was voided while the bot was cut off is in the context, and is not answered. Its
        user sees it from the beginning, so it is kept from there, too.
        """
        async with self._on_its_way(text) as told:
            await self._text(
                told,
                run_immediately=run_immediately,
                audio_response=audio_response,
                is_void=is_void,
            )

    @asynccontextmanager
    async def _on_its_way(self, text: str) -> AsyncGenerator[Told]:
        """Keep a text of the user's until the context has it: 5 s behind its frame at most."""
        ahead = self._taps.ahead
        told = ahead.told(text)
        try:
            yield told
        finally:
            if told.frame_id is None:
                ahead.forget(told)
            else:
                self._wires.port.clock.call_later(_DRAIN_SECS * 1000, lambda: ahead.forget(told))
            self._wires.changed()

    async def _text(
        self,
        told: Told,
        *,
        run_immediately: bool,
        audio_response: bool,
        is_void: Callable[[], bool],
    ) -> None:
        wires, entry, text = self._wires, self._entry, told.text
        if run_immediately:
            asked_ms = wires.port.clock.now_ms()
            self._taps.user.typed(text)
            await self._cut_off()
            if audio_response:
                wires.turns.typed(asked_ms)
            run_immediately = not is_void()
        else:
            self._taps.user.noted(text)
        if run_immediately:
            wires.emit_state(wires.state.answer_owed())
        if not audio_response:
            await entry.push_frame(LLMConfigureOutputFrame(skip_tts=True))
        await push_typed(entry, text, run=run_immediately, told=told)
        if not audio_response and entry.speaks:
            await entry.push_frame(LLMConfigureOutputFrame(skip_tts=False))

    async def file(self, file: SentFile) -> None:
        """The user sent a file: RTVI 2.2 ``send-file``, the frames that Pipecat makes of it.

        An answer in text alone is asked for when the pipeline has passed the file on: the frame
        asks from behind the output, and by then the model would speak again. The text beside it is
        kept as one that was typed is.
        """
        async with self._on_its_way(file.text) as told:
            await self._file(file, told)

    async def _file(self, file: SentFile, told: Told) -> None:
        wires, entry = self._wires, self._entry
        asks, speaks = file.run_immediately, file.audio_response
        if asks:
            asked_ms = wires.port.clock.now_ms()
            self._taps.user.sent(file.text)
            await self._cut_off()
            if speaks:
                wires.turns.typed(asked_ms)
            wires.emit_state(wires.state.answer_owed())
        elif file.text:
            self._taps.user.noted(file.text)
        frame = await frame_of(file, run_llm=asks and speaks)
        told.frame_id = frame.id
        await entry.push_frame(frame)
        if asks and not speaks:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECS):
                    await entry.pipeline_worker.flush_pipeline()
            await entry.push_frame(LLMConfigureOutputFrame(skip_tts=True))
            await entry.push_frame(LLMRunFrame())
            if entry.speaks:
                await entry.push_frame(LLMConfigureOutputFrame(skip_tts=False))

    async def keys(self, digits: str) -> None:
        """The user pressed keys: Pipecat's ``InputDTMFFrame``, one each."""
        for digit in digits:
            await self._entry.push_frame(InputDTMFFrame(button=KeypadEntry(digit)))

    def messages(self) -> list[Any] | None:
        """The conversation as the model is told of it."""
        return messages_of(self._aggregators, self._taps.ahead) if self._aggregators else None

    async def end(self) -> None:
        """End it: the session is over."""
        await self._end()

    async def _cut_off(self) -> None:
        """Interrupt the bot, and wait until the pipeline has drained.

        What was on its way before (a greeting that is being written) may reach the output after
        the interruption, and the probe then waits behind all of its sound: that is cut off too.
        So is what begins meanwhile, once the interruption before has passed the output: it may be
        what that will cut. A pipeline that hangs is waited for in vain, but not for ever.
        """
        self._began.silence()
        cuts = self._utterances.num_cuts
        await self._entry.interrupt(_USER)
        drained = asyncio.ensure_future(self._entry.pipeline_worker.flush_pipeline())
        drained.add_done_callback(lambda _: self._began.ring())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECS):
                    while not drained.done():
                        await self._began.wait(None)
                        self._began.silence()
                        passed = self._utterances.num_cuts > cuts
                        if passed and self._utterances.open and not drained.done():
                            cuts = self._utterances.num_cuts
                            await self._entry.interrupt(_USER)
            if drained.done():
                await drained
        finally:
            drained.cancel()
