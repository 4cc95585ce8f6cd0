"""Every front door asks the authenticator, with what it has of whoever comes, and once each."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets

from server.tests.routes.test_stock_http import HOST, sdp
from tests.support.clicks import make_bot
from voxwire_protocol import wire
from voxwire_server import Credential, Identity, Settings
from voxwire_server.app import create_app, lifespan
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import RunningServer, running_server

PAGE = {"Origin": HOST}
KEY = "an operator's secret of more than 32 characters"
USERS = ({"Authorization": "Bearer ada"}, {**PAGE, "Cookie": "session=ada"}, {"X-Api-Key": "ada"})
"""What the provider knows somebody by."""
OFFER = {"sdp": sdp(), "type": "offer"}


class Provider:
    """Knows who has the bearer ``ada`` or the cookie ``session=ada``, and who has an API key."""

    def __init__(self) -> None:
        self.asked: list[Credential] = []
        self.broken = False

    async def __call__(self, credential: Credential) -> Identity | None:
        self.asked.append(credential)
        if self.broken:
            raise OSError(credential.token)
        if (user := credential.headers.get("x-api-key")) in ("ada", "bob"):
            return Identity(user=user)
        cookies = credential.headers.get("cookie", "").split("; ")
        known = credential.token == "ada" or "session=ada" in cookies
        return Identity(user="ada") if known else None

    def shown(self) -> Credential:
        """What it was asked about, once."""
        [credential] = self.asked
        self.asked.clear()
        return credential


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def http(provider: Provider) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(authenticator=provider, accepts="text/plain")
    app = create_app(settings, LoadedBot(name="test", run=make_bot()))
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 5))
    async with lifespan(app)(app), httpx.AsyncClient(transport=transport, base_url=HOST) as made:
        yield made


HTTP_DOORS: list[tuple[str, dict[str, Any]]] = [
    ("/start", {"json": {}}),
    ("/api/offer", {"json": OFFER}),
    ("/files", {"files": {"file": ("a.txt", b"text", "text/plain")}}),
]


@pytest.mark.parametrize(("path", "body"), HTTP_DOORS)
@pytest.mark.parametrize("headers", [{"Authorization": "Bearer ada"}, {"Cookie": "session=ada"}])
async def test_an_http_door_asks_once_and_takes_bearer_or_cookie(
    http: httpx.AsyncClient,
    provider: Provider,
    path: str,
    body: dict[str, Any],
    headers: dict[str, str],
) -> None:
    answer = await http.post(f"{path}?bot=test", headers={**headers, **PAGE}, **body)
    assert answer.status_code == 200, answer.text
    shown = provider.shown()
    assert (shown.bot, shown.origin, shown.address) == ("test", HOST, "127.0.0.1")
    assert not shown.is_local
    assert {name.lower(): value for name, value in headers.items()}.items() <= shown.headers.items()
    assert "host" not in shown.headers and "content-type" not in shown.headers


@pytest.mark.parametrize(("path", "body"), HTTP_DOORS)
async def test_who_is_unknown_gets_401_and_429_with_a_time_while_nobody_can_say(
    http: httpx.AsyncClient, provider: Provider, path: str, body: dict[str, Any]
) -> None:
    secret = {"Authorization": "Bearer a-stranger-s-credential"}
    refused = await http.post(path, headers=secret, **body)
    assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHORIZED")
    provider.broken = True
    refused = await http.post(path, headers=secret, **body)
    assert (refused.status_code, refused.json()["code"]) == (429, "CAPACITY")
    assert int(refused.headers["Retry-After"]) in (1, 2)  # spread
    assert "stranger-s" not in refused.text and "OSError" not in refused.text


async def test_who_has_started_comes_back_within_a_minute_without_being_asked_about_again(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    started = await http.post("/start", json={}, headers={"Authorization": "Bearer ada"})
    provider.shown()
    provider.broken = True
    start = started.json()["sessionId"]
    assert (await http.post(f"/sessions/{start}/api/offer", json=OFFER)).status_code == 200
    assert provider.asked == []


async def test_starts_that_wait_are_counted_by_their_user_whatever_cookies_he_brings(
    http: httpx.AsyncClient,
) -> None:
    codes: list[int] = []
    for number in range(9):
        headers = {**PAGE, "Cookie": f"session=ada; x={number}"}
        codes.append((await http.post("/start", json={}, headers=headers)).status_code)
    assert codes == [200] * 8 + [429]
    other = {**PAGE, "X-Api-Key": "bob"}
    assert (await http.post("/start", json={}, headers=other)).status_code == 200


async def test_programs_with_a_credential_of_their_own_kind_are_not_one_owner(
    http: httpx.AsyncClient,
) -> None:
    for user in ("ada", "bob"):
        for _ in range(8):
            started = await http.post("/start", json={}, headers={"X-Api-Key": user})
            assert started.status_code == 200
    offered = await http.post("/api/offer", json=OFFER, headers={"X-Api-Key": "ada"})
    candidates: dict[str, Any] = {"pc_id": offered.json()["pc_id"], "candidates": []}
    for user, status in (("ada", 200), ("bob", 404), ("eve", 401)):
        answer = await http.patch("/api/offer", json=candidates, headers={"X-Api-Key": user})
        assert answer.status_code == status, user


async def test_a_cookie_that_rotates_keeps_its_connection_and_one_that_stays_is_not_asked_about(
    http: httpx.AsyncClient, provider: Provider
) -> None:
    first = {"Cookie": "session=ada; csrf=1"}
    offered = await http.post("/api/offer", json=OFFER, headers=first)
    provider.shown()
    candidates: dict[str, Any] = {"pc_id": offered.json()["pc_id"], "candidates": []}
    assert (await http.patch("/api/offer", json=candidates, headers=first)).status_code == 200
    assert provider.asked == []
    rotated = {"Cookie": "session=ada; csrf=2"}
    assert (await http.patch("/api/offer", json=candidates, headers=rotated)).status_code == 200


async def test_a_backend_gets_tokens_by_its_key_and_nobody_is_asked_then_or_at_the_door(
    provider: Provider,
) -> None:
    provider.broken = True
    app = create_app(
        Settings(authenticator=provider, key=KEY), LoadedBot(name="test", run=make_bot())
    )
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 5))
    async with lifespan(app)(app), httpx.AsyncClient(transport=transport, base_url=HOST) as http:
        for headers in USERS:
            answer = await http.post("/v1/tokens", json={"user": "ada"}, headers=headers)
            assert answer.status_code == 401, headers
        backend = {"Authorization": f"Bearer {KEY}"}
        minted = await http.post("/v1/tokens", json={"user": "ada"}, headers=backend)
        user = {"Authorization": f"Bearer {minted.json()['token']}"}
        assert (await http.post("/start", json={}, headers=user)).status_code == 200
    assert provider.asked == []


# sockets


@pytest.fixture
async def server(provider: Provider) -> AsyncIterator[RunningServer]:
    async with running_server(make_bot(), authenticator=provider) as made:
        yield made


async def hello(server: RunningServer, token: str, **headers: str) -> wire.Envelope:
    async with websockets.connect(
        f"{server.url}/v1/session",
        subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
        additional_headers=headers,
    ) as socket:
        said = wire.Hello(protocol_version=1, attach_nonce=bytes(16), token=token, bot="test")
        await socket.send(wire.Envelope(hello=said).SerializeToString())
        data = await socket.recv()
        assert isinstance(data, bytes)
        return wire.Envelope.FromString(data)


async def test_a_hello_is_asked_about_with_its_token_and_a_program_here_is_no_exception(
    server: RunningServer, provider: Provider
) -> None:
    assert (await hello(server, "ada")).HasField("welcome")
    shown = provider.shown()
    assert (shown.token, shown.bot, shown.is_local) == ("ada", "test", True)
    refused = await hello(server, "")
    assert refused.error.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
    assert not refused.error.retryable
    provider.broken = True
    refused = await hello(server, "a-secret-of-somebody")
    assert refused.error.code == wire.ErrorCode.ERROR_CODE_CAPACITY
    assert refused.error.retryable and 1000 <= refused.error.retry_after_ms <= 1500
    assert "secret" not in str(refused)


async def test_a_hello_of_a_page_may_have_its_cookie_for_a_token(
    server: RunningServer, provider: Provider
) -> None:
    origin = f"http://127.0.0.1:{server.port}"
    assert (await hello(server, "", Origin=origin, Cookie="session=ada")).HasField("welcome")
    shown = provider.shown()
    assert (shown.origin, shown.is_local) == (origin, False)


@pytest.mark.parametrize("door", ["/ws-client/ada", "/ws?token=ada", "/ws-client"])
async def test_a_stock_socket_is_asked_about_wherever_its_token_stands(
    server: RunningServer, provider: Provider, door: str
) -> None:
    headers = {} if "ada" in door else {"Authorization": "Bearer ada"}
    ready = json.dumps(
        {"id": "1", "label": "rtvi-ai", "type": "client-ready", "data": {"version": "1.0.0"}}
    )
    async with websockets.connect(server.url + door, additional_headers=headers) as socket:
        await socket.send(ready)
        assert "bot-ready" in str(await socket.recv())
    assert provider.shown().token == "ada"
    async with websockets.connect(server.url + "/ws?token=eve") as socket:
        await socket.send(ready)
        assert "nobody is known by this credential" in str(await socket.recv())
        await socket.wait_closed()
        assert socket.close_code == 4003


async def test_whoever_is_told_nothing_of_the_bots_without_a_credential(
    server: RunningServer,
) -> None:
    async with httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{server.port}/v1/session"
        assert (await client.post(url)).json()["bots"] == []
