"""Runs the client's tools for the bot: the driver around the pure `ToolRuns`."""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from voxwire._callbacks import is_cancelled
from voxwire._threads import in_thread
from voxwire._turn_log import TurnLog
from voxwire.tools import Approve, Tool, ToolCall, ToolError
from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.json_text import JsonTextError, dump_json, parse_json
from voxwire_protocol.tool_runs import CallError, Run, ToolRuns

__all__ = ["ToolRunner"]

MAX_RUNNING: Final = 32
"""Most tools that run at once; threads that cannot be stopped count until they end."""

MAX_TIMEOUT_MS: Final = 600_000
"""A longer deadline is taken for this one."""

_NOT_ALLOWED: Final = "the user did not allow it"
_MAX_REASON_CHARS: Final = 500
_MAX_NOTE_BYTES: Final = 4096


class ToolRunner:
    """The tools of one session. Owned by what runs the session; ends with `close`.

    A lost connection changes nothing here: what is sent goes to the control channel, which keeps
    it, and a request that comes again does not run again.
    """

    def __init__(
        self,
        tools: Iterable[Tool],
        send: Callable[[wire.Envelope], object],
        *,
        clock: Clock,
        log: TurnLog | None = None,
        approve: Approve | None = None,
    ) -> None:
        """Takes the tools.

        Args:
            tools: What the bot may use; names are unique.
            send: Sends a message; may raise VoxwireError when the session is over.
            clock: What deadlines are told by.
            log: Is told which calls are run here, and how far they are.
            approve: Says whether a call may run; None = each may.
        """
        self._clock = clock
        self._log = log or TurnLog()
        self._approve = approve
        self._tools = {tool.name: tool for tool in tools}
        self._send_message = send
        self._runs = ToolRuns()
        self._tokens: dict[str, bytes] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._threads = 0
        self._counting = threading.Lock()
        self._closed = False

    def receive(self, envelope: wire.Envelope) -> None:
        """Takes `ToolRequest` or `ToolCancel`."""
        if self._closed:
            return
        if envelope.WhichOneof("payload") == "tool_request":
            self._request(envelope.tool_request)
        elif self._runs.withdraw(envelope.tool_cancel.call_id) is Run.STOP:
            self._stop(envelope.tool_cancel.call_id)

    async def close(self, *, spared: "asyncio.Task[Any] | None" = None) -> None:
        """Cancels what runs and waits for it. A thread that hangs is left to itself.

        Args:
            spared: What ends the session; it is not cancelled if it is a tool.
        """
        self._closed = True
        tasks = [task for task in self._tasks.values() if task is not spared]
        for task in tasks:
            if not task.cancelling():  # else it tidies up
                task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2)
        self._tasks.clear()

    def _request(self, request: wire.ToolRequest) -> None:
        call_id = request.call_id
        self._log.own_call(call_id)
        match self._runs.request(call_id):
            case Run.START:
                self._tokens[call_id] = request.call_token
                self._send(tool_accepted=wire.ToolAccepted(call_id=call_id))
                self._start(request)
            case Run.RUNNING:
                self._tokens[call_id] = request.call_token
                self._send(tool_accepted=wire.ToolAccepted(call_id=call_id))
            case Run.FINISHED:
                result = self._runs.result_of(call_id)
                if result is not None:
                    self._send_result(call_id, request.call_token, result)
            case _:
                pass

    def _start(self, request: wire.ToolRequest) -> None:
        call_id = request.call_id
        tool = self._tools.get(request.name)
        if tool is None:
            self._finish(call_id, CallError(ErrorCode.UNSUPPORTED, "there is no such tool"))
            return
        if len(self._tasks) + self._threads >= MAX_RUNNING:
            self._finish(call_id, CallError(ErrorCode.CAPACITY, "too many tools run"))
            return
        try:
            arguments = parse_json(request.arguments_json or "{}")
        except JsonTextError as error:
            self._finish(call_id, CallError(error.code, f"the arguments: {error.reason}"))
            return
        misfit = tool.spec.check_arguments(arguments)
        if misfit is not None:
            self._finish(call_id, misfit)
            return
        timeout_ms = min(request.timeout_ms, MAX_TIMEOUT_MS)
        task = asyncio.create_task(
            self._run(call_id, tool, arguments, timeout_ms), name=f"voxwire-tool-{tool.name}"
        )
        self._tasks[call_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(call_id, None))

    async def _run(
        self, call_id: str, tool: Tool, arguments: dict[str, Any], timeout_ms: int
    ) -> None:
        """Runs one tool and sends what it gave; past its deadline it is stopped in silence."""
        call = self._call_of(call_id, tool, arguments, timeout_ms)
        if tool.call_parameter:
            arguments = {**arguments, tool.call_parameter: call}
        deadline = asyncio.timeout(timeout_ms / 1000)
        try:
            async with deadline:
                if not await self._may_run(call):
                    self._finish(call_id, CallError(ErrorCode.FORBIDDEN, _NOT_ALLOWED))
                    return
                result = dump_json(await self._call(tool, arguments))
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            self._finish(call_id, CallError(ErrorCode.TOOL_FAILED, "CancelledError"))
        except Exception as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                self._runs.withdraw(call_id)
                self._tokens.pop(call_id, None)
                return
            self._finish(call_id, _error_of(error))
        else:
            self._finish(call_id, result)

    def _call_of(
        self, call_id: str, tool: Tool, arguments: dict[str, Any], timeout_ms: int
    ) -> ToolCall:
        loop = asyncio.get_running_loop()

        def progress(note: Any) -> None:
            text = dump_json(note, max_bytes=_MAX_NOTE_BYTES)
            shown = note if isinstance(note, str) else text
            loop.call_soon_threadsafe(self._progress, call_id, text, shown)

        return ToolCall(
            call_id,
            tool.name,
            timeout_ms=timeout_ms,
            send=progress,
            arguments=arguments,
            clock=self._clock,
        )

    async def _may_run(self, call: ToolCall) -> bool:
        if self._approve is None:
            return True
        said = self._approve(call)
        return (await said if inspect.isawaitable(said) else said) is True

    async def _call(self, tool: Tool, arguments: dict[str, Any]) -> Any:
        function = tool.function
        if not inspect.iscoroutinefunction(function):
            result = await self._in_thread(function, arguments)
        else:
            result = function(**arguments)
        return await cast("Any", result) if inspect.isawaitable(result) else result

    async def _in_thread(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Runs a plain function in a thread of its own, which counts until it ends."""
        context = contextvars.copy_context()

        def run() -> Any:
            try:
                return context.run(function, **arguments)
            finally:
                with self._counting:
                    self._threads -= 1

        with self._counting:
            self._threads += 1
        return await in_thread(run, name="voxwire-tool")

    def _stop(self, call_id: str) -> None:
        self._tokens.pop(call_id, None)
        task = self._tasks.get(call_id)
        if task is not None:
            task.cancel()

    def _progress(self, call_id: str, text: str, shown: str) -> None:
        if call_id in self._runs.running and not self._closed:
            self._log.own_progress(call_id, shown)
            self._send(tool_progress=wire.ToolProgress(call_id=call_id, note_json=text))

    def _finish(self, call_id: str, result: str | CallError) -> None:
        token = self._tokens.pop(call_id, b"")
        if self._runs.finish(call_id, result):
            self._send_result(call_id, token, result)

    def _send_result(self, call_id: str, token: bytes, result: str | CallError) -> None:
        message = wire.ToolResult(call_id=call_id, call_token=token)
        if isinstance(result, str):
            message.result_json = result
        else:
            message.error.CopyFrom(
                wire.Error(
                    code=cast("Any", result.code.value),
                    reason=result.reason,
                    retryable=result.retryable,
                    subject_id=call_id,
                )
            )
        self._send(tool_result=message)

    def _send(self, **payload: Any) -> None:
        if self._closed:
            return
        try:
            self._send_message(wire.Envelope(**payload))
        except VoxwireError:
            return  # the session is ending; whoever reads its events is told


def _error_of(error: Exception) -> CallError:
    """What the bot is told: a `ToolError`'s words, of anything else the type's name."""
    if isinstance(error, ToolError):
        return CallError(ErrorCode.TOOL_FAILED, str(error)[:_MAX_REASON_CHARS])
    if isinstance(error, JsonTextError):
        return CallError(error.code, f"the result: {error.reason}")
    return CallError(ErrorCode.TOOL_FAILED, type(error).__name__)
