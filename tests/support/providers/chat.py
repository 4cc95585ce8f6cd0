"""An OpenAI-compatible chat completions API: `POST /v1/chat/completions`, streamed or whole."""

import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

from aiohttp import web

from tests.support.providers.faults import MESSAGES
from tests.support.providers.minds import Answer, Answers, ToolCall, answer_of, pieces_of
from tests.support.providers.peer import Peer

__all__ = ["chat_peer", "openai_refusal"]

KINDS = {401: "invalid_request_error", 429: "requests", 500: "server_error"}
CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded", 500: None}
USAGE = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}


def openai_refusal(status: int) -> dict[str, Any]:
    """The body of an error as OpenAI words it."""
    code = {"type": KINDS[status], "param": None, "code": CODES[status]}
    return {"error": {"message": MESSAGES[status], **code}}


def _function(call: ToolCall, arguments: str) -> dict[str, Any]:
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def _deltas(answer: Answer, *, smallest: bool) -> list[dict[str, Any]]:
    start: dict[str, Any] = {"role": "assistant", "content": ""}
    if isinstance(answer, str):
        return [start, *({"content": part} for part in pieces_of(answer, smallest=smallest))]
    arguments = json.dumps(answer.arguments)
    half = len(arguments) // 2
    parts = list(arguments) if smallest else [arguments[:half], arguments[half:]]
    call = {"tool_calls": [{"index": 0, **_function(answer, "")}]}
    more = [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in parts]
    return [{**start, "content": None, **call}, *more]


def _events(answer: Answer, body: dict[str, Any], *, smallest: bool) -> list[bytes]:
    """The server-sent events of a streamed answer."""
    about = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
    about["object"] = "chat.completion.chunk"
    reason = "stop" if isinstance(answer, str) else "tool_calls"
    choices = [(delta, None) for delta in _deltas(answer, smallest=smallest)]
    chunks: list[dict[str, Any]] = [
        {**about, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        for delta, end in [*choices, ({}, reason)]
    ]
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**about, "choices": [], "usage": USAGE})
    return [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]


def _whole(answer: Answer, body: dict[str, Any]) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    if isinstance(answer, str):
        message["content"] = answer
    else:
        message["tool_calls"] = [_function(answer, json.dumps(answer.arguments))]
    reason = "stop" if isinstance(answer, str) else "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    about = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1}
    whole = {**about, "model": body["model"], "choices": [choice], "usage": USAGE}
    return json.dumps(whole).encode()


@contextlib.asynccontextmanager
async def chat_peer(
    *, answers: Answers = ("All is well.",), step_s: float = 0.01
) -> AsyncGenerator[Peer]:
    """Run a chat completions API until the block ends; `asked` has the requests' bodies.

    Args:
        answers: What it answers, in order, or a function of the messages.
        step_s: The time between two events of a stream.
    """
    url = "http://127.0.0.1:{port}/v1"
    peer = Peer(url=url, refusal=openai_refusal, garbage='data: {"id": <html>\n\n')

    async def complete(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        peer.asked.append(body)
        answer = answer_of(answers, body["messages"], len(peer.asked) - 1)
        if body.get("stream"):
            events = _events(answer, body, smallest=peer.smallest)
            return await peer.stream(request, events, "text/event-stream", step_s)
        whole = _whole(answer, body)
        parts = [whole[: len(whole) // 2], whole[len(whole) // 2 :]]
        return await peer.stream(request, parts, "application/json")

    async with peer.running({"POST /v1/chat/completions": complete}):
        yield peer
