"""Tools that the bot may use and this program runs.

::

    @voxwire.tool
    async def show_on_map(place: str) -> str:
        '''Show a place on the user's map.

Args:
            place: A city or a restaurant.
        '''
        ...

    async with voxwire.connect(url, tools=[show_on_map]) as session: ...
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_protocol.errors import ErrorCode, UsageError

if TYPE_CHECKING:
    from voxwire_protocol.tool_spec import ToolSpec

__all__ = [
    "Approve",
    "OnInterruptionName",
    "Tool",
    "ToolCall",
    "ToolError",
    "as_tool",
    "mocked",
    "tool",
]

Approve = Callable[["ToolCall"], bool | Awaitable[bool]]
"""Says whether a call may run. A plain function must not block."""

OnInterruptionName = Literal["cancel", "finish", "ask"]
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_ATTRIBUTE: Final = "__voxwire_tool__"


class ToolError(Exception):
    """Raised by a tool's function to tell the bot what went wrong, in words that it may speak.

    The text of any other exception stays here; the bot gets its type's name.
    """


class ToolCall:
    """One call, for a function that has a parameter of this type. Thread-safe."""

    def __init__(
        self,
        call_id: str,
        name: str,
        *,
        timeout_ms: int,
        send: Callable[[Any], object],
        arguments: Mapping[str, Any] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Made by the session."""
        self.arguments: Mapping[str, Any] = MappingProxyType(dict(arguments or {}))
        """What the bot gave it, checked against the tool's schema."""
        self.id = call_id
        """Names the call; the same when it is delivered again: an idempotency key."""
        self.name = name
        """The tool."""
        self.deadline = (clock.now_ms() + timeout_ms) / 1000
        """When the bot gives up, seconds of ``time.monotonic()``."""
        self._send = send
        self._clock = clock

    @property
    def remaining_ms(self) -> int:
        """Time until the deadline, milliseconds; 0 when it has passed."""
        return max(0, round(self.deadline * 1000 - self._clock.now_ms()))

    def progress(self, note: Any = None) -> None:
        """Tells the bot that the tool still runs. It does not move the deadline.

        Args:
            note: Anything that JSON can hold, at most 4 KB.
        """
        self._send(note)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function and what the bot is told about it. Make one with `tool`.

    Attributes:
        spec: Name, description, schemas, deadline and policy.
        function: What is run. A plain function runs in a thread of its own and cannot be
            stopped; an ``async`` one runs on the event loop and is cancelled.
        call_parameter: Name of its parameter that takes the `ToolCall`; empty = none.
    """

    spec: "ToolSpec"
    function: Callable[..., Any]
    call_parameter: str = ""

    @property
    def name(self) -> str:
        """Unique in a session."""
        return self.spec.name


@overload
def tool(function: FunctionT, /) -> FunctionT: ...


@overload
def tool(
    *,
    name: str = "",
    description: str = "",
    parameters: dict[str, Any] | None = None,
    timeout_ms: int = 0,
    on_interruption: OnInterruptionName = "cancel",
) -> Callable[[FunctionT], FunctionT]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str = "",
    description: str = "",
    parameters: dict[str, Any] | None = None,
    timeout_ms: int = 0,
    on_interruption: OnInterruptionName = "cancel",
) -> Any:
    """Makes a function a tool. It stays the function that it was.

    Name, description and JSON Schema come from its name, docstring (``Args:`` too), annotations
    and defaults: str, int, float, bool, list, dict, Literal, unions, None.

    Args:
        function: The function, when used without arguments.
        name: Another name than the function's.
        description: Another description than the docstring's.
        parameters: Another JSON Schema of the arguments, of type object.
        timeout_ms: Longest run, milliseconds; 0 = what the bot sets, or 10 s.
        on_interruption: What happens to a running call when the bot is interrupted: it is
            cancelled, it finishes, or the bot is asked. The bot may decide otherwise.

    Raises:
        UsageError: No tool can be made of it; the text says why.
    """

    def decorate(decorated: FunctionT) -> FunctionT:
        made = _make(
            decorated,
            name=name,
            description=description,
            parameters=parameters,
            timeout_ms=timeout_ms,
            on_interruption=on_interruption,
        )
        setattr(decorated, _ATTRIBUTE, made)
        return decorated

    return decorate if function is None else decorate(function)


def as_tool(value: "Tool | Callable[..., Any]") -> Tool:
    """The tool that a function is, or can be.

    Raises:
        UsageError: No tool can be made of it.
    """
    if isinstance(value, Tool):
        return value
    made = getattr(value, _ATTRIBUTE, None)
    return made if isinstance(made, Tool) else _make(value)


def mocked(made: Tool, result: Any) -> Tool:
    """The tool as the bot sees it, which gives a result instead of running."""

    def give(**arguments: Any) -> Any:
        return result(**arguments) if callable(result) else result

    return replace(made, function=give, call_parameter="")


def _make(
    function: Callable[..., Any],
    *,
    name: str = "",
    description: str = "",
    parameters: dict[str, Any] | None = None,
    timeout_ms: int = 0,
    on_interruption: OnInterruptionName = "cancel",
) -> Tool:
    from voxwire_protocol.tool_signature import SignatureError, read_signature
    from voxwire_protocol.tool_spec import ToolSpec
    from voxwire_protocol.tools import OnInterruption, ToolUseError

    try:
        signature = read_signature(function, inject=(ToolCall,))
        spec = ToolSpec(
            name=name or signature.name,
            description=description or signature.description,
            parameters=parameters or signature.parameters,
            result=signature.result,
            timeout_ms=timeout_ms,
            on_interruption=OnInterruption(on_interruption),
        )
    except (SignatureError, ToolUseError, ValueError) as error:
        reason = f"{name or getattr(function, '__name__', function)!s} cannot be a tool: {error}"
        raise UsageError(ErrorCode.INVALID_ARGUMENT, reason) from error
    return Tool(spec, function, next(iter(signature.injected), ""))
