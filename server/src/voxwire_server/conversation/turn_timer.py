"""How long the user waited for an answer, and for what (``protocol/spec/metrics.md``).

Pure: times are arguments, milliseconds of one monotonic clock; positions are on the media clock.
"""

from dataclasses import dataclass, field
from typing import Final

from voxwire_protocol import wire
from voxwire_server.pcm import first_sound_ms
from voxwire_server.ports import VoiceEnd

__all__ = ["TurnTimer"]

_REPORTED: Final = wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
_SERVER: Final = wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK


@dataclass(slots=True)
class _Question:
    """What the bot was asked, and how far its pipeline is with the answer."""

    vad_ended_ms: float | None = None
    stopped_ms: float = 0.0
    decided_ms: float = 0.0
    capture_ms: float | None = None
    typed: bool = False
    transcribed_ms: float | None = None
    asked_ms: float | None = None
    texts: dict[str, tuple[float, float | None]] = field(
        default_factory=dict[str, tuple[float, float | None]]
    )
    """When the first text of a context was spoken, and the time in tools until then."""
    audio: dict[str, float] = field(default_factory=dict[str, float])
    """When the first audio of a context was made."""

    @property
    def waits(self) -> bool:
        """True when the user has said something and waits for the answer."""
        return self.vad_ended_ms is not None


@dataclass(slots=True)
class _Answer:
    """The first utterance that answers."""

    turn_id: str
    context: str
    placed_ms: float
    start_ms: float
    audible_ms: float | None = None
    playing: bool = False


class TurnTimer:
    """Follows one turn after the other: speech ended, model asked, answer made, placed, heard."""

    def __init__(self) -> None:
        self._question = _Question()
        self._answer: _Answer | None = None
        self._tools: set[str] = set()
        self._tools_since_ms = 0.0
        self._tools_ms: float | None = None

    # the user

    def speech_started(self) -> None:
        """The user speaks (again): what was measured does not count."""
        self.drop()

    def drop(self) -> None:
        """No answer is measured until the user asks again."""
        self._question, self._answer = _Question(), None
        self._tools.clear()
        self._tools_ms = None

    def speech_ended(self, at_ms: float, now_ms: float, voice: VoiceEnd | None = None) -> None:
        """The user's voice ended.

        Args:
            at_ms: When, by the VAD's account: its own delay subtracted.
            now_ms: When the VAD decided so.
            voice: Where it ended in the audio, if that shows it.
        """
        question = self._question
        question.vad_ended_ms = at_ms
        question.decided_ms = now_ms
        question.stopped_ms = min(at_ms if voice is None else voice.at_ms, now_ms)
        question.capture_ms = None if voice is None else voice.capture_ms
        self._answer = None

    def typed(self, at_ms: float) -> None:
        """The user's text came at ``at_ms``; what the bot said before it has been cut off."""
        self.drop()
        question = self._question
        question.vad_ended_ms = question.stopped_ms = question.decided_ms = at_ms
        question.transcribed_ms = at_ms
        question.typed = True

    def transcribed(self, now_ms: float) -> None:
        """A final transcript left the recogniser."""
        if self._question.asked_ms is None:
            self._question.transcribed_ms = now_ms

    # the pipeline

    def asked(self, now_ms: float) -> None:
        """The context reached the language model."""
        if self._question.asked_ms is None:
            self._question.asked_ms = now_ms

    def tool_started(self, call_id: str, now_ms: float) -> None:
        """A tool call left the model."""
        if not self._question.waits:
            return
        if not self._tools:
            self._tools_since_ms = now_ms
        self._tools.add(call_id)

    def tool_ended(self, call_id: str, now_ms: float) -> None:
        """A tool call has its result, or was cancelled."""
        if call_id in self._tools:
            self._tools.discard(call_id)
            if not self._tools:
                self._tools_ms = (self._tools_ms or 0.0) + now_ms - self._tools_since_ms

    def _in_tools_ms(self, now_ms: float) -> float | None:
        if not self._tools:
            return self._tools_ms
        return (self._tools_ms or 0.0) + now_ms - self._tools_since_ms

    def text_taken(self, context: str, now_ms: float) -> None:
        """The synthesiser begins to speak a text of ``context``."""
        if self._follows and context not in self._question.texts:
            self._question.texts[context] = (now_ms, self._in_tools_ms(now_ms))

    def audio_made(self, context: str, now_ms: float) -> None:
        """Audio of ``context`` left the synthesiser, or a model that speaks by itself."""
        if self._follows:
            self._question.audio.setdefault(context, now_ms)

    @property
    def _follows(self) -> bool:
        return self._question.waits and self._answer is None

    # the bot's voice

    def bot_placed(self, context: str, start_ms: float, now_ms: float, turn_id: str) -> None:
        """The first audio of an utterance was handed to the path, to stand at ``start_ms``."""
        if self._follows:
            self._answer = _Answer(turn_id, context, now_ms, start_ms)

    def sound(self, pcm: bytes, start_ms: float, sample_rate: int) -> float | None:
        """Audio was placed: int16 little-endian mono PCM from ``start_ms`` on.

        Returns:
            Position of the answer's first audible sample, once: where it is found.
        """
        answer = self._answer
        if answer is None or answer.audible_ms is not None:
            return None
        offset_ms = first_sound_ms(pcm, sample_rate)
        if offset_ms is None:
            return None
        answer.audible_ms = start_ms + offset_ms
        return answer.audible_ms

    def cut(self) -> None:
        """The bot was cut off: an answer that nobody has heard yet will not be heard."""
        if self._answer is not None:
            self.drop()

    def reported(self, media_ms: float, at_ms: float, *, playing: bool) -> wire.TurnMetrics | None:
        """The client reported that at ``at_ms`` its speaker was at ``media_ms``.

        Returns:
            What to tell the client, once a turn; None for everything else.
        """
        answer = self._answer
        if answer is None or answer.audible_ms is None:
            return None
        answer.playing = answer.playing or playing
        if media_ms < answer.audible_ms or not answer.playing:
            return None
        return self._heard(answer, at_ms - (media_ms - answer.audible_ms), _REPORTED)

    def reached(self, now_ms: float) -> wire.TurnMetrics | None:
        """By the server's clock, without reports, the first audible sample is heard now."""
        answer = self._answer
        if answer is None or answer.audible_ms is None:
            return None
        return self._heard(answer, now_ms, _SERVER)

    # the figures

    def _heard(self, answer: _Answer, at_ms: float, source: wire.HeardSource) -> wire.TurnMetrics:
        question, zero = self._question, self._question.stopped_ms
        audible = answer.start_ms if answer.audible_ms is None else answer.audible_ms
        text = question.texts.get(answer.context)
        metrics = wire.TurnMetrics(
            turn_id=answer.turn_id,
            response_ms=max(0, round(answer.placed_ms - (question.vad_ended_ms or 0.0))),
            typed=question.typed,
            heard_source=source,
            first_audio_media_ms=round(answer.start_ms),
            user_stopped_server_us=max(0, int(zero * 1000)),
        )
        if question.capture_ms is not None:
            metrics.user_stopped_capture_ms = round(question.capture_ms)
        audio = question.audio.get(answer.context)
        ends: dict[str, float | None] = {
            "vad_ms": question.decided_ms,
            "stt_ms": question.transcribed_ms,
            "turn_ms": question.asked_ms,
            "llm_ms": audio if text is None else text[0],
            "tts_ms": None if text is None else audio,
            "output_ms": answer.placed_ms,
            "playout_delay_ms": at_ms - (audible - answer.start_ms),
            "lead_silence_ms": at_ms,
        }
        at_ms = max(at_ms, answer.placed_ms)
        total = before = 0
        for name, end in ends.items():
            if end is not None:
                total = max(before, round(min(end, at_ms) - zero))
                setattr(metrics, name, total - before)
                before = total
        metrics.total_ms = total
        self._share_with_tools(metrics, text[1] if text else self._in_tools_ms(audio or at_ms))
        self.drop()
        return metrics

    def _share_with_tools(self, metrics: wire.TurnMetrics, tools_ms: float | None) -> None:
        if tools_ms is not None and metrics.HasField("llm_ms"):
            metrics.tool_ms = min(max(0, round(tools_ms)), metrics.llm_ms)
            metrics.llm_ms -= metrics.tool_ms
