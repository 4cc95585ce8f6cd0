"""Keys and TURN secret change under calls: a real server, its files, and SIGHUP."""

import asyncio
import base64
import contextlib
import json
import os
import pty
import re
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

import voxwire
from tests.faults.test_cuts import heard_whole
from tests.integration.test_tokens import hello_from_a_page
from tests.support.ledger import Talk
from tests.support.listening import Ear
from tests.support.one_socket import RawClient, raw_client
from tests.support.programs import environment
from tests.support.waiting import DEADLINE_S, LONG
from voxwire_protocol import wire
from voxwire_server.ice_servers import turn_credential
from voxwire_server.keys import KeyRing
from voxwire_server.testing import RunningServer
from voxwire_server.tokens import TokenIssuer

ROOT = Path(__file__).resolve().parents[2]
KEY = "what the operator's backend shows at POST /v1/tokens"
ADMIN = {"Authorization": "Bearer an operator's key of more than 32 characters"}
TRANSPORTS = ("websocket", "websocket", "websocket", "webrtc")
WORDS = 24
BOT = """
from tests.support.clicks import make_bot

bot = make_bot()
"""


def key(kid: str) -> dict[str, str]:
    return {"kid": kid, "alg": "HS256", "secret": f"the secret of the key {kid} ".ljust(40, kid)}


def token(kid: str, **more: Any) -> str:
    """Signed with that key, as the backend's own issuer would."""
    issuer = TokenIssuer(KeyRing.parse(keys=json.dumps([key(kid)])))
    return issuer.issue("ada", now_s=time.time(), **more)


class Server:
    """One that runs, with its files."""

    def __init__(self, folder: Path) -> None:
        self.keys = folder / "keys.json"
        self.turn = folder / "turn-secret"
        self.log = folder / "server.log"
        self.folder = folder
        self.url = ""
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        (self.folder / "bot.py").write_text(BOT)
        environ = {
            "PYTHONPATH": str(ROOT),
            "VOXWIRE_PORT": "0",
            "VOXWIRE_KEY": KEY,
            "VOXWIRE_KEYS_FILE": str(self.keys),
            "VOXWIRE_TURN_SECRET_FILE": str(self.turn),
            "VOXWIRE_TURN_URLS": "turn:127.0.0.1:9",
            "VOXWIRE_TURN_TTL_S": "2",
            "VOXWIRE_ADMIN_KEY": ADMIN["Authorization"].removeprefix("Bearer "),
            "VOXWIRE_LOG_LEVEL": "INFO",
            "VOXWIRE_DEAD_AFTER_MS": "120000",
            "VOXWIRE_MAX_LAG_MS": "0",
        }
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "voxwire_server.cli", "run", "bot.py"),
                cwd=self.folder,
                env=environment(**environ),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            async for line in self.process.stdout:
                if found := re.search(rb"ws://127\.0\.0\.1:\d+", line):
                    self.url = found[0].decode()
                    return
        raise AssertionError(self.log.read_text())

    async def stop(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        await asyncio.wait_for(self.process.communicate(), DEADLINE_S)
        assert self.process.returncode == 0, self.log.read_text()
        assert "Traceback" not in self.log.read_text()

    async def reads(self, **read: int) -> None:
        """SIGHUP; wait until the figures say how often what was read, by file and outcome."""
        assert self.process is not None and self.process.returncode is None
        self.process.send_signal(signal.SIGHUP)
        wanted = {name.replace("__", " "): count for name, count in read.items()}
        async with asyncio.timeout(DEADLINE_S):
            while await self.figures() != wanted:
                await asyncio.sleep(0.05)

    async def figures(self) -> dict[str, int]:
        async with httpx.AsyncClient(headers=ADMIN) as client:
            text = (await client.get(self.url.replace("ws", "http", 1) + "/metrics")).text
        pattern = r'voxwire_secrets_read_total\{file="(\w+)",outcome="(\w+)"\} (\d+)\.0'
        return {f"{file} {outcome}": int(n) for file, outcome, n in re.findall(pattern, text)}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    made.keys.write_text(json.dumps([key("a")]))
    made.turn.write_text("first-secret\n")
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def refused(server: Server, given: str) -> bool:
    """Whether a token is refused with UNAUTHORIZED; it is used up otherwise."""
    url = urlsplit(server.url)
    there: Any = RunningServer(server.url, url.port or 0, ())
    said = await hello_from_a_page(there, given, secrets.token_bytes(16))
    if said.WhichOneof("payload") == "welcome":
        return False
    assert said.error.code == wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
    assert not said.error.retryable
    return True


async def credential_of(client: RawClient, secret: str) -> None:
    """Wait for credentials of that secret: those of a live session are fresh every 1.5 s."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            update = (await client.hear("ice_servers_update")).ice_servers_update
            (turn,) = update.ice_servers
            if turn.credential == turn_credential(secret, turn.username):
                return


async def issued_by(server: Server) -> str:
    """The key that signs the tokens of POST /v1/tokens."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as client:
        url = server.url.replace("ws", "http", 1) + "/v1/tokens"
        said = (await client.post(url, json={"user": "ada"})).json()
    head = said["token"].split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


@contextlib.asynccontextmanager
async def talking(server: Server, transport: str) -> AsyncIterator[Talk]:
    """A call that came with the first key, in the middle of a long answer."""
    ear = Ear()
    connection = voxwire.connect(
        server.url, token=token("a"), transport=transport, speaker=ear, timeouts=LONG
    )
    async with connection as session, Talk(session, ear) as talk:
        await session.send_text(f"say {WORDS}")
        assert await talk.sounding()
        yield talk


async def test_two_rotations_and_a_bad_file_under_four_calls_lose_none(server: Server) -> None:
    async with contextlib.AsyncExitStack() as stack:
        live = await stack.enter_async_context(raw_client(server.url, token=token("a")))
        await credential_of(live, "first-secret")
        calls = [talking(server, transport) for transport in TRANSPORTS]
        talks = await asyncio.gather(*(stack.enter_async_context(call) for call in calls))

        server.keys.write_text(json.dumps([key("b"), key("a")]))
        server.turn.write_text("second-secret")
        await server.reads(keys__ok=1, turn_secret__ok=1)
        assert not any(talk.of(voxwire.UtteranceEnded) for talk in talks)  # all of them in mid-word
        assert not await refused(server, token("a"))
        assert not await refused(server, token("b"))
        assert await issued_by(server) == "b"
        await credential_of(live, "second-secret")

        server.keys.write_text('[{"kid": "b", "alg": "HS256", "secret": "not-long-enough"}]')
        server.turn.write_text("\n")
        await server.reads(keys__ok=1, keys__failed=1, turn_secret__ok=1, turn_secret__failed=1)
        assert not await refused(server, token("a"))
        assert await issued_by(server) == "b"

        server.keys.write_text(json.dumps([key("b")]))
        server.turn.unlink()
        await server.reads(keys__ok=2, keys__failed=1, turn_secret__ok=1, turn_secret__failed=2)
        assert await refused(server, token("a"))
        assert not await refused(server, token("b"))
        await credential_of(live, "second-secret")

        for talk in talks:
            ended = await talk.heard_out()
            assert ended.end == "completed"
            await heard_whole(talk, WORDS)
            assert not talk.of(voxwire.ConnectionChanged) and talk.failure is None
            await talk.session.send_text("say 1")
            assert (await talk.heard_out(2)).end == "completed"
        # who came with the key that is gone comes back all the same
        talks[0].session.simulate.drop_control()
        await talks[0].back(2)
        await talks[0].session.send_text("say 1")
        assert (await talks[0].heard_out(3)).end == "completed"
    log = server.log.read_text()
    assert "tokens are checked with the keys b, a; the first one signs" in log
    assert log.count("what was read before stays") == 3
    assert "an HS256 secret needs at least 32 bytes" in log
    for secret in ("not-long-enough", "first-secret", "second-secret", key("b")["secret"]):
        assert secret not in log


async def test_a_server_in_a_terminal_ends_when_that_is_closed() -> None:
    ours, theirs = pty.openpty()
    program = "import os, sys; os.login_tty(0); os.execv(sys.executable, sys.argv[1:])"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        *(sys.executable, "-m", "voxwire_server.cli", "run", "--port", "0"),
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        said = b""
        async with asyncio.timeout(DEADLINE_S):
            while b"Ctrl-C ends the server" not in said:
                said += await asyncio.to_thread(os.read, ours, 4096)
            async with httpx.AsyncClient() as http:
                port = re.findall(rb"ws://127\.0\.0\.1:(\d+)", said)[0].decode()
                while (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code != 200:
                    await asyncio.sleep(0.05)  # real time: poll
        os.close(ours)
        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == -signal.SIGHUP
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_hangup_ends_no_server_that_has_neither_terminal_nor_files() -> None:
    """``systemctl reload`` of a unit whose settings name no file."""
    program = """
import os, signal
from voxwire_server.config import Settings
from voxwire_server.serving import log_as
log_as(Settings())
os.kill(os.getpid(), signal.SIGHUP)
print("alive")
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        env=environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert out == b"alive\n", err
