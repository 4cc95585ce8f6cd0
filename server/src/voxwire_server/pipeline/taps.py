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
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.base_pipeline import BasePipeline
from pipecat.pipeline.pipeline import PipelineSink, PipelineSource
from pipecat.processors.aggregators.llm_response_universal import (
    LLMAssistantAggregator,
    LLMContextAggregator,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport

from voxwire_protocol import wire
from voxwire_server.outgoing import sendable
from voxwire_server.pipeline.answers import Answers
from voxwire_server.pipeline.drops import Drops
from voxwire_server.pipeline.metrics import service_metrics
from voxwire_server.pipeline.patience import wait_for_sound
from voxwire_server.pipeline.plain import PlainProcessor, is_answer
from voxwire_server.pipeline.responses import Responses
from voxwire_server.pipeline.speech_models.finder import Live, is_speech_to_speech
from voxwire_server.pipeline.tool_taps import ToolTaps
from voxwire_server.pipeline.transcripts import confidence_of, language_of, shown_text
from voxwire_server.pipeline.troubles import trouble_of
from voxwire_server.pipeline.unanswered import WordlessTurns
from voxwire_server.pipeline.unspoken import UnspokenText
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.words import note_word_offsets, walk
from voxwire_server.session.session import Session

__all__ = ["Taps"]

_log = logging.getLogger("voxwire.pipeline")
_MS: Final = 1000
_TOLD: Final = "voxwire_told"
_PASSES_ON: Final = (
    BasePipeline,
    PipelineSource,
    PipelineSink,
    BaseInputTransport,
    LLMContextAggregator,
)
"""Processors that push what others made, and nothing that the client is told of."""

_Handler = Callable[[FrameProcessor, Any], None]


class Taps:
    """Watches a pipeline's processors and tells the client what they do.

    Args:
        session: The session to tell.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.utterances: Utterances | None = None
        self._drops = Drops(session)
        self._watch = self._drops.watch
        self._wordless = WordlessTurns(session.guarded(self._no_answer))
        self._answers = Answers(session, lambda: self.turn_id)
        self._tools = ToolTaps(session, self._answers)
        self.live = Live(session, said_so_far=self._heard_so_far)
        """What a speech-to-speech service of the pipeline needs of the session."""
        self._recognises = False
        self._thinks = False
        self._turn = 0
        self._segment = 0
        self._noted = 0
        self._responses = Responses(
            session, self._response_over, owed=lambda: self._answers.deadline.voice_owes
        )
        self._answering = False
        self._installed: set[int] = set()
        self._plain: dict[int, PlainProcessor] = {}
        self._handlers: dict[type, _Handler | None] = {}

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
                processor.add_event_handler("on_before_process_frame", self._asked)
                if is_speech_to_speech(processor):
                    self._install_live(processor)
                processor.add_event_handler("on_before_push_frame", self._pushed)
            elif isinstance(processor, STTService):
                self._recognises = True
                processor.add_event_handler("on_before_push_frame", self._pushed)
            elif isinstance(processor, LLMAssistantAggregator):
                aggregated = self._watch(self._tools.pairing.aggregated)
                processor.add_event_handler("on_after_process_frame", aggregated)
            elif before_output and not isinstance(processor, _PASSES_ON):
                self._install_plain(processor)
        if not self.live.watched:
            model = self.live.service
            self._answers.begin(listener="" if model is None else model.name)

    def find_live(self, processors: Iterable[FrameProcessor]) -> None:
        """Take a speech-to-speech service into care before it connects."""
        for processor in walk(processors):
            if isinstance(processor, LLMService) and is_speech_to_speech(processor):
                self.live.adopt(processor)

    def _install_voice(self, processor: TTSService) -> None:
        source = note_word_offsets(processor)
        unspoken, timeout_ms = UnspokenText(processor), self._session.settings.answer_timeout_ms
        if timeout_ms:
            wait_for_sound(processor, unspoken.owes, secs=timeout_ms / _MS)
        if self.utterances is not None:
            self.utterances.source = source
        processor.add_event_handler("on_tts_request", self._watch(self._spoken))
        processor.add_event_handler("on_before_push_frame", self._pushed)

    def _install_live(self, processor: LLMService[Any]) -> None:
        self.live.adopt(processor)
        hears = self._watch(self._model_that_hears)
        processor.add_event_handler("on_before_push_frame", hears)
        if self.utterances is not None:
            self.utterances.source = wire.TimingSource.TIMING_SOURCE_ESTIMATED

    def _install_plain(self, processor: FrameProcessor) -> None:
        def stop(frame: TTSStoppedFrame) -> None:
            self._session.spawn(processor.push_frame(frame))

        self._plain[processor.id] = PlainProcessor(
            processor.name,
            stop,
            guarded=lambda work: self._drops.guarded(work, f"the end of {processor.name}'s voice"),
        )
        processor.add_event_handler("on_before_process_frame", self._given)
        processor.add_event_handler("on_before_push_frame", self._pushed)

    # frames

    def _handler_of(self, kind: type[Frame]) -> _Handler | None:
        """What a frame of this type is about, looked up once for each type."""
        rules: tuple[tuple[type | tuple[type, ...], _Handler], ...] = (
            ((TranscriptionFrame, InterimTranscriptionFrame), self._recognised),
            (LLMFullResponseStartFrame, self._response_started),
            (LLMTextFrame, self._response_text),
            (LLMFullResponseEndFrame, self._response_ended),
            (TTSAudioRawFrame, self._audio_made),
            ((TTSStartedFrame, TTSTextFrame, TTSStoppedFrame), self._alive),
            (LLMThoughtTextFrame, self._alive),
            (OutputAudioRawFrame, self._sounded),
            (MetricsFrame, self._metrics),
            (FunctionCallInProgressFrame, self._tool_started),
            (FunctionCallResultFrame, lambda _, frame: self._tools.result(frame)),
            (FunctionCallCancelFrame, lambda _, frame: self._tools.cancelled(frame)),
            (InterruptionFrame, self._interrupted),
        )
        if kind is TextFrame:
            return self._response_text
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
            self._asked(processor, frame)
        elif is_answer(frame):
            self._answers.deadline.holds(processor.name)

    def _name_voice(self, plain: PlainProcessor, frame: Frame) -> None:
        plain.voice.note(frame)
        utterances, unknown = self.utterances, wire.TimingSource.TIMING_SOURCE_UNSPECIFIED
        if isinstance(frame, TTSTextFrame) and utterances and utterances.source == unknown:
            utterances.source = wire.TimingSource.TIMING_SOURCE_ESTIMATED

    def _alive(self, _: FrameProcessor, __: Frame) -> None:
        self._answers.deadline.sign()

    @property
    def turn_id(self) -> str:
        """The turn that runs."""
        return f"t{self._turn}"

    @property
    def answering(self) -> bool:
        """Whether a model has begun an answer and not said its end."""
        return self._responses.open

    def _next_turn(self) -> None:
        self._turn += 1
        self._answering = False
        self._answers.clear()
        if self.utterances is not None:
            self.utterances.turn_id = self.turn_id

    # the user

    def upstream(self, frame: Frame) -> None:
        """A frame reached the input from below."""
        session = self._session
        if isinstance(frame, UserStartedSpeakingFrame):
            self._next_turn()
            self._wordless.started()
            session.emit_state(session.state.user_started())
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            session.turns.speech_started()
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            now = session.now_ms()
            stopped = now - frame.stop_secs * _MS
            session.turns.speech_ended(stopped, now, session.voice.end(stopped, now))
        elif isinstance(frame, UserStoppedSpeakingFrame):
            session.emit_state(session.state.user_stopped())
            if self._recognises:  # a model that hears by itself brings no transcript
                self._wordless.stopped()
        elif isinstance(frame, ErrorFrame):
            _log.warning("a service failed: %s", frame.error, extra={"session": session.id})
            self._service_failed(frame)

    def _service_failed(self, frame: ErrorFrame) -> None:
        trouble = trouble_of(frame.exception or frame.error)
        self._answers.deadline.failed(str(frame.processor or ""))
        self._session.emit_error(
            wire.ErrorCode.ERROR_CODE_SERVICE_FAILED,
            trouble.reason,
            subject=str(frame.processor or ""),
            retryable=trouble.retryable,
            retry_after_ms=trouble.retry_after_ms,
        )
        if self.live.service is not None and frame.processor is self.live.service:
            self._no_answer()

    def _no_answer(self) -> None:
        if not self._session.over:
            self._session.emit_state(self._session.state.answer_dropped())

    def user_typed(self, text: str) -> None:
        """The user typed ``text``."""
        self._wordless.words()
        self._next_turn()
        self._segment += 1
        self._transcript(text, final=True, typed=True)

    def user_noted(self, text: str) -> None:
        """The user typed ``text`` that nobody is to answer: a turn beside the one that runs."""
        self._noted += 1
        name = f"n{self._noted}"
        self._session.emit(
            transcript=wire.Transcript(
                transcript_id=name, text=text, final=True, turn_id=name, typed=True
            )
        )

    def _recognised(self, processor: FrameProcessor, frame: Frame) -> None:
        if processor is self.live.service:
            return  # see _model_that_hears
        self._recognises = self._recognises or self.live.service is None
        self._wordless.words()
        if isinstance(frame, InterimTranscriptionFrame | TranscriptionFrame):
            frame.text = sendable(frame.text)
        if isinstance(frame, InterimTranscriptionFrame):
            self._transcript(frame.text, final=False, heard=frame)
        elif isinstance(frame, TranscriptionFrame):
            self._session.turns.transcribed(self._session.now_ms())
            self._transcript(shown_text(frame), final=True, heard=frame)

    async def _model_that_hears(self, _processor: FrameProcessor, frame: Frame) -> None:
        """A model without a recogniser and a synthesiser beside it: it does their part too."""
        self.live.turns.note(frame)
        if isinstance(frame, TranscriptionFrame):
            self._transcript(frame.text.strip(), final=True, heard=frame)
        elif isinstance(frame, InterimTranscriptionFrame):
            self._heard_so_far(self.live.interim(frame))

    def _heard_so_far(self, text: str) -> None:
        if text.strip():
            self._transcript(text.strip(), final=False)

    def _transcript(
        self,
        text: str,
        *,
        final: bool,
        typed: bool = False,
        heard: TranscriptionFrame | InterimTranscriptionFrame | None = None,
    ) -> None:
        self._session.emit(
            transcript=wire.Transcript(
                transcript_id=f"s{self._segment}",
                text=sendable(text),
                final=final,
                turn_id=self.turn_id,
                typed=typed,
                language=language_of(heard) if heard else "",
                confidence=confidence_of(heard) if heard else None,
            )
        )
        if final:
            self._segment += 1

    # the model

    def _asked(self, processor: FrameProcessor, frame: Frame) -> None:
        if isinstance(frame, LLMContextFrame):
            self._session.turns.asked(self._session.now_ms())
            self._answers.deadline.asked(processor.name)

    def _response_started(self, processor: FrameProcessor, frame: Frame) -> None:
        session = self._session
        self._answering = True
        self._responses.start(self.turn_id, endless=isinstance(frame, TextFrame))
        if self.utterances is not None:
            self.utterances.response_id = self._responses.response_id
        self._wordless.words()
        self._answers.deadline.begun(processor.name)
        session.emit_state(session.state.response_started())

    def _response_text(self, processor: FrameProcessor, frame: TextFrame) -> None:
        if not self._responses.open:  # one who says neither when it begins nor when it ends
            self._response_started(processor, frame)
        self._answers.deadline.sign()
        frame.text = sendable(frame.text)
        self._responses.text(frame.text)

    def _response_ended(self, _: FrameProcessor, __: Frame) -> None:
        self._responses.end()
        self._answers.deadline.ended()

    def _response_over(self) -> None:
        self._answers.deadline.ended()
        self._session.emit_state(self._session.state.response_ended())

    def _interrupted(self, _: FrameProcessor, __: Frame) -> None:
        self._responses.end()
        self._answers.clear()
        self._session.tools.interrupted()

    def _tool_started(self, _: FrameProcessor, frame: FunctionCallInProgressFrame) -> None:
        # a model may call without announcing a response; the one before is another turn's
        self._tools.started(frame, self._responses.response_id if self._answering else "")

    # the voice

    async def _spoken(self, processor: FrameProcessor, context: str, __: str) -> None:
        self._session.turns.text_taken(context, self._session.now_ms())
        self._answers.deadline.text_taken(processor.name, context)

    def _audio_made(self, _: FrameProcessor, frame: TTSAudioRawFrame) -> None:
        context = frame.context_id or ""
        self._session.turns.audio_made(context, self._session.now_ms())
        self._answers.deadline.sounded(context)

    def _sounded(self, _: FrameProcessor, __: Frame) -> None:
        """Sound that is no speech: an answer, too, to whoever asked."""
        self._answers.deadline.answered()

    # metrics

    def _metrics(self, _: FrameProcessor, frame: MetricsFrame) -> None:
        self._answers.deadline.sign()
        metrics = service_metrics(frame)
        if metrics:
            self._session.emit(service_metrics=wire.ServiceMetrics(metrics=metrics))
