"""What of a session's envelopes an RTVI channel tells, and when. Pure."""

import json
from collections.abc import Collection
from typing import Any, Final, cast

from voxwire_protocol import rtvi, wire
from voxwire_protocol.json_text import load_json
from voxwire_server.control.rtvi_wire import Surroundings

__all__ = [
    "CAPABILITIES",
    "TOLD_BY_SESSION",
    "about_us",
    "going",
    "is_ours",
    "lost_call",
    "moments",
    "own_call",
]

TOLD_BY_SESSION: Final = frozenset(
    {
        "bot-ready",
        "user-started-speaking",
        "user-stopped-speaking",
        "user-mute-started",
        "user-mute-stopped",
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
CAPABILITIES: Final = {
    "audio_in": True,
    "audio_out": True,
    "video_in": False,
    "screen_in": False,
    "video_out": False,
    "metrics": True,
}
_GOING: Final = "go-away"
_CALLS: Final = frozenset({"llm-function-call", "llm-function-call-in-progress"})


def about_us(server: dict[str, Any], around: Surroundings | None) -> dict[str, Any]:
    """What ``bot-ready`` says of a server and its bot; RTVI's capabilities have no place for
    files.
    """
    accepts = None if around is None else around.accepts
    if accepts is None or not accepts.any:
        return server
    files = {"types": list(accepts.types), "max_bytes": accepts.max_bytes}
    return {**server, "accepts": files}


def going(go_away: wire.GoAway) -> wire.Envelope:
    """What a client is told that ends soon: a ``server-message``, which any client has a place for
    and takes for no failure; RTVI has no message of its own.
    """
    data = {"reason": go_away.reason, "time_left_ms": go_away.time_left_ms}
    message = wire.AppMessage(type=_GOING, data_json=json.dumps(data, ensure_ascii=False))
    return wire.Envelope(app_message=message)


def is_ours(message: wire.AppMessage) -> bool:
    """Whether a pipeline's own RTVI says what this channel says by itself."""
    if message.type != rtvi.PIPELINE_MESSAGE:
        return False
    data = load_json(message.data_json or "null")
    members = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    return members.get("label") == rtvi.LABEL and members.get("type") in TOLD_BY_SESSION


def own_call(text: str, client_tools: Collection[str]) -> tuple[str, str] | None:
    """Id and name of the call that a client is asked to run itself; None = it may be told that
    again, as it runs nothing of it.
    """
    message = rtvi.decode(text)
    data: object = message.data
    members = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    name = members.get("function_name")
    if message.type not in _CALLS or name not in client_tools:
        return None
    return str(members.get("tool_call_id")), str(name)


def lost_call(call_id: str, call_token: bytes) -> wire.Envelope:
    """What a call has come to that may never have come to the client."""
    error = wire.Error(
        code=wire.ErrorCode.ERROR_CODE_CONNECTION_LOST, reason="lost with the connection"
    )
    result = wire.ToolResult(call_id=call_id, call_token=call_token, error=error)
    return wire.Envelope(tool_result=result)


def moments(envelope: wire.Envelope) -> list[int]:
    """Where on the media clock something of an envelope becomes due."""
    if envelope.HasField("state_changed"):
        return [envelope.state_changed.media_ms] if envelope.state_changed.media_ms else []
    words = envelope.utterance_words
    return [words.base_media_ms + word.start_ms for word in words.words]
