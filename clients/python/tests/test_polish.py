"""Noise suppression and automatic gain of a live microphone: `connect(noise_suppression=)`."""

import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live import for_ever, live, microphone, speaker
from virtual import virtual

import voxwire
from voxwire._live.echo import FRAME, level_db
from voxwire._live.polish import polish_of
from voxwire.playout import Samples
from voxwire.testing import FakeDevices, FakeServer, FakeSession, VirtualTime

QUESTION = Path(__file__).resolve().parents[3] / "examples" / "question.wav"
MISSING = voxwire.ErrorCode.MISSING_EXTRA
NOISE = np.random.default_rng(7).normal(0, 500, 16_000 * 4).astype(np.int16)
"""4 s of a fan, about -36 dB."""


def spoken() -> Samples:
    """A question, 1.5 s at 16 kHz."""
    with wave.open(str(QUESTION)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


async def listens(session: FakeSession) -> None:
    await session.listen()


async def heard(time: VirtualTime, sound: Samples, **options: Any) -> Samples:
    """What the server gets of what a microphone of 16 kHz hears, its last 1.4 s."""
    mic, out = microphone(sample_rate=16_000), speaker()
    async with FakeServer(for_ever(listens)) as server:
        async with live(server, FakeDevices(mic, out), **options) as session:
            mic.speak(sound)
            await time.advance(len(sound) / 16)
            await session.close()
        return server.session.user_samples[-22_400:]


@virtual
async def test_noise_is_taken_out_of_a_live_microphone(time: VirtualTime) -> None:
    as_it_is = await heard(time, NOISE)
    clean = await heard(time, NOISE, noise_suppression=True)
    assert level_db(as_it_is) - level_db(clean) > 8


@virtual
async def test_a_quiet_user_is_made_louder_and_one_who_is_loud_is_not_cut(
    time: VirtualTime,
) -> None:
    speech = np.tile(spoken(), 4)
    quiet = speech // 16
    as_it_is = await heard(time, quiet)
    even = await heard(time, quiet, auto_gain=True)
    assert level_db(even) - level_db(as_it_is) > 12
    loud = await heard(time, speech, auto_gain=True)
    assert level_db(loud) == pytest.approx(level_db(await heard(time, speech)), abs=1)


@virtual
async def test_a_microphone_that_comes_later_has_it_too(time: VirtualTime) -> None:
    mic = microphone(sample_rate=16_000)
    async with FakeServer(for_ever(listens)) as server:
        connection = live(
            server, FakeDevices(mic), microphone=None, speaker=None, noise_suppression=True
        )
        async with connection as session:
            await session.set_microphone(True)
            mic.speak(NOISE)
            await time.advance(4000)
            last = server.session.user_samples[-16_000:]
    assert level_db(last) < -44


def test_what_is_not_asked_for_changes_nothing() -> None:
    samples = NOISE[:FRAME]
    assert polish_of(noise_suppression=False, auto_gain=False).process(samples) is samples


def test_what_is_not_installed_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit.rtc", None)
    with pytest.raises(voxwire.UsageError, match=r"pip install 'voxwire\[aec\]'") as caught:
        polish_of(noise_suppression=True, auto_gain=False)
    assert caught.value.code == MISSING
    with pytest.raises(voxwire.UsageError) as caught:
        voxwire.connect("ws://127.0.0.1:1", microphone=True, echo="none", auto_gain=True)
    assert caught.value.code == MISSING
    # which is no matter where no live microphone is asked for
    voxwire.connect("ws://127.0.0.1:1", microphone=NOISE, auto_gain=True)


@pytest.mark.parametrize("name", ["noise_suppression", "auto_gain"])
def test_it_is_a_bool(name: str) -> None:
    with pytest.raises(voxwire.UsageError, match=name):
        voxwire.connect("ws://127.0.0.1:1", **{name: 1})
