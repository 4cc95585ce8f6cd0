"""Stock SmallWebRTC clients on the real server: they talk, come back, and are refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

pytest.importorskip("aiortc")

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.integration.test_stock_sockets import HOUSE
from tests.integration.test_tokens import KEY, fetch_token
from tests.support.clicks import make_bot
from tests.support.espeak import render_pcm
from tests.support.stock_rtc import stock_client
from tests.support.stock_socket import dialled
from tests.support.waiting import PATIENT, descriptors_at_most, until
from voxwire_protocol import rtvi
from voxwire_server.testing import RunningServer, running_server


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    """A server whose bot answers typed texts with clicks."""
    async with running_server(make_bot(), **PATIENT) as running:
        yield running


async def test_a_stock_client_holds_a_conversation_and_comes_back() -> None:
    """A greeting cut by a question, its answer; a new connection in the middle; a goodbye."""
    pcm, _ = await render_pcm("what time is it", sample_rate=16_000)
    async with running_server(HOUSE, **PATIENT) as server:
        async with stock_client(server.port) as client:
            started = await client.start(transport="webrtc", body={"plan": "pro"})
            assert list(started) == ["sessionId"]
            await client.connect()
            await client.ready()
            await client.until(lambda: "Hello" in client.spoken and client.heard_s > 0.5)
            client.speak(pcm)
            await client.until(lambda: client.of("bot-interrupted"))
            await client.until(lambda: "It is" in client.spoken)
            [called] = client.of("llm-function-call-in-progress")
            assert called["function_name"] == "get_time"
            before = client.pc_id
            answer = await client.restart()
            await client.take(answer)
            assert client.pc_id != before
            assert len(server.registry) == 1
            client.say("send-text", {"content": "my name is Emma"})
            heard = client.heard_s
            await client.until(lambda: "Emma" in client.spoken and client.heard_s > heard + 0.5)
            client.say("disconnect-bot")
            await client.until(lambda: client.signals)
            assert client.signals == ["peerLeft"]
            await until(lambda: len(server.registry) == 0)


async def test_a_client_that_offers_has_begun_once_and_coming_back_is_no_start() -> None:
    rates = {"starts_per_address": "1/minute", "trusted_proxies": "127.0.0.1"}
    async with running_server(make_bot(), key=KEY, **rates, **PATIENT) as server:
        bearer = f"Bearer {await fetch_token(server)}"
        headers = {"Authorization": bearer, "X-Forwarded-For": "198.51.100.7"}
        async with stock_client(server.port, **headers) as client:
            await client.start()
            await client.connect()
            await client.ready()
            await client.take(await client.restart())
            assert len(server.registry) == 1
        headers["Authorization"] = f"Bearer {await fetch_token(server)}"
        async with stock_client(server.port, **headers) as another:
            refused = await another.offer()
            assert refused.status_code == 429
            assert refused.json()["code"] == "RATE_LIMITED"


async def test_what_is_said_while_a_client_is_away_is_told_when_it_is_back(
    server: RunningServer,
) -> None:
    async with stock_client(server.port) as client:
        await client.start()
        await client.connect()
        await client.ready()
        client.say("send-text", {"content": "say 40"})
        await client.until(lambda: client.of("bot-llm-text"))
        await client.until(lambda: "w1" in client.spoken)
        told = len(client.messages)
        answer = await client.restart()
        assert answer.status_code == 200
        await client.take(answer)
        await client.until(lambda: len(client.messages) > told)
        client.say("send-text", {"content": "say 1"})
        await client.until(lambda: "w40." in client.spoken)
        words = client.spoken.split()
        assert words == sorted(words, key=lambda word: int(word.strip("w.")))
        assert len(client.of("bot-ready")) == 1


async def test_a_blackout_of_three_seconds_without_a_ping_loses_nothing(
    server: RunningServer,
) -> None:
    async with stock_client(server.port) as client:
        await client.connect()
        await client.ready()
        client.pings = False
        for number in range(5):
            await asyncio.sleep(0.8)  # real time: silence
            client.say("client-message", {"t": "note", "d": number})
        last = client.say("update-config")
        await client.until(lambda: client.of("error-response"))
        assert [m["id"] for m in client.messages if m["type"] == "error-response"] == [last]


async def test_a_client_that_goes_for_good_ends_its_session(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("voxwire_server.routes.stock_call.AWAY_MS", 100)
    async with stock_client(server.port) as client:
        await client.start()
        await client.connect()
        await client.ready()
        await client.close()
        await until(lambda: len(server.registry) == 0)
        assert not [record for record in caplog.records if record.exc_info]
        assert (await client.offer(pc_id=client.pc_id, restart_pc=True)).status_code == 200


async def test_a_client_that_was_given_up_sees_it_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It did not read for a while; its sound went on meanwhile, and would have for ever."""
    async with running_server(make_bot(), heartbeat_ms=20, **PATIENT) as server:
        async with stock_client(server.port) as client:
            await client.connect()
            await client.ready()
            with monkeypatch.context() as patched:
                patched.setattr("voxwire_server.routes.stock_call.MAX_EVENT_BYTES", -1)
                assert client.peer is not None and client.peer.data is not None
                channel = client.peer.data
                await until(lambda: not channel.is_open)
            await client.take(await client.restart())
            await client.ready()
            assert len(server.registry) == 1


async def test_a_connection_is_nobodys_but_its_owners(server: RunningServer) -> None:
    async with stock_client(server.port) as victim, stock_client(server.port) as thief:
        await victim.start()
        await victim.connect()
        await victim.ready()
        await thief.start()
        candidates = {"pc_id": victim.pc_id, "candidates": [{"candidate": "candidate:1"}]}
        mine = await victim.http.patch(victim.endpoint, json=candidates)
        assert (mine.status_code, mine.json()) == (200, {"status": "success"})
        unknown = await thief.http.patch(thief.endpoint, json={**candidates, "pc_id": "x"})
        for endpoint in (thief.endpoint, "/api/offer"):
            stolen = await thief.http.patch(endpoint, json=candidates)
            assert (stolen.status_code, stolen.content) == (404, unknown.content)
        answer = await thief.offer(pc_id=victim.pc_id, restart_pc=True)
        await thief.take(answer)
        await thief.ready()
        assert len(server.registry) == 2  # it is a session of its own
        await victim.ready()
        foreign = {"Origin": "http://127.0.0.1:1"}
        assert (await thief.http.post("/start", headers=foreign)).status_code == 403
        page = {"Origin": f"http://127.0.0.1:{server.port}"}
        other = await thief.http.patch(victim.endpoint, json=candidates, headers=page)
        assert other.status_code == 404  # a start is its page's


async def test_a_session_has_one_client_and_no_connection_is_renegotiated(
    server: RunningServer,
) -> None:
    async with stock_client(server.port) as client, stock_client(server.port) as second:
        await client.start()
        await client.connect()
        second.endpoint = client.endpoint
        assert (await second.offer()).status_code == 409
        assert (await second.offer(pc_id=client.pc_id)).status_code == 409
        second.endpoint = "/sessions/none/api/offer"
        assert (await second.offer()).status_code == 404


async def test_a_start_is_one_session_whatever_order_its_offers_come_in(
    server: RunningServer,
) -> None:
    async with stock_client(server.port) as client, stock_client(server.port) as second:
        await client.start()
        second.endpoint = client.endpoint
        answers = await asyncio.gather(client.offer(), second.offer())
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        first = client if answers[0].status_code == 200 else second
        await first.take(next(answer for answer in answers if answer.status_code == 200))
        await until(lambda: len(server.registry) == 1)
        stray = second if first is client else client
        assert (await stray.offer(pc_id="none", restart_pc=True)).status_code == 409


def connections_carried() -> int:
    """How many connections of stock clients something is kept of."""
    return sum("Offers._begin" in str(task.get_coro()) for task in asyncio.all_tasks())


async def test_nothing_is_kept_of_a_connection_that_another_took_the_place_of(
    server: RunningServer,
) -> None:
    async with stock_client(server.port) as client:
        await client.connect()
        await client.ready()
        for _ in range(2):
            await client.take(await client.restart())
            await client.ready()
            await until(lambda: connections_carried() == 1)
        assert len(server.registry) == 1


async def test_a_restart_before_the_connection_is_up_goes_on_with_what_it_began() -> None:
    """The client gives its first connection up; the server's side of it comes about."""
    async with running_server(make_bot(), key=KEY, **PATIENT) as server:
        origin = f"http://127.0.0.1:{server.port}"
        token = await fetch_token(server)
        page = {"Origin": origin, "Authorization": f"Bearer {token}"}
        async with (
            stock_client(server.port, **page) as early,
            stock_client(server.port, **page) as client,
        ):
            slow = await early.offer()
            answer = await client.offer(pc_id=slow.json()["pc_id"], restart_pc=True)
            await early.take(slow)
            await until(lambda: len(server.registry) == 1)
            await client.take(answer)
            await client.ready()
            assert len(server.registry) == 1
            assert not client.of("error")
            await until(lambda: connections_carried() == 1)


async def test_a_muted_track_is_silence_and_chat_that_is_none_changes_nothing(
    server: RunningServer,
) -> None:
    async with stock_client(server.port) as client:
        await client.connect()
        await client.ready()
        client.signal(rtvi.TrackStatus(0, False))
        client.signal(rtvi.PeerLeft())
        for text in ("ping", "ping: x", "{", '{"type":"signalling","message":{"type":"x"}}'):
            client.send(text)
        client.send(json.dumps({"label": "rtvi-ai", "type": "x" * 200}))
        client.say("send-text", {"content": "say 2"})
        await client.until(lambda: "w1." in client.spoken)
        assert len(client.of("error")) == 4
        client.signal(rtvi.TrackStatus(0, True))
        await client.ready()


async def test_a_flood_is_not_read_and_ends_nothing(server: RunningServer) -> None:
    async with stock_client(server.port) as client:
        await client.connect()
        await client.ready()
        for number in range(400):
            client.say("client-message", {"t": "flood", "d": number})
        async with asyncio.timeout(60):
            while not client.of("error-response"):
                client.say("update-config")
                await asyncio.sleep(0.2)  # real time: pace
        [session] = server.registry  # type: ignore[misc]
        assert session.intake.counters()["dropped_messages"] > 100


async def test_a_token_opens_one_session_and_brings_its_client_back() -> None:
    async with running_server(make_bot(), key=KEY, **PATIENT) as server:
        origin = f"http://127.0.0.1:{server.port}"
        token = await fetch_token(server)
        page = {"Origin": origin, "Authorization": f"Bearer {token}"}
        async with stock_client(server.port, Origin=origin) as stranger:
            refused = await stranger.http.post("/start", headers={"Origin": origin})
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert (await stranger.offer()).status_code == 401
        async with stock_client(server.port, **page) as client:
            await client.connect()
            await client.ready()
            await client.take(await client.restart())
            await client.ready()
            assert len(server.registry) == 1
            async with stock_client(server.port, **page) as again:
                started = await again.http.post("/start", headers=page)
                for refused in (await again.offer(), started):
                    assert refused.status_code == 401
                    assert refused.json()["detail"] == "the token was used already"
        token = await fetch_token(server)
        bearer = {"Authorization": f"Bearer {token}"}
        async with stock_client(server.port, Origin=origin, **bearer) as client:
            started = await client.start(transport="websocket", body={"plan": "pro"})
            assert list(started) == ["wsUrl"]
            assert token not in started["wsUrl"]
            async with dialled(started["wsUrl"], origin=origin) as socket:
                await socket.ready()
            async with dialled(started["wsUrl"], origin=origin) as socket:
                await socket.say("client-ready", {"version": "2.1.0"})
                assert await socket.closed() == 4003


async def test_an_offer_with_cameras_is_answered_for_the_microphone(server: RunningServer) -> None:
    """The stock client offers audio, a camera, a screen and the channel, whatever it uses."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    opened = asyncio.Event()
    try:
        for kind, direction in (
            ("audio", "sendrecv"),
            ("video", "sendrecv"),
            ("video", "sendonly"),
        ):
            connection.addTransceiver(kind, direction=direction)
        channel = connection.createDataChannel("chat")
        channel.on("open", opened.set)
        await connection.setLocalDescription(await connection.createOffer())
        async with stock_client(server.port) as client:
            asked: dict[str, Any] = {"sdp": connection.localDescription.sdp, "type": "offer"}
            answer = (await client.http.post("/api/offer", json=asked)).json()
        assert answer["sdp"].count("m=video") == 2
        assert answer["sdp"].count("a=inactive") == 2
        await connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        async with asyncio.timeout(60):
            await opened.wait()
        await until(lambda: len(server.registry) == 1)
    finally:
        await connection.close()


async def test_offers_that_are_abandoned_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setattr("voxwire_server.media.peer.CONNECT_MS", 200)
    async with running_server(make_bot(), **PATIENT) as server:
        async with stock_client(server.port) as client:
            await client.http.get("/status")
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(10):
                assert (await client.offer()).status_code == 200
                assert client.peer is not None
                await client.peer.close()
            assert len(server.registry) == 0
            await descriptors_at_most(before)
            assert len(server.registry) == 0
