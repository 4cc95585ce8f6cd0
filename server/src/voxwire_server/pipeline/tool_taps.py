"""What a pipeline's frames say about tool calls, for the client, the timer and the context."""

from pipecat.frames.frames import (
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
)

from voxwire_protocol import wire
from voxwire_server.pipeline.answers import Answers
from voxwire_server.pipeline.pairing import Pairing
from voxwire_server.session.session import Session

__all__ = ["ToolTaps"]

_Outcome = wire.ToolOutcome


class ToolTaps:
    """Tells of calls that begin and end, as frames leave the model.

    Args:
        session: The session to tell.
        answers: Waits for the answer that a call is part of.
    """

    def __init__(self, session: Session, answers: Answers) -> None:
        self._session = session
        self._answers = answers
        self.pairing = Pairing()
        """Keeps the calls in the model's context paired."""

    def started(self, frame: FunctionCallInProgressFrame, response_id: str) -> None:
        """A call begins, as part of a response; empty = of none."""
        call_id = frame.tool_call_id
        self.pairing.started(call_id)
        self._session.turns.tool_started(call_id, self._session.now_ms())
        self._answers.tool_started(call_id)
        reports = self._session.tools.reports
        reports.started(call_id, frame.function_name, frame.arguments, response_id=response_id)

    def result(self, frame: FunctionCallResultFrame) -> None:
        """A call has a result, or tells how far it is."""
        properties = frame.properties
        if properties is not None and not properties.is_final:
            return
        self._over(frame.tool_call_id)
        failed = bool(getattr(frame, "error", None))
        outcome = _Outcome.TOOL_OUTCOME_FAILED if failed else _Outcome.TOOL_OUTCOME_DONE
        self._session.tools.reports.ended(frame.tool_call_id, outcome, frame.result)
        answers = properties.run_llm if properties else None
        if (frame.run_llm if answers is None else answers) is not False:
            self._session.emit_state(self._session.state.answer_owed())

    def cancelled(self, frame: FunctionCallCancelFrame) -> None:
        """A call was cancelled, or took too long."""
        self.pairing.cancelled(frame)
        self._over(frame.tool_call_id)
        self._session.tools.reports.ended(
            frame.tool_call_id,
            _Outcome.TOOL_OUTCOME_TIMED_OUT if frame.run_llm else _Outcome.TOOL_OUTCOME_CANCELLED,
        )

    def _over(self, call_id: str) -> None:
        self._session.turns.tool_ended(call_id, self._session.now_ms())
        self._answers.tool_ended(call_id)
