"""Word times fitted to speech as audio and transcript arrive."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.espeak import SAMPLE_RATE, EspeakClient, PcmChunk
from voxwire_server.pipeline.timing.fitting import Fitting
from voxwire_server.pipeline.timing.phones import Kind, sounds_of, spoken_form

TEXTS = (
    "The weather in Paris is sunny, with a high of twenty two degrees.",
    "Hello! I can tell you about the weather, or find a good restaurant. What would you like?",
    "I found three restaurants near you: Luigi's, The Golden Dragon and Chez Marie.",
    "It will rain tomorrow afternoon, so take an umbrella with you when you leave.",
    "Once upon a time there was a king who lived in a castle on a hill, and every morning he "
    "looked out of his window and counted the sheep in the valley below.",
    "I'm sorry, I didn't quite catch that. Could you say it again?",
    "Tokyo is warm and humid today, around 30 degrees, with thunderstorms expected tonight.",
    "I have booked a table for 4 people at half past seven. Is there anything else I can do?",
)
GAP_MS = 150


@dataclass(frozen=True)
class Spoken:
    """A text as espeak-ng says it: samples at its rate, and when each word begins, ms."""

    text: str
    samples: NDArray[np.int16]
    true_ms: Sequence[float]


@pytest.fixture(scope="module")
def spoken() -> list[Spoken]:
    import asyncio

    async def speak() -> list[Spoken]:
        client = EspeakClient()
        try:
            return [await say(client, text) for text in TEXTS]
        finally:
            await client.aclose()

    return asyncio.run(speak())


async def say(client: EspeakClient, text: str) -> Spoken:
    pcm, true_ms = bytearray(), list[float]()
    for sentence in re.findall(r"[^.!?]+[.!?]*", text):
        base = len(pcm) // 2
        async for item in client.synthesize(sentence.strip()):
            if isinstance(item, PcmChunk):
                pcm += item.pcm
            else:
                true_ms.append((base + item.start_sample) * 1000 / SAMPLE_RATE)
        pcm += bytes(SAMPLE_RATE * GAP_MS // 1000 * 2)
    return Spoken(text, np.frombuffer(bytes(pcm), np.int16), true_ms)


def fire(speech: Spoken, *, speed: float, lead_ms: float, rate: float) -> tuple[list[int], float]:
    """Let a speech arrive while it is played 150 ms behind; the starts as they fired."""
    fitting = Fitting(sample_rate=SAMPLE_RATE, rate=rate)
    tokens = re.findall(r"\s*\S+", speech.text)
    fired: list[int] = []
    texts = samples = 0
    now_ms = 0.0
    while len(fired) < len(tokens):
        now_ms += 50
        arrived_ms = now_ms * speed
        upto = min(len(speech.samples), int(arrived_ms * SAMPLE_RATE / 1000) + 1)
        fitting.add_audio(speech.samples[samples:upto])
        samples = upto
        while texts < len(tokens) and speech.true_ms[texts] <= arrived_ms + lead_ms:
            fitting.add_text(tokens[texts])
            texts += 1
        if samples == len(speech.samples) and texts == len(tokens):
            fitting.end()
        heard_ms = now_ms - 150
        fitting.refit(max(0.0, heard_ms + 40))
        for word in fitting.words[len(fired) :]:
            if word.start_ms > heard_ms:
                break
            fired.append(word.start_ms)
        assert now_ms < 60_000
    return fired, fitting.rate


@pytest.mark.parametrize(
    ("speed", "lead_ms", "p95_ms"),
    [(100, 100_000, 120), (4, 600, 150), (4, 0, 150)],
    ids=["all at once", "text ahead", "together"],
)
def test_words_fire_near_their_true_starts(
    spoken: list[Spoken], speed: float, lead_ms: float, p95_ms: float
) -> None:
    errors: list[float] = []
    rate = 1.0
    for speech in spoken:
        fired, rate = fire(speech, speed=speed, lead_ms=lead_ms, rate=rate)
        assert fired == sorted(fired)
        errors += list(np.abs(np.array(fired) - np.array(speech.true_ms)))
    p50, p95 = np.percentile(errors, [50, 95])
    print(f"{len(errors)} words, error p50 {p50:.0f} ms, p95 {p95:.0f} ms")
    assert p50 <= 30 and p95 <= p95_ms


@pytest.mark.parametrize(
    ("speed", "lead_ms", "p95_ms"),
    [(3, -300, 250), (1, 0, 450), (1, -300, 450), (1, 300, 450)],
    ids=["text behind", "real time", "real time, text behind", "real time, text ahead"],
)
def test_words_that_fire_late_are_placed_where_they_were(
    spoken: list[Spoken], speed: float, lead_ms: float, p95_ms: float
) -> None:
    """With nothing ahead, a word waits for the one behind it; its place is not the worse for it."""
    errors: list[float] = []
    rate = 1.0
    for speech in spoken:
        fired, rate = fire(speech, speed=speed, lead_ms=lead_ms, rate=rate)
        assert fired == sorted(fired)
        errors += list(np.abs(np.array(fired) - np.array(speech.true_ms)))
    p50, p95 = np.percentile(errors, [50, 95])
    print(f"{len(errors)} words, p50 {p50:.0f}, p95 {p95:.0f} ms")
    assert p50 <= 30 and p95 <= p95_ms


def test_a_long_pause_in_a_turn_costs_no_words(spoken: list[Spoken]) -> None:
    """A model that falls behind leaves a hole in its turn, longer than a stretch that is fitted."""
    speech, number = spoken[4], 12
    cut = int((speech.true_ms[number] - 20) * SAMPLE_RATE / 1000)
    hole = np.zeros(6 * SAMPLE_RATE, np.int16)
    fitting = Fitting(sample_rate=SAMPLE_RATE)
    fitting.add_text(speech.text)
    for part in (speech.samples[:cut], hole, speech.samples[cut:]):
        for at in range(0, len(part), SAMPLE_RATE // 5):
            fitting.add_audio(part[at : at + SAMPLE_RATE // 5])
            fitting.refit(0)
    fitting.end()
    fitting.refit(0)
    true_ms = [ms + (6000 if index >= number else 0) for index, ms in enumerate(speech.true_ms)]
    errors = [abs(w.start_ms - t) for w, t in zip(fitting.words, true_ms, strict=True)]
    assert np.percentile(errors, 95) <= 150


def test_a_word_that_was_heard_stays_where_it_is(spoken: list[Spoken]) -> None:
    speech = spoken[4]
    fitting = Fitting(sample_rate=SAMPLE_RATE)
    fitting.add_text(speech.text)
    step, heard = SAMPLE_RATE // 5, dict[int, int]()
    for at in range(0, len(speech.samples), step):
        fitting.add_audio(speech.samples[at : at + step])
        heard_ms = (at + step) * 1000 / SAMPLE_RATE - 300
        fitting.refit(heard_ms)
        for index, start in heard.items():
            assert fitting.words[index].start_ms == start
        heard |= {i: w.start_ms for i, w in enumerate(fitting.words) if w.start_ms <= heard_ms}
    assert len(heard) > 20


def test_a_piece_of_transcript_may_end_inside_a_word() -> None:
    fitting = Fitting(sample_rate=16_000)
    for piece in ("A rest", "aurant is", " near.", "Good", "bye", " at 4.", "30 or", " so.", "?"):
        fitting.add_text(piece)
    fitting.add_audio((np.sin(np.arange(32_000) * 0.2) * 9000).astype(np.int16))
    fitting.end()
    fitting.refit(0)
    said = "A restaurant is near. Goodbye at 4.30 or so.?"
    assert " ".join(w.text for w in fitting.words) == said


def test_text_without_audio_and_audio_without_text_give_no_words() -> None:
    fitting = Fitting(sample_rate=16_000)
    fitting.add_text("hello there")
    assert fitting.refit(0) is None and fitting.words == []
    fitting = Fitting(sample_rate=16_000)
    fitting.add_audio(np.full(16_000, 900, np.int16))
    fitting.end()
    assert fitting.refit(0) is None and fitting.words == []


def test_every_word_has_a_place_in_the_end_even_beyond_the_sound() -> None:
    fitting = Fitting(sample_rate=16_000)
    fitting.add_text("one two three four five six seven eight nine ten")
    fitting.add_audio((np.sin(np.arange(8000) * 0.2) * 9000).astype(np.int16))
    fitting.end()
    fitting.refit(0)
    starts = [w.start_ms for w in fitting.words]
    assert len(starts) == 10 and starts == sorted(starts)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(40, 600), st.integers(0, 9000), st.text(max_size=9))),
    st.integers(0, 400),
)
def test_starts_rise_whatever_comes_in_whatever_order(
    arrivals: list[tuple[int, int, str]], behind_ms: int
) -> None:
    fitting = Fitting(sample_rate=8000)
    told = 0
    for number, (ms, loudness, text) in enumerate(arrivals):
        wave = np.sin(np.arange(8 * ms) * (0.1 + number % 5)) * loudness
        fitting.add_audio(wave.astype(np.int16))
        fitting.add_text(text)
        fitting.refit(fitting.audio_ms - behind_ms)
        assert len(fitting.words) >= told, "what was told is not taken back"
        told = len(fitting.words)
        starts = [w.start_ms for w in fitting.words]
        assert starts == sorted(starts)
    fitting.end()
    fitting.refit(0)
    assert [w.text for w in fitting.words][: len(fitting.text.split())] == (
        fitting.text.split() if fitting.audio_ms and fitting.words else []
    )


@pytest.mark.parametrize(
    ("word", "form"),
    [("14", "fourteen"), ("1998", "nineteen ninety eight"), ("$25", "dollars twenty five")],
)
def test_digits_are_said(word: str, form: str) -> None:
    assert " ".join(spoken_form(word).split()) == form


def test_spelling_tells_sounds() -> None:
    assert sounds_of("the") == [Kind.BREATH, Kind.VOWEL]
    assert sounds_of("ship") == [Kind.SIBILANT, Kind.VOWEL, Kind.STOP]
    assert sounds_of("—") == []
    assert set(sounds_of("你好")) == {Kind.ANY}
