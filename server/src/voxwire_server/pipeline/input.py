"""The pipeline's input: the user's voice, and what comes up through the pipeline."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMConfigureOutputFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import TransportParams

from voxwire_protocol import wire
from voxwire_server.capture.resampled import Resampled
from voxwire_server.pipeline.drops import Drops
from voxwire_server.pipeline.following import Following, UserAudio
from voxwire_server.pipeline.output_frames import SourcedInterruption
from voxwire_server.pipeline.voice_format import VoiceFormat
from voxwire_server.pipeline.voice_source import VoiceSource
from voxwire_server.pipeline.wires import Wires

__all__ = ["SessionInput"]

_MAX_QUEUED_BLOCKS: Final = 250
_BURST_BLOCKS: Final = 3
_BURST_FACTOR: Final = 4
"""How much faster than real time a burst is fed: a VAD further down must have its say before what
recognises speech has let go of the beginning."""


_SOURCE: ContextVar["wire.InterruptionSource | None"] = ContextVar("source", default=None)
"""In whose name this task interrupts just now."""


class SessionInput(BaseInputTransport):
    """Input of :class:`SessionTransport`: the user's voice and what the user types.

    Args:
        wires: Of the pipeline to its session.
        params: Pipecat's transport parameters.
        drops: Tells of what could not be used.
        upstream: Told of every frame that reaches the input from below.
        preparing: Called as the pipeline begins to start, before any service of it connects.
        started: Called when the pipeline has started.
    """

    def __init__(
        self,
        wires: Wires,
        params: TransportParams,
        *,
        drops: Drops,
        upstream: Callable[[Frame], None],
        preparing: Callable[[Any], None],
        started: Callable[["SessionInput"], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(params, **kwargs)
        self.prepared = False
        """Set once its pipeline begins to start."""
        self.ending = False
        """Set once the pipeline ends: it is not interrupted any more."""
        self._wires = wires
        self._drops = drops
        self._upstream = upstream
        self._preparing = preparing
        self._started = started
        self._blocks: deque[bytes] = deque(maxlen=_MAX_QUEUED_BLOCKS)
        self._wake = asyncio.Event()
        self._following = Following()
        self._feeder: asyncio.Task[None] | None = None
        self._rate = wires.audio_in_sample_rate
        self._resampled: Resampled | None = None
        self._streams = params.audio_in_stream_on_start
        self._brought = VoiceSource(
            VoiceFormat(sample_rate=self._rate, volume=1.0),
            place=self._take_brought,
            refuse=self._refuse_brought,
            guarded=lambda work: self._drops.guarded(work, "the end of audio that was brought in"),
        )

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Pipecat's set-up; what the pipeline wants at another rate than the session's gets it."""
        self.prepared = True
        self._preparing(setup.pipeline_worker)
        await super().setup(setup)
        if self._sample_rate != self._rate:
            self._resampled = Resampled(self._rate, self._sample_rate)

    @property
    def speaks(self) -> bool:
        """Whether anybody hears the bot."""
        return self._wires.facts.speaks and self._params.audio_out_enabled

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass frames on; what travels upstream to here is news for the client."""
        if direction == FrameDirection.UPSTREAM:
            try:
                self._upstream(frame)
            except Exception as error:
                self._drops.tell(frame, error)
        await super().process_frame(frame, direction)

    async def start(self, frame: StartFrame) -> None:
        """The pipeline started: audio may flow."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._started(self)
        if not self.speaks:
            await self.push_frame(LLMConfigureOutputFrame(skip_tts=True))

    async def interrupt(self, source: wire.InterruptionSource) -> None:
        """Interrupt the pipeline by Pipecat's ``broadcast_interruption``, in somebody's name.

        Nothing once the pipeline ends: an interruption begins tasks that nobody would end.
        """
        if self.ending:
            return
        token = _SOURCE.set(source)
        try:
            await self.broadcast_interruption()
        finally:
            _SOURCE.reset(token)

    async def broadcast_frame(self, frame_cls: type[Frame], **kwargs: Any) -> None:
        """Pipecat's, with the source of an interruption that :meth:`interrupt` makes."""
        source = _SOURCE.get()
        if frame_cls is InterruptionFrame and source is not None:
            await super().broadcast_frame(SourcedInterruption, source=source)
        else:
            await super().broadcast_frame(frame_cls, **kwargs)

    def _create_audio_task(self) -> None:
        if self._feeder is None and self._params.audio_in_enabled:
            self._feeder = self._wires.port.spawn(self._feed())

    async def _start_audio_in_streaming(self) -> None:
        self._streams = True

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
        self._wires.port.emit_error(wire.ErrorCode.ERROR_CODE_UNSUPPORTED_FORMAT, reason)

    def take(self, pcm: bytes) -> None:
        """Queue a block of the user's voice: int16 mono PCM; of more than 250 the oldest goes."""
        if not self._paused and self._streams and self._params.audio_in_enabled:
            if len(self._blocks) == _MAX_QUEUED_BLOCKS:
                self._wires.audio_lost(len(self._blocks[0]) * 500 / self._rate)
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
                await self._following.follows()
                if len(self._blocks) > _BURST_BLOCKS:
                    await asyncio.sleep(len(pcm) / 2 / self._rate / _BURST_FACTOR)

    async def _push_block(self, pcm: bytes) -> None:
        if self._resampled is not None:
            pcm = self._resampled.take(pcm)
        if self._params.audio_in_filter:
            pcm = await self._params.audio_in_filter.filter(pcm)
        if pcm and self._params.audio_in_passthrough:
            frame = UserAudio(pcm, self._sample_rate, 1)
            place_ms = self._following.pushed(len(pcm) * 500 / self._sample_rate)
            frame.passed = partial(self._following.passed, place_ms)
            await self.push_frame(frame)
