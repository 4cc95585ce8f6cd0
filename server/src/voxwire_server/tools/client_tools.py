"""The tool calls of a session: what the client declares, what it answers, what the bot is asked.

Tools of the client and of the server go through one state machine, and every call has exactly one
end, whatever is lost, repeated, late or forged (protocol/spec/tools.md).
"""

from collections.abc import Iterable
from typing import Any, Final

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_text import JsonTextError, parse_json
from voxwire_protocol.tool_spec import MAX_DECLARATIONS, ToolSpec, read_declaration
from voxwire_protocol.tools import AskPolicy, Executor, Late, ToolUseError
from voxwire_server.ports import SessionPort
from voxwire_server.tools.calls import INTERRUPTED, Calls
from voxwire_server.tools.reports import ToolReports
from voxwire_server.tools.runner import Fence, ToolRunner
from voxwire_server.tools.values import (
    MAX_REASON_CHARS,
    Checked,
    Hook,
    InterruptedTool,
    LateResult,
    ToolProgress,
    call_hook,
    check_result,
    result_of,
)

__all__ = ["SessionTools"]

_MAX_NOTE_BYTES: Final = 4096
_CLIENT: Final = Executor.CLIENT


class SessionTools:
    """What one session has to do with tools. Owned by the session; not thread-safe.

    Args:
        port: The session.
    """

    def __init__(self, port: SessionPort) -> None:
        self._port = port
        self.reports = ToolReports(port.emit, port.clock)
        """What the client is shown of calls."""
        self.calls = Calls(port, self.reports, late=self._late, ask=self._ask)
        """Every call, whoever runs it."""
        self.runner = ToolRunner(port, self.calls)
        """Runs the tools that the bot was given."""
        self.declared: dict[str, ToolSpec] = {}
        """What the client declared and may be used, by name."""
        self.on_late: Hook | None = None
        """Takes a ``LateResult``."""
        self.on_interrupted: Hook | None = None
        """Takes an ``InterruptedTool``; a true result withdraws the call."""
        self.on_progress: Hook | None = None
        """Takes a ``ToolProgress``."""
        self.fence: Fence | None = None
        """Whether this process has the session still, written down with its open calls; None =
        no other one could."""
        self._unusable: list[tuple[str, str]] = []

    # declarations

    def declare(self, declarations: Iterable[wire.ToolDeclaration]) -> None:
        """Take what a client declares in Hello; ``begin`` tells it what cannot be used."""
        for number, declaration in enumerate(declarations):
            try:
                if number >= MAX_DECLARATIONS:
                    raise _invalid(f"a client declares at most {MAX_DECLARATIONS} tools")
                spec = read_declaration(declaration)
                if spec.name in self.declared:
                    raise _invalid("the name is declared twice")
            except ToolUseError as error:
                self._unusable.append((declaration.name, error.reason))
            else:
                self.declared[spec.name] = spec

    def begin(self) -> None:
        """The client has its Welcome: tell it which of its tools cannot be used."""
        for name, reason in self._unusable:
            self.calls.tell_error(ErrorCode.INVALID_ARGUMENT, reason, subject=name)
        self._unusable.clear()

    def reserve(self, name: str) -> None:
        """Take a name for a tool of the server's; a client's tool of that name is left out."""
        if name in self.declared:
            self.refuse_declared(name, "the server has a tool of that name")

    def refuse_declared(self, name: str, reason: str) -> None:
        """Leave out a tool of the client's after all, and tell it why."""
        del self.declared[name]
        self.calls.tell_error(ErrorCode.INVALID_ARGUMENT, reason, subject=name)

    # the client

    def on_message(self, message: wire.Envelope) -> None:
        """Take a message about a call. Never raises; what does not count is answered."""
        kind = message.WhichOneof("payload")
        if kind == "tool_accepted":
            self.calls.accept(message.tool_accepted.call_id, _CLIENT)
        elif kind == "tool_progress":
            self._progress(message.tool_progress)
        elif kind == "tool_result":
            self._result(message.tool_result)
        elif kind == "tool_cancel":
            reason = message.tool_cancel.reason[:MAX_REASON_CHARS] or "the client withdrew it"
            self.calls.cancel(message.tool_cancel.call_id, reason, _CLIENT)

    def _progress(self, message: wire.ToolProgress) -> None:
        runs = self.calls.progress(message.call_id, _CLIENT)
        spec = self.calls.client_spec(message.call_id)
        if not runs or spec is None or self.on_progress is None:
            return
        try:
            note = parse_json(message.note_json, max_bytes=_MAX_NOTE_BYTES)
        except JsonTextError as error:
            self.calls.tell_error(error.code, error.reason, subject=message.call_id)
            return
        self._call_hook(self.on_progress, ToolProgress(message.call_id, spec.name, note))

    def _result(self, message: wire.ToolResult) -> None:
        call_id, value = message.call_id, None
        spec = self.calls.client_spec(call_id)
        result, own_fault = result_of(message), message.WhichOneof("outcome") is None
        if isinstance(result, str) and spec is not None:
            checked = check_result(spec, result)
            if isinstance(checked, Checked):
                value = checked.value
            else:
                own_fault = True
                # what is too large the core fails by itself; a digest of it is all that is kept
                result = result if checked.code is ErrorCode.TOO_LARGE else checked
        token = message.call_token
        error = self.calls.result(call_id, result, _CLIENT, value=value, call_token=token)
        if own_fault and error is not None:
            self.calls.tell_error(error.code, error.reason, subject=call_id)

    # hooks

    def _late(self, late: Late) -> None:
        if self.on_late is None:
            return
        value, error = None, None
        if isinstance(late.result, str):
            spec = self.declared.get(late.name)
            checked = check_result(spec, late.result) if spec else None
            if not isinstance(checked, Checked):
                return
            value = checked.value
        else:
            error = late.result
        self._call_hook(
            self.on_late,
            LateResult(late.call_id, late.name, late.outcome, value, error, late.late_ms),
        )

    def _ask(self, ask: AskPolicy) -> None:
        if self.on_interrupted is not None:
            self._port.spawn(self._decide(self.on_interrupted, ask))

    async def _decide(self, hook: Hook, ask: AskPolicy) -> None:
        if await call_hook(hook, InterruptedTool(ask.call_id, ask.name)):
            self.calls.cancel(ask.call_id, INTERRUPTED)

    def _call_hook(self, hook: Hook, value: Any) -> None:
        async def run() -> None:
            await call_hook(hook, value)

        self._port.spawn(run())


def _invalid(reason: str) -> ToolUseError:
    return ToolUseError(ErrorCode.INVALID_ARGUMENT, reason)
