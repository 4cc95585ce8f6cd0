"""Pipeline frames become events for the client, whoever pushes them.

Taps sit on the processors that make frames of the conversation (Pipecat's
``on_before_push_frame``), and one look at a frame's type is all that the audio on its way through
them costs. A frame counts where it is pushed first; who passes it on says nothing new.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    LLMThoughtTextFrame,
    MetricsFrame,
    OutputAudioRawFrame,
    TextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    UserFileRawFrame,
    UserImageRawFrame,
)
from pipecat.pipeline.base_pipeline import BasePipeline
from pipecat.pipeline.pipeline import PipelineSink, PipelineSource
from pipecat.processors.aggregators.llm_response_universal import (
    LLMAssistantAggregator,
    LLMContextAggregator,
    LLMUserAggregator,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport

from voxwire_protocol import wire
from voxwire_server.pipeline.answer_taps import AnswerTaps
from voxwire_server.pipeline.answers import Interrupt
from voxwire_server.pipeline.drops import Drops
from voxwire_server.pipeline.patience import wait_for_sound
from voxwire_server.pipeline.plain import PlainProcessor, is_answer
from voxwire_server.pipeline.releasing import OnItsWay
from voxwire_server.pipeline.speech_models.care import Care
from voxwire_server.pipeline.speech_models.finder import SpeechModel, is_speech_to_speech
from voxwire_server.pipeline.speech_models.interim import InterimText
from voxwire_server.pipeline.troubles import trouble_of
from voxwire_server.pipeline.unspoken import UnspokenText
from voxwire_server.pipeline.user_taps import UserTaps
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.wires import Wires
from voxwire_server.pipeline.words import note_word_offsets, walk

__all__ = ["Taps"]

_log = logging.getLogger("voxwire.pipeline")
_MS: Final = 1000
_TOLD: Final = "voxwire_told"
_ESTIMATED: Final = wire.TimingSource.TIMING_SOURCE_ESTIMATED
_PASSES_ON: Final = (
    BasePipeline,
    PipelineSource,
    PipelineSink,
    BaseInputTransport,
    LLMContextAggregator,
)
"""Processors that push what others made, and nothing that the client is told of."""
_IN_CONTEXT: Final = (
    TTSTextFrame,
    LLMFullResponseEndFrame,
    InterruptionFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallCancelFrame,
    UserImageRawFrame,
    UserFileRawFrame,
)
"""What changes the conversation once the assistant's aggregator has taken it."""

_Handler = Callable[[FrameProcessor, Any], None]


class Taps:
    """Watches a pipeline's processors and tells the client what they do.

    Args:
        wires: Of the pipeline to its session.
        drops: Tells of frames that could not be told.
        utterances: What the bot says.
        interrupt: Cuts the bot off, when an answer does not come in time.
    """

    def __init__(
        self, wires: Wires, *, drops: Drops, utterances: Utterances, interrupt: Interrupt
    ) -> None:
        self._wires = wires
        self._drops = drops
        self._utterances = utterances
        self.user = UserTaps(wires, new_turn=self._new_turn)
        self._bot = AnswerTaps(wires, utterances=utterances, user=self.user, interrupt=interrupt)
        self.ahead = self._bot.tools.ahead
        """What the model's context has not been given yet."""
        self.on_its_way = OnItsWay()
        """Words that were let go and are not in the context yet."""
        self._care = Care(
            wires.state,
            calls_run=lambda: bool(wires.tools.reports.open_calls()),
            said_so_far=self.user.heard_so_far,
        )
        self.model = SpeechModel(self._care)
        """The pipeline's speech-to-speech service, if it has one."""
        self._interim = InterimText()
        self._thinks = False
        self._installed: set[int] = set()
        self._plain: dict[int, PlainProcessor] = {}
        self._handlers: dict[type, _Handler | None] = {}

    @property
    def turn_id(self) -> str:
        """The turn that runs."""
        return self.user.turn_id

    @property
    def answering(self) -> bool:
        """Whether a model has begun an answer and not said its end."""
        return self._bot.responses.open

    def _new_turn(self, turn_id: str) -> None:
        self._bot.new_turn(turn_id)

    # where the taps sit

    def install(self, worker: Any) -> None:
        """Tap every processor of the worker's pipeline once, as far as it makes frames."""
        before_output = True
        for processor in walk([worker.pipeline]):
            if isinstance(processor, BaseOutputTransport | LLMAssistantAggregator):
                before_output = False
            if processor.id in self._installed:
                continue
            self._installed.add(processor.id)
            if isinstance(processor, TTSService):
                self._install_voice(processor)
            elif isinstance(processor, LLMService):
                self._thinks = True
                processor.add_event_handler("on_before_process_frame", self._bot.asked)
                if is_speech_to_speech(processor):
                    self._install_live(processor)
                processor.add_event_handler("on_before_push_frame", self._pushed)
            elif isinstance(processor, STTService):
                self.user.recognised_by_others = True
                processor.add_event_handler("on_before_push_frame", self._pushed)
            elif isinstance(processor, LLMAssistantAggregator):
                aggregated = self._drops.watch(self._bot.tools.pairing.aggregated)
                processor.add_event_handler("on_after_process_frame", aggregated)
                processor.add_event_handler("on_after_process_frame", self._in_context)
                self.on_its_way.follow()
            elif isinstance(processor, LLMUserAggregator):
                processor.add_event_handler("on_user_turn_message_added", self._turn_in_context)
                processor.add_event_handler("on_after_process_frame", self._typed_in_context)
            elif before_output and not isinstance(processor, _PASSES_ON):
                self._install_plain(processor)
        if not self.model.watched:
            model = self.model.service
            self._bot.begin(listener="" if model is None else model.name)

    def find_live(self, processors: Iterable[FrameProcessor]) -> None:
        """Take a speech-to-speech service into care before it connects."""
        for processor in walk(processors):
            if isinstance(processor, LLMService) and is_speech_to_speech(processor):
                self.model.adopt(processor)

    def _install_voice(self, processor: TTSService) -> None:
        source = note_word_offsets(processor)
        unspoken, timeout_ms = UnspokenText(processor), self._wires.answer_timeout_ms
        if timeout_ms:
            wait_for_sound(processor, unspoken.owes, secs=timeout_ms / _MS)
        self._utterances.source = source
        processor.add_event_handler("on_tts_request", self._drops.watch(self._bot.spoken))
        processor.add_event_handler("on_before_push_frame", self._pushed)

    def _install_live(self, processor: LLMService[Any]) -> None:
        self.model.adopt(processor)
        hears = self._drops.watch(self._model_that_hears)
        processor.add_event_handler("on_before_push_frame", hears)
        self._utterances.source = _ESTIMATED

    def _install_plain(self, processor: FrameProcessor) -> None:
        def stop(frame: TTSStoppedFrame) -> None:
            self._wires.port.spawn(processor.push_frame(frame))

        self._plain[processor.id] = PlainProcessor(
            processor.name,
            stop,
            guarded=lambda work: self._drops.guarded(work, f"the end of {processor.name}'s voice"),
        )
        processor.add_event_handler("on_before_process_frame", self._given)
        processor.add_event_handler("on_before_push_frame", self._pushed)

    # what is to be kept

    def _in_context(self, _: FrameProcessor, frame: Frame) -> None:
        """The assistant's aggregator has taken a frame. A word that was let go is on its way to it
        for some turns of the loop; what is kept of the conversation meanwhile lacks it.
        """
        if isinstance(frame, _IN_CONTEXT):
            self.on_its_way.taken(frame)
            self.ahead.taken(frame)
            self._wires.changed()

    def _typed_in_context(self, _: FrameProcessor, frame: Frame) -> None:
        """The user's aggregator has taken a frame."""
        if isinstance(frame, LLMMessagesAppendFrame):
            self.ahead.taken(frame)
            self._wires.changed()

    def _turn_in_context(self, *_: Any) -> None:
        """A user's turn is in the context."""
        self._wires.changed()

    # frames

    def _handler_of(self, kind: type[Frame]) -> _Handler | None:
        """What a frame of this type is about, looked up once for each type."""
        rules: tuple[tuple[type | tuple[type, ...], _Handler], ...] = (
            ((TranscriptionFrame, InterimTranscriptionFrame), self._recognised),
            (LLMFullResponseStartFrame, self._bot.begun),
            (LLMTextFrame, self._bot.text),
            (LLMFullResponseEndFrame, self._bot.ended),
            (TTSAudioRawFrame, self._bot.audio_made),
            ((TTSStartedFrame, TTSTextFrame, TTSStoppedFrame), self._bot.alive),
            (LLMThoughtTextFrame, self._bot.alive),
            (OutputAudioRawFrame, self._bot.sounded),
            (MetricsFrame, self._bot.measured),
            (FunctionCallInProgressFrame, self._bot.tool_started),
            (FunctionCallResultFrame, lambda _, frame: self._bot.tools.result(frame)),
            (FunctionCallCancelFrame, lambda _, frame: self._bot.tools.cancelled(frame)),
            (InterruptionFrame, self._bot.interrupted),
        )
        if kind is TextFrame:
            return self._bot.text
        return next((handler for types, handler in rules if issubclass(kind, types)), None)

    def _pushed(self, processor: FrameProcessor, frame: Frame) -> None:
        """A processor is about to push a frame, its own or another one's."""
        kind = type(frame)
        try:
            handler = self._handlers[kind]
        except KeyError:
            handler = self._handlers[kind] = self._handler_of(kind)
        if handler is None:
            return
        try:
            self._tell(processor, frame, handler)
        except Exception as error:
            self._drops.tell(frame, error)

    def _tell(self, processor: FrameProcessor, frame: Frame, handler: _Handler) -> None:
        plain = self._plain.get(processor.id)
        if plain is not None:
            self._name_voice(plain, frame)
        if isinstance(frame, InterruptionFrame):
            if isinstance(processor, LLMService) or not self._thinks:
                handler(processor, frame)
            return
        if _TOLD in frame.metadata:
            return
        frame.metadata[_TOLD] = True
        twin = frame.broadcast_sibling_id
        if twin is not None and twin < frame.id:
            return  # the same, upstream
        if plain is None or not plain.rewrites(frame):
            handler(processor, frame)

    def _given(self, processor: FrameProcessor, frame: Frame) -> None:
        """A plain processor is about to process a frame."""
        self._plain[processor.id].given(frame)
        if isinstance(frame, LLMContextFrame):
            self._bot.asked(processor, frame)
        elif is_answer(frame):
            self._bot.deadline.holds(processor.name)

    def _name_voice(self, plain: PlainProcessor, frame: Frame) -> None:
        plain.voice.note(frame)
        utterances, unknown = self._utterances, wire.TimingSource.TIMING_SOURCE_UNSPECIFIED
        if isinstance(frame, TTSTextFrame) and utterances.source == unknown:
            utterances.source = _ESTIMATED

    # what comes up, and what recognisers say

    def upstream(self, frame: Frame) -> None:
        """A frame reached the input from below."""
        if isinstance(frame, ErrorFrame):
            fields = {"session": self._wires.session_id}
            _log.warning("a service failed: %s", frame.error, extra=fields)
            self._service_failed(frame)
        else:
            self.user.speech(frame)

    def _service_failed(self, frame: ErrorFrame) -> None:
        trouble = trouble_of(frame.exception or frame.error)
        self._bot.deadline.failed(str(frame.processor or ""))
        self._wires.port.emit_error(
            wire.ErrorCode.ERROR_CODE_SERVICE_FAILED,
            trouble.reason,
            subject=str(frame.processor or ""),
            retryable=trouble.retryable,
            retry_after_ms=trouble.retry_after_ms,
        )
        if self.model.service is not None and frame.processor is self.model.service:
            self.user.no_answer()

    def _recognised(
        self, processor: FrameProcessor, frame: TranscriptionFrame | InterimTranscriptionFrame
    ) -> None:
        if processor is self.model.service:
            return  # see _model_that_hears
        if self.model.service is None:
            self.user.recognised_by_others = True
        self.user.recognised(frame)

    async def _model_that_hears(self, _processor: FrameProcessor, frame: Frame) -> None:
        """A model without a recogniser and a synthesiser beside it: it does their part too."""
        self._care.turns.note(frame)
        if isinstance(frame, TranscriptionFrame):
            self.user.model_heard(frame)
        elif isinstance(frame, InterimTranscriptionFrame):
            self.user.heard_so_far(self._interim.of(frame))
