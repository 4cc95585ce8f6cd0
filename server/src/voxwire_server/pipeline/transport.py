"""A Pipecat transport on a session: any pipeline written for stock Pipecat runs on it."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    LLMConfigureOutputFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from voxwire_protocol import wire
from voxwire_server.pipeline.drops import Drops
from voxwire_server.pipeline.output import SessionOutput
from voxwire_server.pipeline.taps import Taps
from voxwire_server.pipeline.typed import push_typed
from voxwire_server.pipeline.voice_format import VoiceFormat
from voxwire_server.pipeline.voice_source import VoiceSource
from voxwire_server.session.session import Session

__all__ = ["SessionInput", "SessionTransport"]

_log = logging.getLogger("voxwire.pipeline")

_MAX_QUEUED_BLOCKS: Final = 250
_BURST_BLOCKS: Final = 3
_BURST_FACTOR: Final = 4
"""How much faster than real time a burst is fed: a VAD further down must have its say before what
recognises speech has let go of the beginning."""

_START_SECS: Final = 2.0
_DRAIN_CHECK_SECS: Final = 0.1
_DRAIN_CHECKS: Final = 50
_SETTLE_SECS: Final = 1.0


class _UserAudio(InputAudioRawFrame):
    """The user's voice; Pipecat formats every frame that is pushed for its trace log."""

    def __str__(self) -> str:
        return self.name


class SessionInput(BaseInputTransport):
    """Input of :class:`SessionTransport`: the user's voice and what the user types."""

    def __init__(self, transport: "SessionTransport", params: TransportParams, **kwargs: Any):
        super().__init__(params, **kwargs)
        self._owner = transport
        self._session = transport.session
        self._drops = Drops(transport.session)
        self._blocks: deque[bytes] = deque(maxlen=_MAX_QUEUED_BLOCKS)
        self._wake = asyncio.Event()
        self._feeder: asyncio.Task[None] | None = None
        self._rate = self._session.settings.audio_in_sample_rate
        self._brought = VoiceSource(
            VoiceFormat(sample_rate=self._rate, volume=1.0),
            place=self._take_brought,
            refuse=self._refuse_brought,
            guarded=lambda work: self._drops.guarded(work, "the end of audio that was brought in"),
        )

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Pipecat's set-up; the session's rate is the input's rate."""
        await super().setup(setup)
        self._sample_rate = self._rate

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass frames on; what travels upstream to here is news for the client."""
        if direction == FrameDirection.UPSTREAM:
            try:
                self._owner.taps.upstream(frame)
            except Exception as error:
                self._drops.tell(frame, error)
        await super().process_frame(frame, direction)

    async def start(self, frame: StartFrame) -> None:
        """The pipeline started: audio may flow."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._owner.pipeline_started(self)

    def _create_audio_task(self) -> None:
        if self._feeder is None and self._params.audio_in_enabled:
            self._feeder = self._session.spawn(self._feed())

    async def _cancel_audio_task(self) -> None:
        if self._feeder is not None:
            self._feeder.cancel()
            await asyncio.wait({self._feeder})
            self._feeder = None
        self._brought.cut()

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Audio that another processor brings in, in any format that can be played."""
        self._brought.take(frame, None, spoken=False)

    def _take_brought(self, context: str | None, pcm: bytes, *, spoken: bool) -> None:
        self.take(pcm)

    def _refuse_brought(self, reason: str) -> None:
        self._session.emit_error(wire.ErrorCode.ERROR_CODE_UNSUPPORTED_FORMAT, reason)

    def take(self, pcm: bytes) -> None:
        """Queue a block of the user's voice: int16 mono PCM; of more than 250 the oldest goes."""
        if not self._paused:
            if len(self._blocks) == _MAX_QUEUED_BLOCKS:
                lost_ms = len(self._blocks[0]) * 500 / self._rate
                self._session.intake.dropped.audio_ms += lost_ms
            self._blocks.append(pcm)
            self._wake.set()

    async def _feed(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._blocks:
                await asyncio.sleep(0)  # a filter may take longer than a block lasts
                pcm = self._blocks.popleft()
                try:
                    await self._push_block(pcm)
                except Exception as error:
                    self._drops.tell("a block of the user's voice", error)
                if len(self._blocks) > _BURST_BLOCKS:
                    await asyncio.sleep(len(pcm) / 2 / self._rate / _BURST_FACTOR)

    async def _push_block(self, pcm: bytes) -> None:
        if self._params.audio_in_filter:
            pcm = await self._params.audio_in_filter.filter(pcm)
        if pcm and self._params.audio_in_passthrough:
            await self.push_frame(_UserAudio(pcm, self._rate, 1))


class SessionTransport(BaseTransport):
    """What a bot builds its pipeline on. It outlives the sockets of its session.

    Args:
        session: The session.
        params: Pipecat's transport parameters; by default audio both ways.

    Events (as Pipecat's transports name them): ``on_client_connected(transport, client)`` when
    the first media path carries audio, ``on_client_disconnected(transport, client)`` when the
    session ends.
    """

    def __init__(self, session: Session, params: TransportParams | None = None) -> None:
        super().__init__()
        self.session = session
        self.params = params or TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        self.taps = Taps(session)
        self._input: SessionInput | None = None
        self._output: SessionOutput | None = None
        self._pipeline: FrameProcessor | None = None
        self._register_event_handler("on_client_connected")
        self._register_event_handler("on_client_disconnected")
        session.port = self

    def input(self) -> SessionInput:
        """The input processor."""
        if self._input is None:
            self._input = SessionInput(self, self.params, name=self._input_name)
        return self._input

    def output(self) -> SessionOutput:
        """The output processor."""
        if self._output is None:
            self._output = SessionOutput(self.session, self.params, name=self._output_name)
            self.taps.utterances = self._output.utterances
            self._output.on_cut(self.taps.live.cut)
            self._output.on_silence(lambda: self.taps.answering)
        return self._output

    def get_client_id(self, client: Any) -> str:
        """The session's id: there is one client."""
        return self.session.id

    def pipeline_started(self, processor: FrameProcessor) -> None:
        """The input saw the StartFrame: tap the pipeline and let the client in."""
        self._pipeline = processor
        self.taps.install(processor.pipeline_worker)
        self.session.pipeline_ready.set()
        self.session.emit_state(self.session.state.ready())
        self.session.spawn(self._call_event_handler("on_client_connected", self.session.client))

    # what the session asks of the pipeline (PipelinePort)

    def user_audio(self, pcm: bytes) -> None:
        """The user's voice."""
        if self._input is not None:
            self._input.take(pcm)

    def heard_changed(self) -> None:
        """The listener's position moved."""
        if self._output is not None:
            self._output.heard_changed()

    async def interrupt(self, *, settle: bool = False) -> None:
        """Cut the bot off; nobody waits for the rest of what it was asked.

        Args:
            settle: Wait, 1 s at most, until the interruption has gone through the pipeline.
        """
        self.session.turns.drop()
        self.session.emit_state(self.session.state.answer_dropped())
        if self._input is None:
            return
        turn = self.taps.turn_id
        await self._input.broadcast_interruption()
        if settle:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SETTLE_SECS):
                    await self._input.pipeline_worker.flush_pipeline()
            if self.taps.turn_id == turn and not self.taps.answering:
                self.session.emit_state(self.session.state.answer_dropped())

    async def send_text(
        self,
        text: str,
        *,
        run_immediately: bool,
        audio_response: bool,
        is_void: Callable[[], bool],
    ) -> None:
        """The user typed: interrupt, then ask (RTVI 2.2 ``send-text``), or only take note.

        A text that was voided while the bot was cut off is in the context, and is not answered.
        """
        entry = self._input
        if entry is None:
            return
        if run_immediately:
            asked_ms = self.session.now_ms()
            self.taps.user_typed(text)
            await self._cut_off(entry)
            if audio_response:
                self.session.turns.typed(asked_ms)
            run_immediately = not is_void()
        else:
            self.taps.user_noted(text)
        if run_immediately:
            self.session.emit_state(self.session.state.answer_owed())
        if not audio_response:
            await entry.push_frame(LLMConfigureOutputFrame(skip_tts=True))
        await push_typed(entry, text, run=run_immediately)
        if not audio_response:
            await entry.push_frame(LLMConfigureOutputFrame(skip_tts=False))

    async def keys(self, digits: str) -> None:
        """The user pressed keys: Pipecat's ``InputDTMFFrame``, one each."""
        if self._input is not None:
            for digit in digits:
                await self._input.push_frame(InputDTMFFrame(button=KeypadEntry(digit)))

    async def _cut_off(self, entry: SessionInput) -> None:
        """Interrupt the bot, and wait until the pipeline has drained.

        What was on its way before (a greeting that is being written) may reach the output after
        the interruption, and the probe then waits behind all of its sound: that is cut off too.
        A pipeline that hangs is waited for in vain, but not for ever.
        """
        await entry.broadcast_interruption()
        drained = asyncio.ensure_future(entry.pipeline_worker.flush_pipeline())
        try:
            for _ in range(_DRAIN_CHECKS):
                if (await asyncio.wait({drained}, timeout=_DRAIN_CHECK_SECS))[0]:
                    await drained
                    break
                if self._output is not None and self._output.utterances.open:
                    await entry.broadcast_interruption()
        finally:
            drained.cancel()

    async def cancel(self) -> None:
        """End the pipeline: the session is over.

        One that starts just now is let start: Pipecat, cancelled while it sets processors up,
        leaves their tasks behind.
        """
        if self._input is not None and self._pipeline is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.session.pipeline_ready.wait(), _START_SECS)
        if self._pipeline is not None:
            await self._call_event_handler("on_client_disconnected", self.session.client)
            await self._pipeline.pipeline_worker.cancel(reason="session ended")

    async def end(self) -> None:
        """End the pipeline when what was said is heard."""
        if self._pipeline is not None:
            await self._pipeline.pipeline_worker.queue_frame(EndFrame())
