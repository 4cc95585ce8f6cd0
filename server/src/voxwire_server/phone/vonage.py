"""Vonage: NCCO and WebSockets (developer.vonage.com/en/voice/voice-api/guides/websockets)."""

import json
from collections.abc import Iterable, Mapping

from voxwire_server.phone import reading, signatures, vendor
from voxwire_server.phone.g711 import L16_16000
from voxwire_server.phone.webhooks import WebhookVendor

__all__ = ["Vonage", "VonageDialect"]

_CALL, _FORMAT = "call", "audio/l16;rate=16000"
_NOT_SENT = {"event", "content-type", _CALL}


class VonageDialect:
    """One stream: binary messages of 16-bit samples at 16 kHz, and text for all else."""

    encoding = hears = L16_16000
    block_ms, unit_bytes, echoes = 20, 640, False

    def decode(self, message: str | bytes) -> vendor.Said | None:
        if isinstance(message, bytes):
            return vendor.Audio(message)
        said = reading.members_of(message)
        match said.get("event"):
            case "websocket:connected":
                sent = {n: v for n, v in reading.texts_of(said).items() if n not in _NOT_SENT}
                return vendor.Started(reading.text_of(said, _CALL), sent)
            case "websocket:dtmf":
                return reading.keys_of(said, "digit")
            case "websocket:notify":
                return vendor.Mark(reading.text_of(reading.member_of(said, "payload"), "name"))
            case _:
                return None

    def media(self, data: bytes) -> bytes:
        return data

    def mark(self, name: str) -> str:
        return json.dumps({"action": "notify", "payload": {"name": name}})

    def clear(self) -> str:
        return json.dumps({"action": "clear"})


class Vonage(WebhookVendor):
    """Calls of one account.

    Args:
        secrets: Its signature secrets: two while one takes the other's place.
    """

    name, speaks, body_type = "vonage", VonageDialect, vendor.JSON
    methods: tuple[str, ...] = ("GET", "POST")
    fields, bare_numbers = ("uuid", "from", "to"), True
    own_query = frozenset({*fields, "conversation_uuid", "region_url", "endpoint_type"})

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)

    def ringing(self, webhook: vendor.Webhook, now_s: float) -> vendor.Ringing:
        said, proof = signatures.payload_of(webhook, self._secrets, now_s)
        return self.call_of(reading.texts_of(said), proof, is_dated=True)

    def may_open(self, url: str, headers: Mapping[str, str], now_s: float) -> bool:
        return signatures.has_claims(headers, self._secrets, now_s)

    def answer(self, url: str, ringing: vendor.Ringing, sent: Mapping[str, str]) -> vendor.Document:
        headers = {**sent, _CALL: ringing.call_id}  # it names no call on the WebSocket itself
        socket = {"type": "websocket", "uri": url, "content-type": _FORMAT, "headers": headers}
        socket["authorization"] = {"type": "vonage"}  # a JWT as its webhooks have, on the upgrade
        ncco = [{"action": "connect", "endpoint": [socket]}]
        return vendor.Document(vendor.JSON, json.dumps(ncco))

    def busy(self) -> vendor.Document:
        return vendor.Document(vendor.JSON, "[]")
