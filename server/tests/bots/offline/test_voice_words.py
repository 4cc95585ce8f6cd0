"""Phonemes and their durations become one span per whitespace token."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.bots.offline.voice_words import (
    SpokenWord,
    has_sound,
    parts_of,
    spans_of,
    spoken_words,
)
from voxwire_server.bots.offline.word_spans import tokenize

WORDS = st.lists(
    st.tuples(st.sampled_from(["a", "b1", "seven", "—", "thirty", "it's"]), st.integers(0, 90)),
    max_size=12,
)


@given(st.text(alphabet="ab ", max_size=60), st.integers(1, 20))
def test_phonemes_are_cut_behind_a_space_where_there_is_one(phonemes, most):
    parts = parts_of(phonemes, most)
    assert "".join(map(str, parts)) == phonemes
    assert all(part for part in parts[1:])
    for part in parts:
        assert len(part) <= most
    for part in parts[:-1]:
        assert part[-1] == " " or " " not in part


@given(st.text(alphabet="ab1,.— '", max_size=40), WORDS, st.integers(0, 400))
def test_every_token_gets_one_span_in_order_without_overlap(text, words, num_samples):
    said, at = [], 0
    for name, length in words:
        said.append(SpokenWord(name, at, at + length))
        at += length + 5
    spans = spans_of(text, said, num_samples)
    assert [(s.text, s.char_start, s.char_end) for s in spans] == tokenize(text)
    at = 0
    for span in spans:
        assert at <= span.start_sample <= span.end_sample <= num_samples
        at = span.end_sample


def places(text: str, *words: tuple[str, int, int]) -> list[tuple[str, int, int]]:
    spans = spans_of(text, [SpokenWord(*word) for word in words], 1000)
    return [(s.text, s.start_sample, s.end_sample) for s in spans]


def test_words_of_the_same_letters_have_their_own_times():
    assert places("So, hello.", ("So,", 10, 50), ("hello.", 100, 200)) == [
        ("So,", 10, 50),
        ("hello.", 100, 200),
    ]


def test_a_number_read_as_several_words_has_the_time_of_all_of_them():
    said = (("at", 0, 40), ("seven", 50, 90), ("thirty", 95, 150), ("sharp", 160, 200))
    assert places("at 7:30 sharp", *said)[1] == ("7:30", 50, 150)


def test_several_tokens_read_as_one_word_share_its_time_by_letters():
    said = (("I", 0, 10), ("nineteenfour", 20, 80), ("ok", 90, 99))
    assert places("I 1 9x04 ok", *said)[1:3] == [("1", 20, 32), ("9x04", 32, 80)]


def test_a_dash_has_no_length():
    assert places("so — yes", ("so", 0, 40), ("—", 40, 40), ("yes", 90, 120))[1][1:] == (40, 40)


def test_a_words_phonemes_are_joined_and_silence_is_none_of_them():
    marks = [("s", 0), ("o", 0), (",", 0), (" ", -1), ("h", 1), ("i", 1)]
    words = spoken_words(marks, ["so,", "hi"], [0, 10, 30, 50, 60, 80, 95])
    assert words == [SpokenWord("so,", 0, 30), SpokenWord("hi", 60, 95)]
    assert has_sound(marks)
    assert not has_sound([(",", 0), (" ", -1)])
