"""Plivo: XML and audio streaming (plivo.com/docs/voice/audio-streaming)."""

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
_HEADER = re.compile(r"(?:X-PH-)?([A-Za-z0-9]+)[\"']?\s*[=:]\s*[\"']?([^\s,;\"'{}]+)")
_MAX_HEADERS = 512
_HOW = {
    "bidirectional": "true",
    "keepCallAlive": "true",
    "contentType": "audio/x-mulaw;rate=8000",
}


class PlivoDialect(EventDialect):
    """One stream: µ-law at 8 kHz both ways; a checkpoint comes back if what it marks was played."""

    stream_name, played, echoes = "streamId", "playedStream", False

    def mark_of(self, said: dict[str, Any]) -> vendor.Mark:
        return vendor.Mark(reading.text_of(said, "name"))

    def start(self, said: dict[str, Any], start: dict[str, Any]) -> vendor.Started:
        call_id = reading.text_of(start, "callId")
        self.stream_id = reading.text_of(start, "streamId")
        headers = str(said.get("extra_headers") or start.get("extra_headers") or "")
        found = dict(_HEADER.findall(headers[: 4 * _MAX_HEADERS]))
        return vendor.Started(call_id, found)

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

    name, speaks, fields = "plivo", PlivoDialect, ("CallUUID", "From", "To")

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = tuple(tokens)

    def ringing(self, webhook: vendor.Webhook, now_s: float) -> vendor.Ringing:
        fields, urls = reading.form_of(webhook.body), signatures.as_signed(webhook.url)
        nonce = webhook.headers.get("x-plivo-signature-v3-nonce", "")
        given = webhook.headers.get("x-plivo-signature-v3", "").split(",")
        good = [signatures.plivo(t, u, fields, nonce) for t in self._tokens for u in urls]
        if not nonce or not signatures.is_one_of(map(str.strip, given), good):
            raise vendor.ForgedError("not signed with VOXWIRE_PHONE_PLIVO_TOKEN for this URL")
        return self.call_of(dict(fields), nonce.encode())

    def answer(self, url: str, ringing: vendor.Ringing, sent: Mapping[str, str]) -> vendor.Document:
        plain = [f"{n}={v}" for n, v in sent.items() if (n + v).isascii() and (n + v).isalnum()]
        while len(",".join(plain)) > _MAX_HEADERS and len(plain) > 1:
            plain.pop()
        return document(element("Stream", text=url, **_HOW, extraHeaders=",".join(plain)))

    def forward(self, to: str) -> vendor.Document:
        return document(element("Dial", element("Number", text=to)))

    def busy(self) -> vendor.Document:
        return document(element("Hangup", reason="busy"))
