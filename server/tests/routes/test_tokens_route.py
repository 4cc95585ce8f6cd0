"""``POST /v1/tokens``."""

import gzip
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from voxwire_server.bots.house import loaded
from voxwire_server.keys import KeyRing
from voxwire_server.routes.tokens import secret_check, tokens_router
from voxwire_server.session.start_rates import StartRates
from voxwire_server.tokens import Limits, TokenIssuer, TokenVerifier

NOW = 1_790_000_000
KEY = "key-of-the-operator-0123456789abcdef"
RING = KeyRing.parse(key=KEY)
AUTH = {"Authorization": f"Bearer {KEY}"}
UNLIMITED = StartRates(now_ms=lambda: 0)
CANARY = "CANARY-77aa-secret"


def app(
    key: str = KEY, url: str = "wss://bot.example", starts: StartRates | None = None
) -> FastAPI:
    application = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    issuer = TokenIssuer(KeyRing.parse(key=key)) if key else None
    application.include_router(
        tokens_router(
            issuer, secret_check(key), now_s=lambda: NOW + 0.7, url=url, starts=starts or UNLIMITED
        )
    )
    return application


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(app()) as test_client:
        yield test_client


def ask(client: TestClient, body: object, headers: dict[str, str] | None = None) -> Any:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post(
        "/v1/tokens",
        content=text,
        headers={"Content-Type": "application/json", **AUTH, **(headers or {})},
    )


def test_a_backend_gets_a_token_that_verifies(client: TestClient) -> None:
    limits = {"max_duration_s": 600, "max_sessions": 2}
    answer = ask(client, {"user": "ann", "bot": "offline", "ttl_s": 60, "limits": limits})
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.keys() == {"token", "expires_at", "url"} and body["expires_at"] == NOW + 60
    claims = TokenVerifier(RING).verify(body["token"], now_s=NOW)
    assert (claims.user, claims.bot, claims.expires_at_s) == ("ann", "offline", NOW + 60)
    assert claims.limits == Limits(max_duration_s=600, max_sessions=2)


def test_the_defaults_and_two_tokens_differ() -> None:
    with TestClient(app(url="")) as client:
        first, second = (ask(client, {"user": "ann"}).json() for _ in range(2))
    assert first.keys() == {"token", "expires_at"} and first["expires_at"] == NOW + 300
    assert first["token"] != second["token"]


def test_a_token_is_made_for_bots_of_this_server_only() -> None:
    async def nothing(_: object) -> None: ...

    application = FastAPI()
    bots = loaded({"concierge": nothing, "story": nothing})
    issuer, check = TokenIssuer(RING), secret_check(KEY)
    application.include_router(
        tokens_router(issuer, check, now_s=lambda: NOW, check_bot=bots.choose, starts=UNLIMITED)
    )
    with TestClient(application) as client:
        assert ask(client, {"user": "ann"}).status_code == 200
        assert ask(client, {"user": "ann", "bot": "story"}).status_code == 200
        answer = ask(client, {"user": "ann", "bot": CANARY})
    assert answer.status_code == 422
    reason = "this server has no bot of that name; name one of: concierge, story"
    assert answer.json() == {"code": "INVALID_ARGUMENT", "reason": reason}


def test_without_a_key_the_route_is_not_there() -> None:
    with TestClient(app(key="")) as client:
        for headers in ({}, {"Authorization": "Bearer "}, AUTH):
            answer = ask(client, {"user": "ann"}, headers)
            other = client.post("/v1/no-such-route", headers=headers)
            assert (answer.status_code, answer.content) == (404, other.content)
    for issuer, check in ((TokenIssuer(RING), None), (None, secret_check(KEY))):
        assert not tokens_router(issuer, check, now_s=lambda: NOW, starts=UNLIMITED).routes


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", CANARY],
)
def test_a_wrong_key_is_refused(client: TestClient, value: str) -> None:
    answer = ask(client, {"user": "ann"}, {"Authorization": value})
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["code"] == "UNAUTHORIZED" and KEY not in answer.text


def test_a_user_whose_starts_are_used_up_gets_no_token_yet() -> None:
    starts = StartRates(per_user="2/minute", now_ms=lambda: 0)
    with TestClient(app(starts=starts)) as client:
        for _ in range(5):
            assert ask(client, {"user": "ann"}).status_code == 200  # a token is no start
        for _ in range(2):
            starts.begun("ann")
        answer = ask(client, {"user": "ann"})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
        assert answer.json()["code"] == "RATE_LIMITED"
        assert "ann" not in answer.text
        assert ask(client, {"user": "bob"}).status_code == 200


def test_who_tries_keys_is_turned_away_before_they_are_looked_at_for_long() -> None:
    starts = StartRates(per_address="3/minute", now_ms=lambda: 0)
    wrong = {"Authorization": f"Bearer {KEY}x"}
    with TestClient(app(starts=starts), client=("203.0.113.7", 1)) as client:
        codes = [ask(client, {"user": "ann"}, wrong).status_code for _ in range(5)]
        assert codes == [401] * 3 + [429] * 2
        assert ask(client, {"user": "ann"}).status_code == 200  # the operator may be behind it
        starts.check_address("203.0.113.7")  # and so may whoever has his tokens
    with TestClient(app(starts=starts), client=("203.0.113.8", 1)) as client:
        assert ask(client, {"user": "ann"}, wrong).status_code == 401


def test_no_header_and_two_headers_are_refused(client: TestClient) -> None:
    body, plain = '{"user": "ann"}', ("Content-Type", "application/json")
    for pairs in ([plain], [plain, *AUTH.items(), *AUTH.items()]):
        answer = client.post("/v1/tokens", content=body, headers=pairs)
        assert answer.status_code == 401
    assert ask(client, body, {"Authorization": f"bearer {KEY}"}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        *("", "null", "[]", "{", CANARY, '{"user":"a","user":"b"}', '{"user":"\\ud800"}'),
        *(b"\xff\xfe{\0}\0", '{"user":"a"}'.encode("utf-16"), "[" * 3000, '{"user":"a","x":NaN}'),
        {},
        {"user": ""},
        {"user": f"{CANARY}\n"},
        {"user": [CANARY]},
        {"user": "x" * 129},
        {"user": "ann", CANARY: CANARY},
        {"user": "ann", "sub": CANARY},
        {"user": "ann", "bot": f"{CANARY}\x1b"},
        *({"user": "ann", "ttl_s": ttl} for ttl in (0, -1, 3601, 1.5, True, CANARY, None)),
        *({"user": "ann", "limits": limits} for limits in (CANARY, {CANARY: 1}, None)),
        {"user": "ann", "limits": {"tools": [f"{CANARY} x"]}},
        {"user": "ann", "limits": {"max_sessions": CANARY}},
        {"user": "ann", "limits": {"tools": [f"{n:02}" + "x" * 56 for n in range(60)]}},
    ],
    ids=range(32),
)
def test_a_wrong_body_is_named_but_never_repeated(client: TestClient, body: object) -> None:
    answer = ask(client, body)
    assert answer.status_code == 422 and answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"code", "reason"}
    assert answer.json()["code"] == "INVALID_ARGUMENT"
    assert CANARY not in answer.text and len(answer.text) < 200


def test_a_compressed_or_other_body_is_refused(client: TestClient) -> None:
    good = b'{"user": "ann"}'
    for headers in (
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "identity"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ):
        answer = ask(client, gzip.compress(good) if "gzip" in str(headers) else good, headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED")
    assert ask(client, good, {"Content-Type": "application/json; charset=utf-8"}).is_success


@pytest.mark.parametrize("length", [b"4097", b"99999999999999999999", b"-1", b"abc", b""])
async def test_a_large_body_is_refused_before_it_is_read(length: bytes) -> None:
    status, reads = await post_parts([b"x"], [(b"content-length", length)])
    assert (status, reads) == (413, 0)


async def test_a_large_body_without_a_length_is_refused_while_it_streams() -> None:
    status, reads = await post_parts([b" " * 1000] * 1000, [])
    assert (status, reads) == (413, 5)
    padded = b'{"user": "ann"}'.ljust(4096)
    assert await post_parts([padded[:2048], padded[2048:]], []) == (200, 2)
    assert (await post_parts([padded, b" "], []))[0] == 413


async def test_a_client_that_goes_away_leaves_no_error() -> None:
    assert (await post_parts([], []))[0] == 408


async def post_parts(parts: list[bytes], headers: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """POST in pieces, straight into ASGI; an exhausted list is a client that went away."""
    left, reads, status = list(parts), 0, 0

    async def receive() -> dict[str, Any]:
        nonlocal reads
        if not left:
            return {"type": "http.disconnect"}
        reads += 1
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    base = [(b"content-type", b"application/json"), (b"authorization", b"Bearer " + KEY.encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/tokens", "query_string": b""}
    scope |= {"headers": [*base, *headers], "asgi": {"version": "3.0"}, "http_version": "1.1"}
    await app()(scope, receive, send)
    return status, reads


def test_no_secret_is_logged_whatever_the_request(
    client: TestClient, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens: list[str] = []
    names = ("user", "bot", "ttl_s", "limits", CANARY)
    for body in (*({"user": "ann", name: CANARY} for name in names), CANARY):
        for headers in ({}, {"Authorization": f"Bearer {CANARY}"}, {"Content-Encoding": CANARY}):
            answer = ask(client, body, headers)
            tokens += [answer.json()["token"]] if answer.is_success else []
            assert answer.is_success or CANARY not in answer.text
    logged = caplog.text + str([vars(r) for r in caplog.records]) + "".join(capsys.readouterr())
    assert len(tokens) == 2
    assert not any(secret in logged for secret in (CANARY, KEY, *tokens))
