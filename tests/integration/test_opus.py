"""Audio over WebSocket as Opus, beside PCM: its bytes, what is late, what is cut, what fails."""

import asyncio
import random
from typing import Any

import numpy as np
import pytest

import voxwire
from tests.integration.test_kept_microphone import place_of
from tests.support.clicks import make_bot
from tests.support.fake_pipeline import FakePipeline
from tests.support.listening import Ear, click_onsets_ms
from tests.support.numbered import RATE, NumberedMicrophone, hum
from tests.support.opus_line import RATE as PLAYOUT_RATE
from tests.support.opus_line import Network, Upward, listen, speech, upload
from tests.support.session_port import FakePort
from voxwire._user import UserAudio
from voxwire_protocol.opus import ChunkDecoder, ChunkEncoder
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.capture.capture import Capture
from voxwire_server.testing import running_server

MINUTE_MS = 60_000
MS = RATE // 1000
GUARD_S = 60


def compare(way: str, pcm: int, opus: int) -> None:
    """What a minute of speech takes."""
    print(f"{way}: {pcm} bytes a minute as PCM, {opus} as Opus, {pcm / opus:.1f} times less")
    assert opus < pcm / 7
    assert opus * 8 / 60 < 40_000  # bit/s, framing included


@in_virtual_time
async def test_a_minute_of_the_user_is_a_tenth_of_the_bytes(time: VirtualTime) -> None:
    user = speech(RATE, MINUTE_MS)
    compare("to the server", await upload(user, opus=False), await upload(user, opus=True))


@in_virtual_time
async def test_a_minute_of_the_bot_is_a_tenth_of_the_bytes_and_late_no_more_often(
    time: VirtualTime,
) -> None:
    """A tenth of the packets are 300 ms late, and TCP holds up what comes behind those."""
    voice = speech(PLAYOUT_RATE, MINUTE_MS)
    heard = {
        opus: await listen(
            voice, Network(late_share=0.1, late_ms=300), opus=opus, until_ms=2 * MINUTE_MS
        )
        for opus in (False, True)
    }
    compare("to the client", heard[False].num_bytes, heard[True].num_bytes)
    for opus, of in heard.items():
        print(
            f"{'Opus' if opus else 'PCM'}: {of.underruns} waits, {of.concealed_ms} ms concealed, "
            f"{of.silent_ms:.0f} ms silent of {of.lasted_ms:.0f} ms"
        )
        assert len(of.samples) == len(voice)  # every sample was played, at its place
        assert 1 <= of.underruns <= 2  # then the server is far enough ahead
        assert of.concealed_ms == of.underruns * (60 if opus else 20)  # the rest is silent
        assert of.concealed_ms + of.silent_ms <= 300


@in_virtual_time
async def test_over_300_kbit_a_second_opus_is_whole_and_pcm_is_in_pieces(time: VirtualTime) -> None:
    voice = speech(PLAYOUT_RATE, 10_000)
    pcm = await listen(voice, Network(bits_per_s=300_000), opus=False, until_ms=MINUTE_MS)
    opus = await listen(voice, Network(bits_per_s=300_000), opus=True, until_ms=MINUTE_MS)
    print(f"PCM: {pcm.underruns} waits, {pcm.silent_ms:.0f} ms silent; Opus: {opus.underruns}")
    assert pcm.underruns >= 5
    assert (opus.underruns, opus.concealed_ms, opus.silent_ms) == (0, 0, 0)


@in_virtual_time
async def test_what_lines_that_broke_did_not_bring_comes_again_without_a_seam(
    time: VirtualTime,
) -> None:
    """Ten lines, each of which first swallows what it is given; nothing is missing or twice."""
    draw, port, pipeline, in_use = random.Random(12), FakePort(), FakePipeline(), [0]
    sound = hum(0, 16_000 * MS)
    microphone = NumberedMicrophone(samples=lambda first, count: sound[first : first + count])
    user = UserAudio(microphone, clock=port.clock)
    capture = Capture(
        port,
        sample_rate=RATE,
        block_ms=20,
        kept=True,
        pipeline=lambda: pipeline,
        path_in_use=lambda: in_use[0],
    )
    reading = asyncio.create_task(user.run())
    for path_id in range(1, 11):
        line = Upward(path_id, user, capture)
        await line.begin()
        in_use[0] = path_id
        await time.advance(draw.randrange(50, 900))
        line.swallows = path_id < 10
        await time.advance(draw.randrange(20, 400))
        given = microphone.given
        line.swallows = True
        await line.end()
        in_use[0] = 0
        capture.closed(path_id)
        await time.advance(draw.randrange(1500))
    reading.cancel()
    heard = np.frombuffer(b"".join(pcm for _, pcm in pipeline.audio), np.int16)
    print(f"{given // MS} ms given, {len(heard) // MS} ms heard")
    assert (user.lost_ms, capture.allowance.dropped_ms) == (0, 0)
    assert 0 < given - len(heard) < 60 * MS  # on the way
    for at in range(0, len(heard) - 100 * MS, 100 * MS):
        assert abs(place_of(heard[at : at + 100 * MS], at, 40 * MS) - at) <= MS // 2


def break_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client can decode a second, and nothing more."""
    decode, count = ChunkDecoder.decode, [0]

    def broken(self: ChunkDecoder, chunk: Any) -> Any:
        count[0] += 1
        if count[0] > 50:
            raise ValueError("rubbish")
        return decode(self, chunk)

    monkeypatch.setattr(ChunkDecoder, "decode", broken)


def break_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server can encode a second, and nothing more."""
    push, count = ChunkEncoder.push, [0]

    def broken(self: ChunkEncoder, sample_index: int, pcm: bytes) -> Any:
        count[0] += 1
        if count[0] > 50:
            raise RuntimeError("opus_encode failed (-3)")
        return push(self, sample_index, pcm)

    monkeypatch.setattr(ChunkEncoder, "push", broken)


@pytest.mark.parametrize("what_breaks", [break_decoder, break_encoder])
async def test_a_codec_that_fails_is_replaced_by_pcm_and_the_voice_goes_on(
    what_breaks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear, words = Ear(), 12
    async with asyncio.timeout(GUARD_S), running_server(make_bot()) as server:
        what_breaks(monkeypatch)
        async with voxwire.connect(
            server.url, speaker=ear, transport="websocket", codec="opus"
        ) as session:
            await session.send_text(f"say {words}")
            while (await session.wait_for(voxwire.PathChanged)).path_id < 2:
                pass
            ended = await session.wait_for(voxwire.UtteranceEnded)
            media = session.report()["media"]
    assert (media["codec"], ended.heard_words) == ("pcm", words)
    assert media["codec_reason"] in (
        "the bot's Opus could not be decoded",
        "the server carries PCM",
    )
    clicks = click_onsets_ms(ear.samples, ear.sample_rate)
    assert len(clicks) == words  # what could not be heard came again


async def test_a_server_may_refuse_opus() -> None:
    async with running_server(make_bot(), opus=False) as server:
        async with voxwire.connect(server.url, transport="websocket", codec="opus") as session:
            media = session.report()["media"]
    assert (media["codec"], media["codec_reason"]) == ("pcm", "the server carries PCM")
