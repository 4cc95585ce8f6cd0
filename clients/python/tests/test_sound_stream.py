"""The bot's voice for more than one listener: `Session.sound`, and meters: `audio.levels_every`."""

import asyncio

import numpy as np
import pytest

import voxwire
from voxwire._blocks import Block, Span, SpanKind
from voxwire._sound import MAX_BLOCKS, SoundStream
from voxwire.testing import FakeServer, VirtualTime

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


def test_two_listeners_hear_what_the_speaker_plays() -> None:
    time = VirtualTime()

    async def bot(session: voxwire.testing.FakeSession) -> None:
        await session.say("One two three.")

    async def main() -> None:
        async with FakeServer(bot) as server:
            speaker = voxwire.Recording()
            connection = voxwire.connect(
                server.url, environment=server.environment, speaker=speaker
            )
            heard: list[list[np.ndarray]] = [[], []]

            async def listen(number: int, stream: voxwire.SoundStream) -> None:
                async for each in stream:
                    heard[number].append(each.samples)

            async with connection as session:
                first, second = session.sound(), session.sound()
                assert first.sample_rate == second.sample_rate > 0
                listening = [
                    asyncio.create_task(listen(number, stream))
                    for number, stream in enumerate((first, second))
                ]
                async for event in session:
                    if isinstance(event, voxwire.UtteranceEnded):
                        break
            await asyncio.gather(*listening)
            late = session.sound()
            assert [each async for each in late] == []
            for blocks in heard:
                sound = np.concatenate(blocks)
                assert np.abs(sound).max() > 500
                assert len(sound) <= len(speaker.samples)

    time.run(main())


async def test_levels_come_as_often_as_is_asked_until_the_session_ends() -> None:
    time = VirtualTime()

    async def main() -> list[voxwire.Levels]:
        async def bot(session: voxwire.testing.FakeSession) -> None:
            await asyncio.sleep(1)

        async with FakeServer(bot) as server:
            connection = voxwire.connect(server.url, environment=server.environment)
            async with connection as session:
                with pytest.raises(voxwire.UsageError):
                    await anext(session.audio.levels_every(1))
                found: list[voxwire.Levels] = []
                async for levels in session.audio.levels_every(100):
                    found.append(levels)
                    if len(found) == 5:
                        break
                return found

    levels = await asyncio.to_thread(time.run, main())
    assert levels == [(-np.inf, -np.inf)] * 5
