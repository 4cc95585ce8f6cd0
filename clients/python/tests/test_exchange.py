"""Other microphones and speakers in the middle of a session: no block is lost, none comes twice."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live import for_ever, live, microphone, speaker
from virtual import Log, session_of, virtual

import voxwire
from voxwire._wav import WavReader
from voxwire.testing import (
    FakeDevices,
    FakeServer,
    FakeSession,
    NetworkState,
    VirtualTime,
    onsets_ms,
    tone,
)

CODE = voxwire.ErrorCode
RATE = 16_000


async def silent(session: FakeSession) -> None:
    await asyncio.Event().wait()


async def talks(session: FakeSession) -> None:
    await session.say("one two three four five six seven eight", word_ms=300)


async def answers(session: FakeSession) -> None:
    await session.listen("hello")
    await session.say("Good morning to you.")


class Numbered:
    """A microphone that notes which samples it has given."""

    def __init__(self, given: list[int], first: int) -> None:
        self._given, self._next = given, first
        self.runs = 0

    def read(self, num_samples: int) -> np.ndarray:
        samples = np.arange(self._next, self._next + num_samples).astype(np.int16)
        self._next += num_samples
        self._given += samples.tolist()
        return samples

    async def run(self) -> None:
        self.runs += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.runs -= 1


class Noted:
    """A speaker that notes when each block sounds."""

    def __init__(self, blocks: list[tuple[str, float]], name: str) -> None:
        self._blocks, self._name = blocks, name
        self.state = "made"

    def open(self, sample_rate: int) -> None:
        self.state = "open"

    def write(self, block: voxwire.Block, at: float) -> None:
        assert self.state == "open"
        self._blocks.append((self._name, round(at * 1000, 3)))

    def close(self) -> None:
        self.state = "closed"


class Broken(Noted):
    """A speaker that cannot be opened."""

    def open(self, sample_rate: int) -> None:
        raise OSError("no such card")


@virtual
async def test_every_block_of_a_microphone_that_was_read_arrives_once(time: VirtualTime) -> None:
    given: list[int] = []
    first, second = Numbered(given, 1), Numbered(given, 20_001)
    async with FakeServer(silent) as server, session_of(server, microphone=first) as session:
        await time.advance(333)
        await session.set_microphone(second)
        assert (first.runs, second.runs) == (1, 0), "one runs after the other"
        await time.advance(333)
        assert (first.runs, second.runs) == (0, 1)
        await session.set_microphone(None)
        await time.advance(100)
        assert (first.runs, second.runs) == (0, 0)
        await session.set_microphone(np.full(RATE // 10, 30_000, np.int16))
        await time.advance(300)
        heard = server.session.user_samples
    assert heard[heard != 0].tolist() == [*given, *[30_000] * (RATE // 10)]
    assert 300 <= given.index(20_001) * 1000 / RATE <= 360
    assert len(heard) * 1000 / RATE >= 1000, "and silence where nobody is heard"


@virtual
async def test_every_block_of_the_bot_is_played_by_one_speaker_in_its_place(
    time: VirtualTime,
) -> None:
    blocks: list[tuple[str, float]] = []
    speakers = {name: Noted(blocks, name) for name in "abc"}
    async with FakeServer(for_ever(talks)) as server:
        async with session_of(server, speaker=speakers["a"]) as session:
            for name in "bc":
                await time.advance(333)
                await session.set_speaker(speakers[name])
            assert [speakers[name].state for name in "abc"] == ["closed", "closed", "open"]
            await time.advance(333)
    assert "".join(dict.fromkeys(name for name, _ in blocks)) == "abc"
    moments = [at for _, at in blocks]
    assert {round(b - a, 3) for a, b in zip(moments, moments[1:], strict=False)} == {20.0}
    assert speakers["c"].state == "closed"


@virtual
async def test_a_file_that_begins_later_is_the_media_timeline_all_the_same(
    time: VirtualTime, tmp_path: Path
) -> None:
    before = voxwire.Recording()
    async with FakeServer(talks) as server, session_of(server, speaker=before) as session:
        await time.advance(1000)
        await session.set_speaker(tmp_path / "later.wav")
        async for _ in session:
            pass
    with (tmp_path / "later.wav").open("rb") as file:
        reader = WavReader(file, "later.wav")
        after = np.concatenate(list(reader.pieces()))
    played = before.samples
    assert len(played) > 12_000
    assert not after[: len(played)].any()
    assert np.abs(after[len(played) :]).max() > 1000
    after[: len(played)] = played
    assert len(onsets_ms(after)) == 8, "a word is in one file or in the other"


@virtual
async def test_an_async_function_gets_all_that_was_played_before_it_was_replaced(
    time: VirtualTime,
) -> None:
    taken: list[int] = []
    blocks: list[tuple[str, float]] = []

    async def slow(samples: Any, media_ms: int) -> None:
        await asyncio.sleep(0.03)
        taken.append(len(samples))

    async with FakeServer(silent) as server, session_of(server, speaker=slow) as session:
        await time.advance(600)
        assert len(taken) <= 20, "it is behind"
        await session.set_speaker(Noted(blocks, "b"))
    assert abs(len(taken) * 20 - 600) <= 40


@virtual
async def test_what_cannot_be_had_leaves_what_is_there(time: VirtualTime) -> None:
    given: list[int] = []
    blocks: list[tuple[str, float]] = []
    mic, out = Numbered(given, 1), Noted(blocks, "a")
    wrong: list[tuple[Any, CODE]] = [
        *(("no/such.wav", CODE.DEVICE), (b"RIFF0000WAVE", CODE.UNSUPPORTED_FORMAT)),
        *((5.5, CODE.INVALID_ARGUMENT), (voxwire.Device("USB"), CODE.DEVICE)),
    ]
    async with FakeServer(silent) as server:
        options = {"microphone": mic, "speaker": out}
        async with live(server, FakeDevices(microphone()), **options) as session:
            for source, code in wrong:
                with pytest.raises(voxwire.VoxwireError) as caught:
                    await session.set_microphone(source)
                assert caught.value.code == code, source
            for sink, code in ((5.5, CODE.INVALID_ARGUMENT), (True, CODE.DEVICE)):
                with pytest.raises(voxwire.VoxwireError) as caught:
                    await session.set_speaker(sink)
                assert caught.value.code == code, sink
            with pytest.raises(voxwire.MediaError, match="no such card"):
                await session.set_speaker(Broken(blocks, "b"))
            count = len(given)
            await time.advance(500)
            assert (mic.runs, out.state) == (1, "open")
            assert len(given) - count == pytest.approx(RATE // 2, abs=640)
            heard = server.session.user_samples
    assert heard.tolist() == given[: len(heard)]


@virtual
async def test_devices_come_into_a_session_that_had_none_and_go_again(time: VirtualTime) -> None:
    mic, out = microphone(), speaker()
    options = {"microphone": None, "speaker": None, "echo": "gate"}
    async with FakeServer(for_ever(answers)) as server:
        async with live(server, FakeDevices(mic, out), **options) as session:
            log = Log(session, time)
            await session.set_microphone(True)
            await session.set_speaker(voxwire.Device("Built-in"))
            assert (mic.running, out.running) == (True, True)
            mic.speak(tone(500, sample_rate=48_000, hz=200))
            await time.advance(3000)
            assert log.of(voxwire.BotWord)
            assert np.abs(out.samples.astype(np.int32)).max() > 1000
            session.audio.volume = 0.5
            await session.set_speaker(None)
            assert (mic.running, out.running) == (True, False)
            await session.set_speaker(True)
            assert session.audio.volume == 0.5, "the user's choice stays"
            await session.set_speaker(None)
            await session.set_microphone(None)
            assert not mic.running
            assert session.audio.levels.speaker_db == float("-inf")
            count = len(log.of(voxwire.BotWord))
            mic.speak(tone(500, sample_rate=48_000, hz=200))
            await time.advance(3000)
            assert len(log.of(voxwire.BotWord)) == count, "nobody is heard"
            await session.set_microphone(0)
            mic.speak(tone(500, sample_rate=48_000, hz=200))
            await time.advance(3000)
            assert len(log.of(voxwire.BotWord)) > count
        await log.over()
    assert not mic.running
    controls = [event.control for event in log.of(voxwire.EchoControlChanged)]
    assert controls == [voxwire.EchoControl.GATE, voxwire.EchoControl.NONE] * 2


@virtual
async def test_from_a_device_to_a_file_and_back_without_a_hole(time: VirtualTime) -> None:
    mic, out = microphone(), speaker()
    async with FakeServer(silent) as server, live(server, FakeDevices(mic, out)) as session:
        mic.speak(tone(5000, sample_rate=48_000, hz=200))
        await time.advance(1000)
        await session.set_microphone(np.full(RATE // 2, 30_000, np.int16))
        assert not mic.running
        await time.advance(500)
        await session.set_microphone(True)
        await time.advance(1000)
        heard = server.session.user_samples
        assert (heard == 30_000).sum() == RATE // 2
        assert len(heard) * 1000 / RATE == pytest.approx(time.now_ms() - 1_000_000, abs=120)


@virtual
async def test_cancelled_a_device_that_was_being_opened_is_not_kept(time: VirtualTime) -> None:
    mic = microphone()
    options = {"microphone": None, "speaker": None}
    async with FakeServer(silent) as server:
        async with live(server, FakeDevices(mic), **options) as session:
            asking = asyncio.create_task(session.set_microphone(True))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await time.advance(200)
            assert not mic.running
            await session.set_microphone(True)
            assert mic.running


@virtual
async def test_a_microphone_that_fails_when_it_was_replaced_ends_nothing(time: VirtualTime) -> None:
    class Late:
        def read(self, num_samples: int) -> np.ndarray:
            return np.zeros(num_samples, np.int16)

        async def run(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("unplugged")

    async with FakeServer(silent) as server, session_of(server, microphone=Late()) as session:
        await time.advance(100)
        await session.set_microphone(tone(200))
        await time.advance(500)
        await session.send_text("still here")


@virtual
async def test_the_server_is_told_goodbye_once(time: VirtualTime) -> None:
    seen: list[voxwire.TappedMessage] = []
    async with FakeServer(silent) as server:
        async with session_of(server, tap=seen.append) as session:
            server.network.state = NetworkState.DARK
            await session.close()
    assert len([it for it in seen if it.envelope.HasField("bye")]) == 1
