"""Calls that begin here: what each vendor is asked, and who may not be called."""

import asyncio
import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.phone_rest import CALLER, PUBLIC, Rest, said_by
from voxwire_protocol.clocks import SYSTEM_CLOCK
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server import phone
from voxwire_server.config import Settings
from voxwire_server.phone.exchange import Exchange, exchange_of
from voxwire_server.phone.orders import VonageOrders, Wanted, name_of
from voxwire_server.phone.vendors import PhoneSettingError
from voxwire_server.rest import Order, send

NOW_S = 1_800_000_000.0
TO = "+4930123456"
TWILIO = "https://api.twilio.com/2010-04-01/Accounts/AC0/Calls"
TELNYX = "https://api.telnyx.com/v2/texml/Accounts/acc/Calls"
PLIVO = "https://api.plivo.com/v1/Account/MA0/Call/"
XML = '<?xml version="1.0" encoding="UTF-8"?>'
DIALS = f"{XML}<Response><Dial>{TO}</Dial></Response>"


def exchange(rest: Rest, *names: str, caller: str = CALLER) -> Exchange:
    return rest.exchange(SYSTEM_CLOCK, lambda: NOW_S, *names, caller=caller)


def basic(both: str) -> str:
    return f"Basic {base64.b64encode(both.encode()).decode()}"


def answered_by(vendor: str) -> str:
    return f"{PUBLIC}/phone/{vendor}?outgoing=1&bot=support"


CALLS = {
    "twilio": (
        f"{TWILIO}.json",
        basic("AC0:a token"),
        {"To": TO, "From": CALLER, "Url": answered_by("twilio"), "Method": "POST"},
    ),
    "telnyx": (
        TELNYX,
        "Bearer KEY0",
        {
            "To": TO,
            "From": CALLER,
            "Url": answered_by("telnyx"),
            "UrlMethod": "POST",
            "ApplicationSid": "app",
        },
    ),
    "plivo": (
        PLIVO,
        basic("MA0:a token"),
        {"to": TO, "from": CALLER, "answer_url": answered_by("plivo"), "answer_method": "POST"},
    ),
    "exotel": (
        "https://api.exotel.com/v1/Accounts/exo/Calls/connect.json",
        basic("key:token"),
        {
            "From": TO,
            "CallerId": CALLER,
            "Url": "http://my.exotel.com/exo/exoml/start_voice/77",
        },
    ),
}


@pytest.mark.parametrize("vendor", CALLS)
async def test_a_vendor_is_asked_to_call_as_its_page_says(vendor: str) -> None:
    rest = Rest()
    assert await exchange(rest).call("+49 30 123456", bot="support", vendor=vendor) == "CA77"
    [order] = rest.asked
    url, authorization, said = CALLS[vendor]
    assert (order.method, order.url) == ("POST", url)
    assert (order.headers["authorization"], said_by(order)) == (authorization, said)


TRANSFERS = {
    "twilio": (f"{TWILIO}/CA1.json", {"Twiml": DIALS}),
    "telnyx": (f"{TELNYX}/v3:CA1", {"Texml": DIALS}),
    "plivo": (
        f"{PLIVO}CA1/",
        {
            "legs": "aleg",
            "aleg_url": f"{PUBLIC}/phone/plivo?transfer=%2B4930123456",
            "aleg_method": "POST",
        },
    ),
}


@pytest.mark.parametrize("vendor", TRANSFERS)
async def test_a_vendor_is_asked_to_put_a_call_through_as_its_page_says(vendor: str) -> None:
    rest = Rest()
    await exchange(rest).transfer(vendor, "v3:CA1" if vendor == "telnyx" else "CA1", TO)
    [order] = rest.asked
    url, said = TRANSFERS[vendor]
    assert (order.method, order.url, said_by(order)) == ("POST", url, said)


async def test_a_call_id_leads_nowhere_else() -> None:
    rest = Rest()
    await exchange(rest).transfer("twilio", "../Messages?x=#", TO)
    assert rest.asked[0].url == f"{TWILIO}/..%2FMessages%3Fx%3D%23.json"


def test_vonage_is_asked_with_a_token_of_the_application(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "private.key").write_bytes(pem)
    orders = VonageOrders("app-1", str(tmp_path / "private.key"))
    order = orders.call(Wanted(TO, CALLER, answered_by("vonage")), NOW_S)
    assert (order.method, order.url) == ("POST", "https://api.nexmo.com/v1/calls")
    assert said_by(order) == {
        "to": [{"type": "phone", "number": "4930123456"}],
        "from": {"type": "phone", "number": "15550199"},
        "answer_url": [answered_by("vonage")],
        "answer_method": "POST",
    }
    token = order.headers["authorization"].removeprefix("Bearer ")
    lenient = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, key.public_key(), algorithms=["RS256"], options=lenient)
    assert (claims["application_id"], claims["iat"]) == ("app-1", int(NOW_S))
    assert claims["exp"] == int(NOW_S) + 60
    order = orders.transfer("uuid-1", TO, "", NOW_S)
    assert order is not None
    assert (order.method, order.url) == ("PUT", "https://api.nexmo.com/v1/calls/uuid-1")
    ncco = [{"action": "connect", "endpoint": [{"type": "phone", "number": "4930123456"}]}]
    destination = {"type": "ncco", "ncco": ncco}
    assert said_by(order) == {"action": "transfer", "destination": destination}


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (b'{"sid": "CA1", "status": "queued"}', "CA1"),
        (b'{"message": "call fired", "request_uuid": "r-1", "api_id": "a"}', "r-1"),
        (b'{"uuid": "u-1", "status": "started", "conversation_uuid": "CON-1"}', "u-1"),
        (b'{"Call": {"Sid": "e-1", "Status": "in-progress"}}', "e-1"),
        *((answer, "") for answer in (b"", b"[]", b"<xml>", b'{"Call": 1}', b"\xff")),
    ],
)
def test_the_name_of_a_call_is_found_in_each_answer(answer: bytes, name: str) -> None:
    assert name_of(answer) == name


# who may not, and how often


async def error_of(work: object) -> ErrorCode:
    with pytest.raises(VoxwireError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


@pytest.mark.parametrize("to", ["+15550100", "+4830123456", "+441", "911"])
async def test_nobody_else_is_called_and_no_vendor_asked(to: str) -> None:
    rest = Rest()
    wrong = {ErrorCode.FORBIDDEN, ErrorCode.INVALID_ARGUMENT}
    assert await error_of(exchange(rest).call(to, vendor="twilio")) in wrong
    assert await error_of(exchange(rest).transfer("twilio", "CA1", to)) in wrong
    assert rest.asked == []


async def test_calls_and_transfers_are_counted_together() -> None:
    rest = Rest()
    busy = exchange(rest)
    await busy.call(TO, vendor="twilio")
    await busy.call(TO, vendor="plivo")
    await busy.transfer("twilio", "CA1", TO)
    assert await error_of(busy.call(TO, vendor="telnyx")) is ErrorCode.RATE_LIMITED
    assert await error_of(busy.transfer("twilio", "CA1", TO)) is ErrorCode.RATE_LIMITED
    assert len(rest.asked) == 3


async def test_of_many_at_once_three_are_made() -> None:
    rest = Rest()
    busy = exchange(rest, "twilio")
    done = await asyncio.gather(*(busy.call(TO) for _ in range(20)), return_exceptions=True)
    assert done.count("CA77") == len(rest.asked) == 3


async def test_what_is_missing_is_said() -> None:
    rest = Rest()
    assert await error_of(exchange(rest).call(TO)) is ErrorCode.INVALID_STATE  # by whom?
    assert await error_of(exchange(rest).call(TO, vendor="vonage")) is ErrorCode.INVALID_STATE
    nobody = exchange(rest, "twilio", caller="")
    assert await error_of(nobody.call(TO)) is ErrorCode.INVALID_STATE
    assert await error_of(exchange(rest).transfer("vonage", "u", TO)) is ErrorCode.INVALID_STATE
    assert await error_of(exchange(rest).transfer("exotel", "e", TO)) is ErrorCode.UNSUPPORTED
    assert rest.asked == []


@pytest.mark.parametrize(
    ("status", "again"), [(401, False), (400, False), (429, True), (503, True), (0, True)]
)
async def test_a_vendor_that_refuses_is_said_without_what_it_said(status: int, again: bool) -> None:
    rest = Rest()
    rest.answer = status, b'{"message": "CANARY"}'
    with pytest.raises(VoxwireError) as caught:
        await exchange(rest).call(TO, vendor="twilio")
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.SERVICE_FAILED, again)
    assert "CANARY" not in str(caught.value)


# settings

ACCOUNT = {
    "phone_twilio_account": "AC0",
    "phone_twilio_token": "t",
    "call_from": CALLER,
    "public_url": PUBLIC,
}


async def test_nobody_is_called_unless_the_settings_say_so() -> None:
    assert await error_of(phone.call(TO, settings=Settings(**ACCOUNT))) is ErrorCode.FORBIDDEN


def test_what_was_called_is_counted_once_for_the_same_settings() -> None:
    settings = Settings(**ACCOUNT, call_prefixes="+49, +4420")
    assert exchange_of(settings) is exchange_of(Settings(**ACCOUNT, call_prefixes="+49, +4420"))
    assert exchange_of(settings) is not exchange_of(Settings(**ACCOUNT, call_prefixes="+49"))
    secret = Settings(phone_twilio_account="the account", phone_twilio_token="the token")
    assert "the account" not in repr(secret)
    assert "the token" not in repr(secret)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"call_prefixes": "49"}, "VOXWIRE_CALL_PREFIXES cannot be used: '49' is no prefix"),
        ({"phone_twilio_token": ""}, "VOXWIRE_PHONE_TWILIO_ACCOUNT needs VOXWIRE_PHONE_TWILIO_TOK"),
        ({"phone_telnyx_account": "a:b"}, "VOXWIRE_PHONE_TELNYX_ACCOUNT has 3 parts"),
        ({"phone_exotel_account": "a:b:c:"}, "VOXWIRE_PHONE_EXOTEL_ACCOUNT has 4 parts"),
        (
            {"phone_vonage_account": "a:/nowhere", "phone_vonage_secret": "s"},
            "VOXWIRE_PHONE_VONAGE_ACCOUNT cannot be used",
        ),
        ({"phone_telnyx_account": "a:b:c"}, "TELNYX_ACCOUNT needs VOXWIRE_PHONE_TELNYX_KEY"),
        ({"phone_exotel_account": "a:b:c:d"}, "EXOTEL_ACCOUNT needs VOXWIRE_PHONE_EXOTEL:"),
        ({"phone_vonage_account": "a:b"}, "ACCOUNT needs VOXWIRE_PHONE_VONAGE_SECRET"),
    ],
)
def test_what_cannot_be_used_is_said(settings: dict[str, str], why: str) -> None:
    with pytest.raises(PhoneSettingError, match=why):
        exchange_of(Settings(**{**ACCOUNT, **settings}))


# the wire


class _Vendor(BaseHTTPRequestHandler):
    """Answers with what it was asked; what it is asked at /away leads there."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        away = self.path == "/away"
        said = {"sid": body.decode(), "authorization": self.headers["authorization"]}
        self.send_response(302 if away else 201)
        if away:
            self.send_header("location", "/elsewhere")
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


async def test_a_request_goes_to_the_vendor_and_nowhere_else() -> None:
    with HTTPServer(("127.0.0.1", 0), _Vendor) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        url = f"http://127.0.0.1:{server.server_port}"
        status, body = await send(Order("POST", f"{url}/Calls", {"authorization": "s"}, b"To=1"))
        assert (status, json.loads(body)) == (201, {"sid": "To=1", "authorization": "s"})
        status, body = await send(Order("POST", f"{url}/away", {"authorization": "s"}, b""))
        assert (status, body) == (302, b"")
        server.shutdown()
        serving.join()
    assert await send(Order("POST", url, {}, b"")) == (0, b"")
