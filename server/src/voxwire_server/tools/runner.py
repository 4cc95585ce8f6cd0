"""Runs tools: the client's by asking it, the server's own as tasks of the session."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.event_enums import ToolOutcome
from voxwire_protocol.tool_spec import ToolSpec
from voxwire_protocol.tools import CallError, Executor, OnInterruption
from voxwire_server.ports import SessionPort
from voxwire_server.tools.calls import Calls, Waiting
from voxwire_server.tools.values import Outcome, ServerCall

__all__ = ["Fence", "ToolRunner"]

_log = logging.getLogger("voxwire.session")

_NOTHING: Final = "null"
_ME: Final = Executor.SERVER

_NOT_RUN: Final = "it was not run: whether it runs once cannot be made sure just now; try again"

Work = Callable[[ServerCall], Awaitable[Any]]
Fence = Callable[[], Awaitable[bool]]


class ToolRunner:
    """Begins a call, sees that it runs, and waits for its end.

    Args:
        port: The session.
        calls: Its calls.
    """

    def __init__(self, port: SessionPort, calls: Calls) -> None:
        self._port = port
        self._calls = calls

    async def run_client(
        self,
        model_id: str,
        spec: ToolSpec,
        arguments: Mapping[str, Any],
        *,
        timeout_ms: int = 0,
        policy: OnInterruption | None = None,
    ) -> Outcome:
        """Have the client run one of its tools. A cancelled wait withdraws the call.

        Args:
            model_id: The model's id of the call.
            spec: The tool.
            arguments: What the model gives it; checked here.
            timeout_ms: Longest run; 0 = the tool's own, or the default.
            policy: What an interruption does; None = what the tool says.

        Returns:
            How it ended; never raises for what the client does.
        """
        by = Executor.CLIENT
        waiting = self._calls.begin(
            model_id, spec, arguments, by, timeout_ms=timeout_ms, policy=policy
        )
        return await self._calls.outcome(waiting)

    async def run_server(
        self,
        model_id: str,
        spec: ToolSpec,
        arguments: Mapping[str, Any],
        work: Work,
        *,
        fence: Fence | None = None,
    ) -> Outcome:
        """Run a tool of the server's. A cancelled wait cancels it.

        Args:
            model_id: The model's id of the call.
            spec: The tool.
            arguments: What the model gives it; checked here.
            work: Runs it; what it returns is the result, unless it finished the call before.
            fence: Asked before it runs; False = it does not, since another process may have the
                session by now. None = nobody is asked.
        """
        waiting = self._calls.begin(model_id, spec, arguments, _ME)
        if waiting.end.done():
            return waiting.end.result()
        task = self._port.spawn(self._work(waiting, work, fence))
        if task is None:
            self._calls.cancel(waiting.call_id, "the session is over")
        try:
            outcome = await self._calls.outcome(waiting)
        except asyncio.CancelledError:
            if task is not None:
                task.cancel()
            raise
        if task is not None and outcome.outcome is not ToolOutcome.DONE:
            task.cancel()  # a function that finished its call before its end may go on
        return outcome

    async def _work(self, waiting: Waiting, work: Work, fence: Fence | None) -> None:
        calls, call_id = self._calls, waiting.call_id

        def finish(value: Any) -> None:
            if not waiting.end.done():
                calls.result(call_id, _NOTHING, _ME, value=value)

        def progress(note: Any) -> None:
            if not waiting.end.done():
                calls.progress(call_id, _ME, note=note)

        calls.accept(call_id, _ME)
        if fence is not None and not await fence():
            if not waiting.end.done():
                calls.result(call_id, CallError(ErrorCode.TOOL_FAILED, _NOT_RUN), _ME)
            return
        try:
            finish(await work(ServerCall(finish, progress)))
        except asyncio.CancelledError:
            calls.cancel(call_id, "the tool was cancelled")
            raise
        except Exception as error:
            _log.warning("a tool raised", exc_info=error, extra={"tool": waiting.spec.name})
            if not waiting.end.done():
                failure = CallError(ErrorCode.TOOL_FAILED, type(error).__name__)
                calls.result(call_id, failure, _ME)
