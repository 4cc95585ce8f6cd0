"""The bot's voice without a listener: every cell of that table in protocol/spec/session.md."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.clicks import make_bot
from tests.support.inside import only_session, path_id, voice
from tests.support.raw import RawClient, dial
from tests.support.tables import cells
from voxwire_protocol import wire
from voxwire_server.session.session import Session
from voxwire_server.testing import running_server

TABLE = cells("session.md", "voice")
GAP_MS = 400
LONG_GAP_MS = 100_000
WORDS = 200
"""So many that a busy machine gets to the state that is tried before they are all said."""


class Case:
    """A bot that says twelve words, and its listener."""

    def __init__(self, session: Session, client: RawClient) -> None:
        self.session = session
        self.client = client
        self.path_id = 0
        self.there = True

    @property
    def voice(self) -> str:
        return voice(self.session)

    async def becomes(self, voice: str) -> None:
        async with asyncio.timeout(60):
            while self.voice != voice:
                await asyncio.sleep(0.005)

    async def open_path(self) -> None:
        self.path_id += 1
        await self.client.open_path(self.path_id)

    async def report(self, *, suspended: bool) -> None:
        client = self.client
        client.hears = not suspended
        report = wire.PlayoutReport(
            path_id=self.path_id, media_ms=client.heard_ms, suspended=suspended
        )
        await client.send(playout_report=report)

    async def attach(self) -> None:
        welcomes = len(self.client.welcomes)
        await self.client.attach()
        await self.client.until(lambda: len(self.client.welcomes) > welcomes)
        self.there = True

    async def drop(self) -> None:
        await self.client.drop()
        self.there = False
        async with asyncio.timeout(60):
            while self.session.link is not None or path_id(self.session):
                await asyncio.sleep(0.005)


async def playing(case: Case) -> None:
    await case.open_path()
    await case.client.send(send_text=wire.SendText(text=f"say {WORDS}"))
    await case.client.until(lambda: bool(case.client.audio))


async def waiting(case: Case) -> None:
    await playing(case)
    await case.drop()


async def suspended(case: Case) -> None:
    await playing(case)
    await suspends(case)
    await case.becomes("SUSPENDED")


async def cut(case: Case) -> None:
    await waiting(case)
    await case.becomes("CUT")


async def cut_while_suspended(case: Case) -> None:
    await suspended(case)
    await case.becomes("CUT")


async def path_lost(case: Case) -> None:
    if not case.there:
        await case.attach()
    await case.drop()


async def path_opened(case: Case) -> None:
    if not case.there:
        await case.attach()
    audio = len(case.client.audio)
    before = case.voice
    await case.open_path()
    if before != "CUT":  # it goes on
        await case.client.until(lambda: len(case.client.audio) > audio)


async def gap_over(case: Case) -> None:
    await asyncio.sleep(GAP_MS / 1000 + 0.2)  # real time: timeout


async def suspends(case: Case) -> None:
    await case.report(suspended=True)


async def plays_again(case: Case) -> None:
    await case.report(suspended=False)


STATES = {"PLAYING": playing, "WAITING": waiting, "SUSPENDED": suspended, "CUT": cut}
EVENTS: dict[str, Callable[[Case], Awaitable[None]]] = {
    "path lost": path_lost,
    "path opened": path_opened,
    "voice_gap_ms over": gap_over,
    "suspended": suspends,
    "plays again": plays_again,
    "suspended_ms over": gap_over,
}


IN_VIRTUAL_TIME = {(state, "bot speaks") for state in STATES} | {("WAITING", "suspended")}
"""Cells that server/tests/playout/test_voice.py tries: no client of its own brings them about."""


def test_every_row_and_column_is_tried() -> None:
    tried = {(state, event) for state in STATES for event in EVENTS}
    assert set(TABLE) == tried | IN_VIRTUAL_TIME


@pytest.mark.parametrize("state", STATES)
async def test_a_row(state: str) -> None:
    events = [
        event
        for event in EVENTS
        if TABLE[state, event] != "—" and (state, event) not in IN_VIRTUAL_TIME
    ]
    tried = [try_cell(state, event) for event in events]
    assert await asyncio.gather(*tried) == [TABLE[state, event] for event in events]


async def try_cell(state: str, event: str) -> str:
    """What the voice does after an event; it stays so."""
    there = state == "CUT" and event in ("suspended", "plays again", "suspended_ms over")
    short = {event.removesuffix(" over")}
    if state == "CUT":
        short = {"suspended_ms" if there else "voice_gap_ms"}
    gaps = {
        name: GAP_MS if name in short else LONG_GAP_MS for name in ("voice_gap_ms", "suspended_ms")
    }
    settings = {**gaps, "heartbeat_ms": 50}
    async with running_server(make_bot(), **settings) as server, dial(server.url) as client:
        session = only_session(server)
        case = Case(session, client)
        await (cut_while_suspended if there else STATES[state])(case)
        assert case.voice == state
        await EVENTS[event](case)
        await case.becomes(TABLE[state, event])
        await asyncio.sleep(0.1)  # real time: silence
        after = case.voice
        if not case.there:
            await case.attach()
        if "CUT" in (state, after):
            await client.until(lambda: bool(client.of("utterance_ended")))
            [interrupted], [ended] = client.of("interrupted"), client.of("utterance_ended")
            assert interrupted.source == wire.InterruptionSource.INTERRUPTION_SOURCE_GAP
            assert ended.end == wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
            assert ended.heard_words < WORDS
        else:
            assert client.of("interrupted") == []
        return after
