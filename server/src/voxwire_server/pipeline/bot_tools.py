"""Between a session's tool calls and Pipecat's: schemas for the model, handlers for its calls."""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, cast

from pipecat.adapters.llm.schemas.direct_function import DirectFunctionWrapper, tool_options
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.services.llm_service import FunctionCallParams

from voxwire_protocol.event_enums import ToolOutcome
from voxwire_protocol.tool_signature import read_signature
from voxwire_protocol.tool_spec import ToolSpec
from voxwire_protocol.tools import OnInterruption
from voxwire_server.pipeline.pairing import CANCELLED, settle
from voxwire_server.tools.client_tools import SessionTools
from voxwire_server.tools.values import Outcome, ServerCall

__all__ = ["client_schema", "for_model", "server_schema"]

_MAX_INLINED: Final = 1_000
_REF: Final = "#/$defs/"

Work = Callable[[FunctionCallParams, ServerCall], Any]


def client_schema(
    tools: SessionTools,
    spec: ToolSpec,
    *,
    timeout_ms: int = 0,
    on_interruption: OnInterruption | None = None,
) -> FunctionSchema:
    """A tool of the client's as the model sees it; its handler asks the client.

    Args:
        tools: The session's calls.
        spec: What the client declared.
        timeout_ms: Longest run; 0 = what the tool says.
        on_interruption: What an interruption does; None = what the tool says.

    Raises:
        ValueError: Its schema refers to itself, which no model can be told.
    """
    policy = on_interruption or spec.on_interruption

    async def handler(params: FunctionCallParams) -> None:
        call_id, arguments = params.tool_call_id, params.arguments
        await _told(
            params,
            tools.runner.run_client(call_id, spec, arguments, timeout_ms=timeout_ms, policy=policy),
        )

    return _schema(spec, inlined(spec.parameters), handler, policy)


def server_schema(
    tools: SessionTools,
    function: Any,
    *,
    timeout_ms: int,
    on_interruption: OnInterruption,
    once: bool = False,
) -> FunctionSchema:
    """A tool of the server's that runs under the session's rules.

    Args:
        tools: The session's calls.
        function: An async or plain function, a Pipecat direct function, or a ``FunctionSchema``
            that carries its handler.
        timeout_ms: Longest run.
        on_interruption: What an interruption does.
        once: A call runs in one process at most, whatever becomes of this one.

    Raises:
        ValueError: It cannot be a tool: the signature or the schema cannot be used.
    """
    name, description, parameters, work = _parts(function)
    spec = ToolSpec(
        name,
        description,
        parameters,
        timeout_ms=timeout_ms,
        on_interruption=on_interruption,
    )

    async def handler(params: FunctionCallParams) -> None:
        kept: list[FunctionCallResultProperties | None] = []

        async def run(call: ServerCall) -> Any:
            return await work(_capturing(params, call, kept), call)

        fence = tools.fence if once else None
        running = tools.runner.run_server(
            params.tool_call_id, spec, params.arguments, run, fence=fence
        )
        await _told(params, running, kept)

    return _schema(spec, parameters, handler, on_interruption)


def for_model(outcome: Outcome) -> Mapping[str, Any]:
    """What the model reads of a call that ended: always an object, never an empty one.

    Pipecat takes what is empty for no result and leaves the user without an answer.
    """
    if outcome.outcome is ToolOutcome.DONE:
        value = outcome.value
        return (
            cast("Mapping[str, Any]", value)
            if value and isinstance(value, dict)
            else {"result": value}
        )
    if outcome.error is not None:
        return {"error": {"code": outcome.error.code.name, "reason": outcome.error.reason}}
    return {"cancelled": True, "reason": outcome.reason}


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without ``$ref``: what a model is told has no place for ``$defs``.

    Raises:
        ValueError: It refers to itself, or becomes too large.
    """
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    parts = 0

    def copy(part: Any, within: tuple[str, ...]) -> Any:
        nonlocal parts
        parts += 1
        if parts > _MAX_INLINED:
            raise ValueError("the schema is too large without its references")
        if isinstance(part, list):
            return [copy(item, within) for item in cast("list[Any]", part)]
        if not isinstance(part, dict):
            return part
        fields = {k: v for k, v in cast("dict[str, Any]", part).items() if k != "$defs"}
        reference = fields.pop("$ref", None)
        if isinstance(reference, str):
            name = reference.removeprefix(_REF)
            if name in within:
                raise ValueError("the schema refers to itself")
            fields = {**definitions[name], **fields}
            within = (*within, name)
        return {name: copy(value, within) for name, value in fields.items()}

    return copy(dict(schema), ())


def _schema(
    spec: ToolSpec, parameters: Mapping[str, Any], handler: Any, policy: OnInterruption
) -> FunctionSchema:
    survives = policy is not OnInterruption.CANCEL
    return FunctionSchema(
        name=spec.name,
        description=spec.description,
        properties=parameters.get("properties", {}),
        required=parameters.get("required", []),
        handler=tool_options(handler, cancel_on_interruption=not survives),
    )


async def _told(
    params: FunctionCallParams,
    running: Any,
    kept: Collection[FunctionCallResultProperties | None] = (),
) -> None:
    """Waits for the end of a call and tells the model; a cancelled wait leaves it paired."""
    try:
        outcome: Outcome = await running
    except BaseException:
        settle(params.context, params.tool_call_id, CANCELLED)
        raise
    properties = next(iter(kept), None)
    if outcome.interrupted:
        properties = FunctionCallResultProperties(run_llm=False)  # the user has moved on
    await params.result_callback(for_model(outcome), properties=properties)


def _capturing(
    params: FunctionCallParams,
    call: ServerCall,
    kept: list[FunctionCallResultProperties | None],
) -> FunctionCallParams:
    """The parameters with a callback that ends the call in our machine, not in Pipecat's."""

    async def capture(
        result: Any, *, properties: FunctionCallResultProperties | None = None
    ) -> None:
        if properties is not None and not properties.is_final:
            call.progress(result)
            await params.result_callback(result, properties=properties)
            return
        if not kept:
            kept.append(properties)
            call.finish(result)

    return dataclasses.replace(params, result_callback=capture)


def _parts(function: Any) -> tuple[str, str, dict[str, Any], Work]:
    """Name, description, schema of the arguments, and how to run it."""
    if isinstance(function, FunctionSchema):
        handler = function.handler
        if handler is None:
            raise ValueError(f"the schema of {function.name} has no handler")
        schema = _object(function.properties, function.required)
        return function.name, function.description, schema, _of_handler(handler)
    if next(iter(inspect.signature(function).parameters), "") == "params":
        wrapper = DirectFunctionWrapper(function)
        schema = _object(wrapper.properties, wrapper.required)
        return wrapper.name, wrapper.description, schema, _of_direct(wrapper)
    signature = read_signature(function)
    return signature.name, signature.description, signature.parameters, _of_plain(function)


def _object(properties: Any, required: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _of_handler(handler: Any) -> Work:
    async def work(params: FunctionCallParams, _: ServerCall) -> None:
        await handler(params)

    return work


def _of_direct(wrapper: DirectFunctionWrapper) -> Work:
    async def work(params: FunctionCallParams, _: ServerCall) -> None:
        await wrapper.invoke(args=params.arguments, params=params)

    return work


def _of_plain(function: Callable[..., Any]) -> Work:
    async def work(params: FunctionCallParams, _: ServerCall) -> Any:
        result = function(**params.arguments)
        return await result if inspect.isawaitable(result) else result

    return work
