"""What a tool is: its name, what it is for, and which values it takes and gives. Pure.

``ToolDeclaration`` is what a client says of its tools; ``read_declaration`` is what a server makes
of one, and ``declaration_of`` the reverse.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, cast

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_schema import JsonSchema, SchemaError
from voxwire_protocol.json_text import JsonTextError, dump_json, parse_json
from voxwire_protocol.tools import CallError, OnInterruption, ToolUseError

__all__ = [
    "MAX_DECLARATIONS",
    "MAX_DESCRIPTION_CHARS",
    "MAX_TIMEOUT_MS",
    "ToolSpec",
    "declaration_of",
    "read_declaration",
]

MAX_DECLARATIONS: Final = 64
"""Most tools that a client may declare."""

MAX_DESCRIPTION_CHARS: Final = 2_000
"""Longest description of a tool, code points."""

MAX_TIMEOUT_MS: Final = 300_000
"""Longest run that a tool may ask for, milliseconds."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_POLICIES: Final = {
    wire.ToolInterruptionPolicy.TOOL_INTERRUPTION_POLICY_UNSPECIFIED: OnInterruption.CANCEL,
    wire.ToolInterruptionPolicy.TOOL_INTERRUPTION_POLICY_CANCEL: OnInterruption.CANCEL,
    wire.ToolInterruptionPolicy.TOOL_INTERRUPTION_POLICY_FINISH: OnInterruption.FINISH,
    wire.ToolInterruptionPolicy.TOOL_INTERRUPTION_POLICY_ASK: OnInterruption.ASK,
}


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as it is declared; checked when it is made, immutable after that.

    Attributes:
        name: Unique in the session.
        description: What it does, for the language model.
        parameters: JSON Schema of the arguments, an object.
        result: JSON Schema of the result; None = anything.
        timeout_ms: Longest run; 0 = the default of who asks.
        on_interruption: What an interruption of the bot does to a call of it.

    Raises:
        ToolUseError: INVALID_ARGUMENT: a field is not what it may be.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    result: dict[str, Any] | None = None
    timeout_ms: int = 0
    on_interruption: OnInterruption = OnInterruption.CANCEL

    def __post_init__(self) -> None:
        """Checks the fields."""
        if not _NAME.fullmatch(self.name):
            raise _unusable("a tool's name is a letter or _, then letters, digits, _ or -")
        if len(self.description) > MAX_DESCRIPTION_CHARS:
            raise _unusable(f"a description has at most {MAX_DESCRIPTION_CHARS} characters")
        if not 0 <= self.timeout_ms <= MAX_TIMEOUT_MS:
            raise _unusable(f"timeout_ms must be 0 to {MAX_TIMEOUT_MS}")
        if self.parameters.get("type") != "object":
            raise _unusable("the schema of the arguments must be of type object")
        _compiled(self.parameters, "arguments")
        if self.result is not None:
            _compiled(self.result, "result")

    def check_arguments(self, arguments: object) -> CallError | None:
        """Says why a tool cannot be called with these arguments; None = it can."""
        return _misfit(self.parameters, arguments, "the arguments do not fit")

    def check_result(self, result: object) -> CallError | None:
        """Says why this cannot be a result of the tool; None = it can."""
        if self.result is None:
            return None
        return _misfit(self.result, result, "the result does not fit")


def read_declaration(message: wire.ToolDeclaration) -> ToolSpec:
    """Makes a tool of what a client declares.

    Raises:
        ToolUseError: INVALID_ARGUMENT: it cannot be used; the reason says why.
    """
    policy = _POLICIES.get(message.on_interruption)
    if policy is None:
        raise _unusable("on_interruption is not a policy that this version knows")
    return ToolSpec(
        name=message.name,
        description=message.description,
        parameters=_schema(message.parameters_json or '{"type":"object"}'),
        result=_schema(message.result_schema_json) if message.result_schema_json else None,
        timeout_ms=message.timeout_ms,
        on_interruption=policy,
    )


def declaration_of(spec: ToolSpec) -> wire.ToolDeclaration:
    """What a client says of a tool in Hello."""
    return wire.ToolDeclaration(
        name=spec.name,
        description=spec.description,
        parameters_json=dump_json(spec.parameters),
        result_schema_json="" if spec.result is None else dump_json(spec.result),
        timeout_ms=spec.timeout_ms,
        on_interruption=wire.ToolInterruptionPolicy.Value(
            f"TOOL_INTERRUPTION_POLICY_{spec.on_interruption.name}"
        ),
    )


def _schema(text: str) -> dict[str, Any]:
    try:
        schema = parse_json(text)
    except JsonTextError as error:
        raise _unusable(f"a schema cannot be read: {error.reason}") from None
    if not isinstance(schema, dict):
        raise _unusable("a schema must be a JSON object")
    return cast("dict[str, Any]", schema)


def _compiled(schema: dict[str, Any], of: str) -> JsonSchema:
    try:
        return JsonSchema(schema)
    except SchemaError as error:
        fault = error.faults[0]
        where = f" at {fault.path}" if fault.path else ""
        raise _unusable(f"the schema of the {of}{where}: {fault.message}") from None


def _misfit(schema: dict[str, Any], value: object, what: str) -> CallError | None:
    faults = JsonSchema(schema).faults(value)
    if not faults:
        return None
    told = "; ".join(f"{fault.path or 'the whole'} {fault.message}" for fault in faults)
    return CallError(ErrorCode.INVALID_ARGUMENT, f"{what}: {told}")


def _unusable(reason: str) -> ToolUseError:
    return ToolUseError(ErrorCode.INVALID_ARGUMENT, reason)
