"""Telnyx: TeXML and media streaming (developers.telnyx.com, "Stream call media over WebSocket")."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from voxwire_server.phone import reading, signatures, vendor
from voxwire_server.phone.documents import stream
from voxwire_server.phone.g711 import ALAW, MULAW
from voxwire_server.phone.streams import EventDialect
from voxwire_server.phone.webhooks import WebhookVendor

__all__ = ["Telnyx", "TelnyxDialect"]

_ENCODINGS = {"PCMU": MULAW, "PCMA": ALAW}
_HOW = {"bidirectionalMode": "rtp", "bidirectionalCodec": "PCMU", "codec": "PCMU"}


class TelnyxDialect(EventDialect):
    """One stream: G.711 at 8 kHz both ways, 20 ms at least; the caller's voice in any order."""

    stream_name, unit_bytes = "stream_id", 160

    def audio(self, media: dict[str, Any]) -> vendor.Audio:
        return reading.audio_of(media, "payload", number=reading.number_of(media, "chunk"))

    def say(self, event: str, **members: object) -> str:
        return json.dumps({"event": event, **members})  # it knows the stream

    def start(self, said: dict[str, Any], start: dict[str, Any]) -> vendor.Started:
        form = reading.text_of(reading.member_of(start, "media_format"), "encoding")
        if form not in _ENCODINGS:
            raise vendor.WireError("neither PCMU nor PCMA")
        call_id = reading.text_of(start, "call_control_id")
        self.hears, self.stream_id = _ENCODINGS[form], reading.text_of(said, "stream_id")
        return vendor.Started(call_id, reading.parameters_of(start, "custom_parameters"))


class Telnyx(WebhookVendor):
    """Calls of a TeXML application.

    Args:
        keys: The account's public keys, base64.

    Raises:
        ValueError: One is none.
    """

    name, speaks = "telnyx", TelnyxDialect

    def __init__(self, keys: Iterable[str]) -> None:
        raw = [base64.b64decode(key, validate=True) for key in keys]
        self._keys = [Ed25519PublicKey.from_public_bytes(key) for key in raw]

    def ringing(self, webhook: vendor.Webhook, now_s: float) -> vendor.Ringing:
        stamp = webhook.headers.get("telnyx-timestamp", "")
        given = webhook.headers.get("telnyx-signature-ed25519", "")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
            raise vendor.ForgedError("no telnyx-timestamp")
        signatures.check_fresh(int(stamp), now_s)
        signed = f"{stamp}|".encode() + webhook.body
        if not signatures.is_signed(self._keys, signed, given):
            raise vendor.ForgedError("not signed with a key of VOXWIRE_PHONE_TELNYX_KEY")
        return self.call_of(dict(reading.form_of(webhook.body)), signed, is_dated=True)

    def attested(self, form: Mapping[str, str]) -> str:
        found = form.get("ShakenStirAttestation", "")
        is_verified = form.get("ShakenStirValidated", "").lower() == "true"
        return found if is_verified and found in {"A", "B", "C"} else ""

    def answer(self, url: str, ringing: vendor.Ringing, sent: Mapping[str, str]) -> vendor.Document:
        return stream(url, sent, **_HOW)
