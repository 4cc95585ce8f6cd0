"""A model's messages without what is too heavy to be kept for another process. Pure.

A picture, a recording or a file is thousands of words long; what is kept has a word in its place,
and is found without writing any of it out as JSON. A text that alone would take the place of the
conversation before it is cut.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

__all__ = ["MAX_MESSAGE_BYTES", "light", "size_of"]

MAX_MESSAGE_BYTES: Final = 32_768
"""What is kept of one message at most, as JSON; of instructions all is."""
_MAX_CHARS: Final = 65_536
_TEXT: Final = ("text", "input_text", "output_text")
_KINDS: Final = ("image", "audio", "video", "file")
_CUT: Final = " [...]"


def light(message: Mapping[str, Any], *, whole: bool = False) -> dict[str, Any]:
    """A copy of a message without pictures, sound and files, and with no text that is too long.

    Args:
        message: In the form that Pipecat's universal context has (OpenAI's).
        whole: Leave its text as it is.
    """
    copy = dict(message)
    content = copy.get("content")
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        copy["content"] = [_part(part) for part in parts]
    if _is_heavy(copy.get("audio")):
        del copy["audio"]
    if "data" in copy and "mime_type" in copy:
        copy = {"role": copy.get("role"), "content": _word(str(copy["mime_type"]))}
    return copy if whole else _cut(copy)


def size_of(message: Mapping[str, Any]) -> int:
    """How long it is as JSON; 0 = it is none."""
    try:
        return len(json.dumps(message))
    except (TypeError, ValueError):
        return 0


def _is_heavy(audio: Any) -> bool:
    return isinstance(audio, dict) and "data" in audio


def _part(part: Any) -> Any:
    if not isinstance(part, dict):
        return part if isinstance(part, str) else _text(_word(""))
    fields = cast("dict[str, Any]", part)
    kind = str(fields.get("type", ""))
    is_text = kind in _TEXT and isinstance(fields.get("text"), str)
    return fields if is_text or kind == "refusal" else _text(_word(kind))


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _word(kind: str) -> str:
    """What stands in a message in the place of something that is not kept."""
    name = next((name for name in _KINDS if name in kind), "part")
    return f"[{name}, not kept]"


def _cut(message: dict[str, Any]) -> dict[str, Any]:
    """What is too long of it is cut: its text, or the arguments of the calls that it makes."""
    words = _words(message.get("content"))
    if len(words) > _MAX_CHARS:  # what is longer is not written out to be measured
        message = {**message, "content": words[:_MAX_CHARS]}
    calls = cast("list[Any]", message.get("tool_calls") or [])
    if any(len(_arguments(call)) > MAX_MESSAGE_BYTES // 2 for call in calls):
        message = {**message, "tool_calls": [_without_arguments(call) for call in calls]}
    words = _words(message.get("content"))
    while words and (size := size_of(message)) > MAX_MESSAGE_BYTES:
        rest = size_of({**message, "content": _CUT})
        fits = len(words) * (MAX_MESSAGE_BYTES - rest) // max(1, size - rest)
        words = words[: max(0, min(fits, len(words) - 1))]
        message = {**message, "content": words + _CUT}
    return message


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    return "\n".join(it if isinstance(it, str) else str(it.get("text", "")) for it in parts)


def _arguments(call: Any) -> str:
    return str(call.get("function", {}).get("arguments", "")) if isinstance(call, dict) else ""


def _without_arguments(call: Any) -> Any:
    return {**call, "function": {**call.get("function", {}), "arguments": "{}"}}
