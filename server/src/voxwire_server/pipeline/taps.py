"""Pipeline frames become events for the client.

Taps sit on the services themselves (Pipecat's ``on_before_push_frame``), never on the audio's way
through every processor, so they cost nothing where nothing happens.
"""

import logging
from collections.abc import Iterable
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
    MetricsFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import (
    LLMUsageMetricsData,
    ProcessingMetricsData,
    TTFBMetricsData,
    TTSUsageMetricsData,
)
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from voxwire_protocol import wire
from voxwire_server.pipeline.live import Live, is_speech_to_speech
from voxwire_server.pipeline.pairing import Pairing
from voxwire_server.pipeline.transcripts import confidence_of, language_of, shown_text
from voxwire_server.pipeline.troubles import trouble_of
from voxwire_server.pipeline.unanswered import WordlessTurns
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.words import note_word_offsets, walk
from voxwire_server.session.session import Session

__all__ = ["Taps"]

_log = logging.getLogger("voxwire.pipeline")
_Outcome = wire.ToolOutcome
_MS: Final = 1000


class Taps:
    """Watches a pipeline's services and tells the client what they do.

    Args:
        session: The session to tell.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.utterances: Utterances | None = None
        self._pairing = Pairing()
        self._wordless = WordlessTurns(self._no_answer)
        self.live = Live(session, said_so_far=self._heard_so_far)
        """What a speech-to-speech service of the pipeline needs of the session."""
        self._recognises = False
        self._turn = 0
        self._segment = 0
        self._response = 0
        self._answering = False
        self._installed: set[int] = set()

    def install(self, worker: Any) -> None:
        """Tap every service of the worker's pipeline once."""
        for processor in walk([worker.pipeline]):
            if processor.id in self._installed:
                continue
            self._installed.add(processor.id)
            if isinstance(processor, TTSService):
                source = note_word_offsets(processor)
                if self.utterances is not None:
                    self.utterances.source = source
                processor.add_event_handler("on_tts_request", self._spoken)
                processor.add_event_handler("on_before_push_frame", self._tts)
            elif isinstance(processor, LLMService):
                processor.add_event_handler("on_before_process_frame", self._asked)
                if is_speech_to_speech(processor):
                    self._install_live(processor)
                processor.add_event_handler("on_before_push_frame", self._llm)
            elif isinstance(processor, STTService):
                self._recognises = True
                processor.add_event_handler("on_before_push_frame", self._stt)
            elif isinstance(processor, LLMAssistantAggregator):
                processor.add_event_handler("on_after_process_frame", self._pairing.aggregated)

    def find_live(self, processors: Iterable[FrameProcessor]) -> None:
        """Take a speech-to-speech service into care before it connects."""
        for processor in walk(processors):
            if isinstance(processor, LLMService) and is_speech_to_speech(processor):
                self.live.adopt(processor)

    def _install_live(self, processor: LLMService[Any]) -> None:
        self.live.adopt(processor)
        processor.add_event_handler("on_before_push_frame", self._model_that_hears)
        if self.utterances is not None:
            self.utterances.source = wire.TimingSource.TIMING_SOURCE_ESTIMATED

    @property
    def turn_id(self) -> str:
        """The turn that runs."""
        return f"t{self._turn}"

    def _next_turn(self) -> None:
        self._turn += 1
        self._answering = False
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

    async def _stt(self, processor: FrameProcessor, frame: Frame) -> None:
        if isinstance(frame, InterimTranscriptionFrame | TranscriptionFrame):
            self._wordless.words()
        if isinstance(frame, InterimTranscriptionFrame):
            self._transcript(frame.text, final=False, heard=frame)
        elif isinstance(frame, TranscriptionFrame):
            self._session.turns.transcribed(self._session.now_ms())
            self._transcript(shown_text(frame), final=True, heard=frame)
        elif isinstance(frame, MetricsFrame):
            await self._metrics(processor, frame)

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
                text=text,
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

    async def _asked(self, _: FrameProcessor, frame: Frame) -> None:
        if isinstance(frame, LLMContextFrame):
            self._session.turns.asked(self._session.now_ms())

    async def _llm(self, processor: FrameProcessor, frame: Frame) -> None:
        session = self._session
        if isinstance(frame, LLMTextFrame):
            session.emit(response_text=wire.ResponseText(response_id=self._rid(), text=frame.text))
        elif isinstance(frame, LLMFullResponseStartFrame):
            self._response += 1
            self._answering = True
            if self.utterances is not None:
                self.utterances.response_id = self._rid()
            session.emit(
                response_started=wire.ResponseStarted(response_id=self._rid(), turn_id=self.turn_id)
            )
            self._wordless.words()
            session.emit_state(session.state.response_started())
        elif isinstance(frame, LLMFullResponseEndFrame):
            session.emit(response_ended=wire.ResponseEnded(response_id=self._rid()))
        elif isinstance(frame, MetricsFrame):
            await self._metrics(processor, frame)
        elif isinstance(frame, TTSAudioRawFrame):  # a model that speaks by itself
            self._audio_made(frame)
        else:
            self._tool(frame)

    def _rid(self) -> str:
        return f"r{self._response}"

    # tools

    def _tool(self, frame: Frame) -> None:
        reports = self._session.tools.reports
        if isinstance(frame, FunctionCallInProgressFrame):
            self._pairing.started(frame.tool_call_id)
            self._session.turns.tool_started(frame.tool_call_id, self._session.now_ms())
            name, arguments = frame.function_name, frame.arguments
            # a model may call without announcing a response; the one before is another turn's
            response_id = self._rid() if self._answering else ""
            reports.started(frame.tool_call_id, name, arguments, response_id=response_id)
        elif isinstance(frame, FunctionCallResultFrame):
            properties = frame.properties
            if properties is None or properties.is_final:
                self._session.turns.tool_ended(frame.tool_call_id, self._session.now_ms())
                failed = bool(getattr(frame, "error", None))
                outcome = _Outcome.TOOL_OUTCOME_FAILED if failed else _Outcome.TOOL_OUTCOME_DONE
                reports.ended(frame.tool_call_id, outcome, frame.result)
                answers = properties.run_llm if properties else None
                if (frame.run_llm if answers is None else answers) is not False:
                    self._session.emit_state(self._session.state.answer_owed())
        elif isinstance(frame, FunctionCallCancelFrame):
            self._pairing.cancelled(frame)
            self._session.turns.tool_ended(frame.tool_call_id, self._session.now_ms())
            timed_out, kinds = frame.run_llm, _Outcome
            reports.ended(
                frame.tool_call_id,
                kinds.TOOL_OUTCOME_TIMED_OUT if timed_out else kinds.TOOL_OUTCOME_CANCELLED,
            )
        elif isinstance(frame, InterruptionFrame):
            self._session.tools.interrupted()

    # the voice

    async def _spoken(self, _: FrameProcessor, context: str, __: str) -> None:
        self._session.turns.text_taken(context, self._session.now_ms())

    async def _tts(self, processor: FrameProcessor, frame: Frame) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            self._audio_made(frame)
        else:
            await self._metrics(processor, frame)

    def _audio_made(self, frame: TTSAudioRawFrame) -> None:
        self._session.turns.audio_made(frame.context_id or "", self._session.now_ms())

    # metrics

    async def _metrics(self, processor: FrameProcessor, frame: Frame) -> None:
        if isinstance(frame, MetricsFrame):
            metrics = [m for data in frame.data for m in _service_metrics(data)]
            if metrics:
                self._session.emit(service_metrics=wire.ServiceMetrics(metrics=metrics))


def _service_metrics(data: Any) -> list[wire.ServiceMetric]:
    """Pipecat's metrics (seconds) as ours (milliseconds)."""
    kind = wire.MetricKind
    if isinstance(data, TTFBMetricsData):
        pairs = [(kind.METRIC_KIND_TTFB, data.value * _MS)]
    elif isinstance(data, ProcessingMetricsData):
        pairs = [(kind.METRIC_KIND_PROCESSING, data.value * _MS)]
    elif isinstance(data, LLMUsageMetricsData):
        pairs = [
            (kind.METRIC_KIND_PROMPT_TOKENS, float(data.value.prompt_tokens)),
            (kind.METRIC_KIND_COMPLETION_TOKENS, float(data.value.completion_tokens)),
        ]
    elif isinstance(data, TTSUsageMetricsData):
        pairs = [(kind.METRIC_KIND_TTS_CHARACTERS, float(data.value))]
    else:
        pairs = []
    return [
        wire.ServiceMetric(kind=k, processor=data.processor, model=data.model or "", value=v)
        for k, v in pairs
        if v
    ]
