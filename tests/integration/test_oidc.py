"""examples/oidc against a provider on loopback: whose tokens are good, and keys that change."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import voxwire
from tests.integration.test_tokens import hello_from_a_page
from tests.support.clicks import make_bot
from tests.support.issuer import AUDIENCE, Issuer
from voxwire_protocol import wire
from voxwire_server import Credential
from voxwire_server.authenticator import (
    Authenticator,
    AuthenticatorFailedError,
    AuthenticatorSettingError,
)
from voxwire_server.testing import running_server
from voxwire_server.tokens import TokenError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/oidc/oidc.py"
SETTING = f"{EXAMPLE}:authenticate"


class Clock:
    """Monotonic time that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    with Issuer(first="RS256", curve="ES256") as made:
        monkeypatch.setenv("OIDC_ISSUER", made.url)
        monkeypatch.setenv("OIDC_AUDIENCE", AUDIENCE)
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(issuer: Issuer, clock: Clock) -> Authenticator:
    made = Authenticator.of(SETTING, timeout_ms=10_000)
    assert made is not None
    oidc: Any = sys.modules["voxwire_authenticator_oidc"]
    vars(oidc)["_provider"] = oidc.Provider(issuer.url, AUDIENCE, now_s=clock)
    return made


async def outcome(authenticator: Authenticator, token: str) -> str:
    try:
        return (await authenticator.identify(Credential(token=token))).user
    except TokenError as error:
        return error.reason
    except AuthenticatorFailedError:
        return "not decided"


async def test_both_algorithms_are_good_and_the_identity_is_what_the_claims_say(
    issuer: Issuer, authenticator: Authenticator
) -> None:
    for kid in issuer.keys:
        token = issuer.token(kid, exp=2_000_000_000, aud=["other", AUDIENCE])
        identity = await authenticator.identify(Credential(token=token))
        assert (identity.user, identity.expires_at_s) == ("auth0|ada", 2_000_000_000)
    assert set(issuer.asked.values()) == {1}  # keys are read once


async def test_what_is_wrong_is_refused_with_its_reason(
    issuer: Issuer, authenticator: Authenticator
) -> None:
    good = issuer.token("first")
    head, claims, _ = good.split(".")
    wrong = {
        "": "there is no token of the issuer",
        "no.token.this": "there is no token of the issuer",
        "x" * 20_000: "there is no token of the issuer",
        issuer.token("first", lives_s=-31): "the token has expired; get a new one",
        issuer.token("first", nbf=2_000_000_000): "the token is not valid yet; check the clocks",
        issuer.token("first", aud="shop"): "the token is for another audience",
        issuer.token("first", iss=f"{issuer.url}/"): "the token is of another issuer",
        issuer.token("stranger"): "the token is signed with no key of this issuer",
        issuer.confused("first", "none"): "the token is not valid here",
        issuer.confused("first", "HS256"): "the token is not valid here",
        issuer.confused("curve", "HS256"): "the token is not valid here",
        ".".join(
            [head, claims, issuer.token("curve").split(".")[2]]
        ): "the token is not valid here",
    }
    for name in ("exp", "sub", "iss", "aud"):
        wrong[issuer.token("first", **{name: None})] = "the token is not valid here"
    found = {token: await outcome(authenticator, token) for token in wrong}
    assert list(found.values()) == list(wrong.values())
    assert await outcome(authenticator, good) == "auth0|ada"
    assert await outcome(authenticator, issuer.token("first", lives_s=-20)) == "auth0|ada"  # leeway


@pytest.mark.parametrize(
    ("claims", "may"),
    [
        ({"scope": "openid voice:talk"}, True),
        ({"scope": ["openid", "voice:talk"]}, True),
        ({"scp": "openid voice:talk"}, True),  # Entra ID
        ({"scp": ["openid", "voice:talk"]}, True),  # Okta
        ({}, False),
        ({"scope": "voice:talks", "scp": "voice"}, False),
        ({"scope": 1, "scp": [["voice:talk"], None]}, False),
        ({"scp": {"voice:talk": True}}, False),
    ],
)
async def test_the_scope_is_found_wherever_a_provider_puts_it(
    issuer: Issuer,
    authenticator: Authenticator,
    monkeypatch: pytest.MonkeyPatch,
    claims: dict[str, Any],
    may: bool,
) -> None:
    monkeypatch.setenv("OIDC_SCOPE", "voice:talk")
    found = await outcome(authenticator, issuer.token("first", **claims))
    assert found == ("auth0|ada" if may else "the token lacks the scope voice:talk")


async def test_an_algorithm_belongs_to_its_key_and_keys_that_are_for_nothing_here_are_none(
    issuer: Issuer, authenticator: Authenticator
) -> None:
    issuer.more = [
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
        issuer.jwk("encrypts", use="enc"),
        issuer.jwk("longer", alg="RS512"),
        issuer.jwk("small"),
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {**issuer.jwk("curve", "ES256"), "kid": "p384", "crv": "P-384"},
        "no key at all",
    ]
    refused = "the token is signed with no key of this issuer"
    for kid in ("shared", "encrypts", "longer", "small", "broken", "p384"):
        assert await outcome(authenticator, issuer.token(kid)) == refused, kid
    assert await outcome(authenticator, issuer.token("curve")) == "auth0|ada"


async def test_a_new_key_of_the_provider_is_found_by_its_name_at_most_every_five_seconds(
    issuer: Issuer, authenticator: Authenticator, clock: Clock
) -> None:
    assert await outcome(authenticator, issuer.token("first")) == "auth0|ada"
    issuer.keys = {"second": "RS256"}
    for _ in range(3):  # as many strangers as there are ask the provider nothing
        assert "no key of this issuer" in await outcome(authenticator, issuer.token("second"))
    assert issuer.asked["/tenant/keys"] == 1
    clock.now_s += 5
    assert await outcome(authenticator, issuer.token("second")) == "auth0|ada"
    assert issuer.asked["/tenant/keys"] == 2
    assert "no key of this issuer" in await outcome(authenticator, issuer.token("first"))


async def test_who_comes_first_after_an_idle_hour_may_have_a_new_key(
    issuer: Issuer, authenticator: Authenticator, clock: Clock
) -> None:
    assert await outcome(authenticator, issuer.token("first")) == "auth0|ada"
    issuer.keys |= {"second": "RS256"}
    clock.now_s += 3601
    tokens = [issuer.token(kid) for kid in ("first", "second", "second")]
    found = await asyncio.gather(*(outcome(authenticator, token) for token in tokens))
    assert found == ["auth0|ada"] * 3
    assert issuer.asked["/tenant/keys"] == 2  # one reading for all three


async def test_while_the_provider_is_down_its_keys_go_on_for_a_day(
    issuer: Issuer, authenticator: Authenticator, clock: Clock
) -> None:
    issuer.down = True
    assert await outcome(authenticator, issuer.token("first")) == "not decided"
    clock.now_s += 5
    issuer.down = False
    assert await outcome(authenticator, issuer.token("first")) == "auth0|ada"
    issuer.down = True
    clock.now_s += 3601  # they are old: read again behind whoever comes, in vain
    assert await outcome(authenticator, issuer.token("first")) == "auth0|ada"
    assert await outcome(authenticator, issuer.token("unknown")) == "not decided"
    clock.now_s += 1  # nobody is asked so soon again, and still nobody can say
    assert await outcome(authenticator, issuer.token("unknown")) == "not decided"
    clock.now_s += 5
    assert await outcome(authenticator, issuer.token("unknown")) == "not decided"
    assert await outcome(authenticator, issuer.token("first")) == "auth0|ada"
    clock.now_s += 86_400
    assert await outcome(authenticator, issuer.token("first")) == "not decided"


@pytest.mark.usefixtures("issuer")
@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("OIDC_ISSUER", "", "OIDC_ISSUER and OIDC_AUDIENCE must be set"),
        ("OIDC_AUDIENCE", "", "OIDC_ISSUER and OIDC_AUDIENCE must be set"),
        ("OIDC_ISSUER", "http://id.example.com", "over https only"),
        ("OIDC_ISSUER", "id.example.com", "over https only"),
    ],
)
def test_a_setting_that_lets_in_nobody_is_said_at_start(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, said: str
) -> None:
    monkeypatch.setenv(setting, value)
    with pytest.raises(AuthenticatorSettingError, match=said):
        Authenticator.of(SETTING)


@pytest.mark.parametrize(
    "says", [{"issuer": "https://evil.example"}, {"jwks_uri": "http://a.test"}]
)
async def test_a_document_of_another_issuer_or_keys_without_tls_are_not_taken(
    issuer: Issuer, authenticator: Authenticator, says: dict[str, str]
) -> None:
    issuer.says = says
    assert await outcome(authenticator, issuer.token("first")) == "not decided"


@pytest.mark.usefixtures("issuer")
async def test_clients_come_with_the_provider_s_tokens_across_a_change_of_its_keys(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_server(make_bot(), authenticator=SETTING) as server:
        monkeypatch.setattr(sys.modules["voxwire_authenticator_oidc"], "AGAIN_S", 0)
        token = issuer.token("first")
        async with voxwire.connect(server.url, token=token, transport="websocket"):
            page = await hello_from_a_page(server, issuer.token("curve"))
            assert page.HasField("welcome")
            issuer.keys = {"second": "RS256"}
            second = issuer.token("second")
            async with voxwire.connect(server.url, token=second, transport="websocket"):
                assert len(server.registry) >= 2
            issuer.down = True
            async with voxwire.connect(server.url, token=second, transport="websocket"):
                pass
            refused = await hello_from_a_page(server, token)
            assert refused.error.retryable  # its key is unknown, and nobody can say
            issuer.down = False
            refused = await hello_from_a_page(server, token)
            assert refused.error.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
            assert token not in refused.error.reason
