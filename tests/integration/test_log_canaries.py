"""Secrets and what people say are never in a log, at the lowest level, whatever way they come."""

import asyncio
import contextlib
import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.support.canaries import CANARY, envelopes, traces_of
from tests.support.raw import RawClient
from voxwire_protocol import wire
from voxwire_server.app import create_app
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.media.stock_frames import message_frame

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """A server in a process of its own, and everything that it has printed."""

    port: int
    url: str
    output: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def server_process() -> AsyncIterator[Server]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "VOXWIRE_KEY": CANARY,
        "VOXWIRE_TURN_URLS": "turn:127.0.0.1:9",
        "VOXWIRE_TURN_SECRET": CANARY,
    }
    arguments = ["run", "tests/support/canary_bot.py", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "voxwire_server.cli", *arguments, "--log-level", "TRACE", "--log-format", "json"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    first = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    found = re.search(r":(\d+)$", first.strip())
    assert found, first
    port = int(found[1])
    server = Server(port, f"ws://127.0.0.1:{port}", [first])

    async def collect(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            server.output.append(line.decode())

    readers = [asyncio.create_task(collect(s)) for s in (process.stdout, process.stderr)]
    try:
        yield server
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 60)
        await asyncio.gather(*readers)


async def http(server: Server, method: str, path: str, body: bytes, **headers: str) -> bytes:
    """One request; what it is answered does not matter."""

    def ask() -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}{path}", data=body, method=method, headers=headers
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            return bytes(error.read())

    return await asyncio.to_thread(ask)


def paths() -> list[tuple[str, str]]:
    """Every HTTP route of the application, and one that is not there."""

    async def nothing(_: Any) -> None:
        return

    def walk(routes: list[Any]) -> Iterator[tuple[str, str]]:
        for route in routes:
            inner = getattr(route, "original_router", None)
            if inner is not None:  # FastAPI keeps included routers as they are
                yield from walk(inner.routes)
                continue
            for method in sorted(getattr(route, "methods", None) or {"GET", "POST"}):
                yield method, route.path

    app = create_app(Settings(key=CANARY), LoadedBot(name="x", run=nothing))
    found = list(walk(app.routes))
    assert {"/v1/tokens", "/v1/session"} <= {path for _, path in found}
    return [*found, ("GET", f"/{CANARY}"), ("POST", "/v1/nothing")]


async def knock(server: Server) -> None:
    """Canaries in every place of an HTTP request, well-formed and not."""
    for method, path in paths():
        for authorization in (f"Bearer {CANARY}", f"Bearer x{CANARY}", f"Basic {CANARY}"):
            headers = {
                "Authorization": authorization,
                "Cookie": CANARY,
                "X-Canary": CANARY,
                "Content-Type": "application/json",
            }
            for body in (json.dumps({"user": CANARY, CANARY: 1}), CANARY, f'{{"user":"{CANARY}'):
                await http(server, method, f"{path}?token={CANARY}", body.encode(), **headers)
            # where a request came from is told; what else it carries is not
            await http(server, method, path, b"{}", Origin="http://evil.example", Host="evil.test")
    raw = [
        f"{CANARY}\r\n\r\n",
        f"GET /{CANARY} HTTP/9.9\r\n{CANARY}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: evil.test\r\nContent-Length: {CANARY}\r\n\r\n",
        f"GET /v1/session?token={CANARY} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {CANARY}\r\n"
        f"Sec-WebSocket-Version: 13\r\nCookie: {CANARY}\r\n\r\n",
        f"GET /v1/session HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: {CANARY}\r\n\r\n",
    ]
    for text in raw:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(text.encode())
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(reader.read(4096), 0.3)
        writer.close()


async def dial(
    server: Server, first: bytes | str | None, path: str = "/v1/session", **options: Any
) -> None:
    """Open a control channel, say one thing and read what comes."""
    options = {"subprotocols": [wire.SUBPROTOCOL], "proxy": None, **options}
    url = f"{server.url}{path}?token={CANARY}"
    with contextlib.suppress(websockets.WebSocketException, TimeoutError):
        async with websockets.connect(url, **options) as socket:
            if first is not None:
                await socket.send(first)
            await asyncio.wait_for(socket.recv(), 60)


async def strangers(server: Server) -> None:
    """Hellos that are refused, with canaries in them."""
    page = f"http://127.0.0.1:{server.port}"
    hello = wire.Hello(protocol_version=1, attach_nonce=CANARY.encode()[:16], token=CANARY)
    hello.session_id, hello.resume_token = "none.such", CANARY.encode()
    await dial(server, wire.Envelope(hello=hello).SerializeToString(), origin=page)
    hello.session_id = ""
    await dial(server, wire.Envelope(hello=hello).SerializeToString(), origin=page)
    await dial(server, CANARY)
    await dial(server, CANARY.encode())
    await dial(server, b"\x0a\x7f" + CANARY.encode())
    await dial(server, None, origin="http://evil.example")
    await dial(server, None, subprotocols=[CANARY])
    for envelope in envelopes(wire.CLIENT_PAYLOADS - {"hello"}):
        await dial(server, envelope.SerializeToString())
    said = json.dumps({"label": "rtvi-ai", "type": CANARY, "id": CANARY, "data": {CANARY: CANARY}})
    for path in (f"/ws-client/{CANARY}", f"/ws/{CANARY}", "/ws-client", "/ws"):
        for origin in (None, page):  # a program of this machine gets a session, a page does not
            for first in (said, said[:-1], CANARY.encode(), message_frame(said)):
                await dial(server, first, path, subprotocols=None, origin=origin)


def offers() -> list[str]:
    """SDP with a canary in each of its parts."""
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=rtcp-mux",
        "a=sendrecv",
        "a=mid:0",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:" + "p" * 24,
        "a=fingerprint:sha-256 " + ":".join(["AA"] * 32),
        "a=setup:actpass",
        "a=rtpmap:111 opus/48000/2",
        "a=extmap:1 urn:x",
        "a=ssrc:1 cname:x",
        "a=candidate:1 1 udp 1 127.0.0.1 9 typ host",
    ]
    made = [CANARY, "v=0\r\n" + CANARY]
    for at, line in enumerate(lines):
        head, mark, _ = line.partition(":") if ":" in line else line.partition("=")
        for bad in (f"{head}{mark}{CANARY}", f"{line} {CANARY}", f"{head} {CANARY}"):
            made.append("\r\n".join([*lines[:at], bad, *lines[at + 1 :]]) + "\r\n")
    return made


async def talk(server: Server, token: str) -> list[str]:
    """One session in which every field of every client message is a canary; what it was given."""
    client = RawClient(server.url, origin=f"http://127.0.0.1:{server.port}")
    await client.attach(client.hello(token=token, metadata_json=json.dumps({"a": CANARY})))
    await client.until(lambda: bool(client.welcomes), 30)
    given = [token, client.welcome.resume_token.hex()]
    given += [s.credential for s in client.welcome.ice_servers]
    await client.open_path(1)
    await client.send(send_text=wire.SendText(text=CANARY))
    await client.until(lambda: bool(client.of("utterance_ended")), 30)
    for envelope in envelopes(wire.CLIENT_PAYLOADS - {"hello", "bye", "chunk", "ack_only"}):
        name = envelope.WhichOneof("payload")
        await client.send(**{str(name): getattr(envelope, str(name))})
    for path_id, offer in enumerate(offers(), 2):
        carrier = wire.Carrier.CARRIER_WEBRTC
        request = wire.PathOpen(path_id=path_id, carrier=carrier, sdp_offer=offer)
        await client.send(path_open=request)
        if path_id % 4 == 0:
            await asyncio.sleep(0.02)  # real time: pace: only a few may open at once
    for bad in (CANARY.encode(), b"\x0a\x7f" + CANARY.encode()):
        await client.send_raw(bad)
        await client.send(ping=wire.Ping(number=1))
    for envelope in envelopes(wire.SERVER_PAYLOADS - wire.CLIENT_PAYLOADS):
        await client.send_raw(envelope.SerializeToString())
        await client.send(ping=wire.Ping(number=1))
    await client.drop()
    await client.attach()
    await client.until(lambda: len(client.welcomes) == 2)
    given.append(client.welcome.resume_token.hex())
    await client.send(bye=wire.Bye())
    await client.until(lambda: client.close_code is not None)
    await client.stop_reading()
    return given


@pytest.mark.timeout(120)
async def test_no_canary_is_in_the_output_at_the_lowest_level() -> None:
    async with server_process() as server:
        answer = await http(
            server,
            "POST",
            "/v1/tokens",
            json.dumps({"user": CANARY}).encode(),
            Authorization=f"Bearer {CANARY}",
            **{"Content-Type": "application/json"},
        )
        secrets = await talk(server, json.loads(answer)["token"])
        await knock(server)
        await strangers(server)
    output = "".join(server.output)
    found = [
        (mark, line.strip()[:600])
        for mark in {"5ec2e7", *traces_of(CANARY), *secrets}
        for line in server.output
        if mark in line
    ]
    assert found == []
    # it was there: every message is in the log, without what the schema protects
    for word in ("[secret]", " chars]", "hello", "attached", "received", "sent", "pipecat"):
        assert word in output, word
    for name in wire.CLIENT_PAYLOADS - {"chunk", "ack_only"}:
        assert f"'{name}'" in output, name
    records = [json.loads(line) for line in server.output if line.startswith("{")]
    assert len(records) > 300
    assert all({"time", "level", "logger", "message"} <= record.keys() for record in records)
    others = [line for line in server.output if not line.startswith("{")]
    assert len(others) <= 6, others  # the greeting
