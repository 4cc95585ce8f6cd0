"""What was said into a muted microphone is not sent, however late it comes from the device."""

import numpy as np
import pytest
from live import live, microphone
from virtual import virtual

from voxwire._live.echo import echo_filter
from voxwire._live.microphone import LiveMicrophone
from voxwire.playout import Samples
from voxwire.testing import FakeDevices, FakeServer, FakeSession, VirtualTime, loud_ms, tone
from voxwire_protocol.virtual_time import running_clock

RATE = 16_000


@virtual
async def test_what_was_said_before_an_unmute_is_not_sent_and_what_comes_after_is_whole(
    time: VirtualTime,
) -> None:
    async def bot(session: FakeSession) -> None:
        await session.listen()

    mic = microphone()
    async with FakeServer(bot) as server:
        async with live(server, FakeDevices(mic), speaker=None) as session:
            await session.mute()
            await time.advance(1000)
            mic.speak(tone(503, sample_rate=48_000, hz=200))
            await time.advance(503)
            await session.mute(False)
            await time.advance(1000)
            secret = server.session.user_samples
            mic.speak(tone(300, sample_rate=48_000, hz=200))
            await time.advance(1000)
            heard = server.session.user_samples
    assert np.abs(secret.astype(np.int32)).max(initial=0) == 0
    assert loud_ms(heard, sample_rate=RATE) == pytest.approx(300, abs=2)


@pytest.mark.parametrize("latency_ms", [0, 4, 50])
@virtual
async def test_what_was_still_in_the_device_is_dropped_to_the_sample(
    time: VirtualTime, latency_ms: float
) -> None:
    """A piece of 10 ms begins as long ago as the device says, or as it is long."""
    echo, _ = echo_filter("none", both_live=False)
    clock, age_ms = running_clock(), max(10.0, latency_ms)
    mic = LiveMicrophone(clock, echo, None)
    mic.attach(RATE)
    mic.latency_ms = latency_ms
    began_ms = clock.now_ms()
    heard: list[Samples] = []
    for number in range(60):
        recorded_ms = clock.now_ms() - began_ms - age_ms + np.arange(160) / 16
        mic.take(np.where(recorded_ms < 205, 9000, 1000).astype(np.int16))
        if number == 20:
            await time.advance(5)
            mic.forget()
            heard.clear()
            await time.advance(5)
        else:
            await time.advance(10)
        heard.append(mic.read(160))
    said = np.concatenate(heard)
    assert mic.buffer is not None
    recorded_since_ms = 590 - age_ms + 10 - 205
    assert said.max() < 1100
    given_ms = np.count_nonzero(said > 900) / 16
    assert given_ms + mic.buffer.waiting_ms == pytest.approx(recorded_since_ms, abs=3)
