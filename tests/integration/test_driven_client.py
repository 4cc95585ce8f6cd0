"""A client in another language, directed: what it runs, asks, trusts, and how it comes back.

Run for the program that VOXWIRE_TEST_CLIENT names, as `scripts/mobile.py client` does.
"""

import asyncio
import base64
import contextlib
import importlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.calling import make_bot, results
from tests.support.clicks import make_bot as make_click_bot
from tests.support.clients import OTHER
from tests.support.driven import Driven
from tests.support.gemini_tls import make_certificate, server_context
from tests.support.listening import Ear
from tests.support.waiting import LONG, PATIENT
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError, make_error
from voxwire_server import BotSession
from voxwire_server.testing import running_server

pytestmark = pytest.mark.skipif(OTHER is None, reason="VOXWIRE_TEST_CLIENT names no other client")

SCRIPTED = ("--transport", "websocket")
"""A scripted server has no WebRTC."""

PEERS = Path(__file__).parents[2] / "clients" / "python" / "tests"


def drive(url: str, *options: str, speaker: voxwire.Speaker | None = None) -> Driven:
    """A session of the other client."""
    return Driven([str(OTHER), "drive", url, *options], speaker)


@pytest.fixture
def resuming(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The scripted server of the Python client's tests."""
    monkeypatch.syspath_prepend(str(PEERS))  # pyright: ignore[reportUnknownMemberType]
    return importlib.import_module("resuming")


@pytest.fixture
def sound(resuming: Any) -> Any:
    """What its bot says."""
    return importlib.import_module("peer").tone


async def test_a_tool_runs_and_its_result_its_error_and_its_progress_reach_the_bot() -> None:
    contexts: dict[str, LLMContext] = {}
    bot = make_bot(lambda session: session.client_tools(["look"]), contexts)
    async with running_server(bot) as server, drive(server.url, "--tool", "look") as session:
        await session.send_text('call look {"at": "Paris"}')
        call = await session.told("tool_call")
        await session.do(op="tool_progress", id=call["id"], note={"share": 0.5})
        await session.do(op="tool_result", id=call["id"], result={"seen": True})
        first = await session.wait_for(voxwire.ToolCallEnded)
        assert (await session.wait_for(voxwire.BotWord)).text == "done."
        await session.send_text("call look")
        await session.do(
            op="tool_result", id=(await session.told("tool_call"))["id"], error="it is dark"
        )
        second = await session.wait_for(voxwire.ToolCallEnded)
        assert (await session.wait_for(voxwire.BotWord)).text == "error."
        came = results(contexts[session.id])
    assert (call["name"], call["arguments"]) == ("look", {"at": "Paris"})
    assert [first.outcome, second.outcome] == ["done", "failed"]
    assert came == [{"seen": True}, {"error": {"code": "TOOL_FAILED", "reason": "it is dark"}}]


async def test_a_tool_that_hangs_is_stopped_at_its_deadline() -> None:
    bot = make_bot(lambda session: session.client_tools(["look"], timeout_ms=400))
    async with running_server(bot) as server, drive(server.url, "--tool", "look") as session:
        await session.send_text("call look")
        call = await session.told("tool_call")
        assert (await session.told("tool_stopped"))["id"] == call["id"]
        assert (await session.wait_for(voxwire.ToolCallEnded)).outcome == "timed_out"


class Asked:
    """A bot that answers, and notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def __call__(self, session: BotSession) -> None:
        session.on_message(lambda kind, data: self.told.append((kind, data)))
        session.on_request("add", lambda data: sum(data))
        session.on_request("refuse", self._refuse)
        await session.run([session.input(), session.output()])

    def _refuse(self, data: Any) -> None:
        raise make_error(ErrorCode.FORBIDDEN, "not for you")


async def test_a_request_gets_its_answer_or_the_bots_error() -> None:
    bot = Asked()
    async with running_server(bot) as server, drive(server.url) as session:
        await session.do(op="send_message", type="note", data={"a": 1})
        await session.do(op="call", method="add", data=[1, 2])
        assert (await session.told("answered"))["data"] == 3
        for method, error in (("refuse", "FORBIDDEN"), ("nothing", "UNSUPPORTED")):
            await session.do(op="call", method=method)
            assert (await session.told("answered"))["error"] == error
    assert bot.told == [("note", {"a": 1})]


async def test_a_request_of_the_bot_gets_the_programs_answer_or_its_error() -> None:
    sessions: list[BotSession] = []

    async def bot(session: BotSession) -> None:
        sessions.append(session)
        await session.run([session.input(), session.output()])

    async with running_server(bot) as server, drive(server.url) as session:
        await session.do(op="handle", method="where")
        await session.told("handled")
        answered = asyncio.create_task(sessions[0].request("where", {"zoom": 3}))
        question = await session.told("asked")
        assert question["data"] == {"zoom": 3}
        await session.do(op="answer", id=question["id"], result=["here"])
        assert await answered == ["here"]
        refused = asyncio.create_task(sessions[0].request("where"))
        question = await session.told("asked")
        assert question["data"] is None
        await session.do(op="answer", id=question["id"], error="FORBIDDEN")
        with pytest.raises(VoxwireError) as failed:
            await refused
        assert failed.value.code == ErrorCode.FORBIDDEN


async def test_a_token_that_is_none_is_refused() -> None:
    async with running_server(make_click_bot(), key="k" * 32) as server:
        with pytest.raises(voxwire.SessionError) as refused:
            async with drive(server.url, "--token", "none"):
                pass
    assert refused.value.code == ErrorCode.UNAUTHORIZED


async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Passes on what comes, and the end of it."""
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


@contextlib.asynccontextmanager
async def encrypted(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """TLS in front of a server; its port."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, onward = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, onward), pipe(behind, writer))

    front = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    async with front:
        yield front.sockets[0].getsockname()[1]


async def test_an_encrypted_connection_trusts_whom_it_is_told_to_and_nobody_else(
    tmp_path: Path,
) -> None:
    ours, others = tmp_path / "ours.pem", tmp_path / "others.pem"
    for path in (ours, others):
        make_certificate(path, ca=False)
    async with (
        running_server(make_click_bot()) as server,
        encrypted(server.port, server_context(ours)) as port,
    ):
        url = f"wss://127.0.0.1:{port}"
        async with drive(url, "--roots", str(ours)) as session:
            await session.send_text("say 2")
            assert (await session.wait_for(voxwire.BotWord)).text == "w0"
        for options in (("--roots", str(others)), ()):
            with pytest.raises(voxwire.TransportError, match="TLS failed"):
                async with drive(url, *options):
                    pass


class HttpProxy:
    """Opens tunnels to one port, whatever the name of the server; `word` is who may."""

    def __init__(self, port: int, word: str = "") -> None:
        self.asked: list[str] = []
        self._port = port
        self._word = word

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.partition("\r\n")[0])
        if self._word not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        behind, onward = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(pipe(reader, onward), pipe(behind, writer))


@pytest.mark.parametrize("user", ["me:pass%3Aword@", ""])
async def test_a_proxy_that_the_environment_names_is_gone_through(
    resuming: Any, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """The name of the server is the proxy's to look up."""

    async def script(server: Any) -> None:
        await (await server.first()).goodbye()

    word = base64.b64encode(b"me:pass:word").decode()
    async with resuming.keeping(script, wait=bool(user)) as url:
        proxy = HttpProxy(int(url.rpartition(":")[2]), word)
        listening = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            monkeypatch.setenv("http_proxy", f"http://{user}127.0.0.1:{port}")
            monkeypatch.setenv("no_proxy", "example.com")
            with (
                contextlib.nullcontext()
                if user
                else pytest.raises(voxwire.TransportError, match="the proxy on the way")
            ):
                async with drive("ws://voxwire.test:7860", *SCRIPTED) as session:
                    assert [type(event) async for event in session][-1] is voxwire.SessionEnded
    assert proxy.asked == ["CONNECT voxwire.test:7860 HTTP/1.1"]


async def test_a_resume_that_came_too_late_goes_on_from_a_snapshot(
    resuming: Any, sound: Any
) -> None:
    kept = resuming.ResumeSession()

    async def script(server: Any) -> None:
        peer = await server.first()
        await peer.utterance("u1", 0, words=2, word_ms=100)
        await peer.audio(0, sound(350))
        await peer.reported(350)
        server.cut()
        peer = await server.dial()
        server.channel.restart()
        shown = wire.Snapshot(
            turns=[wire.Turn(turn_id="t", role=wire.TurnRole.TURN_ROLE_BOT, text="so far")],
            utterance=wire.UtteranceStarted(utterance_id="u1"),
            heard_media_ms=350,
            user_muted=True,
        )
        await peer.say(welcome=server.welcome(resumed=False, snapshot=shown))
        await server.ready(peer, path_id=2)
        await peer.utterance("u2", 800, words=1, word_ms=100)
        await peer.audio(800, sound(150))
        await peer.reported(900)
        assert not (await peer.heard("mute")).mute.muted
        await peer.goodbye()

    events: list[Any] = []
    async with resuming.keeping(script, session=kept) as url, drive(url, *SCRIPTED) as session:
        async for event in session:
            events.append(event)
            if isinstance(event, voxwire.ConnectionChanged) and event.state == "reconnecting":
                await session.send_text("lost")
    [skipped] = [event for event in events if isinstance(event, voxwire.EventsSkipped)]
    assert skipped.snapshot is not None
    snapshot: Any = skipped.snapshot
    assert (snapshot["turns"][0]["text"], snapshot["utterance_id"]) == ("so far", "u1")
    words = [event for event in events if isinstance(event, voxwire.BotWord)]
    assert [(word.utterance_id, word.index) for word in words] == [("u1", 0), ("u1", 1), ("u2", 0)]


MOVED = "/moved?to=another"
"""A URL is dialled as its server has named it."""


async def test_a_server_that_goes_away_says_where_the_session_goes_on(resuming: Any) -> None:
    """Put out before it has moved, it comes back there."""
    named: list[str] = []

    async def script(server: Any) -> None:
        peer = await server.first()
        await peer.say(go_away=wire.GoAway(resume_url=named[0], time_left_ms=60_000))
        await peer.socket.close(4000 + ErrorCode.GOING_AWAY)
        peer = await server.again(path_id=2)
        assert peer.socket.request.path == MOVED
        await peer.goodbye()

    async with resuming.keeping(script) as url:
        named.append(f"{url}{MOVED}")
        async with drive(url, *SCRIPTED) as session:
            kinds = [type(event) async for event in session]
    assert kinds.count(voxwire.GoingAway) == 1
    assert kinds[-1] is voxwire.SessionEnded


@pytest.mark.parametrize("dead", [False, True])
async def test_a_client_moves_with_its_socket_in_hand(resuming: Any, dead: bool) -> None:
    """Where the server says, or back to the first URL where nobody answers there."""
    named: list[str] = []

    async def script(server: Any) -> None:
        first = await server.first()
        await first.say(go_away=wire.GoAway(resume_url=named[0]))
        peer = await server.again(path_id=2)
        assert peer.socket.request.path == ("/v1/session" if dead else MOVED)
        await peer.goodbye()

    async with resuming.keeping(script) as url:
        named.append("ws://127.0.0.1:1/v1/session" if dead else f"{url}{MOVED}")
        async with drive(url, *SCRIPTED) as session:
            events = [event async for event in session]
    [changed] = [event for event in events if isinstance(event, voxwire.ConnectionChanged)]
    assert (changed.state, changed.attempt, changed.epoch) == ("connected", 0, 2)


async def test_a_first_hello_is_said_where_the_server_says(resuming: Any) -> None:
    kept = resuming.ResumeSession()
    named: list[str] = []

    async def script(server: Any) -> None:
        peer = await server.dial()
        away = wire.GoAway(resume_url=named[0])
        await peer.socket.send(wire.Envelope(go_away=away, seq=1).SerializeToString())
        await server.refuse(peer, "GOING_AWAY", action=wire.RecoveryAction.RECOVERY_ACTION_RESUME)
        peer = await server.first()
        assert peer.socket.request.path == MOVED
        await peer.goodbye()

    async with resuming.keeping(script, session=kept) as url:
        named.append(f"{url}{MOVED}")
        async with drive(url, *SCRIPTED) as session:
            kinds = [type(event) async for event in session]
    assert kinds[-1] is voxwire.SessionEnded
    assert len({hello.attach_nonce for hello in kept.hellos}) == 1


async def test_a_first_hello_is_asked_again_while_the_server_is_busy_or_leaves(
    resuming: Any,
) -> None:
    kept = resuming.ResumeSession()

    async def script(server: Any) -> None:
        for code in ("GOING_AWAY", "CAPACITY", "RATE_LIMITED"):
            await server.refuse(await server.dial(), code, retry_after_ms=10)
        await (await server.first()).goodbye()

    async with resuming.keeping(script, session=kept) as url, drive(url, *SCRIPTED) as session:
        kinds = [type(event) async for event in session]
    assert kinds[-1] is voxwire.SessionEnded
    assert len(kept.hellos) == 4
    assert len({hello.attach_nonce for hello in kept.hellos}) == 1


async def test_who_comes_to_a_full_server_is_told_where_he_is_and_let_in() -> None:
    one_place = {"max_sessions": 1, "max_waiting": 1, **PATIENT}
    async with running_server(make_click_bot(), **one_place) as server:
        second = drive(server.url)

        async def come() -> None:
            async with second:
                await second.send_text("say 2")
                assert (await second.wait_for(voxwire.BotWord, LONG.wait_ms)).text == "w0"

        async with asyncio.TaskGroup() as group:
            async with drive(server.url):
                group.create_task(come())
                place = await second.wait_for(voxwire.Waiting, LONG.wait_ms)
                assert (place.position, second.id) == (1, "")


async def test_a_path_that_the_server_gives_up_is_replaced(resuming: Any, sound: Any) -> None:
    async def script(server: Any) -> None:
        peer = await server.first()
        await peer.say(path_close=wire.PathClose(path_id=1, reason="no more"))
        await server.ready(peer, path_id=2)
        await peer.utterance("u", 0, words=1, word_ms=100)
        await peer.audio(0, sound(100))
        await peer.reported(100)
        await peer.goodbye()

    ear = Ear()
    async with resuming.keeping(script) as url, drive(url, *SCRIPTED, speaker=ear) as session:
        events = [event async for event in session]
    paths = [event.path_id for event in events if isinstance(event, voxwire.PathChanged)]
    assert paths == [1, 2]
    assert any(isinstance(event, voxwire.BotWord) for event in events)


async def test_a_microphone_that_is_closed_is_told_to_the_server(resuming: Any) -> None:
    async def script(server: Any) -> None:
        peer = await server.first()
        assert (await peer.heard("mute")).mute.muted
        await peer.goodbye()

    async with resuming.keeping(script) as url, drive(url, *SCRIPTED) as session:
        await session.do(op="mute", muted=True)
        kinds = [type(event) async for event in session]
    assert kinds[-1] is voxwire.SessionEnded


async def test_what_ends_with_an_error_of_the_server_is_that_error(resuming: Any) -> None:
    async def script(server: Any) -> None:
        await server.refuse(await server.dial(), "CAPACITY", retry_after_ms=60_000)

    async with resuming.keeping(script) as url:
        with pytest.raises(VoxwireError) as refused:
            async with drive(url, *SCRIPTED):
                pass
    assert refused.value.code == ErrorCode.CAPACITY


async def test_a_day_that_is_used_up_ends_the_session_for_good(resuming: Any) -> None:
    kept = resuming.ResumeSession()

    async def script(server: Any) -> None:
        peer = await server.first()
        code = wire.ErrorCode.ERROR_CODE_CAPACITY
        await peer.say(error=wire.Error(code=code, fatal=True, retry_after_ms=60_000))
        await peer.say(session_ended=wire.SessionEnded(reason=wire.EndReason.END_REASON_ERROR))
        await peer.socket.close(4000 + ErrorCode.CAPACITY)

    with pytest.raises(VoxwireError) as failed:
        async with resuming.keeping(script, session=kept) as url, drive(url, *SCRIPTED) as session:
            async for _ in session:
                pass
    assert failed.value.code == ErrorCode.CAPACITY
    assert len(kept.hellos) == 1
