"""How vendors sign: each scheme as the vendor's page or its own SDK has it. Pure."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from voxwire_server.phone.vendor import FRESH_S, ForgedError, Webhook
from voxwire_server.strict_json import load_json

if TYPE_CHECKING:
    from jwt.types import Options

__all__ = [
    "PLIVO",
    "Known",
    "as_signed",
    "check_fresh",
    "has_claims",
    "is_one_of",
    "is_signed",
    "payload_of",
    "plivo",
    "plivo_nonce",
    "twilio",
]

_PORTS: Final = {"https": 443, "wss": 443, "http": 80, "ws": 80}

PLIVO: Final = "x-plivo-signature-v3"
"""Header of Plivo's signatures: one, or several with commas."""

Fields = Iterable[tuple[str, str]]


def as_signed(url: str) -> tuple[str, str]:
    """A URL without its port and with it: vendors sign one or the other (twilio-python #392)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme, 0)
    with_port = parts._replace(netloc=f"{host}:{port}").geturl()
    return parts._replace(netloc=host).geturl(), with_port


def is_one_of(given: Iterable[str], good: Iterable[str]) -> bool:
    """Whether something that was given is good, in constant time."""
    expected = [each.encode() for each in good]
    return any(hmac.compare_digest(each.encode(), one) for each in given for one in expected)


def check_fresh(signed_at_s: float, now_s: float) -> None:
    """Hold when something was signed against the clock.

    Raises:
        ForgedError: It was more than 300 s ago, or in future.
    """
    if not abs(now_s - signed_at_s) <= FRESH_S:
        raise ForgedError(f"not signed within {FRESH_S} s")


def twilio(token: str, url: str, fields: Fields) -> str:
    """HMAC-SHA1 of the URL and the fields, sorted, once each (twilio.com/docs/usage/security)."""
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha1")).decode()


def plivo(token: str, url: str, fields: Fields, nonce: str) -> str:
    """Version 3: HMAC-SHA256 of the URL with its query sorted, the fields sorted, and a nonce
    (plivo-python, ``utils/signature_v3.py``).
    """
    parts, pairs = urlsplit(url), sorted(fields)
    query = "&".join(f"{n}={v}" for n, v in sorted(parse_qsl(parts.query, keep_blank_values=True)))
    signed = parts._replace(query="", fragment="").geturl()
    signed += f"?{query}" if query or pairs else ""
    signed += "." if query and pairs else ""
    signed += "".join(name + value for name, value in pairs)
    digest = hmac.digest(token.encode(), f"{signed}.{nonce}".encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def plivo_nonce(tokens: Iterable[str], url: str, headers: Mapping[str, str], fields: Fields) -> str:
    """The nonce of a request that Plivo has signed with one of the tokens; empty = it has not."""
    pairs, nonce = list(fields), headers.get(f"{PLIVO}-nonce", "")
    given = map(str.strip, headers.get(PLIVO, "").split(","))
    good = [plivo(token, each, pairs, nonce) for token in tokens for each in as_signed(url)]
    return nonce if is_one_of(given, good) else ""


class Known:
    """Who is known by a password or an address.

    Args:
        entries: ``user:password`` (basic authentication), addresses, networks.

    Raises:
        ValueError: There are none, or one is none of these.

    Attributes:
        passwords: Those of them that are ``user:password``.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self.passwords: list[str] = []
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in entries:
            try:
                network = ipaddress.ip_network(entry, strict=False)
            except ValueError:
                if not all(entry.partition(":")):
                    raise ValueError("neither user:password nor an address") from None
                self.passwords.append(entry)
                continue
            if ipaddress.ip_interface(entry).ip != network.network_address:
                raise ValueError(f"that network is {network}")
            self._networks.append(network)
        if not (self.passwords or self._networks):
            raise ValueError("neither user:password nor an address")

    def has_password(self, authorization: str) -> bool:
        """Whether the header of a request has one of the passwords."""
        coded = [base64.b64encode(each.encode()).decode() for each in self.passwords]
        return is_one_of([authorization], [f"Basic {each}" for each in coded])

    def has(self, authorization: str, address: str) -> bool:
        """Whether somebody is known, by the header of a request or by where it comes from."""
        if self.has_password(authorization):
            return True
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._networks)


def is_signed(keys: Iterable[Ed25519PublicKey], signed: bytes, given: str) -> bool:
    """Whether one of the keys has made a signature (Ed25519, base64)."""
    for key in keys:
        try:
            key.verify(base64.b64decode(given, validate=True), signed)
        except (InvalidSignature, binascii.Error, ValueError):
            continue
        return True
    return False


def payload_of(
    webhook: Webhook, secrets: Iterable[str], now_s: float
) -> tuple[dict[str, Any], bytes]:
    """What a request says that a JWT (HS256 alone) goes with.

    Its ``payload_hash`` is the SHA-256 of the query of a GET, or of the body of a POST, as JSON
    without white space and in the order in which it came (api.support.vonage.com, "How do I verify
    that the Voice API Webhook request and it's payload has not been tampered").

    Args:
        webhook: The request.
        secrets: Those that may have signed it.
        now_s: Seconds since the epoch.

    Returns:
        Its members, and what is good once.

    Raises:
        ForgedError: It is not signed, not fresh, or not what was signed.
    """
    claims, token = _claims_in(webhook.headers, secrets, now_s)
    said: object = dict(parse_qsl(urlsplit(webhook.url).query, keep_blank_values=True))
    as_it_came: list[bytes] = []
    if webhook.method != "GET":
        said, as_it_came = load_json(webhook.body), [webhook.body]
    compact = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
    hashes = [hashlib.sha256(each).hexdigest() for each in (compact, *as_it_came)]
    if claims.get("payload_hash") not in hashes or not isinstance(said, dict):
        raise ForgedError("what was signed is not what came")
    once = claims.get("jti") or token.rpartition(".")[0]  # a signature can be written twice
    return cast("dict[str, Any]", said), str(once).encode(errors="replace")


def has_claims(headers: Mapping[str, str], secrets: Iterable[str], now_s: float) -> bool:
    """Whether a request has a JWT that one of the secrets has signed, not long ago."""
    try:
        _claims_in(headers, secrets, now_s)
    except ForgedError:
        return False
    return True


def _claims_in(
    headers: Mapping[str, str], secrets: Iterable[str], now_s: float
) -> tuple[dict[str, Any], str]:
    """What the JWT of a request claims (HS256 alone), and the JWT.

    Raises:
        ForgedError: There is none, none of ours, or it is too old.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    claims = _claims_of(token.strip(), secrets) if scheme.lower() == "bearer" else {}
    if not isinstance(claims.get("iat"), int | float):
        raise ForgedError("no JWT of ours")
    check_fresh(claims["iat"], now_s)
    return claims, token.strip()


def _claims_of(token: str, secrets: Iterable[str]) -> dict[str, Any]:
    # its age is looked at by check_fresh
    lenient: Options = {"verify_iat": False, "verify_aud": False}
    for secret in secrets:
        try:
            return jwt.decode(token, secret, algorithms=["HS256"], options=lenient)
        except jwt.InvalidTokenError:
            continue
    return {}
