"""What the user says and types, as the client is told: turns, and transcripts of them."""

from collections.abc import Callable
from typing import Final

from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    UserMuteStartedFrame,
    UserMuteStoppedFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from voxwire_protocol import wire
from voxwire_server.outgoing import sendable
from voxwire_server.pipeline.transcripts import confidence_of, language_of, shown_text
from voxwire_server.pipeline.unanswered import WordlessTurns
from voxwire_server.pipeline.wires import Wires

__all__ = ["UserTaps"]

_MS: Final = 1000

_Heard = TranscriptionFrame | InterimTranscriptionFrame


class UserTaps:
    """Follows the user's side of a conversation.

    Args:
        wires: Of the pipeline to its session.
        new_turn: Called when a turn begins, with its name.
    """

    def __init__(self, wires: Wires, *, new_turn: Callable[[str], None]) -> None:
        self._wires = wires
        self._new_turn = new_turn
        self._wordless = WordlessTurns(wires.port.clock, self.no_answer)
        self.recognised_by_others = False
        """Whether a recogniser tells what the user said; a model that hears by itself is none."""
        self._turn = 0
        self._segment = 0
        self._noted = 0

    @property
    def turn_id(self) -> str:
        """The turn that runs."""
        return f"t{self._turn}{self._wires.mark}"

    def _next_turn(self) -> None:
        self._turn += 1
        self._new_turn(self.turn_id)

    def speech(self, frame: Frame) -> None:
        """A frame that says when the user speaks, or may, came up through the pipeline."""
        wires = self._wires
        if isinstance(frame, UserStartedSpeakingFrame):
            self._next_turn()
            self._wordless.started()
            wires.emit_state(wires.state.user_started())
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            wires.turns.speech_started()
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            now = wires.port.clock.now_ms()
            stopped = now - frame.stop_secs * _MS
            wires.turns.speech_ended(stopped, now, wires.speech_end.end(stopped, now))
        elif isinstance(frame, UserStoppedSpeakingFrame):
            wires.emit_state(wires.state.user_stopped())
            if self.recognised_by_others:  # a model that hears by itself brings no transcript
                self._wordless.stopped()
        elif isinstance(frame, UserMuteStartedFrame | UserMuteStoppedFrame):
            muted = isinstance(frame, UserMuteStartedFrame)
            wires.emit_state(wires.state.muted(muted=muted))

    def no_answer(self) -> None:
        """No answer will come to what the user said last."""
        if not self._wires.over():
            self._wires.emit_state(self._wires.state.answer_dropped())

    def answered(self) -> None:
        """A model answers: the user's turn is not empty."""
        self._wordless.words()

    # what was said

    def typed(self, text: str) -> None:
        """The user typed ``text``."""
        self._wordless.words()
        self._next_turn()
        self._segment += 1
        self._transcript(text, final=True, typed=True)

    def sent(self, text: str) -> None:
        """The user sent a file and, unless it is empty, ``text`` beside it."""
        if text:
            self.typed(text)
        else:
            self._wordless.words()
            self._next_turn()

    def noted(self, text: str) -> None:
        """The user typed ``text`` that nobody is to answer: a turn beside the one that runs."""
        self._noted += 1
        name = f"n{self._noted}{self._wires.mark}"
        self._wires.port.emit(
            transcript=wire.Transcript(
                transcript_id=name, text=text, final=True, turn_id=name, typed=True
            )
        )

    def recognised(self, frame: _Heard) -> None:
        """A recogniser has a transcript."""
        self._wordless.words()
        frame.text = sendable(frame.text)
        if isinstance(frame, InterimTranscriptionFrame):
            self._transcript(frame.text, final=False, heard=frame)
        else:
            self._wires.turns.transcribed(self._wires.port.clock.now_ms())
            self._transcript(shown_text(frame), final=True, heard=frame)

    def model_heard(self, frame: TranscriptionFrame) -> None:
        """A model that hears by itself says what it has heard."""
        self._transcript(frame.text.strip(), final=True, heard=frame)

    def heard_so_far(self, text: str) -> None:
        """What such a model has heard of a sentence so far."""
        if text.strip():
            self._transcript(text.strip(), final=False)

    def _transcript(
        self, text: str, *, final: bool, typed: bool = False, heard: _Heard | None = None
    ) -> None:
        self._wires.port.emit(
            transcript=wire.Transcript(
                transcript_id=f"s{self._segment}{self._wires.mark}",
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
