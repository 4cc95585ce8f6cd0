"""The HTTP routes of stock clients: shapes, limits, and hostile bodies, without a socket."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.clicks import make_bot
from voxwire_server.app import create_app, lifespan
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.keys import KeyRing
from voxwire_server.routes.stock_bodies import MAX_BODY_BYTES
from voxwire_server.tokens import TokenIssuer

HOST = "http://127.0.0.1:7860"
KEY = "an operator's secret of more than 32 characters"
PAGE = {"Origin": HOST}
OFFER = {"sdp": "v=0", "type": "offer"}
HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=sendrecv\r\na=mid:0\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:{pwd}\r\na=fingerprint:{fingerprint}\r\na=setup:{setup}\r\n"
    "a=rtpmap:111 opus/48000/2\r\n"
)
GOOD = {
    "pwd": "p" * 24,
    "fingerprint": "sha-256 " + ":".join(["AA"] * 32),
    "setup": "actpass",
}


def sdp(head: str = HEAD, tail: str = "", **parts: str) -> str:
    return head + AUDIO.format(**{**GOOD, **parts}) + tail


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A program on the server's machine."""
    settings = Settings(
        turn_urls="turn:127.0.0.1:9", turn_secret="s", allowed_origins="https://shop.example"
    )
    app = create_app(settings, LoadedBot(name="test", run=make_bot()))
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 5))
    async with lifespan(app)(app), httpx.AsyncClient(transport=transport, base_url=HOST) as http:
        yield http


async def test_status_says_what_is_served(client: httpx.AsyncClient) -> None:
    answer = await client.get("/status")
    assert answer.json() == {"status": "ready", "transports": ["webrtc", "websocket"]}


async def test_a_method_that_a_route_does_not_have_is_no_servers_error(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/status", "/start", "/api/offer", "/sessions/x/api/offer"):
        for method in ("HEAD", "GET", "PUT", "PATCH", "DELETE", "POST"):
            assert (await client.request(method, path)).status_code < 500, (method, path)
    assert (await client.head("/status")).status_code == 200


async def test_a_start_is_answered_in_the_shape_that_its_transport_takes(
    client: httpx.AsyncClient,
) -> None:
    for body in ({}, {"transport": "webrtc", "enableDefaultIceServers": True, "body": {"a": 1}}):
        said = (await client.post("/start", json=body)).json()
        assert set(said) == {"sessionId", "iceConfig"}
        [server] = said["iceConfig"]["iceServers"]
        assert set(server) == {"urls", "username", "credential"}
        assert said["sessionId"] not in json.dumps(server)
    assert (await client.post("/start")).status_code == 200  # startBot() without requestData
    said = (await client.post("/start", json={"transport": "websocket"})).json()
    assert list(said) == ["wsUrl"]
    assert said["wsUrl"].startswith("ws://127.0.0.1:7860/ws-client/")
    for body in ({"transport": "daily"}, {"createDailyRoom": True}, {"transport": "twilio"}):
        answer = await client.post("/start", json=body)
        assert answer.status_code == 400
        assert answer.json()["detail"] == "this server serves webrtc and websocket"


async def test_starts_that_wait_are_bounded(client: httpx.AsyncClient) -> None:
    codes = [(await client.post("/start", json={})).status_code for _ in range(9)]
    assert codes == [200] * 8 + [429]
    assert (await client.post("/start", json={}, headers=PAGE)).status_code == 200


@pytest.fixture
async def two_a_minute() -> AsyncIterator[httpx.AsyncClient]:
    """A client of another machine; two sessions may begin there in a minute."""
    settings = Settings(key=KEY, starts_per_address="2/minute")
    app = create_app(settings, LoadedBot(name="test", run=make_bot()))
    issuer = TokenIssuer(KeyRing.parse(key=KEY))
    bearer = {"Authorization": f"Bearer {issuer.issue('ada', now_s=time.time())}"}
    transport = httpx.ASGITransport(app=app, client=("203.0.113.7", 5))
    client = httpx.AsyncClient(transport=transport, base_url=HOST, headers=bearer)
    async with lifespan(app)(app), client:
        yield client


async def test_an_offer_that_is_not_answered_is_no_start(
    two_a_minute: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, offer = two_a_minute, {"sdp": sdp(), "type": "offer"}
    for _ in range(3):
        bad = await client.post("/api/offer", json=OFFER)
        assert (bad.status_code, bad.json()["code"]) == (400, "BAD_SDP")
    monkeypatch.setattr("voxwire_server.routes.stock_offers._MAX_PENDING", 0)
    for _ in range(3):
        refused = await client.post("/api/offer", json=offer)
        assert (refused.status_code, "too many offers" in refused.text) == (429, True)
    monkeypatch.undo()
    answers = await asyncio.gather(*(client.post("/api/offer", json=offer) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [429] * 3
    refused = await client.post("/api/offer", json=offer)
    assert "too many sessions were begun from this address" in refused.text


async def test_an_offer_counts_for_its_address_once_and_a_start_does_not(
    two_a_minute: httpx.AsyncClient,
) -> None:
    client, offer = two_a_minute, {"sdp": sdp(), "type": "offer"}
    transport: Any = vars(client)["_transport"]
    starts = [await client.post("/start", json={}) for _ in range(3)]
    assert [answer.status_code for answer in starts] == [200] * 3
    [first, second, third] = [answer.json()["sessionId"] for answer in starts]
    assert (await client.post("/api/offer", json=offer)).status_code == 200
    path = f"/sessions/{first}/api/offer"
    assert (await client.post(path, json=offer)).status_code == 200
    for path in ("/api/offer", f"/sessions/{second}/api/offer", "/start"):
        refused = await client.post(path, json={} if path == "/start" else offer)
        assert refused.status_code == 429
        assert refused.json()["code"] == "RATE_LIMITED"
        assert 1 < int(refused.headers["retry-after"]) <= 60
    transport.client = ("203.0.113.8", 5)
    path = f"/sessions/{third}/api/offer"
    assert (await client.post(path, json=offer)).status_code == 200


async def test_what_http_refuses_is_in_the_figures_and_says_when_to_come_back() -> None:
    settings = Settings(key=KEY, admin_key=f"{KEY} operator", max_sessions=1)
    app = create_app(settings, LoadedBot(name="test", run=make_bot()))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HOST)
    offer = {"sdp": sdp(), "type": "offer"}
    async with lifespan(app)(app), client:
        for path, body in (("/start", {}), ("/api/offer", offer), ("/v1/tokens", {"user": "ada"})):
            stranger = await client.post(path, json=body, headers={"Authorization": "Bearer x"})
            assert (stranger.status_code, "retry-after" in stranger.headers) == (401, False)
        place = app.state.registry.reserve()
        full = await client.post("/start", json={})
        assert full.status_code == 429
        assert full.headers["retry-after"] in ("2", "3")  # they come back spread
        app.state.registry.give_back(place)
        app.state.registry.draining = True
        for path, body in (("/start", {}), ("/api/offer", offer)):
            going = await client.post(path, json=body)
            assert (going.status_code, going.headers["retry-after"]) == (503, "1")
        app.state.registry.draining = False
        many = [await client.post("/start", json={}) for _ in range(9)]
        assert [each.status_code for each in many] == [200] * 8 + [429]
        bearer = {"Authorization": f"Bearer {KEY} operator"}
        figures = (await client.get("/metrics", headers=bearer)).text
    for code, number in (
        ("unauthorized", 3),
        ("capacity", 1),
        ("going_away", 2),
        ("rate_limited", 1),
    ):
        assert f'voxwire_refusals_total{{code="{code}"}} {number}.0' in figures


async def test_a_page_that_is_loaded_again_and_again_is_served(client: httpx.AsyncClient) -> None:
    for _ in range(9):
        answer = await client.post("/start", json={})
        assert answer.status_code == 200
        path = f"/sessions/{answer.json()['sessionId']}/api/offer"
        answer = await client.post(path, json={"sdp": sdp(), "type": "offer"})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("/start", "POST", {"hack": 1}),
        ("/start", "POST", {"transport": 5}),
        ("/start", "POST", []),
        ("/api/offer", "POST", {}),
        ("/api/offer", "POST", {**OFFER, "x": 1}),
        ("/api/offer", "POST", {**OFFER, "type": "answer"}),
        ("/api/offer", "POST", {**OFFER, "sdp": 5}),
        ("/api/offer", "POST", {**OFFER, "pc_id": "x" * 200}),
        ("/api/offer", "PATCH", {}),
        ("/api/offer", "PATCH", {"pc_id": "x", "candidates": [{"candidate": "a"}] * 17}),
        ("/api/offer", "PATCH", {"pc_id": "x", "candidates": [{"candidate": "a" * 600}]}),
        ("/api/offer", "PATCH", {"pc_id": "x", "candidates": [{"candidate": 1}]}),
        ("/api/offer", "PATCH", {"pc_id": "x", "candidates": [{"candidate": "a", "x": 1}]}),
    ],
)
async def test_a_body_with_anything_wrong_is_refused_without_its_text(
    client: httpx.AsyncClient, path: str, method: str, body: Any
) -> None:
    answer = await client.request(method, path, json=body)
    assert answer.status_code == 422
    assert set(answer.json()) == {"code", "reason", "detail"}
    assert "hack" not in answer.text


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 422),
        (b"[" * 5000, {}, 422),
        (b'{"transport":"webrtc","transport":"webrtc"}', {}, 422),
        (b'{"body":{"tools":[{"name":"\\ud800"}]}}', {}, 422),
        (b'{"body":{"a":"\\ud800"}}', {}, 422),
        (b'{"body":{"a":1e999}}', {}, 422),
        (b'{"body":{"a":"' + b"x" * 9000 + b'"}}', {}, 413),
        (b"{}" + b" " * MAX_BODY_BYTES, {}, 413),
        (b"{}", {"Content-Length": "99999999"}, 413),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Encoding": "gzip"}, 415),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    headers = {"Content-Type": "application/json", **headers}
    answer = await client.post("/start", content=content, headers=headers)
    assert answer.status_code == status
    assert "d800" not in answer.text


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "hello \0 world",
        "m=audio",
        HEAD,
        sdp(pwd="short"),
        sdp(fingerprint="md5 AA:AA"),
        sdp(setup="bogus"),
        sdp(tail="m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 20),
        sdp(tail="a=x:" + "y" * 2000 + "\r\n"),
        sdp(head="v=0\r\no=bogus\r\n"),
        sdp(tail="a=fmtp:99 x=y\r\n"),
        sdp(tail="a=rtcp-fb:99 nack\r\n"),
        sdp(tail="m=application 99999 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n"),
    ],
)
async def test_no_offer_is_a_servers_error(client: httpx.AsyncClient, offer: str) -> None:
    answer = await client.post("/api/offer", json={"sdp": offer, "type": "offer"})
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert answer.json()["code"] == "BAD_SDP"


async def test_candidates_are_of_use_to_their_connections_owner_alone(
    client: httpx.AsyncClient,
) -> None:
    pc = (await client.post("/api/offer", json={"sdp": sdp(), "type": "offer"})).json()["pc_id"]
    for candidate in ("candidate:1 1 udp 1 169.254.169.254 80 typ host", "", "junk", "\0"):
        body = {"pc_id": pc, "candidates": [{"candidate": candidate, "sdp_mid": "0"}]}
        assert (await client.patch("/api/offer", json=body)).json() == {"status": "success"}
        assert (await client.patch("/api/offer", json=body, headers=PAGE)).status_code == 404
        bearer = {"Authorization": "Bearer x"}
        assert (await client.patch("/api/offer", json=body, headers=bearer)).status_code == 404


async def test_a_page_reads_answers_where_its_origin_is_allowed(client: httpx.AsyncClient) -> None:
    shop = {"Origin": "https://shop.example"}
    for path in ("/start", "/api/offer", "/sessions/x/api/offer", "/status"):
        asked = {**shop, "Access-Control-Request-Method": "POST"}
        preflight = await client.options(path, headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
        assert "access-control-allow-credentials" not in preflight.headers
        evil = await client.options(path, headers={**asked, "Origin": "https://evil.example"})
        assert evil.status_code == 403
        assert "access-control-allow-origin" not in evil.headers
    said = await client.post("/start", json={}, headers=shop)
    assert said.headers["access-control-allow-origin"] == "https://shop.example"
    refused = await client.post("/start", json={"x": 1}, headers=shop)
    assert refused.headers["access-control-allow-origin"] == "https://shop.example"
