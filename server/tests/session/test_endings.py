"""A session that ends while its bot starts, hangs or tidies up: its client is told, once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.support.inbox import FakeLink
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server import BotSession
from voxwire_server.app import wires_of
from voxwire_server.config import Settings
from voxwire_server.control.numbered import NumberedChannel
from voxwire_server.pipeline.bot import run_bot
from voxwire_server.ports import SessionFacts
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.session.session import Session

RESUME = wire.Feature.FEATURE_RESUME
TIMEOUT_MS = Settings().end_timeout_ms


class Line:
    """A session with one bot, and a client that is there all the time."""

    def __init__(self, time: VirtualTime, bot: Callable[[BotSession], Awaitable[None]]) -> None:
        async def run(session: Session) -> None:
            await run_bot(bot, BotSession(wires_of(session)))

        self.time = time
        self.registry = SessionRegistry(10)
        self.channel = NumberedChannel({RESUME}, clock=time)
        session_id = self.registry.reserve()
        self.session = Session(
            session_id,
            settings=Settings(),
            run_bot=run,
            facts=SessionFacts(features=frozenset({RESUME})),
            channel=self.channel,
            clock=time,
        )
        self.link = FakeLink()
        hello = wire.Hello(attach_nonce=bytes(16))
        self.channel.rebind(self.link, hello, wire.Welcome(session_id=session_id))
        self.registry.start(self.session)

    async def until(self, done: Callable[[], bool]) -> float:
        """Ping every second until something holds; how long that took, milliseconds."""
        began_ms = self.time.now_ms()
        await self.time.advance(0)
        while not done():
            ping = wire.Envelope(ping=wire.Ping())
            self.channel.receive(ping.SerializeToString(), self.link)
            await self.time.advance(1000)
        return self.time.now_ms() - began_ms

    def told(self) -> bool:
        return "session_ended" in self.link.kinds


async def starting(bot: BotSession) -> None:
    """Has its transport, and waits for something before it runs its pipeline."""
    bot.transport.input()
    await asyncio.sleep(60)


@in_virtual_time
async def test_a_server_that_shuts_down_tells_a_client_whose_bot_starts(time: VirtualTime) -> None:
    line = Line(time, starting)
    closing = asyncio.ensure_future(line.registry.close(TIMEOUT_MS + 2000))
    assert await line.until(closing.done) <= 1000
    assert line.told()
    assert line.link.closed == (1000, "session ended")


@in_virtual_time
async def test_a_client_that_leaves_while_its_bot_starts_does_not_wait(time: VirtualTime) -> None:
    line = Line(time, starting)
    await time.advance(1000)
    line.session.end(wire.EndReason.END_REASON_CLIENT)
    assert await line.until(line.told) <= 1000


@in_virtual_time
async def test_a_bot_that_tidies_up_for_long_is_cut_short_and_told_once(time: VirtualTime) -> None:
    said: list[str] = []

    async def tidies(bot: BotSession) -> None:
        transport = bot.transport

        @transport.event_handler("on_client_disconnected")
        async def _(*_: object) -> None:
            said.append("disconnected")

        await bot.run([transport.input(), transport.output()])
        said.append("ran")
        await asyncio.sleep(60)
        said.append("tidied")

    line = Line(time, tidies)
    await line.until(lambda: line.session.port is not None)
    line.session.end(wire.EndReason.END_REASON_CLIENT)
    closing = asyncio.ensure_future(line.registry.close(TIMEOUT_MS + 2000))
    assert await line.until(line.told) == TIMEOUT_MS
    assert await line.until(line.session.ended.is_set) <= 1000
    assert await line.until(closing.done) <= 1000
    assert said == ["disconnected", "ran"]


@in_virtual_time
async def test_a_pipeline_that_hangs_at_its_end_costs_one_timeout(time: VirtualTime) -> None:
    async def hangs(bot: BotSession) -> None:
        transport = bot.transport

        @transport.event_handler("on_client_disconnected")
        async def _(*_: object) -> None:
            await asyncio.sleep(3600)

        await bot.run([transport.input(), transport.output()])

    line = Line(time, hangs)
    await line.until(lambda: line.session.port is not None)
    line.session.end(wire.EndReason.END_REASON_CLIENT)
    assert await line.until(line.session.ended.is_set) <= TIMEOUT_MS + 1000
    assert line.told()


@in_virtual_time
async def test_a_bot_that_swallows_its_end_costs_one_timeout_in_all(time: VirtualTime) -> None:
    free = asyncio.Event()

    async def stubborn(_: BotSession) -> None:
        while not free.is_set():
            with suppress(asyncio.CancelledError):
                await free.wait()

    line = Line(time, stubborn)
    await time.advance(1000)
    closing = asyncio.ensure_future(line.registry.close(TIMEOUT_MS + 500))
    assert await line.until(line.told) <= TIMEOUT_MS + 100
    assert await line.until(closing.done) <= 500
    free.set()
