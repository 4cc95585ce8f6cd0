"""What a pipeline's frames say about tool calls, for the client, the timer and the context."""

from pipecat.frames.frames import (
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
)

from voxwire_protocol import wire
from voxwire_server.pipeline.ahead import Ahead
from voxwire_server.pipeline.answers import Answers
from voxwire_server.pipeline.pairing import Pairing
from voxwire_server.pipeline.wires import Wires

__all__ = ["ToolTaps"]

_Outcome = wire.ToolOutcome


class ToolTaps:
    """Tells of calls that begin and end, as frames leave the model.

    Args:
        wires: Of the pipeline to its session.
        answers: Waits for the answer that a call is part of.
    """

    def __init__(self, wires: Wires, answers: Answers) -> None:
        self._wires = wires
        self._answers = answers
        self.pairing = Pairing()
        """Keeps the calls in the model's context paired."""
        self.ahead = Ahead()
        """What that context has not been given yet."""

    def started(self, frame: FunctionCallInProgressFrame, response_id: str) -> None:
        """A call begins, as part of a response; empty = of none."""
        call_id = frame.tool_call_id
        self.pairing.started(call_id)
        self.ahead.started(frame)
        self._wires.turns.tool_started(call_id, self._wires.port.clock.now_ms())
        self._answers.tool_started(call_id)
        name, arguments = frame.function_name, frame.arguments
        self._wires.tools.calls.called(call_id, name, arguments, response_id=response_id)

    def result(self, frame: FunctionCallResultFrame) -> None:
        """A call has a result, or tells how far it is."""
        properties = frame.properties
        if properties is not None and not properties.is_final:
            return
        failed = bool(getattr(frame, "error", None))
        outcome = _Outcome.TOOL_OUTCOME_FAILED if failed else _Outcome.TOOL_OUTCOME_DONE
        self._ended(frame, outcome, frame.result)
        answers = properties.run_llm if properties else None
        if (frame.run_llm if answers is None else answers) is not False:
            self._wires.emit_state(self._wires.state.answer_owed())

    def cancelled(self, frame: FunctionCallCancelFrame) -> None:
        """A call was cancelled, or took too long."""
        self.pairing.cancelled(frame)
        timed_out = frame.run_llm
        self._ended(
            frame,
            _Outcome.TOOL_OUTCOME_TIMED_OUT if timed_out else _Outcome.TOOL_OUTCOME_CANCELLED,
        )

    def _ended(
        self,
        frame: FunctionCallResultFrame | FunctionCallCancelFrame,
        outcome: wire.ToolOutcome,
        result: object = None,
    ) -> None:
        wires, call_id = self._wires, frame.tool_call_id
        self.ahead.ended(frame)
        wires.turns.tool_ended(call_id, wires.port.clock.now_ms())
        self._answers.tool_ended(call_id)
        wires.tools.calls.ended_elsewhere(call_id, frame.function_name, outcome, result)
