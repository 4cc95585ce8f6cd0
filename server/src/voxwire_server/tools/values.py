"""What is told about tool calls, and how a client's result is read."""

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, code_from_wire
from voxwire_protocol.event_enums import ToolOutcome
from voxwire_protocol.json_text import JsonTextError, parse_json
from voxwire_protocol.tool_spec import ToolSpec
from voxwire_protocol.tools import CallError

__all__ = [
    "MAX_REASON_CHARS",
    "Checked",
    "Hook",
    "InterruptedTool",
    "LateResult",
    "Outcome",
    "ServerCall",
    "ToolProgress",
    "call_hook",
    "check_result",
    "result_of",
]

_log = logging.getLogger("voxwire.session")

MAX_REASON_CHARS: Final = 500
"""How much of a client's reason is kept, code points."""

Hook = Callable[[Any], Any]
"""Called with one value; may be a coroutine function."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended.

    Attributes:
        outcome: In a word.
        value: What the tool gave, when DONE.
        error: Why, when FAILED or TIMED_OUT.
        reason: Why, when CANCELLED.
        interrupted: True when an interruption of the bot cancelled it.
    """

    outcome: ToolOutcome
    value: Any = None
    error: CallError | None = None
    reason: str = ""
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class LateResult:
    """A genuine result of a call that had ended without one.

    Attributes:
        call_id: The call.
        name: The tool.
        outcome: How the call had ended.
        value: What came, when it was a result.
        error: What came, when it was an error.
        late_ms: Time since the call ended.
    """

    call_id: str
    name: str
    outcome: ToolOutcome
    value: Any
    error: CallError | None
    late_ms: int


@dataclass(frozen=True, slots=True)
class InterruptedTool:
    """A call under the policy "ask" while the bot is interrupted."""

    call_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """A call of the client still runs; ``note`` is what the client says about it."""

    call_id: str
    name: str
    note: Any


@dataclass(slots=True)
class ServerCall:
    """A call of a server tool, for the function that runs it.

    Attributes:
        finish: Ends the call with a value while the function goes on; once.
        progress: Says that it still runs, and what there is to tell.
    """

    finish: Callable[[Any], None]
    progress: Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """A result that was read and fits its schema."""

    value: Any


def result_of(message: wire.ToolResult) -> str | CallError:
    """What a client says that its tool gave."""
    match message.WhichOneof("outcome"):
        case "result_json":
            return message.result_json
        case "error":
            reason = message.error.reason[:MAX_REASON_CHARS]
            code = code_from_wire(message.error.code)
            return CallError(code, reason, message.error.retryable)
        case _:
            return CallError(ErrorCode.MALFORMED, "the result has neither JSON nor an error")


def check_result(spec: ToolSpec, text: str) -> Checked | CallError:
    """Reads a result and holds it against the tool's schema."""
    try:
        value = parse_json(text)
    except JsonTextError as error:
        return CallError(error.code, error.reason)
    return spec.check_result(value) or Checked(value)


async def call_hook(hook: Hook, value: Any) -> Any:
    """Calls a function of the bot's, and awaits it where it is a coroutine.

    Returns:
        What it returned; None when it raised, which is logged.
    """
    try:
        result = hook(value)
        return await result if inspect.isawaitable(result) else result
    except Exception:
        _log.exception("a hook of the bot's raised")
        return None
