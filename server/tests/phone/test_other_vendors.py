"""Telnyx, Plivo, Exotel, Vonage: messages of their pages, signatures, and Pipecat's own readers."""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import urlencode

import jwt
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
)
from pipecat.serializers.exotel import ExotelFrameSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer

from tests.support.phone_line import KNOWN, NOW_S, PUBLIC
from tests.support.phone_vendors import FAR_ENDS, SECRET, Vonage
from voxwire_server.config import Settings
from voxwire_server.phone.vendor import (
    Audio,
    Dialect,
    ForgedError,
    Keys,
    Mark,
    Ringing,
    Started,
    Stopped,
    Vendor,
    Webhook,
    WireError,
)
from voxwire_server.phone.vendors import PhoneSettingError, vendors_of

VENDORS: dict[str, Vendor] = {
    vendor.name: vendor for vendor in vendors_of(Settings(public_url=PUBLIC, **KNOWN))
}
ALL = pytest.mark.parametrize("name", FAR_ENDS)
NAMES = pytest.mark.parametrize("name", ["telnyx", "plivo", "exotel", "vonage"])
CALL = Ringing(call_id="C-1", caller="+15550100", called="+15550199")


def begun(name: str) -> Dialect:
    """A dialect whose stream has begun as the far end begins it."""
    dialect = VENDORS[name].dialect()
    *_, start = FAR_ENDS[name].begins("C-1", "S-1", {"call": "C-1", "ticket": "T", "shop": "12"})
    said = dialect.decode(start)
    assert isinstance(said, Started)
    assert said.call_id == "C-1"
    assert {"ticket": "T", "shop": "12"}.items() <= said.parameters.items()
    return dialect


def webhook(name: str, *, now_s: float = NOW_S, **changes: Any) -> Webhook:
    """One as the far end sends it."""
    url = f"{PUBLIC}/phone/{name}?bot=a"
    sent = FAR_ENDS[name].announce(url, "C-1", now_s)
    url = f"{PUBLIC}/phone/{name}?{sent.query}"
    return Webhook(sent.method, url, sent.headers, sent.body)._replace(**changes)


def signed_by_telnyx(form: dict[str, str]) -> Webhook:
    """A webhook with these fields."""
    body, stamp = urlencode(form).encode(), str(int(NOW_S))
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(SECRET.encode()).digest())
    signature = base64.b64encode(key.sign(stamp.encode() + b"|" + body)).decode()
    headers = {"telnyx-timestamp": stamp, "telnyx-signature-ed25519": signature}
    return Webhook("POST", f"{PUBLIC}/phone/telnyx", headers, body)


# webhooks


@ALL
def test_a_webhook_says_which_call_it_is(name: str) -> None:
    ringing = VENDORS[name].ringing(webhook(name), NOW_S + 299)
    assert (ringing.call_id, ringing.caller, ringing.called) == ("C-1", "+15550100", "+15550199")
    assert ringing.proof


@ALL
def test_one_without_a_call_is_none(name: str) -> None:
    sent = FAR_ENDS[name].announce(f"{PUBLIC}/phone/{name}", "", NOW_S)
    url = f"{PUBLIC}/phone/{name}?{sent.query}".rstrip("?")
    with pytest.raises(ForgedError):
        VENDORS[name].ringing(Webhook(sent.method, url, sent.headers, sent.body), NOW_S)


@pytest.mark.parametrize(
    "headers",
    [
        {"telnyx-timestamp": "soon", "telnyx-signature-ed25519": "AAAA"},
        {"telnyx-timestamp": "9" * 30, "telnyx-signature-ed25519": "AAAA"},
        {"telnyx-timestamp": str(int(NOW_S)), "telnyx-signature-ed25519": "?"},
        {"telnyx-timestamp": str(int(NOW_S)), "telnyx-signature-ed25519": "é"},
        {"telnyx-timestamp": str(int(NOW_S)), "telnyx-signature-ed25519": "A" * 88},
    ],
)
def test_telnyx_signs_time_and_body(headers: dict[str, str]) -> None:
    with pytest.raises(ForgedError):
        VENDORS["telnyx"].ringing(webhook("telnyx", headers=headers), NOW_S)


def test_plivo_may_send_several_signatures() -> None:
    good = webhook("plivo")
    signature = good.headers["x-plivo-signature-v3"]
    several = {**good.headers, "x-plivo-signature-v3": f"AAAA, {signature}"}
    VENDORS["plivo"].ringing(good._replace(headers=several), NOW_S)
    other = {**good.headers, "x-plivo-signature-v3-nonce": "1"}
    with pytest.raises(ForgedError):
        VENDORS["plivo"].ringing(good._replace(headers=other), NOW_S)


def test_exotel_is_known_by_its_password_or_its_addresses() -> None:
    named = webhook("exotel", headers={})
    for known, address, is_known in (
        ("192.0.2.0/24", "192.0.2.9", True),
        ("192.0.2.0/24,2001:db8::/32", "2001:db8::1", True),
        ("192.0.2.0/24", "198.51.100.1", False),
        ("192.0.2.0/24", "", False),
        ("192.0.2.0/24", "::ffff:192.0.2.9", True),  # of a listener for both
        ("a:b", "192.0.2.9", False),
    ):
        [exotel] = vendors_of(Settings(public_url=PUBLIC, phone_exotel=known))
        if is_known:
            assert exotel.ringing(named._replace(address=address), NOW_S).call_id == "C-1"
        else:
            with pytest.raises(ForgedError):
                exotel.ringing(named._replace(address=address), NOW_S)


def test_vonage_signs_the_query_of_a_get() -> None:
    query = '{"from":"+15550100","to":"+15550199","uuid":"C-1"}'
    token = Vonage.signed(query.encode(), "C-1", NOW_S)
    url = f"{PUBLIC}/phone/vonage?from=%2B15550100&to=%2B15550199&uuid=C-1"
    get = Webhook("GET", url, {"authorization": f"Bearer {token}"})
    assert VENDORS["vonage"].ringing(get, NOW_S).call_id == "C-1"
    with pytest.raises(ForgedError):
        VENDORS["vonage"].ringing(get._replace(url=url + "1"), NOW_S)


def test_vonage_signs_nothing_else_of_a_get() -> None:
    url = f"{PUBLIC}/phone/vonage?uuid=C-1"
    headers = {"authorization": f"Bearer {Vonage.signed(b'', 'C-1', NOW_S)}"}
    with pytest.raises(ForgedError):
        VENDORS["vonage"].ringing(Webhook("GET", url, headers), NOW_S)


def test_vonage_signs_a_body_as_it_is_or_without_its_white_space() -> None:
    body = '{ "uuid": "C-1",\n "from": "+15550100", "to": "é" }'.encode()
    compact = '{"uuid":"C-1","from":"+15550100","to":"é"}'.encode()
    for signed in (body, compact):
        headers = {"authorization": f"Bearer {Vonage.signed(signed, 'C-1', NOW_S)}"}
        ringing = VENDORS["vonage"].ringing(webhook("vonage", headers=headers, body=body), NOW_S)
        assert (ringing.call_id, ringing.called) == ("C-1", "é")
    headers = {"authorization": f"Bearer {Vonage.signed(b'[]', 'C-1', NOW_S)}"}
    with pytest.raises(ForgedError):
        VENDORS["vonage"].ringing(webhook("vonage", headers=headers, body=b"[]"), NOW_S)


def test_a_jwt_without_a_name_counts_once_however_its_signature_is_written() -> None:
    sent = webhook("vonage")
    claims = {"iat": int(NOW_S), "payload_hash": hashlib.sha256(sent.body).hexdigest()}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    ringing = VENDORS["vonage"].ringing(
        sent._replace(headers={"authorization": f"Bearer {token}"}), NOW_S
    )
    assert ringing.proof == token.rpartition(".")[0].encode()


@pytest.mark.parametrize(
    "token",
    [
        Vonage.signed(b"{}", "C-1", NOW_S),
        Vonage.signed(b"{}", "C-1", NOW_S, secret="another secret of more than 32 bytes"),
        "",
        "a.b.c",
        # {"alg":"none"}, {"iat":1800000000}
        "eyJhbGciOiJub25lIn0.eyJpYXQiOjE4MDAwMDAwMDB9.",
    ],
)
def test_another_jwt_opens_nothing(token: str) -> None:
    headers = {"authorization": f"Bearer {token}"}
    with pytest.raises(ForgedError):
        VENDORS["vonage"].ringing(webhook("vonage", headers=headers), NOW_S)


# settings


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"phone_telnyx_key": "no key"}, "VOXWIRE_PHONE_TELNYX_KEY cannot be used"),
        ({"phone_telnyx_key": "AAAA"}, "VOXWIRE_PHONE_TELNYX_KEY cannot be used"),
        ({"phone_exotel": "nobody"}, "VOXWIRE_PHONE_EXOTEL cannot be used"),
        ({"phone_exotel": "a:b, 10.0.0.0/99"}, "VOXWIRE_PHONE_EXOTEL cannot be used"),
        ({"phone_exotel": "a:b, 2001:db8::5/32"}, "that network is 2001:db8::/32"),
        ({"phone_twilio_token": "t", "public_url": ""}, "calls by twilio need VOXWIRE_PUBLIC_URL"),
    ],
)
def test_what_cannot_be_used_is_said_before_the_server_starts(
    settings: dict[str, str], why: str
) -> None:
    with pytest.raises(PhoneSettingError, match=why):
        vendors_of(Settings(**{"public_url": PUBLIC, **settings}))
    assert vendors_of(Settings()) == []


# answers


@ALL
def test_the_answer_has_the_stream_bring_the_ticket_along(name: str) -> None:
    answer = VENDORS[name].answer(f"wss://a/phone/{name}/media", CALL, {"ticket": "T1"})
    url, sent = FAR_ENDS[name].opened(answer.text)
    at = "exotel:a%20password@" if name == "exotel" else ""
    assert url.partition("?")[0] == f"wss://{at}a/phone/{name}/media"
    assert sent["ticket"] == "T1"


@ALL
def test_what_a_vendor_cannot_carry_is_left_out_and_never_the_ticket(name: str) -> None:
    more = {f"name{number}": "x" * 100 for number in range(8)}
    answer = VENDORS[name].answer("wss://a", CALL, {"ticket": "T" * 180, **more})
    assert FAR_ENDS[name].opened(answer.text)[1]["ticket"] == "T" * 180


# upgrades

UPGRADES: dict[str, list[dict[str, str]]] = {
    "telnyx": [],
    "plivo": [{"x-plivo-signature-v3": "AAAA", "x-plivo-signature-v3-nonce": "1"}],
    "exotel": [{}, {"authorization": "Basic AAAA"}, {"authorization": "exotel:a password"}],
    "vonage": [
        {},
        {"authorization": "Bearer AAAA"},
        {"authorization": f"Bearer {Vonage.signed(b'', 'C-1', NOW_S, 'x' * 40)}"},
        {"authorization": f"Bearer {Vonage.signed(b'', 'C-1', NOW_S - 301)}"},
        {"authorization": f"Bearer {Vonage.signed(b'', 'C-1', NOW_S + 301)}"},
    ],
}
"""Heads of WebSockets that are not the vendor's."""


@NAMES
def test_the_stream_is_opened_by_who_can_sign_and_by_nobody_else(name: str) -> None:
    vendor = VENDORS[name]
    answer = vendor.answer(f"wss://a/phone/{name}/media", CALL, {"ticket": "T1"})
    url, _ = FAR_ENDS[name].opened(answer.text)
    assert vendor.may_open(url, FAR_ENDS[name].head(url, NOW_S), NOW_S)
    for headers in UPGRADES[name]:
        assert not vendor.may_open(url, headers, NOW_S)


def test_exotel_has_no_password_to_bring_where_it_is_known_by_its_addresses() -> None:
    [exotel] = vendors_of(Settings(public_url=PUBLIC, phone_exotel="192.0.2.0/24"))
    answer = exotel.answer("wss://a/b", CALL, {"ticket": "T1"})
    assert json.loads(answer.text) == {"url": "wss://a/b?ticket=T1"}
    assert exotel.may_open("wss://a/b?ticket=T1", {}, NOW_S)


# what is known of the caller's number


@pytest.mark.parametrize(
    ("said", "attestation"),
    [
        ({}, ""),
        ({"ShakenStirAttestation": "A", "ShakenStirValidated": "true"}, "A"),
        ({"ShakenStirAttestation": "C", "ShakenStirValidated": "True"}, "C"),
        ({"ShakenStirAttestation": "A", "ShakenStirValidated": "false"}, ""),
        ({"ShakenStirAttestation": "A"}, ""),
        ({"ShakenStirAttestation": "D", "ShakenStirValidated": "true"}, ""),
    ],
)
def test_telnyx_tells_what_it_has_verified_of_the_number(
    said: dict[str, str], attestation: str
) -> None:
    form = {"CallSid": "C-1", "From": "+15550100", "To": "+15550199", **said}
    ringing = VENDORS["telnyx"].ringing(signed_by_telnyx(form), NOW_S)
    assert (ringing.caller, ringing.attestation) == ("+15550100", attestation)


@NAMES
def test_the_others_do_not_tell(name: str) -> None:
    assert VENDORS[name].ringing(webhook(name), NOW_S).attestation == ""


# streams


@ALL
def test_each_message_of_the_far_end_is_read(name: str) -> None:
    dialect, far = begun(name), FAR_ENDS[name]
    samples = np.arange(0, 1600, 10)
    said = dialect.decode(far.voice(samples, 7, "S-1"))
    assert isinstance(said, Audio)
    heard = np.frombuffer(dialect.hears.decode(said.data), "<i2").astype(int)
    assert np.abs(heard - samples).max() <= 40
    assert said.number == (7 if name == "telnyx" else 0)
    assert dialect.decode(far.key("*", "S-1")) == Keys("*")
    assert dialect.decode(far.played("0.7", "S-1")) == Mark("0.7")
    if far.stops:
        assert dialect.decode(far.stop("C-1", "S-1")) == Stopped()


@ALL
def test_each_message_is_one_that_the_far_end_understands(name: str) -> None:
    dialect, far = begun(name), FAR_ENDS[name]
    piece = np.full(dialect.encoding.sample_rate * dialect.block_ms // 1000, 500, "<i2")
    kind, heard = far.understand(dialect.media(dialect.encoding.encode(piece.tobytes())), "S-1")
    assert kind == "sound"
    assert np.abs(heard.astype(int) - 500).max() <= 20
    assert far.understand(dialect.mark("0.7"), "S-1") == ("mark", "0.7")
    assert far.understand(dialect.clear(), "S-1") == ("clear", None)


def test_telnyx_may_send_a_law() -> None:
    dialect = VENDORS["telnyx"].dialect()
    start = json.loads(FAR_ENDS["telnyx"].begins("C-1", "S-1", {})[-1])
    start["start"]["media_format"]["encoding"] = "PCMA"
    dialect.decode(json.dumps(start))
    assert dialect.hears.name == "alaw"
    assert dialect.encoding.name == "mulaw"
    start["start"]["media_format"]["encoding"] = "OPUS"
    with pytest.raises(WireError, match="PCMU"):
        VENDORS["telnyx"].dialect().decode(json.dumps(start))


@pytest.mark.parametrize(
    "headers",
    [
        "ticket=T1;shop=12",
        "ticket=T1,shop=12",
        "X-PH-ticket=T1,X-PH-shop=12",
        '{"X-PH-ticket": "T1", "X-PH-shop": "12"}',
        "{'ticket': 'T1', 'shop': '12'}",
        "ticket=T1;shop=a-b_c.d",
    ],
)
def test_plivos_headers_are_found_however_they_are_written(headers: str) -> None:
    start = json.loads(FAR_ENDS["plivo"].begins("C-1", "S-1", {})[-1])
    said = VENDORS["plivo"].dialect().decode(json.dumps(start | {"extra_headers": headers}))
    assert isinstance(said, Started)
    assert said.parameters["ticket"] == "T1"
    assert said.parameters["shop"] in {"12", "a-b_c.d"}


# a second reader

READERS: dict[str, Any] = {
    "telnyx": lambda: TelnyxFrameSerializer(
        stream_id="S-1",
        outbound_encoding="PCMU",
        inbound_encoding="PCMU",
        params=TelnyxFrameSerializer.InputParams(auto_hang_up=False),
    ),
    "plivo": lambda: PlivoFrameSerializer(
        "S-1", params=PlivoFrameSerializer.InputParams(auto_hang_up=False)
    ),
    "exotel": lambda: ExotelFrameSerializer("S-1"),
    "vonage": VonageFrameSerializer,
}


@NAMES
async def test_we_read_what_pipecats_serializer_sends_and_it_reads_what_we_do(name: str) -> None:
    theirs, dialect, far = READERS[name](), begun(name), FAR_ENDS[name]
    rate = far.rate
    vars(theirs)["_sample_rate"] = rate
    number = rate * dialect.block_ms // 1000  # Exotel takes no less
    pcm = (8000 * np.sin(np.arange(number) / 4)).astype("<i2").tobytes()
    said = await theirs.serialize(OutputAudioRawFrame(pcm, rate, 1))
    ours = dialect.media(dialect.encoding.encode(pcm))
    assert far.understand(said, "S-1")[1].tolist() == far.understand(ours, "S-1")[1].tolist()
    cleared = await theirs.serialize(InterruptionFrame())
    assert far.understand(cleared, "S-1") == far.understand(dialect.clear(), "S-1")
    samples = np.frombuffer(pcm, "<i2")
    heard = dialect.decode(far.voice(samples, 1, "S-1"))
    frame = await theirs.deserialize(far.voice(samples, 1, "S-1"))
    assert isinstance(heard, Audio)
    assert isinstance(frame, InputAudioRawFrame)
    assert frame.audio == dialect.hears.decode(heard.data)
    key = await theirs.deserialize(far.key("#", "S-1"))
    assert isinstance(key, InputDTMFFrame)
    assert dialect.decode(far.key("#", "S-1")) == Keys(key.button.value)
