"""Every HTTP route, in every state of a credential: 401 or 403, or it stands in a list with why."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tests.support.clicks import make_bot
from tests.support.phone_line import KNOWN
from tests.support.token_states import ADMIN_KEY, KEY, STATES, Credentials, first_use
from voxwire_server.app import create_app
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.openapi import methods_of
from voxwire_server.proxies import PublicUrl, unix_path
from voxwire_server.routes.console import console_routes
from voxwire_server.testing import running_server

GUARDED: Final = {
    ("POST", "/start"): "token",
    ("POST", "/api/offer"): "token",
    ("PATCH", "/api/offer"): "token",
    ("POST", "/files"): "token",
    ("POST", "/v1/tokens"): "key",
    ("GET", "/v1/sessions"): "admin key",
    ("HEAD", "/v1/sessions"): "admin key",
    ("GET", "/v1/sessions/{id}"): "admin key",
    ("HEAD", "/v1/sessions/{id}"): "admin key",
    ("DELETE", "/v1/sessions/{id}"): "admin key",
    ("GET", "/metrics"): "admin key",
    ("HEAD", "/metrics"): "admin key",
}
"""What opens a route."""

_PREFLIGHT: Final = "a page's preflight has no credentials; it gets no more than CORS headers"
_START: Final = "the path is the credential: 192 random bits, of one who had a token"
_WATCHED: Final = "load balancers ask it; it says no more than its state and how many sessions"
_PAGE: Final = "a page asks why its socket was refused; it says the protocol, and no bot"
_STATUS: Final = "stock clients ask what is served, the same for everybody"
_FILE: Final = "the console's files, the same for everybody"
OPEN: Final[dict[tuple[str, str], tuple[int, str]]] = {
    **{("GET", path): (200, _WATCHED) for path in ("/livez", "/healthz", "/startupz", "/readyz")},
    **{(method, "/v1/session"): (200, _PAGE) for method in ("GET", "HEAD", "POST")},
    **{(method, "/status"): (200, _STATUS) for method in ("GET", "HEAD")},
    **{
        ("OPTIONS", path): (204, _PREFLIGHT)
        for path in (
            *("/status", "/start", "/api/offer", "/sessions/{start}/api/offer"),
            *("/files", "/sessions/{start}/files"),
        )
    },
    ("POST", "/sessions/{start}/api/offer"): (404, _START),
    ("PATCH", "/sessions/{start}/api/offer"): (404, _START),
    ("POST", "/sessions/{start}/files"): (404, _START),
    **dict.fromkeys(methods_of(console_routes()), (200, _FILE)),
}
"""What answers anybody who passes the gate: with what, and why it may."""

USED_MAY: Final = {("POST", "/files"): "the token that began a session brings that session's files"}
"""Routes where a used token is a good one."""

JSON: Final = {"Content-Type": "application/json"}
CANARY: Final = "CANARY-of-a-request"
BODIES: Final[list[tuple[bytes, dict[str, str]]]] = [
    (b"", {}),
    (b"{}", JSON),
    (json.dumps({"user": CANARY, "sdp": CANARY, "type": "offer"}).encode(), JSON),
    (f'{{"{CANARY}'.encode(), JSON),
    (b"{}", {"Content-Type": f"text/{CANARY}"}),
    (b"x" * 70_000, JSON),
    (b"--b\r\n", {"Content-Type": "multipart/form-data; boundary=b"}),
]
"""What is read only of those who may: none of them changes the answer."""

PROXIED: Final = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}
ON_A_SOCKET: Final = {"host": "unix:{folder}/server.sock", "trusted_proxies": "unix"}
SETUPS: Final[dict[str, tuple[dict[str, str], dict[str, str]]]] = {
    "beyond loopback": ({"host": "0.0.0.0"}, {}),
    "beyond loopback, with a forged proxy": (
        {"host": "0.0.0.0"},
        {**PROXIED, "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
    ),
    "behind a proxy": (
        {"trusted_proxies": "127.0.0.1", "public_url": "https://bot.example"},
        {**PROXIED, "Host": "bot.example"},
    ),
    "behind a proxy, with a forged client": (
        {"trusted_proxies": "127.0.0.1", "public_url": "https://bot.example"},
        {"X-Forwarded-For": "127.0.0.1, 127.0.0.1", "Host": "bot.example"},
    ),
    "behind a proxy that is not trusted": ({}, PROXIED),
    "below a path of a proxy": (
        {"trusted_proxies": "127.0.0.1", "public_url": "https://bot.example/voice"},
        {**PROXIED, "Host": "bot.example"},
    ),
    "on a Unix socket, behind a proxy": (
        {**ON_A_SOCKET, "public_url": "https://bot.example"},
        {**PROXIED, "Host": "bot.example"},
    ),
    "on a Unix socket, behind a proxy that names no client": (ON_A_SOCKET, {}),
}
"""Settings, and what a proxy or a liar adds to every request. A Unix socket is in a new folder."""


def settings(**more: Any) -> dict[str, Any]:
    return {"key": KEY, "admin_key": ADMIN_KEY, "starts_per_address": "", **more}


@contextmanager
def served(
    more: dict[str, str], front: dict[str, str]
) -> Iterator[tuple[httpx.Client, Credentials]]:
    """A server in a thread of its own, and a client of it."""
    bot = LoadedBot(name="test", run=make_bot())
    with (
        TemporaryDirectory(prefix="vx") as folder,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running_server(bot, **placed(more, folder))) as server,
        client_of(placed(more, folder), server.port) as client,
    ):
        while client.get("/readyz", headers=front).status_code != 200:
            pass
        dialled = front.get("Host", client.base_url.netloc.decode())
        place = server.port or f"{folder}/server.sock"
        used = portal.call(first_use, place, dialled) if settings(**more)["key"] else ""
        yield client, Credentials(used)


def placed(more: dict[str, str], folder: str) -> dict[str, Any]:
    """All settings, with the folder that a Unix socket is in."""
    return settings(**{name: value.format(folder=folder) for name, value in more.items()})


def client_of(given: dict[str, Any], port: int) -> httpx.Client:
    """A client of a server with these settings, wherever it listens."""
    if port:
        return httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
    transport = httpx.HTTPTransport(uds=unix_path(given["host"]))
    return httpx.Client(base_url="http://localhost", transport=transport, trust_env=False)


def routes_of(more: dict[str, str]) -> list[tuple[str, str]]:
    app = create_app(Settings(**settings(**more)), LoadedBot(name="test", run=make_bot()))
    return list(methods_of(app.routes))


def wrong(opens: str, credentials: Credentials) -> Iterator[tuple[str, dict[str, str]]]:
    """Credentials that do not open what `opens` does."""
    yield from ((state, credentials.headers(state)) for state in STATES)
    token = credentials.token("right")
    yield "basic", {"Authorization": "Basic YTpi"}
    for name, value in (("key", KEY), ("admin key", ADMIN_KEY), ("token", token)):
        if name != opens:
            yield name, {"Authorization": f"Bearer {value}"}
        yield f"{name} as another scheme", {"Authorization": f"Token {value}"}
        yield f"{name} and more", {"Authorization": f"Bearer {value}x"}
        yield f"{name} as a cookie", {"Cookie": f"token={value}; Authorization={value}"}
        yield f"{name} as X-API-Key", {"X-API-Key": value}


def concrete(path: str) -> str:
    return re.sub(r"\{\w+\}", "none-such", path)


@pytest.mark.parametrize("setup", SETUPS)
def test_every_route_is_guarded_or_listed(setup: str) -> None:
    more, front = SETUPS[setup]
    routes = routes_of(more)
    assert len(routes) == len(set(routes)) == len(GUARDED) + len(OPEN)
    assert set(routes) == GUARDED.keys() | OPEN.keys()
    asked, let_in, below = 0, [], PublicUrl.parse(more.get("public_url", "")).prefix
    with served(more, front) as (client, credentials):
        for at, (method, path) in enumerate(routes):
            opens = GUARDED.get((method, path), "")
            bad = list(wrong(opens, credentials))
            for number, (state, headers) in enumerate(
                bad if opens else bad[at % (len(bad) - 1) :][:2]
            ):
                body, kind = BODIES[(at + number) % len(BODIES)]
                answer = client.request(
                    *(method, below + concrete(path)),
                    content=body,
                    params={"bot": "test", "x": CANARY},
                    headers={**headers, **kind, **front},
                )
                asked += 1
                expected = {401, 403} if opens else {OPEN[method, path][0]}
                if state == "used" and (method, path) in USED_MAY:
                    expected = {415}  # the bot takes no files
                if answer.status_code not in expected:
                    let_in.append((method, path, state, answer.status_code))
                assert_tells_nothing(answer, headers)
    assert let_in == []
    assert asked == len(GUARDED) * (len(STATES) + 15) + len(OPEN) * 2


def assert_tells_nothing(answer: httpx.Response, headers: dict[str, str]) -> None:
    told = answer.text + str(answer.headers)
    assert answer.status_code < 500 and "Traceback" not in told
    secrets = {
        CANARY,
        KEY,
        ADMIN_KEY,
        *(value.partition(" ")[2] or value for value in headers.values()),
    }
    assert not [secret for secret in secrets if secret in told]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("state", STATES)
def test_no_body_is_looked_at_before_the_credential(
    body: tuple[bytes, dict[str, str]], state: str, public: tuple[httpx.Client, Credentials]
) -> None:
    client, credentials = public
    for method, path in GUARDED:
        if state == "used" and (method, path) in USED_MAY:
            continue
        headers = {**body[1], **credentials.headers(state)}
        answer = client.request(method, concrete(path), content=body[0], headers=headers)
        assert answer.status_code in (401, 403), (method, path, answer.text)
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.fixture(scope="module")
def public() -> Iterator[tuple[httpx.Client, Credentials]]:
    with served({"host": "0.0.0.0"}, {}) as made:
        yield made


def test_the_right_credential_opens_each_guarded_route(
    public: tuple[httpx.Client, Credentials],
) -> None:
    client, credentials = public
    keys = {"key": KEY, "admin key": ADMIN_KEY}
    for (method, path), opens in GUARDED.items():
        headers = {"Authorization": f"Bearer {keys.get(opens) or credentials.token('right')}"}
        answer = client.request(method, concrete(path), headers=headers)
        assert answer.status_code not in (401, 403), (method, path, answer.text)
        assert answer.status_code < 500


LIARS: Final = {
    "another Host": {"Host": "evil.example"},
    "no page of ours": {"Origin": "https://evil.example"},
    "no origin": {"Origin": "null"},
    "forwarded": {"X-Forwarded-For": "127.0.0.1"},
    "through a proxy": {"Via": "1.1 evil"},
    "real": {"X-Real-IP": "127.0.0.1"},
}


@pytest.fixture(scope="module")
def keyless() -> Iterator[tuple[httpx.Client, Credentials]]:
    with served({"key": ""}, {}) as made:
        yield made


@pytest.mark.parametrize("liar", LIARS)
def test_a_server_of_one_machine_has_no_route_for_others(
    liar: str, keyless: tuple[httpx.Client, Credentials]
) -> None:
    client, _ = keyless
    routes = routes_of({"key": ""})
    assert set(routes) == (GUARDED.keys() | OPEN.keys()) - {("POST", "/v1/tokens")}
    for method, path in [*routes, ("GET", "/none"), ("POST", "/v1/tokens")]:
        answer = client.request(method, concrete(path), headers=LIARS[liar])
        assert answer.status_code == 403, (method, path)
        assert "evil" not in answer.text + str(answer.headers)


def test_a_new_route_turns_this_file_red() -> None:
    async def nobody_asked(_: Any) -> Response:
        return Response("secrets")

    app = create_app(Settings(**settings()), LoadedBot(name="test", run=make_bot()))
    assert set(methods_of(app.routes)) == GUARDED.keys() | OPEN.keys()
    app.router.routes.append(Route("/v1/new", nobody_asked))
    assert {("GET", "/v1/new"), ("HEAD", "/v1/new")} == set(methods_of(app.routes)) - (
        GUARDED.keys() | OPEN.keys()
    )


PHONES: Final = {
    *(("POST", f"/phone/{vendor}") for vendor in ("twilio", "telnyx", "plivo", "vonage")),
    *(
        (method, f"/phone/{vendor}")
        for method in ("GET", "HEAD")
        for vendor in ("exotel", "vonage")
    ),
}


def test_nothing_of_ours_opens_the_route_of_a_telephones_vendor() -> None:
    more, front = SETUPS["behind a proxy"]
    more = {**more, **KNOWN}
    assert set(routes_of(more)) == PHONES | GUARDED.keys() | OPEN.keys()
    with served(more, front) as (client, credentials):
        for method, path in sorted(PHONES):
            for number, (state, headers) in enumerate(wrong("", credentials)):
                body, kind = BODIES[number % len(BODIES)]
                answer = client.request(
                    *(method, path),
                    content=body,
                    params={"bot": "test", "x": CANARY},
                    headers={**headers, **kind, **front},
                )
                assert answer.status_code in (403, 413, 415), (method, path, state)
                assert_tells_nothing(answer, headers)


def test_the_operators_own_address_has_their_routes_and_no_others() -> None:
    app = create_app(
        Settings(**settings(admin_address="127.0.0.1:0")), LoadedBot(name="test", run=make_bot())
    )
    operators = {way for way, opens in GUARDED.items() if opens == "admin key"}
    assert set(methods_of(app.routes)) == (GUARDED.keys() | OPEN.keys()) - operators
    apart = Starlette(routes=app.state.admin)
    assert set(methods_of(apart.routes)) == operators
