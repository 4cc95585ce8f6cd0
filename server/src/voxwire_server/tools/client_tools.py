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
from voxwire_protocol.tools import (
    AskPolicy,
    CallError,
    CallState,
    Executor,
    Late,
    Terminal,
    ToolUseError,
)
from voxwire_server.tools.calls import INTERRUPTED, CallDriver, ToolPort
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


class SessionTools(CallDriver):
    """Every tool call of one session, whoever runs it. Owned by the session.

    Not thread-safe. ``on_lost`` and ``on_resumed`` are for whoever loses and finds the control
    channel; nothing else here knows whether there is one.
    """

    def __init__(self, port: ToolPort) -> None:
        """Creates a driver without calls, with the client attached.

        Args:
            port: The session.
        """
        super().__init__(port)
        self.declared: dict[str, ToolSpec] = {}
        """What the client declared and may be used, by name."""
        self.on_late: Hook | None = None
        """Takes a ``LateResult``."""
        self.on_interrupted: Hook | None = None
        """Takes an ``InterruptedTool``; a true result withdraws the call."""
        self.on_progress: Hook | None = None
        """Takes a ``ToolProgress``."""
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
            self._error(ErrorCode.INVALID_ARGUMENT, reason, name)
        self._unusable.clear()

    def reserve(self, name: str) -> None:
        """Take a name for a tool of the server's; a client's tool of that name is left out."""
        if name in self.declared:
            self.refuse_declared(name, "the server has a tool of that name")

    def refuse_declared(self, name: str, reason: str) -> None:
        """Leave out a tool of the client's after all, and tell it why."""
        del self.declared[name]
        self._error(ErrorCode.INVALID_ARGUMENT, reason, name)

    # the client

    def on_message(self, message: wire.Envelope) -> None:
        """Take a message about a call. Never raises; what does not count is answered."""
        kind = message.WhichOneof("payload")
        now = self._now()
        if kind == "tool_accepted":
            self._apply(self._calls.accept(message.tool_accepted.call_id, now_ms=now))
        elif kind == "tool_progress":
            self._progress(message.tool_progress, now)
        elif kind == "tool_result":
            self._result(message.tool_result, now)
        elif kind == "tool_cancel":
            reason = message.tool_cancel.reason[:MAX_REASON_CHARS] or "the client withdrew it"
            call_id = message.tool_cancel.call_id
            self._apply(self._calls.cancel(call_id, reason, now_ms=now, by=Executor.CLIENT))

    def _progress(self, message: wire.ToolProgress, now: int) -> None:
        effects = self._calls.progress(message.call_id, now_ms=now)
        self._apply(effects)
        waiting = self._waiting.get(message.call_id)
        open_state = self._calls.state(message.call_id) is CallState.RUNNING
        if waiting is None or waiting.spec is None or not open_state or self.on_progress is None:
            return
        try:
            note = parse_json(message.note_json, max_bytes=_MAX_NOTE_BYTES)
        except JsonTextError as error:
            self._error(error.code, error.reason, message.call_id)
            return
        self._call_hook(self.on_progress, ToolProgress(message.call_id, waiting.name, note))

    def _result(self, message: wire.ToolResult, now: int) -> None:
        call_id = message.call_id
        waiting = self._waiting.get(call_id)
        result, own_fault = result_of(message), False
        if isinstance(result, str) and waiting is not None and waiting.spec is not None:
            checked = check_result(waiting.spec, result)
            if isinstance(checked, CallError):
                own_fault = True
                # what is too large the core fails by itself; a digest of it is all that is kept
                result = result if checked.code is ErrorCode.TOO_LARGE else checked
            elif not waiting.future.done():
                waiting.value = checked.value
        own_fault = own_fault or message.WhichOneof("outcome") is None
        effects = self._calls.result(call_id, result, now_ms=now, call_token=message.call_token)
        self._apply(effects)
        for effect in effects:
            if own_fault and isinstance(effect, Terminal) and effect.error is not None:
                self._error(effect.error.code, effect.error.reason, call_id)

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
            self.cancel(ask.call_id, INTERRUPTED)

    def _call_hook(self, hook: Hook, value: Any) -> None:
        async def run() -> None:
            await call_hook(hook, value)

        self._port.spawn(run())


def _invalid(reason: str) -> ToolUseError:
    return ToolUseError(ErrorCode.INVALID_ARGUMENT, reason)
