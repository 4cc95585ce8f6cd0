"""A conversation on file: both sides at their moments."""

import errno
import wave
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
from virtual import session_of, virtual

import voxwire
from voxwire import _timeline
from voxwire._stereo import RATE, StereoFile
from voxwire.playout import Block, Span, SpanKind
from voxwire.testing import FakeMicrophone, FakeServer, FakeSession, VirtualTime
from voxwire.testing.sound import _sounds

Code = voxwire.ErrorCode


def sides(file: Path) -> tuple[np.ndarray, np.ndarray]:
    with wave.open(str(file)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (2, 2, RATE)
        frames = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
    return frames[:, 0], frames[:, 1]


def block(value: int, num_samples: int = 480) -> Block:
    samples = np.full(num_samples, value, np.int16)
    return Block(samples, (Span(0, num_samples, 0, SpanKind.PLAYED),), num_samples)


def onsets(samples: np.ndarray) -> list[int]:
    """Where it becomes loud, milliseconds."""
    loud = np.abs(samples.astype(int)) > 3000
    starts = np.flatnonzero(loud & ~np.concatenate(([False], loud[:-1])))
    kept = [
        at
        for at, before in zip(starts, [-RATE, *starts[:-1]], strict=True)
        if at - before > RATE // 20
    ]
    return [round(at * 1000 / RATE) for at in kept]


def test_each_side_is_where_it_sounded(tmp_path: Path) -> None:
    file = StereoFile(tmp_path / "a.wav")
    file.heard(bytes(640), 5.0)  # before it begins
    file.begin(1000)
    for number in range(600):  # 12 s
        now_ms = 1020 + 20 * number
        loud = 100 <= number < 150 or 400 <= number < 410
        file.heard(np.full(320, 9000 * loud, "<i2").tobytes(), now_ms)
        file.played(block(7000 if 200 <= number < 205 else 0), (now_ms + 60) / 1000, RATE)
    file.close()
    file.close()
    user, bot = sides(tmp_path / "a.wav")
    assert np.allclose(onsets(user), [2000, 8000], atol=3)
    assert onsets(bot) == [4080]
    assert len(user) == pytest.approx(12.08 * RATE, abs=RATE * 0.05)


def test_a_side_that_stood_still_goes_on_at_its_moment(tmp_path: Path) -> None:
    file = StereoFile(tmp_path / "a.wav")
    file.begin(0)
    file.played(block(7000), 0.0, RATE)
    file.played(block(7000), 9.0, RATE)  # further than the window
    file.played(block(7000, 320), 10.0, 16_000)
    file.played(block(7000), 0.5, RATE)  # too late: that is written
    file.close()
    _, bot = sides(tmp_path / "a.wav")
    assert onsets(bot)[:3] == [0, 9000, 10_000]


@virtual
async def test_a_session_writes_it(time: VirtualTime, tmp_path: Path) -> None:
    async def bot(session: FakeSession) -> None:
        await session.say("one two")
        await session.listen("hello")
        await session.say("three")

    microphone = FakeMicrophone()
    path = tmp_path / "talk.wav"
    async with FakeServer(bot) as server:
        async with session_of(server, microphone=microphone, record=path) as session:
            await session.wait_for(voxwire.UtteranceEnded)
            await microphone.speak(400).wait()
            await session.wait_for(voxwire.SessionEnded)
    user, heard = sides(path)
    [(said_from, said_to)] = _sounds(user, RATE)
    spoken = _sounds(heard, RATE)
    assert said_to - said_from == pytest.approx(400, abs=30)
    assert spoken[0][1] <= said_from and said_to <= spoken[-1][0]


@virtual
async def test_what_cannot_be_written_is_said_and_nothing_is_dialled(tmp_path: Path) -> None:
    async with FakeServer() as server:
        with pytest.raises(voxwire.MediaError, match="cannot write"):
            async with session_of(server, record=tmp_path / "no" / "a.wav"):
                pytest.fail("it is in")
        assert server.hellos == []


class FullAtLast(FileIO):
    """A file on a disk that says only at the end that it is full, as NFS does."""

    def close(self) -> None:
        was_open = not self.closed
        super().close()
        if was_open:
            raise OSError(errno.ENOSPC, "No space left on device")


@virtual
async def test_a_disk_that_is_full_at_the_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_timeline, "open", lambda path, mode, **_: FullAtLast(path, mode), False)
    async with FakeServer() as server:
        with pytest.raises(voxwire.MediaError, match="No space left") as caught:
            async with session_of(server, record=tmp_path / "a.wav"):
                pass
    assert caught.value.code == Code.DEVICE


@virtual
async def test_a_token_that_is_not_had_leaves_the_last_recording(tmp_path: Path) -> None:
    async def none(_: voxwire.TokenRequest) -> str:
        raise voxwire.UsageError(Code.UNAUTHORIZED, "who are you?")

    file = tmp_path / "a.wav"
    file.write_bytes(b"the last one")
    async with FakeServer() as server:
        with pytest.raises(voxwire.VoxwireError):
            async with session_of(server, record=file, token=none):
                pytest.fail("it is in")
    assert file.read_bytes() == b"the last one"
