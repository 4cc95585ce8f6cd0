"""Word times fitted to audio that comes without them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.pipeline.timing.estimate import HOP_MS, envelope, estimate_words

RATE = 16000


def speech(*pieces: tuple[int, bool]) -> bytes:
    """PCM of (milliseconds, voiced) pieces."""
    parts = []
    for ms, voiced in pieces:
        t = np.arange(RATE * ms // 1000)
        parts.append((np.sin(t * 0.2) * (9000 if voiced else 0)).astype(np.int16))
    return np.concatenate(parts).tobytes()


def test_words_fill_the_speech_and_not_the_silence_around_it() -> None:
    loudness = envelope(speech((300, False), (600, True), (400, False)), RATE)
    words = estimate_words("one two", loudness)
    assert [w.text for w in words] == ["one", "two"]
    assert abs(words[0].start_ms - 300) <= 2 * HOP_MS
    assert abs(words[-1].end_ms - 900) <= 2 * HOP_MS


def test_a_pause_falls_between_words_when_the_letters_say_so() -> None:
    loudness = envelope(speech((500, True), (400, False), (500, True)), RATE)
    words = estimate_words("abcd efgh", loudness)
    assert abs(words[0].end_ms - 500) <= 3 * HOP_MS
    assert abs(words[1].start_ms - 900) <= 3 * HOP_MS


def test_character_spans_are_those_of_the_text() -> None:
    text = "  héllo,  👋 world "
    words = estimate_words(text, envelope(speech((900, True)), RATE))
    assert [text[w.char_start : w.char_end] for w in words] == ["héllo,", "👋", "world"]


def test_no_text_or_no_audio_gives_no_words() -> None:
    assert estimate_words("   ", envelope(speech((500, True)), RATE)) == []
    assert estimate_words("word", envelope(b"", RATE)) == []


@given(
    st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=9), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(100, 900), st.booleans()), min_size=1, max_size=6),
)
def test_spans_are_ordered_and_inside_the_audio(
    words: list[str], pieces: list[tuple[int, bool]]
) -> None:
    spans = estimate_words(" ".join(words), envelope(speech(*pieces), RATE))
    assert len(spans) == len(words)
    total = sum(ms for ms, _ in pieces)
    previous = 0
    for span in spans:
        assert previous <= span.start_ms <= span.end_ms <= total + HOP_MS
        previous = span.start_ms
