"""What a Hello is answered that is not let in: the code, the text, every byte, and in which order.

The control route is called as an ASGI server calls it, without sockets.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxwire_protocol import wire
from voxwire_server.app import create_app
from voxwire_server.bots.house import Bots
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.keys import KeyRing
from voxwire_server.session.directory import Directory
from voxwire_server.session.store import Replica
from voxwire_server.session.ticket import At
from voxwire_server.tokens import Limits, TokenIssuer

KEY = "an operator's secret of more than 32 characters"
RESUME = wire.Feature.FEATURE_RESUME
EXPIRED = ("SESSION_EXPIRED", "the session is over, or it is not yours")

RETRY_AFTER_MS = {"the server is full": 2000, "the server is shutting down": 1000}


async def wait_for_ever(_: Any) -> None:
    await asyncio.Event().wait()


def issue(user: str = "ada", **fields: Any) -> str:
    return TokenIssuer(KeyRing.parse(key=KEY)).issue(user, now_s=time.time(), **fields)


def name(code: wire.ErrorCode) -> str:
    return wire.ErrorCode.Name(code).removeprefix("ERROR_CODE_")


class Wire:
    """One WebSocket of an ASGI server: what is said on it, and what came."""

    def __init__(self, app: Any, *, origin: bytes = b"", client: str = "127.0.0.1") -> None:
        self.sent: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        headers = [(b"host", b"127.0.0.1:7860")] + [(b"origin", origin)] * bool(origin)
        scope = {
            "type": "websocket",
            "path": "/v1/session",
            "root_path": "",
            "scheme": "ws",
            "headers": headers,
            "query_string": b"",
            "client": (client, 1),
            "subprotocols": [wire.SUBPROTOCOL],
            "app": app,
        }
        self._inbox.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(app(scope, self._inbox.get, self._send))

    async def _send(self, event: dict[str, Any]) -> None:
        self.sent.append(event)
        self._news.set()

    def say(self, hello: wire.Hello) -> None:
        data = wire.Envelope(hello=hello).SerializeToString()
        self._inbox.put_nowait({"type": "websocket.receive", "bytes": data})

    async def answer(self) -> wire.Envelope:
        """The first message that came."""
        async with asyncio.timeout(10):
            while not (data := [e["bytes"] for e in self.sent if e.get("bytes")]):
                self._news.clear()
                await self._news.wait()
        return wire.Envelope.FromString(data[0])

    async def leave(self) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await asyncio.wait({self.task}, timeout=10)


class House:
    """A server with the bots ``a`` and ``b``."""

    def __init__(self, **settings: Any) -> None:
        bots = Bots([LoadedBot("a", wait_for_ever), LoadedBot("b", wait_for_ever)])
        self.app = create_app(Settings(**settings), bots)
        self.wires: list[Wire] = []

    def dial(self, **scope: Any) -> Wire:
        self.wires.append(Wire(self.app, **scope))
        return self.wires[-1]

    async def ask(self, hello: wire.Hello, **scope: Any) -> wire.Envelope:
        socket = self.dial(**scope)
        socket.say(hello)
        return await socket.answer()

    async def refused(self, hello: wire.Hello, **scope: Any) -> tuple[str, str]:
        """Code and text of a refusal, held against its bytes."""
        answer = await self.ask(hello, **scope)
        error, socket = answer.error, self.wires[-1]
        async with asyncio.timeout(10):
            await socket.task
        least_ms, retry_after_ms = RETRY_AFTER_MS.get(error.reason, 0), error.retry_after_ms
        full = error.code == wire.ErrorCode.ERROR_CODE_CAPACITY  # they come back spread
        assert least_ms <= retry_after_ms <= (1.5 if full else 1) * least_ms
        expected = wire.Envelope(
            seq=1,
            error=wire.Error(
                code=error.code,
                reason=error.reason,
                fatal=True,
                retryable=bool(retry_after_ms),
                retry_after_ms=retry_after_ms,
                action=wire.RecoveryAction.RECOVERY_ACTION_NONE,
            ),
        )
        accepted, said, closed = socket.sent
        assert accepted["type"] == "websocket.accept"
        assert said["bytes"] == expected.SerializeToString()
        assert closed == {
            "type": "websocket.close",
            "code": 4000 + error.code,
            "reason": error.reason[:120],
        }
        return name(error.code), error.reason


@asynccontextmanager
async def house(**settings: Any) -> AsyncIterator[House]:
    made = House(end_timeout_ms=500, **settings)
    try:
        yield made
    finally:
        await asyncio.gather(*(socket.leave() for socket in made.wires))
        await made.app.state.life.close()


def hello(**fields: Any) -> wire.Hello:
    fields = {"attach_nonce": os.urandom(16), "bot": "a", "features": [RESUME], **fields}
    return wire.Hello(protocol_version=wire.PROTOCOL_VERSION, **fields)


def coming_back(welcome: wire.Welcome, **fields: Any) -> wire.Hello:
    kept = {"session_id": welcome.session_id, "resume_token": welcome.resume_token}
    return hello(**{**kept, "epoch": welcome.epoch, **fields})


async def test_a_good_hello_is_welcome_and_keeps_its_bot() -> None:
    async with house() as server:
        welcome = (await server.ask(hello(bot="b"))).welcome
        assert (welcome.bot, welcome.epoch, welcome.resumed) == ("b", 1, False)
        assert len(server.app.state.registry) == 1


async def test_of_two_faults_the_earlier_in_the_order_is_told() -> None:
    """Capacity, token, binding, one-time use, bot, quota."""
    async with house(key=KEY, max_sessions=2) as server:
        used = issue(limits=Limits(max_sessions=1), bot="a")
        page = {"origin": b"http://127.0.0.1:7860"}
        await server.ask(hello(token=used), **page)
        one_time = ("UNAUTHORIZED", "the token was used already")
        quota = ("CAPACITY", "this token allows no more sessions at once")
        binding = ("FORBIDDEN", "the token is for another bot")
        unknown = "this server has no bot of that name; name one of: a, b"
        assert await server.refused(hello(token=used), **page) == one_time
        another = issue(limits=Limits(max_sessions=1), bot="a")
        assert await server.refused(hello(token=another), **page) == quota
        assert await server.refused(hello(token=used, bot="b"), **page) == binding
        assert await server.refused(hello(token=used, bot="c"), **page) == binding
        assert await server.refused(hello(token=used, bot=""), **page) == one_time
        several = "this server has several bots; name one of: a, b"
        assert await server.refused(hello(token=another, bot=""), **page) == (
            "INVALID_ARGUMENT",
            several,
        )
        free = issue(limits=Limits(max_sessions=1))
        assert await server.refused(hello(token=free, bot="c"), **page) == (
            "INVALID_ARGUMENT",
            unknown,
        )
        bad = ("UNAUTHORIZED", "the token is not valid here")
        assert await server.refused(hello(token="x", bot="c"), **page) == bad
        none = ("UNAUTHORIZED", "this server wants a token, and there was none")
        assert await server.refused(hello(bot="c"), **page) == none
        assert (await server.ask(hello(), client="127.0.0.1")).HasField("welcome")  # no page
        full = ("CAPACITY", "the server is full")
        assert await server.refused(hello(token="x", bot="c"), **page) == full
        await server.wires[0].leave()
        for session in list(server.app.state.registry._sessions.values()):
            session.end(wire.EndReason.END_REASON_SERVER)
        while len(server.app.state.registry):
            await asyncio.sleep(0)
        assert await server.refused(hello(token=used), **page) == one_time


async def test_a_refusal_uses_no_token_up() -> None:
    async with house(key=KEY) as server:
        token = issue(bot="a")
        page = {"origin": b"http://127.0.0.1:7860"}
        assert (await server.refused(hello(token=token, bot="b"), **page))[0] == "FORBIDDEN"
        assert (await server.ask(hello(token=token), **page)).HasField("welcome")


async def test_who_begins_too_many_is_told_when_to_come_back() -> None:
    limits = {"starts_per_address": "2/minute", "starts_per_user": "3/minute"}
    async with house(key=KEY, **limits) as server:
        for _ in range(2):
            welcome = (await server.ask(hello(token=issue()), client="203.0.113.7")).welcome
            assert welcome.session_id
        for client, whose in (
            ("203.0.113.7", "from this address"),
            ("203.0.113.8", "by this user"),
        ):
            if whose == "by this user":
                assert (await server.ask(hello(token=issue()), client=client)).HasField("welcome")
            error = (await server.ask(hello(token=issue()), client=client)).error
            assert name(error.code) == "RATE_LIMITED"
            assert error.reason == f"too many sessions were begun {whose}; try again later"
            assert (error.fatal, error.retryable) == (True, True)
            assert 0 < error.retry_after_ms <= 60_000
        assert (await server.ask(coming_back(welcome), client="203.0.113.7")).welcome.resumed
        for _ in range(5):  # programs of this machine need no token and have no limit
            assert (await server.ask(hello())).HasField("welcome")


async def test_clients_of_a_proxy_that_names_none_of_them_are_not_one_client() -> None:
    limits = {"starts_per_address": "2/minute", "trusted_proxies": "203.0.113.7"}
    async with house(key=KEY, **limits) as server:
        for _ in range(4):
            assert (await server.ask(hello(token=issue()), client="203.0.113.7")).welcome.session_id
        for _ in range(2):
            assert (await server.ask(hello(token=issue()), client="203.0.113.8")).welcome.session_id
        error = (await server.ask(hello(token=issue()), client="203.0.113.8")).error
        assert name(error.code) == "RATE_LIMITED"


async def test_a_session_that_never_was_is_over_or_is_somebody_else_s_gets_one_answer() -> None:
    async with house(key=KEY) as server:
        page = {"origin": b"http://127.0.0.1:7860"}
        welcome = (await server.ask(hello(token=issue()), **page)).welcome
        back = coming_back(welcome)
        never = coming_back(welcome, session_id="o.never")
        assert await server.refused(never, **page) == EXPIRED
        wrong = coming_back(welcome, resume_token=bytes(16))
        assert await server.refused(wrong, **page) == EXPIRED
        assert await server.refused(back) == EXPIRED  # another origin
        somebody = coming_back(welcome, token=issue("bob"))
        assert await server.refused(somebody, **page) == EXPIRED
        bad = coming_back(welcome, token="x")
        assert await server.refused(bad, **page) == ("UNAUTHORIZED", "the token is not valid here")
        ahead = coming_back(welcome, last_seq=99)
        assert (await server.refused(ahead, **page))[0] == "MALFORMED"
        assert (await server.ask(back, **page)).welcome.epoch == 2


async def test_the_same_nonce_is_the_same_attach_though_the_server_is_full() -> None:
    async with house(key=KEY, max_sessions=1) as server:
        token, nonce = issue(limits=Limits(max_sessions=1)), os.urandom(16)
        page = {"origin": b"http://127.0.0.1:7860"}
        first = await server.ask(hello(token=token, attach_nonce=nonce), **page)
        again = await server.ask(hello(token=token, attach_nonce=nonce), **page)
        assert first.welcome.session_id == again.welcome.session_id
        assert first.welcome.resume_token == again.welcome.resume_token
        assert len(server.app.state.registry) == 1


async def test_a_server_that_shuts_down_takes_nobody_in_and_nobody_back() -> None:
    async with house() as server:
        welcome = (await server.ask(hello())).welcome
        server.app.state.registry.closing = True
        assert await server.refused(coming_back(welcome)) == (
            "GOING_AWAY",
            "the server is shutting down",
        )
        assert await server.refused(hello()) == ("GOING_AWAY", "the server is shutting down")


@pytest.mark.parametrize("limit", [4096])
async def test_a_welcome_that_the_client_cannot_take_opens_no_session(limit: int) -> None:
    urls = [f"stun:{number}.{'a' * 240}.example" for number in range(16)]
    servers = "[" + ",".join(f'{{"urls": "{url}"}}' for url in urls) + "]"
    async with house(ice_servers=servers) as server:
        code, reason = await server.refused(hello(max_message_bytes=limit))
        assert code == "TOO_LARGE"
        assert reason == "the Welcome is above max_message_bytes of the client"
        assert len(server.app.state.registry) == 0


async def test_a_client_whose_session_is_in_another_process_is_told_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def attach(*_: Any, **__: Any) -> At:
        return At(Replica(name="other", public_url="ws://other:7860/v1/session"))

    monkeypatch.setattr(Directory, "attach", attach)
    async with house() as server:
        socket = server.dial()
        socket.say(hello(session_id="other.session"))
        async with asyncio.timeout(10):
            await socket.task
    _, first, second, closed = socket.sent
    where = wire.Envelope.FromString(first["bytes"])
    assert (where.seq, where.go_away.resume_url) == (1, "ws://other:7860/v1/session")
    error = wire.Envelope.FromString(second["bytes"]).error
    assert name(error.code) == "GOING_AWAY"
    assert error.action == wire.RecoveryAction.RECOVERY_ACTION_RESUME
    assert error.retryable
    assert closed["code"] == 4000 + error.code
