"""Connections that break in mid-sentence, with the real server and the real client.

Each session has a proxy of its own in front of the server; WebRTC audio has its own wire.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pytest
from aioice.ice import StunProtocol
from aioice.stun import Message
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.clicks import make_bot
from tests.support.clients import TRANSPORTS, connect
from tests.support.ledger import Ledger, Talk
from tests.support.listening import Ear
from tests.support.proxy import Proxy, proxied
from tests.support.waiting import PATIENT
from voxwire_server.testing import RunningServer, running_server

T = TypeVar("T")

BACK_S = 2.0
"""From the return of the network to a path that carries audio, on a machine that is quiet."""

NEEDS_WEBRTC = pytest.mark.skipif("webrtc" not in TRANSPORTS, reason="the client has no WebRTC")

SESSIONS, CUTS = 5, 4
SENTENCE, SHORT = 20, 14
CLICK_MS = 15
"""How far a click may sound from the position of its word: half a block and the codec's smear."""


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = Ledger()
    with made.listening():
        yield made


@dataclass
class Line:
    """A session over a proxy of its own."""

    talk: Talk
    proxy: Proxy


@contextlib.asynccontextmanager
async def line(server: RunningServer, transport: str, **options: object) -> AsyncIterator[Line]:
    """Hold a session until the block ends."""
    ear = Ear()
    async with proxied(server.port) as proxy:
        connection = connect(proxy.url, transport=transport, speaker=ear, **options)
        async with connection as session, Talk(session, ear) as talk:
            yield Line(talk, proxy)


def told_once(talk: Talk, ledger: Ledger) -> None:
    """Nothing was lost on the way, nothing came twice, nothing out of order."""
    assert ledger.received[talk.session.id] == ledger.sent[talk.session.id]
    assert not talk.of(voxwire.EventsSkipped)


async def heard_whole(talk: Talk, words: int) -> None:
    """Every word fired once and in order, and its click sounded once, where the word stands; over
    UDP a machine that is too busy for real time may lose a few.
    """
    await talk.until(lambda: len(talk.of(voxwire.BotWord)) >= words)
    fired = talk.of(voxwire.BotWord)
    assert [word.text.strip(".") for word in fired] == [f"w{i}" for i in range(words)]
    starts = np.array([word.start_ms for word in fired])
    onsets = talk.clicks_in_place()
    lost = 0 if talk.session.transport == "websocket" else words // 4
    assert words - lost <= len(onsets) <= words, (onsets, starts)
    off = max(np.abs(starts - onset).min() for onset in onsets)
    assert off <= CLICK_MS, (onsets, starts)
    assert not talk.heard_twice_ms()


def summary(kind: str, seconds: list[float]) -> None:
    """Print what recovery took."""
    ordered = sorted(seconds)
    print(f"{kind}: n={len(ordered)} p50={ordered[len(ordered) // 2]:.2f} max={ordered[-1]:.2f} s")


async def side_by_side(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all at once; when one fails, the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
    return [task.result() for task in tasks]


async def cut_and_return(line: Line, epoch: int, *, away_s: float, new_path: bool) -> float:
    """Cut the control connection; nothing answers for a while. How long the way back took."""
    paths = len(line.talk.of(voxwire.PathChanged)) + 1
    line.proxy.away = True
    line.proxy.cut()
    await asyncio.sleep(away_s)  # real time: slow
    line.proxy.away = False
    returned = time.monotonic()
    await line.talk.back(epoch, path_id=paths if new_path else 0)
    return time.monotonic() - returned


async def test_a_control_connection_cut_in_mid_sentence_costs_nothing(
    transport: str, ledger: Ledger
) -> None:
    async def one(server: RunningServer, seed: int) -> list[float]:
        chance = random.Random(seed)
        async with line(server, transport) as it:
            talk = it.talk
            await talk.session.send_text(f"say {SENTENCE}")
            took = []
            for number in range(CUTS):
                if talk.of(voxwire.UtteranceEnded) or not await talk.sounding():
                    break
                await asyncio.sleep(chance.uniform(0.1, 0.7))  # real time: moment
                away_s = chance.choice((0.0, chance.uniform(0, 0.8)))
                took.append(
                    await cut_and_return(
                        it, number + 2, away_s=away_s, new_path=transport == "websocket"
                    )
                )
            ended = await talk.heard_out()
            assert (ended.end, ended.heard_words) == (voxwire.UtteranceEnd.COMPLETED, SENTENCE)
            await ledger.settled(talk.session.id)
            told_once(talk, ledger)
            await heard_whole(talk, SENTENCE)
            return took

    contexts: list[LLMContext] = []
    async with running_server(make_bot(contexts), **PATIENT) as server:
        runs = await side_by_side(one(server, seed) for seed in range(SESSIONS))
    took = [seconds for run in runs for seconds in run]
    summary(f"control cut, {transport}", took)
    assert len(took) >= SESSIONS
    assert len(contexts) == SESSIONS
    for context in contexts:
        assert len(str(context.get_messages()[-1]["content"]).split()) == SENTENCE


@NEEDS_WEBRTC
async def test_a_media_path_cut_alone_costs_nothing(ledger: Ledger) -> None:
    async def one(server: RunningServer, seed: int) -> list[float]:
        chance = random.Random(seed)
        async with line(server, "webrtc") as it:
            talk, took = it.talk, []
            await talk.session.send_text(f"say {SHORT}")
            for path_id in (2, 3):
                if talk.of(voxwire.UtteranceEnded) or not await talk.sounding():
                    break
                await asyncio.sleep(chance.uniform(0.1, 0.8))  # real time: moment
                talk.session.simulate.drop_media()
                took.append(await talk.on_path(path_id))
            ended = await talk.heard_out()
            assert (ended.end, ended.heard_words) == (voxwire.UtteranceEnd.COMPLETED, SHORT)
            assert not talk.of(voxwire.ConnectionChanged)
            await ledger.settled(talk.session.id)
            told_once(talk, ledger)
            await heard_whole(talk, SHORT)
            return took

    async with running_server(make_bot(), **PATIENT) as server:
        runs = await side_by_side(one(server, seed) for seed in range(SESSIONS))
    took = [seconds for run in runs for seconds in run]
    summary("media cut", took)
    assert len(took) >= SESSIONS


@pytest.mark.timing(reason="a conversation is back within 2 s, whatever of it was cut")
async def test_the_way_back_takes_two_seconds_at_most(transport: str) -> None:
    async with running_server(make_bot(), **PATIENT) as server, line(server, transport) as it:
        await it.talk.session.send_text(f"say {SENTENCE}")
        took = []
        for number, away_s in enumerate((0.0, 0.5)):
            await it.talk.sounding()
            took.append(
                await cut_and_return(
                    it, number + 2, away_s=away_s, new_path=transport == "websocket"
                )
            )
        if transport == "webrtc":
            it.talk.session.simulate.drop_media()
            took.append(await it.talk.on_path(2))
    summary(f"way back, {transport}", took)
    assert max(took) <= BACK_S


@pytest.fixture
def udp(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """A network that lets no UDP through, either way, while there is something in the set."""
    blocked: set[str] = set()
    receive, send, send_stun = (
        StunProtocol.datagram_received,
        StunProtocol.send_data,
        StunProtocol.send_stun,
    )

    def received(self: StunProtocol, data: bytes, address: tuple[str, int]) -> None:
        if not blocked:
            receive(self, data, address)

    async def sent(self: StunProtocol, data: bytes, address: tuple[str, int]) -> None:
        if not blocked:
            await send(self, data, address)

    def sent_stun(self: StunProtocol, message: Message, address: tuple[str, int]) -> None:
        if not blocked:
            send_stun(self, message, address)

    monkeypatch.setattr(StunProtocol, "datagram_received", received)
    monkeypatch.setattr(StunProtocol, "send_data", sent)
    monkeypatch.setattr(StunProtocol, "send_stun", sent_stun)
    return blocked


@NEEDS_WEBRTC
async def test_a_session_resumes_on_the_other_path(ledger: Ledger, udp: set[str]) -> None:
    async def one(it: Line, epoch: int, carrier: str) -> float:
        paths = len(it.talk.of(voxwire.PathChanged))
        it.proxy.cut()
        await it.talk.back(epoch)
        return await it.talk.until(
            lambda: (
                len(it.talk.of(voxwire.PathChanged)) > paths
                and it.talk.session.transport == carrier
            )
        )

    took: dict[str, list[float]] = {}
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(make_bot(), **PATIENT))
        lines = [await stack.enter_async_context(line(server, "auto")) for _ in range(SESSIONS)]
        assert {it.talk.session.transport for it in lines} == {"webrtc"}
        for it in lines:
            await it.talk.session.send_text(f"say {SENTENCE}")
        for epoch, carrier in enumerate(("websocket", "webrtc"), 2):
            if not lines[-1].talk.of(voxwire.UtteranceEnded):
                await lines[-1].talk.sounding()
            await asyncio.sleep(0.3)  # real time: moment
            udp.add("blocked") if carrier == "websocket" else udp.clear()
            took[carrier] = await side_by_side(one(it, epoch, carrier) for it in lines)
            summary(f"resumed on {carrier}", took[carrier])
        for talk in (it.talk for it in lines):
            ended = await talk.heard_out()
            assert (ended.end, ended.heard_words) == (voxwire.UtteranceEnd.COMPLETED, SENTENCE)
            await ledger.settled(talk.session.id)
            told_once(talk, ledger)
            await heard_whole(talk, SENTENCE)
        assert len(server.registry) == SESSIONS


async def park(it: Line, seconds: float, *, epoch: int, carrier: str) -> float:
    """Nothing of the client gets through for a while; how long the way back took."""
    if carrier == "webrtc":
        it.talk.session.simulate.drop_media()
    return await cut_and_return(it, epoch, away_s=seconds, new_path=True)


def cut_where_heard(talk: Talk, since: float) -> int:
    """The bot was cut in the gap, at a word that was heard; how many were."""
    [ended] = talk.of(voxwire.UtteranceEnded)
    assert ended.end == voxwire.UtteranceEnd.INTERRUPTED
    [cut] = talk.of(voxwire.Interrupted)
    assert cut.source == voxwire.InterruptionSource.GAP
    assert talk.ear.last_sound(since) is None, "something was spoken late"
    fired = [word.text for word in talk.of(voxwire.BotWord)]
    assert fired == [f"w{i}" for i in range(len(fired))]
    # what was played from the buffer and not reported any more counts as unheard; a word that
    # should have begun within 150 ms of the last report, as heard
    assert len(fired) - 3 <= ended.heard_words <= len(fired) + 1
    return int(ended.heard_words)


async def be_parked(ledger: Ledger, seconds: float, **settings: int) -> None:
    """Park sessions in mid-sentence; when they are back, the bot speaks again."""
    contexts: list[LLMContext] = []

    async def one(server: RunningServer, transport: str, seed: int) -> tuple[float, int]:
        async with line(server, transport) as it:
            talk = it.talk
            await talk.session.send_text("say 30")
            await talk.sounding()
            await asyncio.sleep(random.Random(seed).uniform(0.5, 1.5))  # real time: moment
            took = await park(it, seconds, epoch=2, carrier=transport)
            returned = time.monotonic()
            await talk.until(lambda: talk.of(voxwire.UtteranceEnded))
            await asyncio.sleep(0.5)  # real time: silence
            words = cut_where_heard(talk, returned - 0.02)
            await talk.session.send_text("say 3")
            ended = await talk.heard_out(2)
            assert (ended.end, ended.heard_words) == (voxwire.UtteranceEnd.COMPLETED, 3)
            assert [w.text for w in talk.of(voxwire.BotWord)][-3:] == ["w30", "w31", "w32."]
            assert not talk.heard_twice_ms()
            await ledger.settled(talk.session.id)
            told_once(talk, ledger)
            return took, words

    async with running_server(make_bot(contexts), **settings) as server:
        runs = await side_by_side(
            one(server, transport, seed) for transport in TRANSPORTS for seed in range(2)
        )
    summary(f"parked for {seconds:g} s", [took for took, _ in runs])
    said = [context.get_messages()[1]["content"].split() for context in contexts]
    assert sorted(map(len, said)) == sorted(words for _, words in runs)


async def test_after_a_park_nothing_is_spoken_late_and_the_bot_speaks_again(
    ledger: Ledger,
) -> None:
    await be_parked(ledger, 3)


@pytest.mark.soak
async def test_after_a_park_of_60_s_the_bot_speaks_again(ledger: Ledger) -> None:
    await be_parked(ledger, 60, grace_ms=70_000)


async def test_a_welcome_that_is_never_read_costs_nothing(transport: str, ledger: Ledger) -> None:
    async with running_server(make_bot(), **PATIENT) as server, proxied(server.port) as proxy:
        proxy.welcomes_to_kill = 1
        ear = Ear()
        connection = connect(proxy.url, transport=transport, speaker=ear)
        async with connection as session, Talk(session, ear) as talk:
            assert proxy.killed == 1
            await session.send_text("say 10")
            await talk.sounding()
            proxy.welcomes_to_kill = 2
            proxy.cut()
            await talk.back(2)
            assert proxy.killed == 3
            ended = await talk.heard_out()
            assert ended.heard_words == 10
            await ledger.settled(session.id)
            told_once(talk, ledger)
            await heard_whole(talk, 10)
            assert [it.epoch for it in talk.of(voxwire.ConnectionChanged)][-1] == 2
            assert len(server.registry) == 1
        assert list(ledger.sent) == [session.id]


async def test_a_half_open_socket_that_wakes_up_later_changes_nothing(
    transport: str, ledger: Ledger
) -> None:
    async with running_server(make_bot(), **PATIENT) as server, line(server, transport) as it:
        talk = it.talk
        await talk.session.send_text("say 12")
        await talk.sounding()
        it.proxy.sleep()
        await talk.session.send_text("say 2")  # into the hole; it interrupts once it arrives
        took = await talk.until(lambda: talk.of(voxwire.ConnectionChanged))
        summary(f"half-open socket replaced, {transport}", [took])
        await talk.until(lambda: len(talk.of(voxwire.UserTranscript)) == 2)
        await it.proxy.wake()  # with the text, pings and audio of then
        await talk.heard_out(2)
        await asyncio.sleep(0.3)  # real time: silence
        assert [t.text for t in talk.of(voxwire.UserTranscript)] == ["say 12", "say 2"]
        await talk.session.send_text("say 2")
        assert (await talk.heard_out(3)).heard_words == 2
        await ledger.settled(talk.session.id)
        told_once(talk, ledger)
        assert len(server.registry) == 1
        assert talk.session.connection == "connected"


async def test_after_the_grace_the_error_is_session_expired(transport: str) -> None:
    settings = {"grace_ms": 800}
    async with running_server(make_bot(), **settings) as server, line(server, transport) as it:
        it.proxy.away = True
        it.proxy.cut()
        await it.talk.until(lambda: it.talk.failure is not None, timeout_s=60)
        assert it.talk.failure is not None
        assert it.talk.failure.code == voxwire.ErrorCode.SESSION_EXPIRED
        assert isinstance(it.talk.failure, voxwire.SessionError)
        await it.talk.until(lambda: not len(server.registry))
