"""No secret of any kind is told at any place: logs and their rotated files, figures, operators."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

import voxwire
from tests.support.raw import RawClient
from tests.support.secrets_of_a_service import SECRETS, Service, service
from tests.support.waiting import LONG
from voxwire_protocol import wire
from voxwire_server.app import create_app
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.openapi import methods_of

ADMIN = {"Authorization": f"Bearer {SECRETS['admin key']}"}
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    "c=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=sendrecv\r\na=mid:0\r\na=setup:actpass\r\n"
    f"a=ice-ufrag:abcd\r\na=ice-pwd:{SECRETS['ice password']}\r\na=rtpmap:111 opus/48000/2\r\n"
    f"a=fingerprint:sha-256 {':'.join(['AA'] * 32)}\r\n"
)
USER = "CANARY-the-user-5ec2e7"


async def token_of(http: httpx.AsyncClient) -> str:
    bearer = {"Authorization": f"Bearer {SECRETS['key']}"}
    answer = await http.post("/v1/tokens", json={"user": USER}, headers=bearer)
    return str(answer.json()["token"])


async def read_as_operator(http: httpx.AsyncClient, made: Service, when: str) -> list[str]:
    """Everything that an operator can read; the ids of the sessions."""
    for path in ("/metrics", "/readyz", "/livez", "/startupz", "/status", "/v1/session"):
        answer = await http.get(path, headers=ADMIN)
        made.told[f"{path} {when}"] = f"{answer.headers} {answer.text}"
    listed = await http.get("/v1/sessions", headers=ADMIN)
    made.told[f"list {when}"] = f"{listed.headers} {listed.text}"
    ids = [session["id"] for session in listed.json()["sessions"]]
    for session_id in ids:
        one = await http.get(f"/v1/sessions/{session_id}", headers=ADMIN)
        assert one.status_code == 200
        made.told[f"one {when}"] = f"{one.headers} {one.text}"
    return ids


async def converse(http: httpx.AsyncClient, made: Service, records: Any) -> None:
    """A whole session of the Python client, looked at by an operator, who ends it."""
    token = made.secrets["token"] = await token_of(http)
    url = f"ws://127.0.0.1:{made.port}"
    options: dict[str, Any] = {"token": token, "metadata": {"a": SECRETS["metadata"]}}
    async with voxwire.connect(url, transport="websocket", timeouts=LONG, **options) as session:
        await session.send_text(SECRETS["words"])
        await session.wait_for(voxwire.UtteranceEnded)
        [session_id] = await read_as_operator(http, made, "in a session")
        path = f"/v1/sessions/{session_id}"
        for reason in ("maintenance", 5):
            ended = await http.request("DELETE", path, json={"reason": reason}, headers=ADMIN)
            made.told[f"end {reason == 5}"] = f"{ended.status_code} {ended.headers} {ended.text}"
        assert made.told["end False"].startswith("204")
        await session.wait_for(voxwire.SessionEnded)
        made.told["report()"] = json.dumps(session.report())
    made.told["the client's log"] = "\n".join(record.getMessage() for record in records)


async def come_back(http: httpx.AsyncClient, made: Service) -> None:
    """A session that is resumed: what it was given is a secret, and so is what it had before."""
    client = RawClient(f"ws://127.0.0.1:{made.port}")
    token = made.secrets["token of another"] = await token_of(http)
    await client.attach(client.hello(token=token))
    await client.until(lambda: bool(client.welcomes), 30)
    made.secrets["resume token"] = client.welcome.resume_token.hex()
    [turn] = client.welcome.ice_servers
    made.secrets["turn password"] = turn.credential
    await client.send(send_text=wire.SendText(text=SECRETS["words"]))
    await client.drop()
    await client.attach()
    await client.until(lambda: len(client.welcomes) == 2)
    made.secrets["next resume token"] = client.welcome.resume_token.hex()
    await client.send(bye=wire.Bye())
    await client.until(lambda: client.close_code is not None)
    await client.stop_reading()


async def offer(http: httpx.AsyncClient, made: Service) -> None:
    """An offer by hand: both sides' ICE passwords, and the TURN password of a start."""
    token = made.secrets["token of an offer"] = await token_of(http)
    bearer = {"Authorization": f"Bearer {token}"}
    start = (await http.post("/start", headers=bearer, json={"body": SECRETS["words"]})).json()
    made.secrets["start"] = start["sessionId"]
    [turn] = start["iceConfig"]["iceServers"]
    made.secrets["turn password of a start"] = turn["credential"]
    answer = await http.post("/api/offer", headers=bearer, json={"sdp": SDP, "type": "offer"})
    assert answer.status_code == 200, answer.text
    [password] = set(re.findall(r"^a=ice-pwd:(\S+)", answer.json()["sdp"], re.MULTILINE))
    made.secrets["the server's ice password"] = password
    made.secrets["connection"] = answer.json()["pc_id"]


async def misuse(http: httpx.AsyncClient, made: Service) -> None:
    """Every secret where it does not belong, on every route: answers repeat none of them."""

    async def nothing(_: Any) -> None:
        return

    settings = Settings(key=SECRETS["key"], admin_key=SECRETS["admin key"])
    ways = list(methods_of(create_app(settings, LoadedBot(name="x", run=nothing)).routes))
    api = [way for way in ways if "assets" not in way[1] and way[0] not in ("HEAD", "OPTIONS")]
    secrets = list(made.secrets.values())
    for number, (method, path) in enumerate([*api, ("GET", "/none")] * 3):
        secret, other = (secrets[(number + more) % len(secrets)] for more in (0, 5))
        answer = await http.request(
            method,
            re.sub(r"\{\w+\}", other, path),
            params={"token": secret, "bot": other},
            headers={"Authorization": f"Bearer {secret}", "Cookie": other, "X-Any": secret},
            json={secret: other} if number % 2 else {"user": secret, "sdp": other, "reason": 5},
        )
        made.told[f"error {number}: {method} {path}"] = f"{answer.headers} {answer.text}"
        assert answer.status_code < 500


@pytest.mark.timeout(120)
@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_no_secret_is_told_at_any_place(
    log_format: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1, "voxwire")
    async with service(tmp_path, "--log-format", log_format) as made:
        base = f"http://127.0.0.1:{made.port}"
        async with httpx.AsyncClient(base_url=base, timeout=60, trust_env=False) as http:
            while (await http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.05)  # real time: pace
            await read_as_operator(http, made, "before")
            await converse(http, made, caplog.records)
            await come_back(http, made)
            await offer(http, made)
            await misuse(http, made)
            await read_as_operator(http, made, "after")
    assert made.found() == []
    assert len(made.secrets) == 10 + 10
    files = [where for where in made.told if where.startswith("server.log")]
    assert len(files) > 3  # it was rotated, and nothing of it is gone
    log = "".join(made.told[where] for where in files)
    for word in (
        "hello",
        "attached",
        "send_text",
        "without the admin key",
        "ended by the operator",
    ):
        assert word in log, word
    # who talks is the operator's to see, and nobody else's
    told = {where for where, text in made.told.items() if USER in text}
    assert told == {"list in a session", "one in a session"}
