"""Opus in chunks: every sample at its number, once, none added, whatever was cut or lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_protocol import wire
from voxwire_protocol.opus import ChunkDecoder, ChunkEncoder, OpusEncoder, Pcm, opus_ready

RATE = 16_000
BLOCK = RATE // 50

pytestmark = pytest.mark.skipif(not opus_ready(RATE), reason="no libopus here")


def hum(first: int, count: int, rate: int = RATE) -> Pcm:
    """Harmonics of 440 Hz that swell and fall, by the number of the sample: above what the codec's
    high-pass for speech turns in phase."""
    at = np.arange(first, first + count) / rate
    tone = sum(np.sin(2 * np.pi * 440 * n * at) / n for n in range(1, 6))
    return (4000 * tone * (1.2 + np.sin(2 * np.pi * 3 * at))).astype(np.int16)


def encoder(rate: int = RATE, block_ms: int = 20) -> ChunkEncoder:
    return ChunkEncoder(rate, path_id=7, block_ms=block_ms)


def placed(chunks: list[wire.AudioChunk], rate: int = RATE) -> list[tuple[int, Pcm]]:
    decoder = ChunkDecoder(rate)
    return [(chunk.sample_index, decoder.decode(chunk)) for chunk in chunks]


def likeness(got: Pcm, wanted: Pcm) -> float:
    """1 = the same wave."""
    one, other = got.astype(float), wanted.astype(float)
    return float(one @ other / max(1.0, np.sqrt((one @ one) * (other @ other))))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(1, 3 * BLOCK)),
        st.tuples(st.just("hole"), st.integers(1, 5000)),
        st.tuples(st.just("finish"), st.just(0)),
        st.tuples(st.just("drop"), st.just(0)),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60)
@given(steps, st.sampled_from([10, 20, 60]))
def test_chunks_bring_each_sample_that_was_not_dropped_once_and_in_order(
    walk: list[tuple[str, int]], block_ms: int
) -> None:
    sender = encoder(block_ms=block_ms)
    chunks: list[wire.AudioChunk] = []
    owed: list[int] = []
    at = 0
    for what, amount in walk:
        if what == "push":
            chunks += sender.push(at, hum(at, amount).tobytes())
            owed += range(at, at + amount)
            at += amount
        elif what == "hole":
            at += amount
        elif what == "finish":
            chunks += sender.finish()
            assert not sender.owes
        else:
            first = sender.drop()
            owed = [index for index in owed if first is None or index < first]
    chunks += sender.finish()
    got = [i for start, pcm in placed(chunks) for i in range(start, start + len(pcm))]
    assert got == owed
    assert {chunk.path_id for chunk in chunks} <= {7}


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("block_ms", [10, 20, 40, 60])
def test_a_stretch_is_the_same_wave_at_the_same_place(rate: int, block_ms: int) -> None:
    voice, sender = hum(0, rate, rate), encoder(rate, block_ms)
    start = 12_345
    chunks = sender.push(start, voice.tobytes()) + sender.finish()
    pieces = placed(chunks, rate)
    heard = np.concatenate([pcm for _, pcm in pieces])
    assert (pieces[0][0], len(heard)) == (start, len(voice))
    shifts = range(-rate // 500, rate // 500 + 1)  # 2 ms around
    edge = rate // 50
    inner = heard[edge:-edge]
    best = max(shifts, key=lambda by: likeness(inner, voice[edge + by : len(voice) - edge + by]))
    assert abs(best) <= rate // 4000  # a quarter of a millisecond
    assert likeness(inner, voice[edge:-edge]) > 0.9


def test_each_block_leaves_as_soon_as_it_is_there() -> None:
    """Also behind a first piece that is no whole block: nothing waits for the next one."""
    sender = encoder()
    at = 100
    for amount in (100, BLOCK, BLOCK, BLOCK):
        chunks = sender.push(at, hum(at, amount).tobytes())
        at += amount
        [chunk] = chunks
        assert at - (chunk.sample_index + len(placed([chunk])[0][1])) >= 0
        assert sender.owes  # the look-ahead


def test_a_voice_that_pauses_between_two_samples_has_no_seam() -> None:
    sender = encoder()
    voice = hum(0, 10 * BLOCK + 100)
    cut = 5 * BLOCK + 100
    chunks = sender.push(0, voice[:cut].tobytes()) + sender.finish()
    rest = sender.push(cut, voice[cut:].tobytes()) + sender.finish()
    assert rest[0].restarts
    heard = np.concatenate([pcm for _, pcm in placed(chunks + rest)])
    assert likeness(heard[cut : cut + BLOCK], voice[cut : cut + BLOCK]) > 0.9
    assert likeness(heard[cut - 100 : cut + 100], voice[cut - 100 : cut + 100]) > 0.9


def test_a_stretch_sounds_the_same_whatever_the_decoder_missed_of_the_one_before() -> None:
    sender = encoder()
    before = sender.push(0, hum(0, 10 * BLOCK).tobytes())
    sender.drop()
    after = sender.push(90_000, hum(0, 5 * BLOCK).tobytes()) + sender.finish()
    assert after[0].restarts
    assert not any(chunk.restarts for chunk in after[1:])
    alone = placed(after)
    for missed in range(len(before)):
        kept = before[: len(before) - missed]
        assert all(
            np.array_equal(one[1], other[1])
            for one, other in zip(placed(kept + after)[len(kept) :], alone, strict=True)
        )


def test_what_is_foreseen_continues_the_sound_and_leaves_no_trace() -> None:
    sender = encoder()
    chunks = sender.push(0, hum(0, 50 * BLOCK).tobytes())
    asked, unasked = ChunkDecoder(RATE), ChunkDecoder(RATE)
    for chunk in chunks:
        assert np.array_equal(asked.decode(chunk), unasked.decode(chunk))
        end = chunk.sample_index + BLOCK
        bridge = asked.foresee(3 * BLOCK)
        assert len(bridge) == 3 * BLOCK
    first = bridge[:BLOCK].astype(float)  # of the last one
    assert np.sqrt(np.mean(first**2)) > 0.5 * np.sqrt(np.mean(hum(end, BLOCK).astype(float) ** 2))


def no_opus() -> dict[str, wire.AudioChunk]:
    packet = OpusEncoder(RATE).encode(bytes(2 * BLOCK))
    long = bytes([(packet[0] & 0xF8) | 3, 6]) + packet[1:]  # six frames
    return {
        "nothing": wire.AudioChunk(data=b""),
        "a packet that is cut": wire.AudioChunk(data=bytes([0x0B])),
        "120 ms": wire.AudioChunk(data=long),
        "more skipped than there is": wire.AudioChunk(data=packet, skip_samples=BLOCK + 1),
        "more samples than there are": wire.AudioChunk(data=packet, num_samples=BLOCK + 1),
        "both together": wire.AudioChunk(data=packet, skip_samples=200, num_samples=200),
        "numbers that wrap": wire.AudioChunk(
            data=packet, skip_samples=2**32 - 1, num_samples=2**32 - 1
        ),
    }


@pytest.mark.parametrize("what", no_opus() if opus_ready(RATE) else [])
def test_rubbish_is_refused_and_the_decoder_goes_on(what: str) -> None:
    decoder = ChunkDecoder(RATE)
    with pytest.raises(ValueError, match="packet"):
        decoder.decode(no_opus()[what])
    [(_, pcm)] = [(0, decoder.decode(chunk)) for chunk in encoder().push(0, bytes(2 * BLOCK))]
    assert len(pcm) == BLOCK - RATE * 13 // 2000


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.booleans())
def test_no_bytes_break_the_decoder(data: bytes, skip: int, count: int, restarts: bool) -> None:
    decoder = ChunkDecoder(RATE)
    chunk = wire.AudioChunk(data=data, skip_samples=skip, num_samples=count, restarts=restarts)
    try:
        assert len(decoder.decode(chunk)) <= 3 * BLOCK
    except ValueError:
        return
