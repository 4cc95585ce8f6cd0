"""What is asked of vendors' REST interfaces: to call somebody, and to put a call through.

Each as the vendor's page has it: twilio.com/docs/voice/api/call-resource,
developers.telnyx.com/api-reference/texml-rest-commands, plivo.com/docs/voice/api/call,
developer.vonage.com/en/api/voice, developer.exotel.com/api/make-a-call-api.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, cast
from urllib.parse import quote, urlencode
from uuid import uuid4

import jwt

from voxwire_server.phone.documents import document, element
from voxwire_server.phone.vendor import FORM, JSON
from voxwire_server.rest import Order
from voxwire_server.strict_json import load_json

__all__ = ["ORDERS", "Orders", "Wanted", "name_of"]

_JWT_S: Final = 60


class Wanted(NamedTuple):
    """A call that is to be made.

    Attributes:
        to: Whom to call.
        caller: The number that it comes from.
        answer_url: The webhook that is asked what to do when it is answered.
    """

    to: str
    caller: str
    answer_url: str


class Orders(Protocol):
    """How one vendor is asked. All are made of the parts of an account, as a setting has them."""

    def call(self, wanted: Wanted, now_s: float) -> Order:
        """Call somebody."""
        ...

    def transfer(self, call_id: str, to: str, forward_url: str, now_s: float) -> Order | None:
        """Put a call through to somebody; None = the vendor has no such thing.

        Args:
            call_id: The vendor's name of the call.
            to: To whom.
            forward_url: A webhook of ours that answers with a document that dials him.
            now_s: Seconds since the epoch.
        """
        ...


def _basic(user: str, password: str) -> dict[str, str]:
    both = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"authorization": f"Basic {both}"}


def _form(url: str, headers: dict[str, str], **fields: str) -> Order:
    return Order("POST", url, {**headers, "content-type": FORM}, urlencode(fields).encode())


def _json(method: str, url: str, headers: dict[str, str], said: object) -> Order:
    body = json.dumps(said, separators=(",", ":")).encode()
    return Order(method, url, {**headers, "content-type": JSON}, body)


def _dials(to: str) -> str:
    return document(element("Dial", text=to)).text


class TwilioOrders:
    """Args: the account's SID, its auth token."""

    def __init__(self, account: str, token: str) -> None:
        self._calls = f"https://api.twilio.com/2010-04-01/Accounts/{quote(account, safe='')}/Calls"
        self._headers = _basic(account, token)

    def call(self, wanted: Wanted, now_s: float) -> Order:
        fields = {"To": wanted.to, "From": wanted.caller, "Url": wanted.answer_url}
        return _form(f"{self._calls}.json", self._headers, **fields, Method="POST")

    def transfer(self, call_id: str, to: str, forward_url: str, now_s: float) -> Order | None:
        url = f"{self._calls}/{quote(call_id, safe='')}.json"
        return _form(url, self._headers, Twiml=_dials(to))


class TelnyxOrders:
    """Args: the account's id, the TeXML application's, an API key."""

    def __init__(self, account: str, application: str, key: str) -> None:
        account = quote(account, safe="")
        self._calls = f"https://api.telnyx.com/v2/texml/Accounts/{account}/Calls"
        self._application = application
        self._headers = {"authorization": f"Bearer {key}"}

    def call(self, wanted: Wanted, now_s: float) -> Order:
        fields = {"To": wanted.to, "From": wanted.caller, "Url": wanted.answer_url}
        fields |= {"UrlMethod": "POST", "ApplicationSid": self._application}
        return _form(self._calls, self._headers, **fields)

    def transfer(self, call_id: str, to: str, forward_url: str, now_s: float) -> Order | None:
        url = f"{self._calls}/{quote(call_id, safe=':')}"
        return _form(url, self._headers, Texml=_dials(to))


class PlivoOrders:
    """Args: the account's auth id, its auth token."""

    def __init__(self, account: str, token: str) -> None:
        self._calls = f"https://api.plivo.com/v1/Account/{quote(account, safe='')}/Call/"
        self._headers = _basic(account, token)

    def call(self, wanted: Wanted, now_s: float) -> Order:
        said = {"to": wanted.to, "from": wanted.caller, "answer_url": wanted.answer_url}
        return _json("POST", self._calls, self._headers, said | {"answer_method": "POST"})

    def transfer(self, call_id: str, to: str, forward_url: str, now_s: float) -> Order | None:
        said = {"legs": "aleg", "aleg_url": forward_url, "aleg_method": "POST"}
        return _json("POST", f"{self._calls}{quote(call_id, safe='')}/", self._headers, said)


class VonageOrders:
    """Args: the application's id, the path of its private key (PEM).

    Raises:
        OSError: It cannot be read.
        ValueError: It is none.
    """

    def __init__(self, application: str, key_file: str) -> None:
        self._application = application
        self._key = Path(key_file).read_text("ascii")
        try:
            self._headers(0)
        except jwt.InvalidKeyError:
            raise ValueError("no private key") from None

    def _headers(self, now_s: float) -> dict[str, str]:
        claims = {"application_id": self._application, "jti": uuid4().hex, "iat": int(now_s)}
        claims["exp"] = int(now_s) + _JWT_S
        return {"authorization": f"Bearer {jwt.encode(claims, self._key, algorithm='RS256')}"}

    def call(self, wanted: Wanted, now_s: float) -> Order:
        said = {"to": [_phone(wanted.to)], "from": _phone(wanted.caller)}
        said |= {"answer_url": [wanted.answer_url], "answer_method": "POST"}
        return _json("POST", "https://api.nexmo.com/v1/calls", self._headers(now_s), said)

    def transfer(self, call_id: str, to: str, forward_url: str, now_s: float) -> Order | None:
        ncco = [{"action": "connect", "endpoint": [_phone(to)]}]
        said = {"action": "transfer", "destination": {"type": "ncco", "ncco": ncco}}
        url = f"https://api.nexmo.com/v1/calls/{quote(call_id, safe='')}"
        return _json("PUT", url, self._headers(now_s), said)


def _phone(number: str) -> Any:
    return {"type": "phone", "number": number.removeprefix("+")}


class ExotelOrders:
    """Args: the account's SID, its API key, its API token, the flow with the Voicebot applet."""

    def __init__(self, account: str, key: str, token: str, flow: str) -> None:
        account = quote(account, safe="")
        self._calls = f"https://api.exotel.com/v1/Accounts/{account}/Calls/connect.json"
        self._flow = f"http://my.exotel.com/{account}/exoml/start_voice/{quote(flow, safe='')}"
        self._headers = _basic(key, token)

    def call(self, wanted: Wanted, now_s: float) -> Order:
        fields = {"From": wanted.to, "CallerId": wanted.caller, "Url": self._flow}
        return _form(self._calls, self._headers, **fields)

    def transfer(self, call_id: str, to: str, forward_url: str, now_s: float) -> Order | None:
        return None


ORDERS: Final[dict[str, tuple[int, bool, Callable[..., Orders]]]] = {
    "twilio": (1, True, TwilioOrders),
    "telnyx": (3, False, TelnyxOrders),
    "plivo": (1, True, PlivoOrders),
    "exotel": (4, False, ExotelOrders),
    "vonage": (2, False, VonageOrders),
}
"""How many parts an account's setting has, whether the token of its webhooks comes last, and what
they make."""

_NAMES: Final = ("sid", "request_uuid", "uuid", "Sid")


def name_of(answer: bytes) -> str:
    """The vendor's name of a call that it makes, of what it answered; empty = it says none."""
    said = load_json(answer)
    found = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    inner = found.get("Call")
    found = {**found, **(cast("dict[str, Any]", inner) if isinstance(inner, dict) else {})}
    return next((str(found[name]) for name in _NAMES if found.get(name)), "")
