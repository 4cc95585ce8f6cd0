"""Exotel: Voicebot applet (developer.exotel.com/docs/agentstream/stream-voicebot-applet)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from voxwire_server.phone import reading, signatures, vendor
from voxwire_server.phone.g711 import L16_8000
from voxwire_server.phone.streams import EventDialect
from voxwire_server.phone.webhooks import WebhookVendor

__all__ = ["Exotel", "ExotelDialect"]

_MAX_QUERY, _MAX_PAIRS = 256, 3
_OWN = frozenset(
    {
        *("CallSid", "CallFrom", "CallTo", "From", "To", "CallStatus", "CallType", "Direction"),
        *("Created", "CurrentTime", "StartTime", "EndTime", "DialCallDuration", "DialWhomNumber"),
        *("flow_id", "tenant_id"),
    }
)


class ExotelDialect(EventDialect):
    """One stream: 16-bit samples at 8 kHz both ways, in pieces of 3200 bytes."""

    encoding = hears = L16_8000
    block_ms, unit_bytes, stream_name = 200, 3200, "stream_sid"  # of less the sound is bad

    def start(self, said: dict[str, Any], start: dict[str, Any]) -> vendor.Started:
        call_id, parameters = reading.text_of(start, "call_sid"), "custom_parameters"
        self.stream_id = reading.text_of(start, "stream_sid")
        return vendor.Started(call_id, reading.parameters_of(start, parameters))


class Exotel(WebhookVendor):
    """Calls of one account, which signs nothing.

    Args:
        known: How it is known: ``user:password`` (basic authentication), addresses, networks.

    Raises:
        ValueError: There is nothing, or something that is neither.
    """

    name, speaks, methods = "exotel", ExotelDialect, ("GET",)
    fields, own_query = ("CallSid", "CallFrom", "CallTo"), _OWN

    def __init__(self, known: Iterable[str]) -> None:
        self._known = signatures.Known(known)

    def ringing(self, webhook: vendor.Webhook, now_s: float) -> vendor.Ringing:
        if not self._known.has(webhook.headers.get("authorization", ""), webhook.address):
            raise vendor.ForgedError("neither a password nor an address of VOXWIRE_PHONE_EXOTEL")
        form = dict(reading.form_of(urlsplit(webhook.url).query.encode(errors="replace")))
        ringing = self.call_of(form, form.get("CallSid", "").encode())
        return replace(ringing, outgoing=form.get("Direction", "").startswith("outbound"))

    def may_open(self, url: str, headers: Mapping[str, str], now_s: float) -> bool:
        given = headers.get("authorization", "")
        return not self._known.passwords or self._known.has_password(given)

    def answer(self, url: str, ringing: vendor.Ringing, sent: Mapping[str, str]) -> vendor.Document:
        pairs = list(sent.items())[:_MAX_PAIRS]
        while len(urlencode(pairs)) > _MAX_QUERY and len(pairs) > 1:
            pairs.pop()
        scheme, _, rest = url.partition("://")
        user, colon, password = "".join(self._known.passwords[:1]).partition(":")
        at = f"{quote(user, safe='')}:{quote(password, safe='')}@" if colon else ""
        url = f"{scheme}://{at}{rest}?{urlencode(pairs)}"  # it sends that as basic authentication
        return vendor.Document(vendor.JSON, json.dumps({"url": url}))

    def busy(self) -> vendor.Document:
        return vendor.Document(vendor.JSON, "{}")  # the flow goes on with its next applet
