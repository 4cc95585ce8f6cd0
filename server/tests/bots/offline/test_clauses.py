"""A long sentence is cut after its first clause; nothing of it is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.bots.offline.clauses import clauses

SAID = "In Paris it is sunny today, with a high of 21 degrees and a low of 13."


@given(st.text(alphabet="ab ,.;— 1", max_size=900))
def test_the_pieces_are_the_sentence(text):
    pieces = clauses(text)
    at = 0
    for start, piece in pieces:
        assert not text[at:start].strip()
        assert text[start : start + len(piece)] == piece
        at = start + len(piece)
    assert not text[at:].strip()
    assert all(len(piece) <= 260 or len(piece.split()) == 1 for _, piece in pieces)
    assert [word for _, piece in pieces for word in piece.split()] == text.split()


def test_the_first_clause_of_a_long_sentence_goes_alone():
    assert clauses(SAID) == [(0, SAID[:27]), (28, SAID[28:])]


def test_a_short_sentence_and_one_without_clauses_are_whole():
    for text in ("Goodbye Alice, it was nice.", "a" * 90, ""):
        assert clauses(text) == [(0, text)]


def test_a_clause_of_a_word_or_two_does_not_stand_alone():
    assert clauses(f"Well, {'so it is ' * 9}here")[0][1] != "Well,"


def test_a_very_long_text_is_cut_where_it_may_be_or_between_words():
    for text in ("word " * 200, f"{'word ' * 100}word, {'word ' * 100}"):
        pieces = [piece for _, piece in clauses(text.strip())]
        assert max(map(len, pieces)) <= 260
        assert " ".join(pieces) == text.strip()


def test_a_word_is_never_cut():
    assert clauses("a " + "7" * 600 + " b") == [(0, "a"), (2, "7" * 600), (603, "b")]
