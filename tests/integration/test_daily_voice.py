"""The offline bot through a Daily room: asked by voice, it answers, and is interrupted by voice.

Real client, real server on real sockets, real time; the room is in memory and delays sound.
"""

import numpy as np
import pytest

import voxwire
from tests.support.daily_rest import KEY, DailyRestServer
from tests.support.espeak import render_pcm
from tests.support.fake_room import FakeDaily
from tests.support.waiting import PATIENT, once_more, until
from voxwire._environment import Environment
from voxwire_protocol.clocks import SYSTEM_CLOCK
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.daily.rest import DailyRest
from voxwire_server.daily.rooms import DailyRooms
from voxwire_server.testing import running_server

BOT = LoadedBot(name="offline", run=offline.bot, warm=offline.warm, close=offline.close)


async def spoken(text: str) -> np.ndarray[None, np.dtype[np.int16]]:
    pcm, _ = await render_pcm(text, sample_rate=16_000)
    silence = np.zeros(8000, np.int16)
    return np.concatenate((silence, np.frombuffer(pcm, "<i2"), silence))


async def asked(session: voxwire.Session, said: list[str], text: str) -> None:
    """Say it until it is understood: a machine that stands still loses some of it."""
    voice = await spoken(text)
    await once_more(lambda: session.play(voice), lambda: text in said)


@pytest.mark.parametrize("delay_ms", [0, 60, 150])
async def test_a_question_is_understood_answered_and_the_answer_cut_short(
    monkeypatch: pytest.MonkeyPatch, delay_ms: int
) -> None:
    rest = DailyRestServer(now_s=lambda: 1_800_000_000.0)
    daily = FakeDaily(SYSTEM_CLOCK, rest, delay_ms=delay_ms)
    made = DailyRooms(
        DailyRest(KEY, send=rest.send),
        life_s=3600,
        make=daily.make,
        now_s=lambda: 1_800_000_000.0,
    )
    monkeypatch.setattr("voxwire_server.app.rooms_of", lambda _: made)
    said: list[str] = []
    words: list[str] = []
    ended: list[voxwire.UtteranceEnded] = []
    async with running_server(BOT, daily_api_key=KEY, **PATIENT) as server:
        connection = voxwire.connect(
            server.url, transport="daily", environment=Environment(make_room=daily.make)
        )
        async with connection as session:
            session.on(voxwire.UserTranscript, lambda e: said.append(e.text) if e.final else None)
            session.on(voxwire.BotWord, lambda e: words.append(e.text))
            session.on(voxwire.UtteranceEnded, ended.append)
            assert session.transport == "daily"
            await until(lambda: len(ended) == 1)  # the greeting
            await asked(session, said, "tell me a long story")
            heard = len(words)
            await until(lambda: len(words) > heard + 8)
            await asked(session, said, "what time is it")
            await until(lambda: ended[-1].end is voxwire.UtteranceEnd.COMPLETED and len(ended) > 2)
            cut = [e for e in ended if e.end is voxwire.UtteranceEnd.INTERRUPTED]
            print(f"{delay_ms} ms: cut after {cut[0].heard_words} words")
            assert cut
            assert cut[0].heard_source is voxwire.HeardSource.SERVER_CLOCK
        await until(lambda: not rest.rooms)
    assert rest.complaints == []
