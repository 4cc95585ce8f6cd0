"""Signatures by the vendors' own libraries: what they make or take for good, we take for good."""

import time
from importlib import import_module
from typing import Any

import pytest

from tests.support.phone_line import KNOWN, NOW_S, PUBLIC
from tests.support.phone_vendors import CALLED, CALLER, FAR_ENDS, SECRET, TOKEN
from voxwire_server.config import Settings
from voxwire_server.phone.vendor import Webhook
from voxwire_server.phone.vendors import vendors_of

VENDORS = {vendor.name: vendor for vendor in vendors_of(Settings(public_url=PUBLIC, **KNOWN))}
QUERIES = pytest.mark.parametrize("query", ["", "?bot=a", "?z=2&bot=a&empty=&q=a%20b"])


def announced(name: str, query: str, now_s: float = NOW_S) -> Webhook:
    """A webhook of the far end, which we take."""
    url = f"{PUBLIC}/phone/{name}{query}"
    sent = FAR_ENDS[name].announce(url, "C-1", now_s)
    webhook = Webhook(sent.method, url, sent.headers, sent.body)
    assert VENDORS[name].ringing(webhook, now_s).call_id == "C-1"
    return webhook


@QUERIES
def test_twilio(query: str) -> None:
    library: Any = import_module("twilio.request_validator")
    webhook = announced("twilio", query)
    form = {"CallSid": "C-1", "From": CALLER, "To": CALLED, "AccountSid": "AC0"}
    signature = webhook.headers["x-twilio-signature"]
    assert library.RequestValidator(TOKEN).validate(webhook.url, form, signature)
    stream = f"{PUBLIC.replace('https', 'wss')}/phone/twilio/media{query}"
    signature = library.RequestValidator(TOKEN).compute_signature(stream, {})
    assert VENDORS["twilio"].may_open(stream, {"x-twilio-signature": signature}, NOW_S)
    assert not VENDORS["twilio"].may_open(f"{stream}1", {"x-twilio-signature": signature}, NOW_S)


@QUERIES
def test_plivo(query: str) -> None:
    library: Any = import_module("plivo.utils.signature_v3")
    webhook = announced("plivo", query)
    form = {"CallUUID": "C-1", "From": CALLER[1:], "To": CALLED[1:], "Direction": "inbound"}
    signature = webhook.headers["x-plivo-signature-v3"]
    nonce = webhook.headers["x-plivo-signature-v3-nonce"]
    for url, is_good in ((webhook.url, True), (f"{webhook.url}1", False)):
        given = ("POST", url, nonce, TOKEN, signature, dict(form))
        assert library.validate_v3_signature(*given) is is_good


@QUERIES
def test_plivo_signs_the_upgrade_as_well(query: str) -> None:
    library: Any = import_module("plivo.utils.signature_v3")
    stream = f"{PUBLIC.replace('https', 'wss')}/phone/plivo/media{query}"
    signed = library.construct_get_url(stream, {}).decode()
    signature = library.get_signature_v3(TOKEN.encode(), signed, b"a nonce").decode()
    given = {"x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": "a nonce"}
    plivo = VENDORS["plivo"]
    assert plivo.may_open(stream, given, NOW_S)
    assert plivo.may_open(stream, FAR_ENDS["plivo"].head(stream, NOW_S), NOW_S)
    assert plivo.may_open(stream, {}, NOW_S)  # where it is not configured
    assert not plivo.may_open(f"{stream}1", given, NOW_S)
    other = {**given, "x-plivo-signature-v3-nonce": "another"}
    assert not plivo.may_open(stream, other, NOW_S)
    assert not plivo.may_open(stream, {"x-plivo-signature-v3": signature}, NOW_S)


def test_vonage() -> None:
    library: Any = import_module("vonage_jwt")
    webhook = announced("vonage", "", time.time())  # their library has its own clock
    token = webhook.headers["authorization"].removeprefix("Bearer ")
    assert library.verify_signature(token, SECRET)
    assert not library.verify_signature(token, f"{SECRET}1")


def test_vonage_signs_the_upgrade_as_well() -> None:
    library: Any = import_module("vonage_jwt")
    now_s = time.time()
    stream = f"{PUBLIC.replace('https', 'wss')}/phone/vonage/media"
    head = FAR_ENDS["vonage"].head(stream, now_s)
    assert library.verify_signature(head["authorization"].removeprefix("Bearer "), SECRET)
    assert VENDORS["vonage"].may_open(stream, head, now_s)
