"""Anthropic's messages API: `POST /v1/messages`, streamed or whole.

`AnthropicLLMService` has no base URL; it takes a client:

    AnthropicLLMService(api_key="key", client=AsyncAnthropic(api_key="key", base_url=peer.url))
"""

import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

from aiohttp import web

from tests.support.providers.faults import MESSAGES
from tests.support.providers.minds import Answer, Answers, answer_of, pieces_of
from tests.support.providers.peer import Peer

__all__ = ["anthropic_peer"]

KINDS = {401: "authentication_error", 429: "rate_limit_error", 500: "api_error"}


def _refusal(status: int) -> dict[str, Any]:
    error = {"type": KINDS[status], "message": MESSAGES[status]}
    return {"type": "error", "error": error, "request_id": "req_1"}


def _usage(output_tokens: int) -> dict[str, Any]:
    """What was used; `output_tokens_details` is read by Pipecat from every version of the SDK."""
    cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    used = {"input_tokens": 20, "output_tokens": output_tokens}
    return {**used, **cached, "output_tokens_details": None}


def _message(body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    about = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]}
    rest = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": _usage(1)}
    return {**about, **rest, **fields}


def _block(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, str):
        return {"type": "text", "text": answer}
    return {"type": "tool_use", "id": answer.id, "name": answer.name, "input": answer.arguments}


def _reason(answer: Answer) -> str:
    return "end_turn" if isinstance(answer, str) else "tool_use"


def _deltas(answer: Answer, *, smallest: bool) -> list[dict[str, str]]:
    if isinstance(answer, str):
        parts = pieces_of(answer, smallest=smallest)
        return [{"type": "text_delta", "text": part} for part in parts]
    arguments = json.dumps(answer.arguments)
    half = len(arguments) // 2
    parts = list(arguments) if smallest else ["", arguments[:half], arguments[half:]]
    return [{"type": "input_json_delta", "partial_json": part} for part in parts]


def _events(answer: Answer, body: dict[str, Any], *, smallest: bool) -> list[bytes]:
    """The server-sent events of a streamed answer, in their order."""
    empty = {"text": ""} if isinstance(answer, str) else {"input": {}}
    ended = {"stop_reason": _reason(answer), "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": _message(body)},
        {"type": "content_block_start", "index": 0, "content_block": {**_block(answer), **empty}},
        {"type": "ping"},
        *(
            {"type": "content_block_delta", "index": 0, "delta": delta}
            for delta in _deltas(answer, smallest=smallest)
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": _usage(10)},
        {"type": "message_stop"},
    ]
    return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events]


@contextlib.asynccontextmanager
async def anthropic_peer(
    *, answers: Answers = ("All is well.",), step_s: float = 0.01
) -> AsyncGenerator[Peer]:
    """Run a messages API until the block ends; `asked` has the requests' bodies.

    Args:
        answers: What it answers, in order, or a function of the messages.
        step_s: The time between two events of a stream.
    """
    garbage = 'event: content_block_delta\ndata: {"type": <html>\n\n'
    peer = Peer(url="http://127.0.0.1:{port}", refusal=_refusal, garbage=garbage)

    async def create(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        peer.asked.append(body)
        answer = answer_of(answers, body["messages"], len(peer.asked) - 1)
        if body.get("stream"):
            events = _events(answer, body, smallest=peer.smallest)
            return await peer.stream(request, events, "text/event-stream", step_s)
        ended = {"content": [_block(answer)], "stop_reason": _reason(answer), "usage": _usage(10)}
        whole = json.dumps(_message(body, **ended)).encode()
        parts = [whole[: len(whole) // 2], whole[len(whole) // 2 :]]
        return await peer.stream(request, parts, "application/json")

    async with peer.running({"POST /v1/messages": create}):
        yield peer
