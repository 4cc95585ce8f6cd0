"""Parts of ``tools``: calls, their states, and what a verb tells. Import them from ``tools``."""

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.event_enums import ToolOutcome
from voxwire_protocol.tool_runs import CallError

__all__ = [
    "MIN_TOKEN_BYTES",
    "AskPolicy",
    "Call",
    "CallState",
    "Duplicate",
    "Effect",
    "Ended",
    "Executor",
    "Late",
    "Moved",
    "OnInterruption",
    "Opened",
    "Refused",
    "Terminal",
    "ToolUseError",
    "check_request",
    "digest",
    "invalid",
]

MIN_TOKEN_BYTES: Final = 16
"""Shortest call token: 128 bits."""


class Executor(StrEnum):
    """Which side runs a tool."""

    SERVER = "server"
    CLIENT = "client"


class CallState(StrEnum):
    """Where a call is; the last four are final, with the names of ``ToolOutcome``."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class OnInterruption(StrEnum):
    """What an interruption of the bot does to a call (``ToolInterruptionPolicy``)."""

    CANCEL = "cancel"
    FINISH = "finish"
    ASK = "ask"


class ToolUseError(ValueError):
    """A request that cannot be opened; nothing changed.

    Attributes:
        code: What is wrong.
        reason: One sentence for a developer; never echoes arguments.
    """

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it was made; it does not change.

    Attributes:
        call_id: Names the call, unique in the session.
        name: The tool.
        executor: Who runs it.
        arguments: JSON object, as text.
        call_token: What a result from the client must bring; None = the call's executor is the
            server, or the client speaks a protocol without tokens.
        policy: What an interruption does to it.
        requested_ms: When it was opened.
        deadline_ms: When it times out, whatever happens.
    """

    call_id: str
    name: str
    executor: Executor
    arguments: str = field(repr=False)
    call_token: bytes | None = field(repr=False)
    policy: OnInterruption
    requested_ms: int
    deadline_ms: int

    def remaining_ms(self, now_ms: int) -> int:
        """Time until the deadline, milliseconds: ``ToolRequest.timeout_ms``."""
        return max(0, self.deadline_ms - now_ms)

    def token_matches(self, call_token: bytes) -> bool:
        """Whether a result with this token may count; takes the same time for any wrong one."""
        return self.call_token is None or hmac.compare_digest(self.call_token, call_token)


@dataclass(frozen=True, slots=True)
class Moved:
    """A call went on to a state that is not final."""

    call_id: str
    state: CallState


@dataclass(frozen=True, slots=True)
class Terminal:
    """A call ended; there is exactly one for each call.

    Attributes:
        call_id: The call.
        name: The tool.
        executor: Who ran it.
        outcome: How it ended.
        output: Result, JSON text, when DONE.
        error: Why, when FAILED or TIMED_OUT.
        reason: Why, when CANCELLED.
        duration_ms: Time since the request.
        withdraw: True when the client still holds the call and is to be sent ``ToolCancel``.
    """

    call_id: str
    name: str
    executor: Executor
    outcome: ToolOutcome
    output: str | None = field(repr=False)
    error: CallError | None
    reason: str
    duration_ms: int
    withdraw: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A message about a call had no effect; its sender is told so in an ``Error``."""

    call_id: str
    code: ErrorCode


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The result that ended a call, once more: nothing to do, nothing to answer."""

    call_id: str


@dataclass(frozen=True, slots=True)
class Late:
    """A genuine result for a call that had ended without one; for a hook, never for the model.

    Attributes:
        call_id: The call.
        name: The tool.
        outcome: How the call had ended.
        result: What came: JSON text, or the error.
        late_ms: Time since it ended.
    """

    call_id: str
    name: str
    outcome: ToolOutcome
    result: str | CallError = field(repr=False)
    late_ms: int


@dataclass(frozen=True, slots=True)
class AskPolicy:
    """The bot was interrupted and decides: ``cancel`` the call, or let it run."""

    call_id: str
    name: str


Effect = Moved | Terminal | Refused | Duplicate | Late | AskPolicy


@dataclass(slots=True)
class Opened:
    """A call that has not ended; ``accept_due_ms`` is None when nothing waits for acceptance."""

    call: Call
    state: CallState
    accept_due_ms: int | None

    def due(self) -> tuple[int, bool]:
        """When something falls due, and whether that is the acceptance."""
        deadline_ms = self.call.deadline_ms
        if self.accept_due_ms is not None and self.accept_due_ms < deadline_ms:
            return self.accept_due_ms, True
        return deadline_ms, False


@dataclass(slots=True)
class Ended:
    """What is remembered of a call that has ended.

    ``result`` is the digest of the result that ended it, None when none did.
    """

    call: Call
    state: CallState
    ended_ms: int
    result: bytes | None
    late: bool = False


def digest(result: str | CallError) -> bytes:
    """Stands for a result, so that repetitions are known without keeping it."""
    if isinstance(result, str):
        return hashlib.sha256(b"+" + result.encode(errors="surrogatepass")).digest()
    text = f"-{result.code.value} {result.retryable} {result.reason}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def invalid(reason: str) -> ToolUseError:
    return ToolUseError(ErrorCode.INVALID_ARGUMENT, reason)


def check_request(executor: Executor, timeout_ms: int, call_token: bytes | None) -> None:
    """Raises ToolUseError for arguments of ``ToolCalls.request`` that no call can have."""
    if timeout_ms < 0:
        raise invalid("timeout_ms must not be negative")
    if call_token is None:
        return
    if executor is Executor.SERVER:
        raise invalid("a call that the server runs has no call_token")
    if len(call_token) < MIN_TOKEN_BYTES:
        raise invalid(f"call_token must have at least {MIN_TOKEN_BYTES} bytes")
