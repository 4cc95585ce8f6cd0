"""What the bot writes, calls and says, as the client is told, and as its deadline follows it."""

from pipecat.frames.frames import (
    Frame,
    FunctionCallInProgressFrame,
    LLMContextFrame,
    MetricsFrame,
    TextFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameProcessor

from voxwire_protocol import wire
from voxwire_server.outgoing import sendable
from voxwire_server.pipeline.answers import Answers, Interrupt
from voxwire_server.pipeline.metrics import service_metrics
from voxwire_server.pipeline.responses import Responses
from voxwire_server.pipeline.tool_taps import ToolTaps
from voxwire_server.pipeline.user_taps import UserTaps
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.wires import Wires

__all__ = ["AnswerTaps"]


class AnswerTaps:
    """Follows the bot's side of a conversation, up to its voice.

    Args:
        wires: Of the pipeline to its session.
        utterances: Are told which turn and response they are part of.
        user: The user's side.
        interrupt: Cuts the bot off, when an answer does not come in time.
    """

    def __init__(
        self,
        wires: Wires,
        *,
        utterances: Utterances,
        user: UserTaps,
        interrupt: Interrupt,
    ) -> None:
        self._wires = wires
        self._utterances = utterances
        self._user = user
        self.answers = Answers(wires, turn_id=lambda: user.turn_id, interrupt=interrupt)
        self.deadline = self.answers.deadline
        self.tools = ToolTaps(wires, self.answers)
        self.responses = Responses(
            wires.port,
            ended=self._response_over,
            owed=lambda: self.deadline.voice_owes,
            over=wires.over,
            mark=wires.mark,
        )
        self._of_this_turn = False

    def begin(self, *, listener: str) -> None:
        """The pipeline has started.

        Args:
            listener: Name of a model that hears by itself; empty = there is none.
        """
        self.answers.begin(listener=listener)

    def new_turn(self, turn_id: str) -> None:
        """The user has the word: what was asked before is not answered any more."""
        self._of_this_turn = False
        self.answers.clear()
        self._utterances.turn_id = turn_id

    # the model

    def asked(self, processor: FrameProcessor, frame: Frame) -> None:
        """A model is about to process a frame; a context asks it for an answer."""
        if isinstance(frame, LLMContextFrame):
            self._wires.turns.asked(self._now())
            self.deadline.asked(processor.name)

    def begun(self, processor: FrameProcessor, frame: Frame) -> None:
        """A response begins; with a bare text nobody will say its end."""
        self._of_this_turn = True
        self.responses.start(self._user.turn_id, endless=isinstance(frame, TextFrame))
        self._utterances.response_id = self.responses.response_id
        self._user.answered()
        self.deadline.begun(processor.name)
        self._wires.emit_state(self._wires.state.response_started())

    def text(self, processor: FrameProcessor, frame: TextFrame) -> None:
        """A response goes on."""
        if not self.responses.open:  # one who says neither when it begins nor when it ends
            self.begun(processor, frame)
        self.deadline.sign()
        frame.text = sendable(frame.text)
        self.responses.text(frame.text)

    def ended(self, _: FrameProcessor, __: Frame) -> None:
        """The model has written all of its response."""
        self.responses.end()
        self.deadline.ended()

    def _response_over(self) -> None:
        self.deadline.ended()
        self._wires.emit_state(self._wires.state.response_ended())

    def interrupted(self, _: FrameProcessor, __: Frame) -> None:
        """The bot was cut off."""
        self.responses.end()
        self.answers.clear()
        self._wires.tools.calls.interrupted()

    def tool_started(self, _: FrameProcessor, frame: FunctionCallInProgressFrame) -> None:
        """The model calls a tool."""
        # a model may call without announcing a response; the one before is another turn's
        self.tools.started(frame, self.responses.response_id if self._of_this_turn else "")

    # the voice

    async def spoken(self, processor: FrameProcessor, context: str, __: str) -> None:
        """A synthesiser begins to speak a text of a context."""
        self._wires.turns.text_taken(context, self._now())
        self.deadline.text_taken(processor.name, context)

    def audio_made(self, _: FrameProcessor, frame: TTSAudioRawFrame) -> None:
        """Audio of a context left whoever speaks."""
        context = frame.context_id or ""
        self._wires.turns.audio_made(context, self._now())
        self.deadline.sounded(context)

    def sounded(self, _: FrameProcessor, __: Frame) -> None:
        """Sound that is no speech: an answer, too, to whoever asked."""
        self.deadline.answered()

    def alive(self, _: FrameProcessor, __: Frame) -> None:
        """Whoever answers is at it."""
        self.deadline.sign()

    # metrics

    def measured(self, _: FrameProcessor, frame: MetricsFrame) -> None:
        """A service tells how long it took."""
        self.deadline.sign()
        metrics = service_metrics(frame)
        if metrics:
            self._wires.port.emit(service_metrics=wire.ServiceMetrics(metrics=metrics))

    def _now(self) -> float:
        return self._wires.port.clock.now_ms()
