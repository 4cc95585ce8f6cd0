"""The bot's voice for more than one listener: `Session.sound`, and meters: `audio.levels_every`."""

import asyncio

import numpy as np
import pytest
from live import live, microphone, speaker
from virtual import session_of, virtual

import voxwire
from voxwire import sync
from voxwire._blocks import Block, Span, SpanKind
from voxwire._sound import MAX_BLOCKS, SoundStream, SoundTaps
from voxwire.testing import FakeDevices, FakeServer, FakeSession, VirtualTime, tone

RATE = 24_000


def block(number: int) -> Block:
    samples = np.full(480, number, np.int16)
    return Block(samples, (Span(0, 480, 0, SpanKind.PLAYED),), 480 * (number + 1))


async def test_blocks_come_in_order_and_the_oldest_of_too_many_are_counted() -> None:
    stream = SoundStream(RATE)
    for number in range(MAX_BLOCKS + 3):
        stream.put(block(number))
    stream.close()
    stream.put(block(9999))
    numbers = [int(each.samples[0]) async for each in stream]
    assert numbers == [*range(3, MAX_BLOCKS + 3)]
    assert stream.skipped == 3


def test_a_stream_that_nobody_holds_is_forgotten_and_what_is_late_is_over() -> None:
    taps = SoundTaps()
    kept = taps.stream(RATE)
    taps.stream(RATE)
    assert len(taps._streams) == 1
    taps.put(block(1))
    taps.end()
    taps.put(block(2))
    assert len(kept._queued) == 1


@virtual
async def test_two_listeners_hear_what_the_speaker_plays() -> None:
    async def bot(session: FakeSession) -> None:
        await session.say("One two three.")

    into, other = voxwire.Recording(), voxwire.Recording()
    heard: list[list[Block]] = [[], []]

    async def listen(number: int, stream: voxwire.SoundStream) -> None:
        async for each in stream:
            heard[number].append(each)

    async with FakeServer(bot) as server, session_of(server, speaker=into) as session:
        streams = (session.sound(), session.sound())
        assert {stream.sample_rate for stream in streams} == {RATE}
        listening = [
            asyncio.create_task(listen(number, stream)) for number, stream in enumerate(streams)
        ]
        await session.wait_for(voxwire.BotWord)
        await session.set_speaker(other)  # which is no concern of theirs
        await session.wait_for(voxwire.UtteranceEnded)
    await asyncio.gather(*listening)
    assert [each async for each in session.sound()] == []
    assert heard[0] == heard[1]
    played = [
        block.samples[span.offset : span.offset + span.length]
        for block in heard[0]
        for span in block.spans
        if span.kind.moves
    ]
    assert np.abs(np.concatenate(played)).max() > 500
    assert len(into.samples) > 0 < len(other.samples)
    sounded = (samples[samples != 0] for samples in (into.samples, other.samples))
    everything = np.concatenate(played)
    assert np.array_equal(everything[everything != 0], np.concatenate([*sounded]))


@virtual
async def test_levels_come_as_often_as_is_asked_until_the_session_ends(time: VirtualTime) -> None:
    mic, out = microphone(), speaker()

    async def bot(session: FakeSession) -> None:
        await session.say("one two three four five")
        await asyncio.sleep(60)

    async with FakeServer(bot) as server, live(server, FakeDevices(mic, out)) as session:
        for wrong in (1, -5, float("inf"), "often"):
            with pytest.raises(voxwire.UsageError):
                session.audio.levels_every(wrong)  # type: ignore[arg-type]
        told: list[tuple[float, voxwire.Levels]] = []

        async def meter() -> None:
            async for levels in session.audio.levels_every(100):
                told.append((time.now_ms(), levels))

        metering = asyncio.create_task(meter())
        mic.speak(tone(500, sample_rate=48_000, hz=200))
        await time.advance(3000)
        began_ms, _ = told[0]
        assert [at_ms - began_ms for at_ms, _ in told] == [100 * n for n in range(len(told))]
        assert 30 <= len(told) <= 31
        for side in (0, 1):  # both have sounded, and both are silent now
            decibels = [levels[side] for _, levels in told]
            assert -30 < max(decibels) < 0
            assert decibels[-1] < -60
        await session.close()
        await asyncio.wait_for(metering, 0.001)
    assert [levels async for levels in session.audio.levels_every()] == []


def test_they_are_heard_and_seen_without_a_loop() -> None:
    async def bot(session: FakeSession) -> None:
        await session.say("hello", word_ms=60)

    server = FakeServer(bot)
    with sync.connect(server.url, environment=server.environment) as session:
        blocks, meter = session.sound(), session.audio.levels_every(20)
        assert next(meter) == next(meter) == (-np.inf, -np.inf)
        sound = np.concatenate([block.samples for block in blocks])
        assert np.abs(sound).max() > 500
        assert (blocks.sample_rate, blocks.skipped) == (RATE, 0)
    assert list(meter) == []
    late = session.sound()
    late.close()
    assert list(late) == []
