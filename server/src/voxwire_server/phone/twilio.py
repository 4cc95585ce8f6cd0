"""Twilio: TwiML and Media Streams (twilio.com/docs/voice/media-streams/websocket-messages)."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from voxwire_server.phone import reading, vendor
from voxwire_server.phone.documents import as_signed, document, element
from voxwire_server.phone.streams import EventDialect

__all__ = ["Twilio", "TwilioDialect"]


def _signature(token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """Of a URL and fields, sorted, once each (twilio.com/docs/usage/security)."""
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    digest = hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


class Twilio:
    """Calls of one account.

    Args:
        tokens: Its auth tokens: two while one takes the other's place.
    """

    name, methods = "twilio", ("POST",)

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = tuple(tokens)

    def _is_signed(
        self, url: str, headers: Mapping[str, str], form: Iterable[tuple[str, str]] = ()
    ) -> bool:
        given, fields = headers.get("x-twilio-signature", "").encode(), list(form)
        good = [_signature(t, u, fields) for t in self._tokens for u in as_signed(url)]
        return any(hmac.compare_digest(each.encode(), given) for each in good)

    def ringing(self, webhook: vendor.Webhook, now_s: float) -> vendor.Ringing:
        fields = reading.form_of(webhook.body)
        if not self._is_signed(webhook.url, webhook.headers, fields):
            raise vendor.ForgedError("not signed with VOXWIRE_PHONE_TWILIO_TOKEN for this URL")
        form = dict(fields)
        return vendor.Ringing(
            call_id=reading.field_of(form, "CallSid"),
            caller=reading.party_of(form, "From"),
            called=reading.party_of(form, "To"),
            proof=webhook.headers["x-twilio-signature"].encode(),
        )

    def may_open(self, url: str, headers: Mapping[str, str]) -> bool:
        return self._is_signed(url, headers)

    def answer(self, url: str, ticket: str, parameters: Mapping[str, str]) -> vendor.Document:
        sent = {**parameters, vendor.TICKET: ticket}
        named = [element("Parameter", name=n, value=v) for n, v in sent.items()]
        return document(element("Connect", element("Stream", *named, url=url)))

    def busy(self) -> vendor.Document:
        return document(element("Reject", reason="busy"))

    def dialect(self) -> vendor.Dialect:
        return TwilioDialect()


class TwilioDialect(EventDialect):
    """One stream: µ-law at 8 kHz both ways."""

    def start(self, said: dict[str, Any], start: dict[str, Any]) -> vendor.Started:
        self.stream_id = reading.text_of(start, "streamSid")
        parameters = reading.parameters_of(start, "customParameters")
        return vendor.Started(reading.text_of(start, "callSid"), parameters)
