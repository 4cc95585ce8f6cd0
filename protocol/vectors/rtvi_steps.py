"""The steps of a script on a stock peer, and the messages in them."""

from typing import Any

NOW = "2026-08-21T10:11:12.345Z"


def m(kind: str, data: Any = ..., message_id: str | None = None) -> dict[str, Any]:
    """An RTVI message."""
    found: dict[str, Any] = {"label": "rtvi-ai", "type": kind}
    if message_id is not None:
        found["id"] = message_id
    if data is not ...:
        found["data"] = data
    return found


def write(payload: str, value: dict[str, Any], *messages: dict[str, Any]) -> dict[str, Any]:
    """Our envelope, and the messages that it becomes."""
    return {"op": "write", "envelope": {payload: value}, "messages": list(messages)}


def advance(media_ms: int, *messages: dict[str, Any]) -> dict[str, Any]:
    """Playout reaches a position."""
    return {"op": "advance", "media_ms": media_ms, "messages": list(messages)}


def said(message: dict[str, Any], **found: Any) -> dict[str, Any]:
    """A client's message and what it says: ``envelope`` or ``value`` with its fields."""
    return {"op": "read", "message": message, **found}


def heard(message: dict[str, Any], *envelopes: dict[str, Any], at: int = 0) -> dict[str, Any]:
    """A bot's message and the envelopes that it becomes."""
    return {"op": "read", "media_ms": at, "message": message, "envelopes": list(envelopes)}


def lost(*envelopes: dict[str, Any], at: int = 0) -> dict[str, Any]:
    """Another connection to a bot, and the envelopes that end what the one before left open."""
    return {"op": "lost", "media_ms": at, "envelopes": list(envelopes)}


def late(utterance_id: str) -> dict[str, Any]:
    """The utterance whose end waits for words; empty = none."""
    return {"op": "late", "utterance_id": utterance_id}


def overdue(*envelopes: dict[str, Any], at: int = 0) -> dict[str, Any]:
    """It has waited for long enough, and what that means."""
    return {"op": "overdue", "media_ms": at, "envelopes": list(envelopes)}


def ready(version: Any, about: Any = None, message_id: str = "r") -> dict[str, Any]:
    """A handshake of a client, without what the bot answers."""
    return m("client-ready", {"version": version, "about": about or {"library": "x"}}, message_id)
