"""What of a session's envelopes an RTVI channel tells, and when. Pure."""

from collections.abc import Collection
from typing import Any, Final, cast

from voxwire_protocol import rtvi, wire
from voxwire_protocol.json_text import load_json

__all__ = ["TOLD_BY_SESSION", "is_ours", "may_come_twice", "moments"]

TOLD_BY_SESSION: Final = frozenset(
    {
        "bot-ready",
        "user-started-speaking",
        "user-stopped-speaking",
        "bot-started-speaking",
        "bot-stopped-speaking",
        "bot-interrupted",
        "user-input",
        "user-transcription",
        "user-llm-text",
        "bot-llm-started",
        "bot-llm-text",
        "bot-llm-stopped",
        "bot-transcription",
        "bot-tts-started",
        "bot-tts-text",
        "bot-tts-stopped",
        "bot-output",
        "llm-function-call",
        "llm-function-call-started",
        "llm-function-call-in-progress",
        "llm-function-call-stopped",
        "metrics",
    }
)
"""What a session tells by itself: the same of a pipeline's own RTVI would come twice."""
_CALLS: Final = frozenset({"llm-function-call", "llm-function-call-in-progress"})


def is_ours(message: wire.AppMessage) -> bool:
    """Whether a pipeline's own RTVI says what this channel says by itself."""
    if message.type != rtvi.PIPELINE_MESSAGE:
        return False
    data = load_json(message.data_json or "null")
    members = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    return members.get("label") == rtvi.LABEL and members.get("type") in TOLD_BY_SESSION


def may_come_twice(text: str, client_tools: Collection[str]) -> bool:
    """Whether a client may be told that again: it would run a call of its own tools again, too."""
    message = rtvi.decode(text)
    data: object = message.data
    members = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    return message.type not in _CALLS or members.get("function_name") not in client_tools


def moments(envelope: wire.Envelope) -> list[int]:
    """Where on the media clock something of an envelope becomes due."""
    if envelope.HasField("state_changed"):
        return [envelope.state_changed.media_ms] if envelope.state_changed.media_ms else []
    words = envelope.utterance_words
    return [words.base_media_ms + word.start_ms for word in words.words]
