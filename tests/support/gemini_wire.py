"""The JSON of Gemini's BidiGenerateContent, as its server reads and writes it: pure, no I/O.

Read from google-genai 2.34 (`live.py`, `_live_converters.py`, `types.py`). The server takes proto
field names in both spellings, and clients mix them: everything is turned into camelCase on arrival.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "CLOSE_EXPIRED",
    "CLOSE_KEY",
    "CLOSE_NO_KEY",
    "CLOSE_NO_SESSION",
    "CLOSE_QUOTA",
    "CLOSE_RESUME_BUSY",
    "CLOSE_SETUP",
    "PATH",
    "Close",
    "audio",
    "content",
    "decode",
    "encode",
    "go_away",
    "model_version",
    "pcm_of",
    "resumption",
    "text_of",
    "tool_call",
    "tool_cancellation",
    "usage",
]

PATH = re.compile(
    r"/ws/google\.ai\.generativelanguage\.(v1beta|v1alpha)\.GenerativeService"
    r"\.BidiGenerateContent(\?.*)?"
)
"""Where the WebSocket is; anything else is HTTP 404."""

Close = tuple[int, str]

# A close frame has room for 123 bytes: longer reasons arrive cut, as they do from Google.
CLOSE_KEY: Close = (1007, "API key not valid. Please pass a valid API key.")
CLOSE_NO_KEY: Close = (
    1008,
    "Method doesn't allow unregistered callers (callers without established identity). "
    "Please use API Key or other form",
)
CLOSE_QUOTA: Close = (
    1011,
    "You exceeded your current quota, please check your plan and billing details. "
    "For more information on this error, he",
)
CLOSE_EXPIRED: Close = (1011, "Deadline expired before operation could complete.")
CLOSE_NO_SESSION: Close = (1008, "BidiGenerateContent session not found")
CLOSE_RESUME_BUSY: Close = (1011, "Internal error encountered.")
CLOSE_SETUP: Close = (1007, "setup must be the first message and only the first")

_OPAQUE = {"response", "args", "properties", "parametersJsonSchema", "parameters_json_schema"}
_STANDARD_BASE64 = str.maketrans("-_", "+/")
_SNAKE = re.compile(r"_([a-z0-9])")


def decode(data: str | bytes) -> dict[str, Any]:
    """Read a client's message; keys in camelCase, except what belongs to the application.

    Raises:
        ValueError: It is no JSON object.
    """
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError("a message is a JSON object")
    return _camel(message)


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            _SNAKE.sub(lambda found: found[1].upper(), key): (
                item if key in _OPAQUE else _camel(item)
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_camel(item) for item in value]
    return value


def encode(message: Mapping[str, Any]) -> bytes:
    """Write a server's message: Google sends JSON in binary frames."""
    return json.dumps(message).encode()


def audio(pcm: bytes, sample_rate: int) -> dict[str, Any]:
    """A piece of the model's voice: int16 little-endian PCM, mono."""
    blob = {
        "mimeType": f"audio/pcm;rate={sample_rate}",
        "data": base64.b64encode(pcm).decode(),
    }
    return content(modelTurn={"parts": [{"inlineData": blob}]})


def pcm_of(blob: Mapping[str, Any]) -> bytes:
    """The sound of a client's Blob; google-genai writes base64 in its URL-safe alphabet."""
    return base64.b64decode(str(blob["data"]).translate(_STANDARD_BASE64))


def content(**fields: Any) -> dict[str, Any]:
    """A ``serverContent`` message."""
    return {"serverContent": fields}


def tool_call(*calls: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the client to run functions: ``id``, ``name``, ``args`` each."""
    return {"toolCall": {"functionCalls": list(calls)}}


def tool_cancellation(ids: Sequence[str]) -> dict[str, Any]:
    """Take function calls back."""
    return {"toolCallCancellation": {"ids": list(ids)}}


def resumption(handle: str = "", *, consumed: int | None = None) -> dict[str, Any]:
    """A handle to come back with; without one, there is nothing to come back to at the moment."""
    if not handle:
        return {"sessionResumptionUpdate": {"resumable": False}}
    update: dict[str, Any] = {"newHandle": handle, "resumable": True}
    if consumed is not None:
        update["lastConsumedClientMessageIndex"] = str(consumed)
    return {"sessionResumptionUpdate": update}


def go_away(time_left_s: float) -> dict[str, Any]:
    """Say that the connection ends soon; a protobuf Duration."""
    return {"goAway": {"timeLeft": f"{time_left_s:g}s"}}


def usage(prompt_tokens: int, audio_ms: int) -> dict[str, Any]:
    """``usageMetadata``: 25 tokens a second of speech, as Google counts."""
    spoken = audio_ms * 25 // 1000
    return {
        "promptTokenCount": prompt_tokens,
        "responseTokenCount": spoken,
        "totalTokenCount": prompt_tokens + spoken,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt_tokens}],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": spoken}],
    }


def text_of(turn: Mapping[str, Any]) -> str:
    """The text of a Content."""
    return " ".join(str(part["text"]) for part in turn.get("parts", ()) if part.get("text"))


def model_version(model: str) -> tuple[int, int]:
    """``models/gemini-3.8-live`` is (3, 8); (0, 0) when the name has no version."""
    found = re.search(r"gemini(?:-[a-z]+)*-(\d+)(?:\.(\d+))?", model)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)
