"""Twilio's wire and signatures, held against its pages and against Pipecat's own serializer."""

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import numpy as np
import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
)
from pipecat.serializers.twilio import TwilioFrameSerializer

from tests.support.phone_vendors import twilio_signature
from voxwire_server.phone.twilio import Twilio, TwilioDialect
from voxwire_server.phone.vendor import (
    Audio,
    ForgedError,
    Keys,
    Mark,
    Ringing,
    Started,
    Stopped,
    Webhook,
    WireError,
)

# twilio.com/docs/usage/security#validating-requests, "a sample"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
BODY = (
    b"CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234"
    b"&From=%2B14158675309&To=%2B18005551212"
)
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def webhook(url: str = URL, body: bytes = BODY, signature: str = SIGNATURE) -> Webhook:
    return Webhook("POST", url, {"x-twilio-signature": signature}, body)


def test_the_example_of_its_page_is_signed() -> None:
    for tokens in (["12345"], ["another", "12345"]):
        ringing = Twilio(tokens).ringing(webhook(), 0.0)
        assert ringing == Ringing(
            call_id="CA1234567890ABCDE",
            caller="+14158675309",
            called="+18005551212",
            proof=SIGNATURE.encode(),
        )


@pytest.mark.parametrize("caller", ["anonymous", "Restricted", "%2B266696687", "", "%0A", "%20"])
def test_a_number_that_was_withheld_is_none(caller: str) -> None:
    body = f"CallSid=CA1&From={caller}&To=%2B18005551212".encode()
    pairs = dict(parse_qsl(body.decode(), keep_blank_values=True))
    signature = twilio_signature("12345", URL, pairs)
    ringing = Twilio(["12345"]).ringing(webhook(body=body, signature=signature), 0.0)
    assert (ringing.caller, ringing.called) == ("", "+18005551212")


@pytest.mark.parametrize(
    ("said", "attestation"),
    [
        ("TN-Validation-Passed-A", "A"),
        ("TN-Validation-Passed-B", "B"),
        ("TN-Validation-Passed-C-Diverted", "C"),
        ("TN-Validation-Passed-A-Passthrough", "A"),
        ("TN-Validation-Failed-A", ""),
        ("TN-Validation-Failed", ""),
        ("No-TN-Validation", ""),
        ("TN-Validation-Passed-D", ""),
        ("xTN-Validation-Passed-A", ""),
        ("", ""),
    ],
)
def test_what_is_verified_of_the_number_is_told(said: str, attestation: str) -> None:
    fields = {"CallSid": "CA1", "From": "+14158675309", "To": "+18005551212", "StirVerstat": said}
    signature = twilio_signature("12345", URL, fields)
    body = urlencode(fields).encode()
    ringing = Twilio(["12345"]).ringing(webhook(body=body, signature=signature), 0.0)
    assert ringing.attestation == attestation


def test_whether_the_port_is_part_of_what_is_signed_does_not_matter() -> None:
    Twilio(["12345"]).ringing(webhook("https://mycompany.com:443/myapp.php?foo=1&bar=2"), 0.0)


@pytest.mark.parametrize(
    "other",
    [
        webhook(url=URL.replace("https", "http")),
        webhook(url=URL + "1"),
        webhook(body=BODY.replace(b"1234&", b"1235&")),
        webhook(body=BODY + b"&More=1"),
        webhook(body=BODY + b"&CallSid=CA2"),
        webhook(signature=""),
        webhook(signature=SIGNATURE.lower()),
        webhook(signature="é"),
        webhook(body=b"\xff"),
        webhook(body=b"&".join(b"a=%d" % number for number in range(300))),
        Webhook("POST", URL, {}, BODY),
    ],
)
def test_anything_else_is_not(other: Webhook) -> None:
    with pytest.raises(ForgedError):
        Twilio(["12345"]).ringing(other, 0.0)
    with pytest.raises(ForgedError):
        Twilio(["1234"]).ringing(webhook(), 0.0)


def test_the_stream_is_opened_with_the_ticket_and_nothing_breaks_out_of_the_document() -> None:
    call = Ringing(call_id="CA1")
    answer = Twilio(["t"]).answer("wss://a/b", call, {'x"<': "&>'", "ticket": "T1"})
    assert answer.media_type == "application/xml"
    assert answer.text == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect><Stream url="wss://a/b">'
        """<Parameter name='x"&lt;' value="&amp;&gt;'"/>"""
        '<Parameter name="ticket" value="T1"/></Stream></Connect></Response>'
    )
    assert Twilio(["t"]).busy().text.endswith('<Response><Reject reason="busy"/></Response>')


# twilio.com/docs/voice/media-streams/websocket-messages, as shown there

CONNECTED = '{"event": "connected", "protocol": "Call", "version": "1.0.0"}'
START = json.dumps(
    {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": "ACXXX",
            "streamSid": "MZXXX",
            "callSid": "CAXXX",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"FirstName": "Jane", "ticket": "T1"},
        },
        "streamSid": "MZXXX",
    }
)
MEDIA = json.dumps(
    {
        "event": "media",
        "sequenceNumber": "3",
        "media": {"track": "outbound", "chunk": "1", "timestamp": "5", "payload": "//4="},
        "streamSid": "MZXXX",
    }
)
STOP = json.dumps(
    {
        "event": "stop",
        "sequenceNumber": "5",
        "stop": {"accountSid": "ACXXX", "callSid": "CAXXX"},
        "streamSid": "MZXXX",
    }
)
DTMF = json.dumps(
    {
        "event": "dtmf",
        "streamSid": "MZXXX",
        "sequenceNumber": "5",
        "dtmf": {"track": "inbound_track", "digit": "1"},
    }
)
MARK = json.dumps(
    {"event": "mark", "sequenceNumber": "4", "streamSid": "MZXXX", "mark": {"name": "label"}}
)


def begun() -> TwilioDialect:
    dialect = TwilioDialect()
    assert dialect.decode(CONNECTED) is None
    said = Started("CAXXX", {"FirstName": "Jane", "ticket": "T1"})
    assert dialect.decode(START) == said
    return dialect


def test_each_message_of_its_page_is_read() -> None:
    dialect = begun()
    assert dialect.decode(MEDIA) == Audio(b"\xff\xfe")
    assert dialect.decode(MARK) == Mark("label")
    assert dialect.decode(DTMF) == Keys("1")
    assert dialect.decode(STOP) == Stopped()


def test_each_message_is_written_as_its_page_shows() -> None:
    dialect = begun()
    assert json.loads(dialect.media(b"\xff\xfe")) == {
        "event": "media",
        "streamSid": "MZXXX",
        "media": {"payload": "//4="},
    }
    assert json.loads(dialect.mark("my label")) == {
        "event": "mark",
        "streamSid": "MZXXX",
        "mark": {"name": "my label"},
    }
    assert json.loads(dialect.clear()) == {"event": "clear", "streamSid": "MZXXX"}


@pytest.mark.parametrize(
    "message",
    [
        b"\xff\xfe",
        CONNECTED.encode(),
        "",
        "[]",
        "null",
        "{",
        '{"event": "media"}',
        '{"event": "media", "media": {}}',
        '{"event": "media", "media": {"payload": 1}}',
        '{"event": "media", "media": {"payload": "?"}}',
        '{"event": "media", "media": {"payload": "é"}}',
        json.dumps({"event": "media", "media": {"payload": "A" * 1_300_000}}),
        '{"event": "mark", "mark": {"name": ""}}',
        '{"event": "mark", "mark": "name"}',
        '{"event": "dtmf", "dtmf": {"digit": "x"}}',
        '{"event": "dtmf", "dtmf": {"digit": 1}}',
        '{"event": "start", "start": {"callSid": "CA"}}',
        '{"event": "start", "start": {"callSid": 1, "streamSid": "MZ"}}',
    ],
)
def test_what_is_no_message_of_its_is_said_to_be_none(message: str | bytes) -> None:
    with pytest.raises(WireError):
        TwilioDialect().decode(message)


def test_events_that_it_does_not_have_yet_are_nothing() -> None:
    assert begun().decode('{"event": "weather"}') is None
    assert begun().decode('{"event": ["media"]}') is None
    assert begun().decode("{}") is None
    assert begun().decode(START) is None  # it has begun


# a second reader


def sine(seconds: float) -> np.ndarray[Any, Any]:
    return (8000 * np.sin(np.arange(int(8000 * seconds)) / 4)).astype("<i2")


async def test_pipecats_serializer_reads_what_we_send_and_we_read_what_it_sends() -> None:
    params = TwilioFrameSerializer.InputParams(auto_hang_up=False, sample_rate=8000)
    theirs = TwilioFrameSerializer("MZXXX", params=params)
    vars(theirs)["_sample_rate"] = 8000
    ours, pcm = begun(), sine(0.02).tobytes()
    frame = await theirs.deserialize(ours.media(ours.encoding.encode(pcm)))
    assert isinstance(frame, InputAudioRawFrame)
    assert frame.audio == ours.encoding.decode(ours.encoding.encode(pcm))
    said = await theirs.serialize(OutputAudioRawFrame(pcm, 8000, 1))
    assert isinstance(said, str)
    assert ours.decode(said) == Audio(ours.encoding.encode(pcm))
    assert await theirs.serialize(InterruptionFrame()) == ours.clear()
    key = await theirs.deserialize(DTMF)
    assert isinstance(key, InputDTMFFrame)
    assert Keys(key.button.value) == ours.decode(DTMF)
    assert base64.b64decode(json.loads(said)["media"]["payload"]) == ours.encoding.encode(pcm)
