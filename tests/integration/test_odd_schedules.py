"""Things that happen at the wrong moment: each of these once hung, lost or repeated something."""

import asyncio
import json
import os

import pytest

import voxwire
from tests.support.clicks import make_bot
from tests.support.inside import epoch, is_attached, only_session, path_id, pipeline, voice
from tests.support.raw import FEATURES, RawClient, dial
from tests.support.waiting import until
from voxwire_protocol import wire
from voxwire_server import BotSession
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.control import link as link_module
from voxwire_server.media.websocket import WebSocketPath
from voxwire_server.playout.gap import Gap
from voxwire_server.testing import RunningServer, running_server

SMALL = 4096
WEBSOCKET = wire.Carrier.CARRIER_WEBSOCKET


async def attached_small(server: RunningServer) -> RawClient:
    """A client that takes messages of at most 4 KiB."""
    client = RawClient(server.url)
    await client.attach(client.hello(max_message_bytes=SMALL))
    await client.until(lambda: bool(client.welcomes) or client.close_code is not None)
    return client


async def test_a_welcome_fits_a_client_that_takes_little() -> None:
    bot = LoadedBot(name="test", run=make_bot(), examples=("y" * 200,) * 30)
    async with running_server(bot) as server:
        client = await attached_small(server)
        assert len(client.welcomes) == len(server.registry) == 1
        session = only_session(server)
        session.tools.reports.levels["t"] = wire.ToolReportLevel.TOOL_REPORT_LEVEL_FULL
        for number in range(60):
            session.emit(transcript=wire.Transcript(final=True, text="x" * 300))
            session.tools.reports.started(str(number), "t", {"z": "z" * 9000}, response_id="r1")
        await client.drop()
        await until(lambda: not is_attached(session))
        for number in range(3000):
            session.emit(app_message=wire.AppMessage(type="n", data_json=str(number)))
        await client.attach(client.hello(max_message_bytes=SMALL))
        await client.until(lambda: len(client.welcomes) == 2 or client.close_code is not None)
        assert client.welcome.HasField("snapshot")
        assert wire.Envelope(welcome=client.welcome).ByteSize() <= SMALL
        assert client.welcome.snapshot.tool_calls[-1].call_id == "59"
        await client.open_path(1)
        await client.drop()


async def test_a_client_that_cannot_be_welcomed_leaves_no_session() -> None:
    urls = ["stun:" + "a" * 200 + ".example"] * 16
    servers = json.dumps([{"urls": urls}, {"urls": urls}])
    async with running_server(make_bot(), ice_servers=servers) as server:
        client = await attached_small(server)
        assert client.close_code == 4000 + wire.ErrorCode.ERROR_CODE_TOO_LARGE
        assert len(server.registry) == 0


async def test_a_lost_welcome_does_not_lead_into_a_session_that_ends() -> None:
    async def slow_to_end(_: BotSession) -> None:
        try:
            await asyncio.sleep(3600)  # real time: slow
        finally:
            await asyncio.sleep(0.5)  # real time: slow

    async with running_server(slow_to_end) as server:
        client = RawClient(server.url)
        hello = client.hello(nonce=os.urandom(16))
        hello.features.remove(wire.Feature.FEATURE_RESUME)
        await client.attach(hello)
        await client.until(lambda: bool(client.welcomes))
        await client.drop()
        await until(lambda: not len(server.registry))
        again = RawClient(server.url)
        await again.attach(hello)
        await again.until(lambda: bool(again.welcomes))
        assert again.welcome.session_id != client.welcome.session_id
        await again.drop()


async def test_a_path_that_went_with_its_socket_is_never_ready() -> None:
    speaks = make_bot()
    go_on = asyncio.Event()

    async def late(session: BotSession) -> None:
        await go_on.wait()
        await speaks(session)

    async with running_server(late) as server, dial(server.url) as client:
        await client.send(path_open=wire.PathOpen(path_id=1, carrier=WEBSOCKET))
        await client.until(lambda: bool(client.of("path_answer")))
        await client.drop()
        await client.attach()
        await client.until(lambda: len(client.welcomes) == 2)
        go_on.set()
        await client.until(lambda: bool(client.of("path_close")))
        await client.open_path(2)
        assert [close.path_id for close in client.of("path_close")] == [1]
        assert [ready.path_id for ready in client.of("path_ready")] == [2]


async def test_a_socket_lost_while_the_late_voice_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    cutting = asyncio.Event()
    settle = Gap.settle

    async def slowly(self: Gap) -> None:
        await settle(self)
        cutting.set()
        await asyncio.sleep(0.3)  # real time: slow

    async with running_server(make_bot()) as server, dial(server.url) as client:
        monkeypatch.setattr(Gap, "settle", slowly)
        await client.send(path_open=wire.PathOpen(path_id=1, carrier=WEBSOCKET))
        await asyncio.wait_for(cutting.wait(), 60)
        await client.drop()
        await asyncio.sleep(0.6)  # real time: moment
        session = only_session(server)
        assert path_id(session) == 0
        assert voice(session) in ("WAITING", "CUT")


async def test_a_path_closed_while_it_replaces_another(monkeypatch: pytest.MonkeyPatch) -> None:
    close = WebSocketPath.close

    async def slowly(self: WebSocketPath) -> None:
        await asyncio.sleep(0.5 if self.path_id == 1 else 0)  # real time: slow
        await close(self)

    monkeypatch.setattr(WebSocketPath, "close", slowly)
    async with running_server(make_bot()) as server, dial(server.url) as client:
        await client.open_path(1)
        await client.open_path(2)
        session = only_session(server)
        while path_id(session) != 2:
            await asyncio.sleep(0.01)
        await client.send(path_close=wire.PathClose(path_id=2))
        async with asyncio.timeout(60):
            while path_id(session):
                await asyncio.sleep(0.02)


async def test_a_goodbye_waits_for_a_listener_who_is_soon_back() -> None:
    held: list[BotSession] = []

    async def bot(session: BotSession) -> None:
        held.append(session)
        await make_bot()(session)

    async with running_server(bot) as server, dial(server.url) as client:
        await client.open_path(1)
        await client.send(send_text=wire.SendText(text="say 6"))
        await client.until(lambda: client.heard_ms >= 400)
        await held[0].end()
        await asyncio.sleep(0.2)  # real time: moment
        await client.drop()
        await asyncio.sleep(0.2)  # real time: moment
        await client.attach()
        await client.until(lambda: len(client.welcomes) == 2 or client.close_code is not None)
        assert client.welcome.resumed
        await client.open_path(2)
        await client.until(lambda: bool(client.of("session_ended")))
        [ended] = client.of("utterance_ended")
        assert ended.end == wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        assert ended.heard_words == 6


async def test_a_long_queue_is_sent_on_one_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server holds it back for 3 s: no reason to dial again, nor to take anyone for deaf."""
    monkeypatch.setattr(link_module, "MAX_DEAF_MS", 1500)
    async with (
        running_server(make_bot(), heartbeat_ms=500) as server,
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        session.simulate.drop_control()
        control = session._runtime._control
        for number in range(250):
            message = wire.AppMessage(type="n", data_json=str(number))
            control.send(wire.Envelope(app_message=message))
        async with asyncio.timeout(60):
            while control._channel.unacknowledged:
                await asyncio.sleep(0.05)
        assert epoch(only_session(server)) == 2


@pytest.mark.timing(reason="sound that waits for pongs comes, and comes late")
async def test_one_who_does_not_report_and_says_nothing_hears_without_breaks() -> None:
    async with running_server(make_bot()) as server:
        client = RawClient(server.url)
        client.hears = False
        hello = client.hello()
        del hello.features[:]
        left_out = (wire.Feature.FEATURE_PLAYOUT_REPORTS, wire.Feature.FEATURE_FLUSH)
        hello.features.extend(feature for feature in FEATURES if feature not in left_out)
        await client.attach(hello)
        await client.until(lambda: bool(client.welcomes))
        await client.open_path(1)
        await client.send(send_text=wire.SendText(text="say 20"))
        await client.until(lambda: bool(client.audio))
        start = asyncio.get_running_loop().time()
        await client.until(lambda: len(client.audio) * 20 >= 3000)
        took_s = asyncio.get_running_loop().time() - start
        assert took_s < 3.8  # 2.7 s at real time; 4.7 s when every pong was waited for
        await client.drop()


async def test_a_flood_of_mutes_brings_silence_no_faster_than_time() -> None:
    async with running_server(make_bot()) as server, dial(server.url) as client:
        await client.open_path(1)
        session = only_session(server)
        blocks: list[bytes] = []
        pipeline(session).user_audio = blocks.append
        for _ in range(90):
            await client.send(mute=wire.Mute(muted=True))
        await asyncio.sleep(0.5)  # real time: silence
        assert 0 < len(blocks) <= 60  # 1.2 s of it; it once was that for every message
