"""The operator's routes: who may, what they show, how a session is ended, what blocks the loop."""

import asyncio
import json
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

import voxwire
from tests.support.clicks import make_bot
from tests.support.waiting import LONG, PATIENT
from voxwire_server import BotSession
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import RunningServer, running_server

KEY = "an operator's key of more than 32 characters"
BEARER = {"Authorization": f"Bearer {KEY}"}
ROUTES = [
    ("GET", "/v1/sessions"),
    ("GET", "/v1/sessions/x"),
    ("DELETE", "/v1/sessions/x"),
    ("GET", "/metrics"),
]


def client(port: int, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers)


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    bot = LoadedBot(name="test", run=offline.bot, warm=offline.warm, close=offline.close)
    async with running_server(bot, admin_key=KEY, **PATIENT) as server:
        yield server


async def ask(session: voxwire.Session, text: str) -> None:
    """Ask, and hear the answer to its end and its figures."""
    await session.send_text(text, interrupt=True)
    measured = over = False
    async for event in session:
        measured |= isinstance(event, voxwire.TurnMetrics)
        over |= isinstance(event, voxwire.UtteranceEnded) and event.end == "completed"
        if measured and over:
            return
    raise AssertionError("the session ended")


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_a_key_there_is_nothing_and_with_one_only_its_holder_gets_in(
    server: RunningServer, method: str, path: str
) -> None:
    async with running_server(make_bot()) as other, client(other.port, **BEARER) as stranger:
        assert (await stranger.request(method, path)).status_code in (404, 405)
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": "Bearer"},
    ]
    async with client(server.port) as nobody:
        for headers in wrong:
            answer = await nobody.request(method, path, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["code"] == "UNAUTHORIZED"
        page = {**BEARER, "Origin": f"http://127.0.0.1:{server.port}"}
        answer = await nobody.request(method, path, headers=page)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


async def test_sessions_are_listed_shown_and_ended_with_a_reason(server: RunningServer) -> None:
    async with client(server.port, **BEARER) as operator, asyncio.timeout(120):
        assert (await operator.get("/v1/sessions")).json() == {"sessions": [], "waiting": 0}
        async with voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session:
            await ask(session, "what time is it")
            [listed] = (await operator.get("/v1/sessions")).json()["sessions"]
            assert (listed["state"], listed["bot"], listed["turns"]) == ("attached", "test", 1)
            assert listed["client"].startswith("voxwire")
            assert listed["last_turn_ms"] > 0
            one = f"/v1/sessions/{listed['id']}"
            shown = (await operator.get(one)).json()
            assert shown["last_turns"][0]["total_ms"] == listed["last_turn_ms"]
            bad = await operator.request("DELETE", one, json={"reason": "x" * 201})
            assert bad.status_code == 422
            assert (await operator.request("DELETE", one, json={"why": ""})).status_code == 422
            ended = await operator.request("DELETE", one, json={"reason": "maintenance"})
            assert ended.status_code == 204
            over = await session.wait_for(voxwire.SessionEnded)
            assert over.reason == voxwire.EndReason.SERVER
        while len(server.registry):
            await asyncio.sleep(0.01)
        for method in ("GET", "DELETE"):
            assert (await operator.request(method, one)).status_code == 404


def value(text: str, name: str) -> float:
    """What a line of Prometheus' text says; 0 = there is none."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_the_blocks_of_a_voice_over_webrtc_count_among_what_is_late() -> None:
    timers = "voxwire_timers_late_seconds_count"
    async with running_server(make_bot(), admin_key=KEY, **PATIENT) as server:
        async with client(server.port, **BEARER) as operator, asyncio.timeout(120):
            async with voxwire.connect(server.url, transport="webrtc", timeouts=LONG) as session:
                before = value((await operator.get("/metrics")).text, timers)
                await session.send_text("say 30")  # 8 s: 400 blocks
                ended = await session.wait_for(voxwire.UtteranceEnded, timeout_ms=60_000)
                after = value((await operator.get("/metrics")).text, timers)
    assert ended.heard_words == 30
    assert after - before > 350


async def test_figures_are_what_clients_were_told_and_hold_nothing_of_anybody(
    server: RunningServer,
) -> None:
    async with client(server.port, **BEARER) as operator, asyncio.timeout(120):
        async with voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session:
            ends = session.events(voxwire.UtteranceEnded)
            await ask(session, "what time is it")
            await session.send_text("what is the weather in paris")
            await session.wait_for(voxwire.BotWord)
            await session.interrupt()
            await session.wait_for(voxwire.Interrupted)
            during = (await operator.get("/metrics")).text
            session_id = session.id
            ends.close()
            heard = [end.heard_words async for end in ends]
        while len(server.registry):
            await asyncio.sleep(0.01)
        after = (await operator.get("/metrics")).text
    assert value(during, "voxwire_sessions_attached") == 1
    assert value(after, "voxwire_sessions_attached") == 0
    assert value(after, "voxwire_sessions_started_total") == 1
    assert value(after, 'voxwire_sessions_ended_total{reason="client"}') == 1
    assert value(after, "voxwire_connect_seconds_count") == 1
    assert value(after, 'voxwire_turn_seconds_count{stage="total"}') >= 1
    assert value(after, 'voxwire_words_total{fate="heard"}') == sum(heard) > 0
    assert value(after, 'voxwire_words_total{fate="cut"}') > 0
    assert value(after, 'voxwire_interruptions_total{source="client"}') >= 1
    assert value(after, "voxwire_event_loop_lag_seconds_count") > 0
    assert value(after, "process_resident_memory_bytes") > 0
    series = [line for line in after.splitlines() if line and not line.startswith("#")]
    assert len(series) <= 500
    for secret in (session_id, KEY, "paris", "127.0.0.1"):
        assert secret not in after


async def test_they_may_have_an_address_of_their_own() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options: dict[str, Any] = {"admin_key": KEY, "admin_address": f"127.0.0.1:{port}"}
    async with running_server(make_bot(), **options) as server, asyncio.timeout(120):
        async with client(server.port, **BEARER) as outside:
            assert (await outside.get("/metrics")).status_code == 404
        async with client(port, **BEARER) as operator:
            while True:
                try:
                    answer = await operator.get("/metrics")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.02)  # real time: poll
            assert answer.status_code == 200
            assert (await operator.get("/v1/sessions")).json() == {"sessions": [], "waiting": 0}
            assert (
                await operator.get("/metrics", headers={"Authorization": ""})
            ).status_code == 401


def look_up() -> None:
    """What a bot asks without `await`."""
    time.sleep(0.6)  # real time: slow


async def blocking(session: BotSession) -> None:
    """A bot that forgets that it is not alone."""
    look_up()
    await offline.bot(session)


async def test_what_blocks_the_loop_is_named_by_file_and_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = f"test_admin.py:{look_up.__code__.co_firstlineno + 2} in look_up"
    bot = LoadedBot(name="test", run=blocking, warm=offline.warm, close=offline.close)
    async with (
        running_server(bot, admin_key=KEY) as server,
        client(server.port, **BEARER) as operator,
        asyncio.timeout(120),
    ):
        async with voxwire.connect(server.url, transport="websocket", timeouts=LONG):
            pass
        text = (await operator.get("/metrics")).text
    assert value(text, f'voxwire_event_loop_stalls_total{{place="{place}"}}') == 1
    assert any(place in record.getMessage() for record in caplog.records)


async def run(*arguments: str, key: str = KEY) -> tuple[int, str, str]:
    """``voxwire-server sessions``: exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voxwire_server.cli", "sessions", *arguments),
        env={**os.environ, "VOXWIRE_ADMIN_KEY": key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_terminal_shows_them_and_ends_one(server: RunningServer) -> None:
    where = ("--url", f"http://127.0.0.1:{server.port}")
    async with asyncio.timeout(120):
        async with voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session:
            assert session.id is not None
            code, out, _ = await run(*where, "--once")
            assert code == 0
            head, line, number = out.splitlines()
            assert head.split()[:3] == ["session", "state", "bot"]
            assert line.split()[:3] == [session.id[:33], "attached", "test"]
            assert number == "1 session"
            code, out, _ = await run(*where, "--once", "--json")
            assert [each["id"] for each in json.loads(out)["sessions"]] == [session.id]
            assert (await run(*where, "--end", session.id))[0] == 0
            await session.wait_for(voxwire.SessionEnded)
        code, out, err = await run(*where, "--end", "no.such")
        assert (code, out, err) == (1, "", "voxwire-server: there is no such session\n")
        code, out, err = await run(*where, "--once", key="wrong")
        assert (code, out) == (1, "")
        assert "VOXWIRE_ADMIN_KEY" in err


async def test_health_says_alive_started_and_ready() -> None:
    async with running_server(make_bot()) as server, client(server.port) as anybody:
        async with asyncio.timeout(120):
            while (await anybody.get("/startupz")).status_code != 200:
                await asyncio.sleep(0.05)
        for path in ("/livez", "/healthz", "/readyz"):
            assert (await anybody.get(path)).status_code == 200
