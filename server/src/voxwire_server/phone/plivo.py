"""Plivo: XML and audio streaming (plivo.com/docs/voice-agents/audio-streaming)."""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any

from voxwire_server.phone import reading, signatures, vendor
from voxwire_server.phone.documents import document, element
from voxwire_server.phone.streams import EventDialect
from voxwire_server.phone.webhooks import WebhookVendor

__all__ = ["Plivo", "PlivoDialect"]

_MULAW = {"contentType": "audio/x-mulaw", "sampleRate": 8000}
_HOW = {"bidirectional": "true", "keepCallAlive": "true", "contentType": "audio/x-mulaw;rate=8000"}
_HEADER = re.compile(r"(?:X-PH-)?([A-Za-z0-9]+)[\"']?\s*[=:]\s*[\"']?([^\s,;\"'{}]+)")
_MAX_HEADERS = 512


class PlivoDialect(EventDialect):
    """One stream: µ-law at 8 kHz both ways; a checkpoint comes back if what it marks was played."""

    stream_name, played, echoes = "streamId", "playedStream", False

    def mark_of(self, said: dict[str, Any]) -> vendor.Mark:
        return vendor.Mark(reading.text_of(said, "name"))

    def start(self, said: dict[str, Any], start: dict[str, Any]) -> vendor.Started:
        call_id, self.stream_id = (reading.text_of(start, name) for name in ("callId", "streamId"))
        headers = str(said.get("extra_headers") or start.get("extra_headers") or "")
        return vendor.Started(call_id, dict(_HEADER.findall(headers[: 4 * _MAX_HEADERS])))

    def media(self, data: bytes) -> str:
        return self.say("playAudio", media=_MULAW | {"payload": base64.b64encode(data).decode()})

    def mark(self, name: str) -> str:
        return self.say("checkpoint", name=name)

    def clear(self) -> str:
        return self.say("clearAudio")


class Plivo(WebhookVendor):
    """Calls of one account.

    Args:
        tokens: Its auth tokens: two while one takes the other's place.
    """

    name, speaks, bare_numbers = "plivo", PlivoDialect, True
    fields = ("CallUUID", "From", "To")

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = tuple(tokens)

    def ringing(self, webhook: vendor.Webhook, now_s: float) -> vendor.Ringing:
        fields = reading.form_of(webhook.body)
        nonce = signatures.plivo_nonce(self._tokens, webhook.url, webhook.headers, fields)
        if not nonce:
            raise vendor.ForgedError("not signed with VOXWIRE_PHONE_PLIVO_TOKEN for this URL")
        return self.call_of(dict(fields), nonce.encode())

    def may_open(self, url: str, headers: Mapping[str, str], now_s: float) -> bool:
        if signatures.PLIVO not in headers:  # it signs that "if configured"
            return True
        return bool(signatures.plivo_nonce(self._tokens, url, headers, ()))

    def answer(self, url: str, ringing: vendor.Ringing, sent: Mapping[str, str]) -> vendor.Document:
        plain = [f"{n}={v}" for n, v in sent.items() if (n + v).isascii() and (n + v).isalnum()]
        while len(",".join(plain)) > _MAX_HEADERS and len(plain) > 1:
            plain.pop()
        stream = element("Stream", text=url, **_HOW, extraHeaders=",".join(plain))
        return document(stream, element("Hangup"))  # else the call may outlive its stream

    def forward(self, to: str) -> vendor.Document:
        return document(element("Dial", element("Number", text=to)))

    def busy(self) -> vendor.Document:
        return document(element("Hangup", reason="busy"))
