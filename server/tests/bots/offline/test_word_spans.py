"""Events of the synthesiser become one span per whitespace token, whatever the events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.espeak_spans import SpanBuilder
from voxwire_server.bots.offline.context_words import ContextWords
from voxwire_server.bots.offline.word_spans import WordSpan, tokenize

EVENTS = st.lists(
    st.tuples(st.sampled_from(["word", "pause"]), st.integers(-2, 60), st.integers(0, 500)),
    max_size=30,
)


@given(st.text(alphabet="ab1,.— ", max_size=40), EVENTS)
def test_every_token_gets_one_span_in_order_without_overlap(text, events):
    builder = SpanBuilder(text)
    spans: list[WordSpan] = []
    sample = 0
    for kind, char_offset, step in events:
        sample += step
        if kind == "word":
            spans += builder.word(char_offset, sample)
        else:
            builder.pause(sample)
    spans += builder.end(sample + 100)

    assert [(s.text, s.char_start, s.char_end) for s in spans] == tokenize(text)
    at = 0
    for span in spans:
        assert at <= span.start_sample <= span.end_sample <= sample + 100
        at = span.end_sample


def spans_of(text: str, *events: tuple[str, int, int], end: int) -> list[tuple[str, int, int]]:
    builder = SpanBuilder(text)
    spans: list[WordSpan] = []
    for kind, at, sample in events:
        if kind == "word":
            spans += builder.word(at, sample)
        else:
            builder.pause(sample)
    spans += builder.end(end)
    return [(s.text, s.start_sample, s.end_sample) for s in spans]


def test_a_word_ends_where_the_next_one_starts_or_at_the_first_pause():
    events = (("word", 0, 0), ("pause", 0, 50), ("pause", 0, 80), ("word", 4, 100))
    assert spans_of("so, hello", *events, end=200) == [("so,", 0, 50), ("hello", 100, 200)]


def test_words_that_share_an_event_share_its_time_by_letters():
    assert spans_of("I am here", ("word", 0, 0), ("word", 5, 90), end=200) == [
        ("I", 0, 30),
        ("am", 30, 90),
        ("here", 90, 200),
    ]


def test_a_token_with_several_events_is_one_word():
    events = (("word", 0, 0), ("word", 2, 70), ("pause", 0, 90), ("word", 3, 100))
    assert spans_of("$25 now", *events[:3], ("word", 4, 100), end=150) == [
        ("$25", 0, 90),
        ("now", 100, 150),
    ]


def test_a_bare_dash_takes_no_time():
    assert spans_of("a — b", ("word", 0, 0), ("word", 4, 50), end=80) == [
        ("a", 0, 50),
        ("—", 50, 50),
        ("b", 50, 80),
    ]


def test_a_context_places_sentences_one_after_the_other():
    words = ContextWords(sample_rate=1000)
    words.begin_sentence("Hi there.")
    assert words.place(WordSpan("Hi", 0, 2205, 0, 2), 22050)["end_ms"] == 100
    words.place(WordSpan("there.", 2205, 4410, 3, 9), 22050)
    words.add_audio(350)
    words.begin_sentence("Bye.")
    word = words.place(WordSpan("Bye.", 2205, 4410, 0, 4), 22050)
    assert word == {
        "start_ms": 450,
        "end_ms": 550,
        "char_start": 10,
        "char_end": 14,
        "text": "Bye.",
    }


def test_frames_take_their_words_in_order_and_merged_ones_as_one():
    words = ContextWords(sample_rate=1000)
    words.begin_sentence("a b c a")
    for index, text in enumerate("abca"):
        words.place(WordSpan(text, index * 100, index * 100 + 50, 2 * index, 2 * index + 1), 1000)
    first, merged = words.take("a"), words.take("b c")
    assert first is not None
    assert first["char_start"] == 0
    assert merged is not None
    assert (merged["start_ms"], merged["end_ms"], merged["char_end"]) == (100, 250, 5)
    assert words.take("nonsense") is None
    last = words.take("a")
    assert last is not None
    assert last["char_start"] == 6
    assert words.take("a") is None
