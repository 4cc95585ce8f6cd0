"""A stock client in a Daily room: RTVI as app-messages to it alone, words when it hears them.

The room is in memory (`tests/support/fake_room.py`), session and channel are the real ones; the
client is played by hand, as Pipecat's JavaScript client speaks over Daily. In virtual time.
"""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from tests.support.clicks import ForetoldClickTTS, make_bot
from tests.support.daily_line import DailyLine
from tests.support.fake_room import FakeRoom
from tests.support.front_door import House, token_of
from tests.support.phone_clicks import clicks_in
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.app import wires_of
from voxwire_server.pipeline.bot import BotSession, run_bot
from voxwire_server.routes.bodies import RefusedRequestError
from voxwire_server.routes.stock_daily import Guests
from voxwire_server.routes.stock_starts import Asked, Start
from voxwire_server.routes.stock_uploads import Uploads
from voxwire_server.sent_files import FileRoom
from voxwire_server.session.session import Session
from voxwire_server.session.ticket import Ticket

RATE = 24_000


class Page:
    """A page with a stock client: what it hears and is told, with the moment of each."""

    def __init__(self, time: VirtualTime, side: FakeRoom) -> None:
        self.time, self.side = time, side
        self.told: list[tuple[float, dict[str, Any]]] = []
        self.sound: list[np.ndarray[Any, Any]] = []
        self.heard_from_ms = 0.0
        self.left: list[str] = []
        side.on_message(lambda message: self.told.append((time.now_ms(), message)))
        side.on_audio(self._hear)
        side.on_left(self.left.append)

    def _hear(self, pcm: bytes) -> None:
        if not self.sound:
            self.heard_from_ms = self.time.now_ms() - 20
        self.sound.append(np.frombuffer(pcm, "<i2"))

    def say(self, kind: str, data: Any = None) -> None:
        self.side.say({"label": "rtvi-ai", "type": kind, "id": "m1", "data": data})

    def of(self, kind: str) -> list[tuple[float, Any]]:
        return [(at, m.get("data")) for at, m in self.told if m["type"] == kind]

    @property
    def clicks_ms(self) -> list[float]:
        """When each was heard."""
        samples = np.concatenate(self.sound)
        return [self.heard_from_ms + at * 1000 / RATE for at in clicks_in(samples)]


class Town:
    """A server with rooms for stock clients."""

    def __init__(self, time: VirtualTime, **line: Any) -> None:
        self.time = time
        self.line = DailyLine(time, house=House(self._run), **line)
        self.came: list[Start] = []
        self.guests = Guests(
            self.line.process.directory,
            self.line.rooms,
            playout_rate=RATE,
            capture_rate=16_000,
            uploads=Uploads(FileRoom(0)),
            about={"library": "voxwire-server"},
            came=self.came.append,
        )
        self._starts = 0

    async def _run(self, session: Session) -> None:
        await run_bot(make_bot(tts=ForetoldClickTTS), BotSession(wires_of(session)))

    def start(self, **ticket: Any) -> Start:
        self._starts += 1
        ticket = {"token": token_of(token_id=f"token-of-a-page-{self._starts}"), **ticket}
        return Start(f"start-{self._starts}", Ticket(bot="a", **ticket), b"", Asked(), 1e12)

    @asynccontextmanager
    async def page(self, start: Start | None = None) -> Any:
        url, token = await self.guests.invite(start or self.start())
        side = self.line.daily.make(send_rate=16_000, receive_rate=RATE, user_name="user")
        page = Page(self.time, side)
        await side.join(url, token)
        await self.time.advance(1000)
        try:
            yield page
        finally:
            await side.leave()
            await self.time.advance(5000)

    async def close(self) -> None:
        await self.guests.close()
        await self.line.close()


@pytest.mark.parametrize("delay_ms", [0, 60, 150])
@in_virtual_time
async def test_a_stock_client_asks_and_is_told_words_as_it_hears_them(
    time: VirtualTime, delay_ms: int
) -> None:
    town = Town(time, delay_ms=delay_ms)
    async with town.page() as page:
        page.say("client-ready", {"version": "1.0.0", "about": {"library": "stock"}})
        await time.advance(1000)
        [(_, ready)] = page.of("bot-ready")
        assert ready["about"]["library"] == "voxwire-server"
        page.say("send-text", {"content": "say 10", "options": {"run_immediately": True}})
        await time.advance(8000)
        words = [at for at, data in page.of("bot-tts-text")]
        clicks = page.clicks_ms
        assert len(clicks) == len(words) == 10
        off = np.subtract(words, clicks)
        print(f"{delay_ms} ms: words {off.min():+.0f} to {off.max():+.0f} ms off their sound")
        # told when the server believes that they are heard, and one way later
        assert -60 <= off.min() <= off.max() <= delay_ms + 60
    assert not town.line.process.sessions
    await town.close()


@in_virtual_time
async def test_the_session_ends_when_the_client_leaves_and_the_room_is_deleted(
    time: VirtualTime,
) -> None:
    town = Town(time)
    async with town.page() as page:
        [session] = town.line.process.sessions
        assert len(town.came) == 1
        page.say("client-ready")
    assert session.over
    assert town.line.rest.deleted == town.line.rest.made
    await town.close()


@in_virtual_time
async def test_who_never_comes_is_waited_for_a_minute(time: VirtualTime) -> None:
    town = Town(time)
    await town.guests.invite(town.start())
    await time.advance(59_000)
    assert len(town.guests) == 1
    await time.advance(3_000)
    assert len(town.guests) == 0
    assert not town.line.rest.rooms
    assert not town.came
    await town.close()


@in_virtual_time
async def test_who_may_not_come_is_told_so_in_the_room(time: VirtualTime) -> None:
    town = Town(time)
    async with town.page(town.start(token="none")) as page:
        [(_, error)] = page.of("error")
        assert error["fatal"] is True
        assert page.left
    assert not town.line.process.sessions
    await town.close()


@in_virtual_time
async def test_a_bot_that_ends_leaves_the_room(time: VirtualTime) -> None:
    town = Town(time)
    async with town.page() as page:
        [session] = town.line.process.sessions
        session.end(wire.EndReason.END_REASON_BOT)
        await time.advance(2000)
        assert page.left
        assert not town.line.rest.rooms
    await town.close()


@pytest.mark.parametrize("status", [401, 429, 500])
@in_virtual_time
async def test_a_daily_that_refuses_is_told_by_http(time: VirtualTime, status: int) -> None:
    town = Town(time)
    town.line.rest.answers["POST /rooms"] = [status]
    with pytest.raises(RefusedRequestError) as error:
        await town.guests.invite(town.start())
    assert error.value.status == (429 if status == 429 else 503)
    await town.close()


@in_virtual_time
async def test_what_comes_as_a_message_and_is_none_harms_nothing(time: VirtualTime) -> None:
    town = Town(time)
    async with town.page() as page:
        for odd in (None, 7, "text", [], {}, {"label": "x"}, {"label": "rtvi-ai"}, ["a"] * 1000):
            page.side.say(odd)
        page.say("client-ready")
        await time.advance(1000)
        assert len(page.of("bot-ready")) == 1
    await town.close()


@in_virtual_time
async def test_a_server_that_shuts_down_waits_for_nobody(time: VirtualTime) -> None:
    town = Town(time)
    await town.guests.invite(town.start())
    closing = asyncio.ensure_future(town.close())
    await time.advance(1000)
    assert closing.done()
    await closing
