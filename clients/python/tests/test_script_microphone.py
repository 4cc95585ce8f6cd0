"""``voxwire talk --in``: files are read while they are spoken, and the view says how far."""

import asyncio
import io
import wave
from pathlib import Path

import numpy as np
import pytest
from peer import UNIT_S

import voxwire
from voxwire.cli.arguments import Step, parser
from voxwire.cli.live import PlainView, spoken_line
from voxwire.cli.script_microphone import ScriptMicrophone, duration_ms
from voxwire.cli.talk import spoken_s


def clip(path: Path, secs: float, *, rate: int = 16_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.full(int(rate * secs), 1000, "<i2").tobytes())
    return path


async def test_files_play_one_after_the_other_and_tell_how_far_they_are(tmp_path: Path) -> None:
    microphone = ScriptMicrophone()
    told: list[int] = []
    for secs in (5, 1):
        path = clip(tmp_path / f"{secs}.wav", secs, rate=24_000)
        playing = asyncio.create_task(microphone.play(str(path), told.append, every_s=0))
        read = 0
        async with asyncio.timeout(20 * UNIT_S):
            while not playing.done():
                read += len(microphone.read(320))
                await asyncio.sleep(0)
        await playing
        assert abs(read - 16_000 * secs) <= 1
        assert not len(microphone.read(320)), "silence behind it"
    first = told[: told.index(max(told)) + 1]
    assert first == sorted(first)
    assert 0 < max(first) <= 5000


async def test_a_file_that_breaks_off_as_it_is_read_is_a_media_error(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.wav", 1)
    microphone = ScriptMicrophone()
    path.write_bytes(b"RIFFxxxxWAVE")
    with pytest.raises(voxwire.MediaError, match=r"a\.wav: no format"):
        await microphone.play(str(path), lambda _: None)
    path.unlink()
    with pytest.raises(voxwire.MediaError, match="cannot read"):
        await microphone.play(str(path), lambda _: None)


def test_the_conversation_may_take_as_long_as_its_files_do(tmp_path: Path) -> None:
    path = str(clip(tmp_path / "a.wav", 30))
    assert duration_ms(path) == 30_000
    steps = [Step("in", path), Step("text", path), Step("in", path, 1500)]
    assert spoken_s(steps, {path: 30_000}) == 60
    assert spoken_s(steps, {path: None}) == 0
    assert parser().parse_args(["talk", "ws://x"]).timeout is None


def test_progress_is_a_line_in_minutes_and_seconds() -> None:
    out = io.StringIO()
    PlainView(out).spoken("dir/long.wav", 70_500, 1_800_000)
    assert out.getvalue() == "     [long.wav: 1:10 of 30:00]\n"
    assert spoken_line("a.wav", 5_000, None) == "[a.wav: 0:05]"
