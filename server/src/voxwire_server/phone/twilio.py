"""Twilio: TwiML and Media Streams (twilio.com/docs/voice/media-streams/websocket-messages)."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from voxwire_server.phone import reading, signatures, vendor
from voxwire_server.phone.documents import stream
from voxwire_server.phone.streams import EventDialect
from voxwire_server.phone.webhooks import WebhookVendor

__all__ = ["Twilio", "TwilioDialect"]

_SIGNATURE = "x-twilio-signature"
# twilio.com/docs/voice/trusted-calling-with-shakenstir
_VERIFIED = re.compile("TN-Validation-Passed-([ABC])(?:-Diverted|-Passthrough)?")


class TwilioDialect(EventDialect):
    """One stream: µ-law at 8 kHz both ways."""

    def start(self, said: dict[str, Any], start: dict[str, Any]) -> vendor.Started:
        call_id, parameters = reading.text_of(start, "callSid"), "customParameters"
        self.stream_id = reading.text_of(start, "streamSid")
        return vendor.Started(call_id, reading.parameters_of(start, parameters))


class Twilio(WebhookVendor):
    """Calls of one account.

    Args:
        tokens: Its auth tokens: two while one takes the other's place.
    """

    name, speaks = "twilio", TwilioDialect

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = tuple(tokens)

    def _is_signed(self, url: str, given: str, fields: Iterable[tuple[str, str]]) -> bool:
        urls, pairs = signatures.as_signed(url), list(fields)
        good = [signatures.twilio(token, each, pairs) for token in self._tokens for each in urls]
        return signatures.is_one_of([given], good)

    def ringing(self, webhook: vendor.Webhook, now_s: float) -> vendor.Ringing:
        fields, given = reading.form_of(webhook.body), webhook.headers.get(_SIGNATURE, "")
        if not self._is_signed(webhook.url, given, fields):
            raise vendor.ForgedError("not signed with VOXWIRE_PHONE_TWILIO_TOKEN for this URL")
        return self.call_of(dict(fields), given.encode())

    def attested(self, form: Mapping[str, str]) -> str:
        found = _VERIFIED.fullmatch(form.get("StirVerstat", ""))
        return found[1] if found else ""

    def may_open(self, url: str, headers: Mapping[str, str], now_s: float) -> bool:
        return self._is_signed(url, headers.get(_SIGNATURE, ""), ())

    def answer(self, url: str, ringing: vendor.Ringing, sent: Mapping[str, str]) -> vendor.Document:
        return stream(url, sent)
