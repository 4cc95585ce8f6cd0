"""Tokens: what is accepted, and everything that is not."""

import base64
import hashlib
import hmac
import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxwire_protocol import wire
from voxwire_server.keys import KeyRing, KeyRingError
from voxwire_server.tokens import Limits, TokenError, TokenIssuer, TokenVerifier

NOW = 1_790_000_000
SECRET = "old-secret-" + "0123456789abcdef" * 2
ED = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
ED_PRIVATE = ED.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
ED_PUBLIC = ED.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
ED_RAW = ED.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
FOREIGN = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
FOREIGN_PUBLIC = (
    FOREIGN.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
)
RSA = generate_private_key(65537, 2048)

NEW_KEY = {"kid": "new", "alg": "EdDSA", "private_key": ED_PRIVATE}
OLD_KEY = {"kid": "old", "alg": "HS256", "secret": SECRET}
RING = KeyRing.parse(keys=json.dumps([NEW_KEY, OLD_KEY]))
VERIFIER = TokenVerifier(RING)
CLAIMS: dict[str, Any] = {
    "aud": "voxwire",
    "sub": "ann",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 300,
    "jti": "0123456789abcdef",
    "sid": "owner.abc",
    "bot": "offline",
    "limits": {"max_duration_s": 60},
}
Sign = Callable[[bytes], bytes]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hs(secret: bytes, digest: str = "sha256") -> Sign:
    return lambda data: hmac.digest(secret, data, digest)


def forge(header: object, payload: object, sign: Sign) -> str:
    """A JWS made by hand, since libraries refuse to make most of these."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, payload)]
    body = ".".join(b64(part.encode("utf-8", "surrogatepass")) for part in parts)
    return f"{body}.{b64(sign(body.encode()))}"


NEW = {"alg": "EdDSA", "kid": "new", "typ": "JWT"}
OLD = {"alg": "HS256", "kid": "old", "typ": "JWT"}
GOOD = [forge(NEW, CLAIMS, ED.sign), forge(OLD, CLAIMS, hs(SECRET.encode()))]


def refused(token: str, now_s: float = NOW) -> TokenError:
    with pytest.raises(TokenError) as caught:
        VERIFIER.verify(token, now_s=now_s)
    return caught.value


def changed(**values: object) -> dict[str, Any]:
    return {k: v for k, v in {**CLAIMS, **values}.items() if v is not ...}


BAD_HEADERS: list[object] = [
    {"alg": "HS256", "kid": "old", "jwk": {"kty": "oct", "k": "AA"}},
    {"alg": "HS256", "kid": "old", "crit": ["b64"], "b64": False},
    {"alg": "HS256", "kid": "old", "jku": "https://evil.example/keys"},
    {"alg": "HS256"},
    {"alg": "HS256", "kid": None},
    {"alg": "HS256", "kid": ["old"]},
    {"alg": "hs256", "kid": "old"},
    {"alg": "HS256", "kid": "../../../dev/null"},
    {"alg": "HS256", "kid": "old\u0000"},
    {"alg": "HS256", "kid": "old' OR '1'='1"},
    {"alg": "HS256", "kid": "old", "typ": "at+jwt"},
    '{"alg":"none","alg":"HS256","kid":"old"}',
    '{"alg":"HS256","kid":"new","kid":"old"}',
    '{"alg":"HS256","kid":"old","typ":"JWT"' + " " * 1000 + "}",
    '{"alg":"HS256","kid":"\ud800"}',
    "[" * 700,
    "[]",
    "null",
    "{",
]
BAD_CLAIMS: list[object] = [
    *(changed(**{name: ...}) for name in ("aud", "sub", "iat", "nbf", "exp", "jti")),
    *(changed(aud=aud) for aud in ("other", "", None, ["voxwire"], "Voxwire")),
    *(changed(sub=sub) for sub in ("", None, 1, "a\nb", "x" * 129, "\u202eann")),
    *(changed(exp=exp) for exp in ("1", None, True, 1e300, NOW + 300.5, -1, 1 << 41, NOW)),
    *(changed(exp=NOW + 86_401), changed(exp=NOW - 30, iat=NOW - 60, nbf=NOW - 60)),
    *(changed(nbf=NOW + 31), changed(iat=NOW + 31), changed(nbf=None)),
    *(changed(jti=jti) for jti in ("", "short", "../../../../etc", "x" * 65, 12345678)),
    *(
        changed(limits=limits)
        for limits in ([], {"max_cost": 1}, {"max_sessions": 0}, {"turns_per_day": 0}, "all")
    ),
    changed(limits={"tools": ["weather"]}),
    *(changed(sid=""), changed(bot=""), changed(bot=7)),
    json.dumps(CLAIMS)[:-1] + ',"sub":"eve"}',
    json.dumps(CLAIMS)[:-1] + ',"x":NaN}',
    json.dumps(CLAIMS)[:-1] + f',"x":"{"y" * 3000}"}}',
    json.dumps(CLAIMS)[:-1] + f',"x":{"[" * 1200}{"]" * 1200}}}',
    "[]",
    "null",
]
# An attacker knows the public key in every spelling, and signs with any key but ours.
CONFUSED: list[str] = [
    forge({"alg": alg, "kid": kid}, CLAIMS, sign)
    for kid in ("new", "old")
    for alg in ("none", "None", "HS256", "HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA")
    for sign in (
        lambda _: b"",
        lambda _: b"\0" * 64,
        hs(b""),
        hs(ED_PUBLIC.encode()),
        hs(ED_PUBLIC.strip().encode()),
        hs(ED_RAW),
        hs(ED_RAW, "sha512"),
        hs(hashlib.sha256(SECRET.encode()).digest()),
        FOREIGN.sign,
    )
]
CONFUSED += [
    forge({"alg": "EdDSA", "kid": "old"}, CLAIMS, ED.sign),
    forge({"alg": "HS256", "kid": "new"}, CLAIMS, hs(SECRET.encode())),
    forge({"alg": "HS512", "kid": "old"}, CLAIMS, hs(SECRET.encode(), "sha512")),
]


def test_good_tokens_are_accepted_so_that_the_refusals_below_mean_something() -> None:
    for token in GOOD:
        claims = VERIFIER.verify(token, now_s=NOW)
        assert (claims.user, claims.bot, claims.session_id) == ("ann", "offline", "owner.abc")
        assert (claims.token_id, claims.expires_at_s) == (CLAIMS["jti"], NOW + 300)
        assert claims.limits == Limits(max_duration_s=60)
    known_extra = forge(NEW, changed(iss="operator", sid=..., bot=..., limits=...), ED.sign)
    assert VERIFIER.verify(known_extra, now_s=NOW).limits == Limits()


@pytest.mark.parametrize("header", BAD_HEADERS, ids=range(len(BAD_HEADERS)))
def test_a_bad_header_is_refused_though_rightly_signed(header: object) -> None:
    assert refused(forge(header, CLAIMS, hs(SECRET.encode()))).code == 20


@pytest.mark.parametrize("claims", BAD_CLAIMS, ids=range(len(BAD_CLAIMS)))
def test_bad_claims_are_refused_though_rightly_signed(claims: object) -> None:
    assert refused(forge(NEW, claims, ED.sign)).code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED


@pytest.mark.parametrize("depth", [31, 32, 1000])
def test_claims_that_we_ignore_may_nest_so_deep_that_all_together_is_32(depth: int) -> None:
    """Counted by us: the interpreter gives up at 990, 1000 or 10 000, or not at all."""
    token = forge(NEW, json.dumps(CLAIMS)[:-1] + f',"x":{"[" * depth}{"]" * depth}}}', ED.sign)
    if depth < 32:
        assert VERIFIER.verify(token, now_s=NOW).user == "ann"
    else:
        assert refused(token).code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED


def test_no_confusion_of_algorithm_key_and_kid_is_accepted() -> None:
    assert len({refused(token).reason for token in CONFUSED}) == 1


@st.composite
def hostile(draw: st.DrawFn) -> str:
    """What must be refused: mutated, confused, out of time, foreign, replayed, no token at all."""
    good = draw(st.sampled_from(GOOD))
    match draw(st.integers(0, 7)):
        case 0:  # any character replaced, at any place
            place = draw(st.integers(0, len(good) - 1))
            other = draw(st.characters(max_codepoint=0x2FF).filter(lambda c: c != good[place]))
            return good[:place] + other + good[place + 1 :]
        case 1:  # cut, doubled, padded
            place = draw(st.integers(0, len(good) - 1))
            tail = draw(st.sampled_from(["", good, ".", "=", "\n", " ", good[place:] + "A"]))
            return good[:place] + tail
        case 2:  # claims changed under the old signature
            name = draw(st.sampled_from(sorted(CLAIMS)))
            value = draw(st.text(max_size=20) | st.integers() | st.none())
            head, _, signature = good.split(".")
            return ".".join([head, b64(json.dumps(changed(**{name: value})).encode()), signature])
        case 3:
            return draw(st.sampled_from(CONFUSED))
        case 4:  # rightly signed, out of time
            start = NOW + draw(st.integers(-90_000, -361) | st.integers(31, 90_000))
            times = changed(iat=start, nbf=start, exp=start + 300)
            return forge(OLD, times, hs(SECRET.encode()))
        case 5:  # right in every part, but signed by another
            header = draw(st.sampled_from([NEW, OLD, {"alg": "HS256", "kid": draw(st.text())}]))
            return forge(header, CLAIMS, draw(st.sampled_from([FOREIGN.sign, hs(b"x" * 32)])))
        case 6:  # a replay
            return good
        case _:
            return draw(
                st.text(max_size=64) | st.sampled_from(["", ".", "..", "a.b.c", "A" * 5000])
            )


@settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(token=hostile())
def test_of_2000_hostile_tokens_none_is_accepted(token: str) -> None:
    try:
        claims = VERIFIER.verify(token, now_s=NOW)
    except TokenError:
        return
    assert token in GOOD
    assert claims.token_id == CLAIMS["jti"]  # which is used once


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_of_100_000_hostile_tokens_none_is_accepted() -> None:
    check = test_of_2000_hostile_tokens_none_is_accepted.hypothesis.inner_test
    many = settings(max_examples=100_000, deadline=None, database=None)
    settings(many, suppress_health_check=list(HealthCheck))(given(token=hostile())(check))()


def test_an_rsa_signature_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    for kid in ("new", "old"):
        sign: Sign = lambda data: RSA.sign(data, PKCS1v15(), SHA256())  # noqa: E731
        refused(forge({"alg": "RS256", "kid": kid}, CLAIMS, sign))


@pytest.mark.parametrize(("skew_s", "good"), [(-60, 0), (-25, 1), (0, 1), (25, 1), (60, 0)])
def test_clocks_may_differ_by_25_s_but_not_by_60(skew_s: int, good: int) -> None:
    edge = CLAIMS["iat"] if skew_s < 0 else CLAIMS["exp"]
    for token in GOOD:
        if good:
            VERIFIER.verify(token, now_s=edge + skew_s)
        else:
            assert "clocks" in (text := refused(token, edge + skew_s).reason) or "expired" in text


def test_after_a_rotation_the_new_key_signs_and_the_old_one_verifies() -> None:
    before = TokenIssuer(KeyRing.parse(keys=json.dumps([OLD_KEY]))).issue("ann", now_s=NOW)
    after = TokenIssuer(RING).issue("ann", now_s=NOW)
    assert VERIFIER.verify(before, now_s=NOW).user == VERIFIER.verify(after, now_s=NOW).user
    done = TokenVerifier(KeyRing.parse(keys=json.dumps([NEW_KEY])))
    assert done.verify(after, now_s=NOW).user == "ann"
    with pytest.raises(TokenError):
        done.verify(before, now_s=NOW)


def test_voxwire_key_alone_makes_a_ring_and_no_key_refuses_everything() -> None:
    ring = KeyRing.parse(key=SECRET)
    issued = TokenIssuer(ring).issue("ann", now_s=NOW, session_id="s", bot="b", limits=Limits())
    claims = TokenVerifier(KeyRing.parse(key=f" {SECRET}\n")).verify(issued, now_s=NOW)
    claims.require(bot="b", session_id="s")
    for bot, session_id in (("c", "s"), ("b", "t"), ("b", None)):
        with pytest.raises(TokenError) as caught:
            claims.require(bot=bot, session_id=session_id)
        assert caught.value.code == wire.ErrorCode.ERROR_CODE_FORBIDDEN
    assert ring and not KeyRing.parse() and SECRET not in repr(vars(ring))
    with pytest.raises(TokenError):
        TokenVerifier(KeyRing.parse()).verify(issued, now_s=NOW)


CANARY = "CANARY-d0c9b8a7-secret"
RSA_PEM = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    "keys",
    [
        CANARY,
        f'[{{"{CANARY}":',
        json.dumps({"kid": CANARY}),
        json.dumps([CANARY]),
        "[]",
        json.dumps([{**OLD_KEY, CANARY: CANARY}]),
        json.dumps([{**OLD_KEY, "kid": f"../{CANARY}"}]),
        json.dumps([{**OLD_KEY, "alg": CANARY}]),
        json.dumps([{**OLD_KEY, "alg": "none"}]),
        json.dumps([{**OLD_KEY, "alg": "EdDSA"}]),
        json.dumps([{**OLD_KEY, "secret": CANARY}]),
        json.dumps([{**OLD_KEY, "secret": ED_PUBLIC}]),
        json.dumps([{**OLD_KEY, "public_key": ED_PUBLIC}]),
        json.dumps([{**NEW_KEY, "private_key": ED_PRIVATE[:60] + CANARY}]),
        json.dumps([{**NEW_KEY, "public_key": CANARY}]),
        json.dumps([{"kid": "a", "alg": "EdDSA", "private_key": RSA_PEM}]),
        json.dumps([{**NEW_KEY, "public_key": FOREIGN_PUBLIC}]),
        json.dumps([OLD_KEY, OLD_KEY]),
        json.dumps([OLD_KEY, NEW_KEY, {**OLD_KEY, "kid": "third"}]),
        json.dumps([OLD_KEY])[:-2] + f',"secret":"{CANARY}"}}]',
    ],
    ids=range(20),
)
def test_bad_keys_are_named_without_being_shown(keys: str) -> None:
    with pytest.raises(KeyRingError) as caught:
        KeyRing.parse(keys=keys)
    text = "".join(traceback.format_exception(caught.value))
    assert CANARY not in text and SECRET not in text and "BEGIN" not in str(caught.value)
    with pytest.raises(KeyRingError):
        KeyRing.parse(key=CANARY)


def test_a_ring_that_only_verifies_cannot_issue() -> None:
    public = {"kid": "new", "alg": "EdDSA", "public_key": ED_PUBLIC}
    ring = KeyRing.parse(keys=json.dumps([public, OLD_KEY]))
    assert TokenVerifier(ring).verify(GOOD[0], now_s=NOW).user == "ann"
    with pytest.raises(KeyRingError):
        TokenIssuer(ring)


def test_the_issuer_refuses_what_the_verifier_would() -> None:
    issuer = TokenIssuer(RING)
    for bad in ({"ttl_s": 0}, {"ttl_s": 86_401}, {"bot": ""}, {"session_id": f"{CANARY}\n"}):
        with pytest.raises(ValueError) as caught:
            issuer.issue("ann", now_s=NOW, **bad)  # type: ignore[arg-type]
        assert CANARY not in str(caught.value)


def test_nothing_of_a_refused_token_is_in_errors_or_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    headers = [{**OLD, "kid": CANARY}, {**OLD, "alg": CANARY}, {**OLD, CANARY: CANARY}]
    tokens = [forge(header, CLAIMS, hs(SECRET.encode())) for header in headers]
    tokens += [forge(NEW, changed(**{name: f"{CANARY}\n"}), ED.sign) for name in CLAIMS]
    tokens += [forge(NEW, changed(limits={CANARY: CANARY}), ED.sign)]
    tokens += [forge(NEW, f'{{"{CANARY}": {CANARY}', ED.sign), CANARY, f"a.{CANARY}.b"]
    for token in tokens:
        error = refused(token)
        assert error.__context__ is None and error.__cause__ is None
        text = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
        assert not any(part in text for part in (CANARY, *token.split(".")) if len(part) > 1)
    claims = VERIFIER.verify(forge(NEW, changed(sub=CANARY, jti=CANARY), ED.sign), now_s=NOW)
    assert CANARY not in repr(claims)
