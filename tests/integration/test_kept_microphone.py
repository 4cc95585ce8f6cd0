"""What the user says across a drop, and before the session is ready: every sample once."""

import asyncio
import random
import socket

import numpy as np
import pytest

import voxwire
from tests.support.espeak import render_pcm
from tests.support.numbered import RATE, HearingBot, NumberedMicrophone, hum, numbers
from tests.support.proxy import Proxy, proxied
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import RunningServer, running_server

SENTENCE = "tell me a long story"
CUTS = {"websocket": 20, "webrtc": 8}
SIDE_BY_SIDE = 5
"""More sentences at once are more than one slow processor recognises while they are spoken."""
GUARD_S = 60
MS = RATE // 1000


@pytest.fixture
def unused_tcp_url() -> str:
    """Where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"ws://127.0.0.1:{free.getsockname()[1]}"


async def break_line(microphone: NumberedMicrophone, proxy: Proxy, draw: random.Random) -> None:
    """Cut the line at some moment; what was written before it may be lost; back a while later."""
    await microphone.until(microphone.given + draw.randrange(50, 500) * MS)
    if draw.random() < 0.6:
        proxy.sleep()
        await microphone.until(microphone.given + draw.randrange(20, 400) * MS)
    proxy.away = draw.random() < 0.7
    proxy.cut()
    await microphone.until(microphone.given + draw.randrange(20, 900) * MS)
    proxy.away = False


async def test_the_pipeline_hears_exactly_what_the_microphone_gave() -> None:
    """Ten sessions side by side, each cut twice."""
    bot = HearingBot()

    async def talk(server: RunningServer, draw: random.Random) -> None:
        microphone = NumberedMicrophone()
        async with (
            proxied(server.port) as proxy,
            voxwire.connect(proxy.url, microphone=microphone, transport="websocket") as session,
        ):
            for _ in range(2):
                await break_line(microphone, proxy, draw)
                while session.connection != voxwire.ConnectionState.CONNECTED:
                    await session.wait_for(voxwire.ConnectionChanged)
            heard = await bot.until(session.id, microphone.given + 200 * MS)
            assert np.array_equal(heard, numbers(0, len(heard)))
            assert len(heard) <= microphone.given

    async with asyncio.timeout(GUARD_S), running_server(bot) as server, asyncio.TaskGroup() as all_:
        for seed in range(10):
            all_.create_task(talk(server, random.Random(seed)))


async def test_what_is_said_before_the_session_is_ready_comes_first() -> None:
    bot = HearingBot(starts_after_s=0.6)
    microphone = NumberedMicrophone(live=True)
    async with asyncio.timeout(GUARD_S), running_server(bot) as server:
        async with voxwire.connect(
            server.url, microphone=microphone, transport="websocket"
        ) as session:
            before = microphone.given
            changed = await session.wait_for(voxwire.PathChanged)
            heard = await bot.until(session.id, before + 400 * MS)
    assert before >= 500 * MS, "the microphone was not read while the session opened"
    assert np.array_equal(heard, numbers(0, len(heard)))
    assert changed.resent_ms >= 500
    assert changed.lost_ms == 0


async def test_a_microphone_that_was_opened_for_nothing_is_let_go(unused_tcp_url: str) -> None:
    """Nothing answers; the fixture of all tests sees that no task is left."""
    microphone = NumberedMicrophone(live=True)
    with pytest.raises(voxwire.TransportError):
        async with voxwire.connect(unused_tcp_url, microphone=microphone):
            pass
    given = microphone.given
    await asyncio.sleep(0.05)  # real time: silence
    assert microphone.given == given


async def test_a_live_microphone_that_fails_while_the_session_opens_is_the_reason() -> None:
    class Broken(NumberedMicrophone):
        async def run(self) -> None:
            raise OSError("no such device")

    bot = HearingBot(starts_after_s=0.3)
    async with asyncio.timeout(GUARD_S), running_server(bot) as server:
        with pytest.raises(voxwire.MediaError, match="no such device"):
            async with voxwire.connect(
                server.url, microphone=Broken(live=True), transport="websocket"
            ):
                pass


async def test_a_gap_longer_than_what_is_kept_is_a_silence_and_said_so() -> None:
    """The turn ends by then: the pipeline hears at least half a second of silence in the hole."""
    bot, microphone = HearingBot(), NumberedMicrophone()
    async with asyncio.timeout(GUARD_S), running_server(bot) as server:
        async with (
            proxied(server.port) as proxy,
            voxwire.connect(proxy.url, microphone=microphone, transport="websocket") as session,
        ):
            await session.wait_for(voxwire.PathChanged)
            await microphone.until(200 * MS)
            proxy.away = True
            proxy.cut()
            await microphone.until(microphone.given + 4400 * MS)
            proxy.away = False
            changed = await session.wait_for(voxwire.PathChanged)
            heard = await bot.until(session.id, microphone.given - 500 * MS)
    [silent] = [np.flatnonzero(heard == 0)]
    first, last = silent[0], silent[-1]
    assert len(silent) == last - first + 1 >= 500 * MS
    lost = changed.lost_ms * MS
    assert np.array_equal(heard[:first], numbers(0, first))
    assert np.array_equal(heard[last + 1 :], numbers(first + lost, len(heard) - last - 1))
    assert changed.lost_ms >= 1000
    assert 2500 <= changed.resent_ms <= 3000


async def test_what_was_said_while_away_is_not_sent_once_the_user_has_muted() -> None:
    bot, microphone = HearingBot(), NumberedMicrophone()
    async with asyncio.timeout(GUARD_S), running_server(bot) as server:
        async with (
            proxied(server.port) as proxy,
            voxwire.connect(proxy.url, microphone=microphone, transport="websocket") as session,
        ):
            await session.wait_for(voxwire.PathChanged)
            await microphone.until(200 * MS)
            proxy.away = True
            proxy.cut()
            await session.wait_for(voxwire.ConnectionChanged)
            away = microphone.given
            await microphone.until(away + 300 * MS)
            await session.mute()
            muted = microphone.given
            await microphone.until(muted + 100 * MS)
            await session.mute(False)
            open_again = microphone.given
            proxy.away = False
            await session.wait_for(voxwire.PathChanged)
            await microphone.until(microphone.given + 200 * MS)
            heard = await bot.until(session.id, away + 200 * MS)
            again = int(numbers(open_again, 1)[0])
            while again not in heard:
                heard = await bot.until(session.id, len(heard) + 1)
    spoken = heard[heard > 0]
    jump = int(np.flatnonzero(np.diff(spoken) != 1)[0])
    assert spoken[jump] <= away, "what waited was sent after the mute"
    assert spoken[jump + 1] == again
    assert np.array_equal(spoken[jump + 1 :], numbers(open_again, len(spoken) - jump - 1))


def place_of(piece: np.ndarray, near: int, reach: int) -> int:
    """Where a piece of heard audio stands in what the microphone gave."""
    given = hum(near - reach, len(piece) + 2 * reach).astype(float)
    return near - reach + int(np.argmax(np.correlate(given, piece.astype(float))))


async def test_over_webrtc_the_first_words_are_followed_by_the_live_audio_without_a_seam() -> None:
    bot = HearingBot(starts_after_s=0.6)
    microphone = NumberedMicrophone(live=True, samples=hum)
    async with asyncio.timeout(GUARD_S), running_server(bot) as server:
        async with voxwire.connect(
            server.url, microphone=microphone, transport="webrtc"
        ) as session:
            changed = await session.wait_for(voxwire.PathChanged)
            heard = await bot.until(session.id, microphone.given + 400 * MS)
    kept = changed.resent_ms * MS
    assert kept >= 500 * MS
    assert np.array_equal(heard[:kept], hum(0, kept))
    after = kept + 100 * MS
    assert abs(place_of(heard[after : after + 200 * MS], after, 120 * MS) - after) <= 8 * MS


@pytest.mark.parametrize("transport", ["webrtc", "auto"])
async def test_a_webrtc_path_that_falls_silent_costs_a_small_hole_and_nothing_twice(
    transport: str,
) -> None:
    """What its dead connection swallowed for a second comes on the next one."""
    bot, microphone = HearingBot(), NumberedMicrophone(samples=hum)
    async with asyncio.timeout(GUARD_S), running_server(bot) as server:
        async with voxwire.connect(
            server.url, microphone=microphone, transport=transport
        ) as session:
            await session.wait_for(voxwire.PathChanged)
            await bot.until(session.id, 600 * MS)
            session.simulate.drop_media()
            changed = await session.wait_for(voxwire.PathChanged)
            heard = await bot.until(session.id, len(bot.heard(session.id)) + 1500 * MS)
            given = microphone.given
    assert changed.resent_ms >= 400
    tail = heard[-400 * MS : -200 * MS]
    stands, counted = place_of(tail, len(heard) - 300 * MS, 600 * MS), len(heard) - 400 * MS
    # what comes late on a busy machine is concealed, 120 ms at most; twice were 400 and more
    assert -150 * MS <= stands - counted <= 250 * MS, "a hole, and a small one"
    assert given >= len(heard)


async def test_a_sentence_that_is_cut_anywhere_is_understood(transport: str) -> None:
    """The control socket breaks at some moment of it, and is back after up to 1.5 s.

    One that was away for longer than the microphone is kept, on a busy machine, says what it lost.
    """
    pcm = np.frombuffer((await render_pcm(SENTENCE))[0], np.int16)
    draw = random.Random(12)
    number, length_ms = CUTS[transport], len(pcm) // MS
    cuts = [(draw.randrange(100, length_ms - 100), draw.randrange(1500)) for _ in range(number)]

    async def ask(server: RunningServer, cut_ms: int, away_ms: int) -> tuple[str, int]:
        microphone = voxwire.ClipMicrophone()
        async with (
            proxied(server.port) as proxy,
            voxwire.connect(proxy.url, microphone=microphone, transport=transport) as session,
        ):
            await session.wait_for(voxwire.BotWord)  # the greeting has begun, and is cut off
            await session.interrupt()
            await session.wait_for(voxwire.UtteranceEnded)
            spoken = microphone.play(pcm)  # in one: two parts have a pause when this task is late
            await asyncio.sleep(cut_ms / 1000)  # real time: moment
            proxy.away = True
            proxy.cut()
            await asyncio.sleep(away_ms / 1000)  # real time: moment
            proxy.away = False
            await spoken.wait()
            lost_ms = 0
            async for event in session:
                if isinstance(event, voxwire.PathChanged):
                    lost_ms += event.lost_ms
                if isinstance(event, voxwire.UserTranscript) and event.final:
                    return event.text, lost_ms
        raise AssertionError("the session ended")

    bot = LoadedBot(name="offline", run=offline.bot, warm=offline.warm, close=offline.close)
    async with asyncio.timeout(4 * GUARD_S), running_server(bot) as server:
        heard: list[tuple[str, int]] = []
        for start in range(0, number, SIDE_BY_SIDE):
            part = cuts[start : start + SIDE_BY_SIDE]
            heard += await asyncio.gather(*(ask(server, *cut) for cut in part))
    whole = [text for text, lost_ms in heard if not lost_ms]
    assert whole == [SENTENCE] * len(whole)
    assert len(whole) > number / 2


async def test_what_is_played_waits_for_its_connection_and_arrives_whole() -> None:
    """It is away for longer than a microphone is kept."""
    bot, clip = HearingBot(), numbers(0, 1800 * MS)
    async with asyncio.timeout(GUARD_S), running_server(bot) as server:
        async with (
            proxied(server.port) as proxy,
            voxwire.connect(proxy.url, transport="websocket") as session,
        ):
            playing = asyncio.create_task(session.play(clip))
            await bot.until(session.id, 500 * MS)
            proxy.away = True
            proxy.cut()
            await session.wait_for(voxwire.ConnectionChanged)
            await asyncio.sleep(3.5)  # real time: silence
            assert not playing.done()
            proxy.away = False
            assert await playing == voxwire.PlayResult(sent_ms=1800)
            heard = await bot.until(session.id, 1800 * MS)
            while clip[-1] not in heard:
                heard = await bot.until(session.id, len(heard) + 1)
    assert np.array_equal(heard[heard > 0], clip)


async def test_over_webrtc_what_is_played_costs_a_small_hole_and_nothing_twice() -> None:
    bot, clip = HearingBot(), hum(0, 6000 * MS)
    async with asyncio.timeout(GUARD_S), running_server(bot) as server:
        async with voxwire.connect(server.url, transport="webrtc") as session:
            playing = asyncio.create_task(session.play(clip))
            await bot.until(session.id, 1000 * MS)
            session.simulate.drop_media()
            changed = await session.wait_for(voxwire.PathChanged)
            while changed.path_id == 1:
                changed = await session.wait_for(voxwire.PathChanged)
            heard = await bot.until(session.id, len(bot.heard(session.id)) + 1500 * MS)
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
    assert changed.resent_ms >= 400
    tail = heard[-400 * MS : -200 * MS]
    stands, counted = place_of(tail, len(heard) - 300 * MS, 600 * MS), len(heard) - 400 * MS
    assert -150 * MS <= stands - counted <= 250 * MS, "a hole, and a small one"
