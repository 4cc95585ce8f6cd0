"""What the client is told of utterances and their words."""

import asyncio
from typing import Any

import pytest

from voxwire_protocol import wire
from voxwire_server.pipeline.utterances import Utterances

COMPLETED = wire.UtteranceEnd.UTTERANCE_END_COMPLETED
INTERRUPTED = wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
REPORT = wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT


class Told:
    def __init__(self) -> None:
        self.all: list[tuple[str, Any]] = []

    def emit(self, **payload: Any) -> None:
        self.all.extend(payload.items())

    def of(self, kind: str) -> list[Any]:
        return [message for name, message in self.all if name == kind]


@pytest.fixture
async def told() -> Told:
    return Told()


@pytest.fixture
async def utterances(told: Told) -> Utterances:
    return Utterances(told.emit, sample_rate=1000)


async def test_words_are_placed_after_their_contexts_first_sample(
    utterances: Utterances, told: Told
) -> None:
    utterances.audio("a", 5000, 6000, b"")
    word = utterances.timed_word("a", "hi", 250, 400)
    assert word is not None
    assert (word.start_ms, word.end_ms) == (5250, 5400)
    utterances.flush_words()
    [message] = told.of("utterance_words")
    assert (message.base_media_ms, message.words[0].end_ms) == (5250, 150)


async def test_a_word_before_its_audio_has_no_place(utterances: Utterances, told: Told) -> None:
    assert utterances.timed_word("a", "early", 0, 300) is None
    utterances.audio("a", 700, 900, b"", timed=True)
    utterances.flush_words()
    assert [name for name, _ in told.all] == ["utterance_started"]
    assert told.all[0][1].source == wire.TimingSource.TIMING_SOURCE_PROVIDER_WORD


async def test_words_of_one_moment_travel_together(utterances: Utterances, told: Told) -> None:
    utterances.audio("a", 0, 900, b"")
    for i in range(24):
        utterances.timed_word("a", f"word{i}", i * 30, i * 30 + 25)
    await asyncio.sleep(0.02)  # real time: timeout
    [message] = told.of("utterance_words")
    assert len(message.words) == 24
    assert message.ByteSize() <= 450


async def test_a_guessed_end_is_revised_by_the_next_start(
    utterances: Utterances, told: Told
) -> None:
    utterances.audio("a", 0, 900, b"")
    utterances.timed_word("a", "one", 0, None)
    utterances.flush_words()
    utterances.timed_word("a", "two", 90, None)
    utterances.flush_words()
    first, second = told.of("utterance_words")
    assert first.words[0].end_estimated
    assert (second.first_index, second.revision) == (0, 1)
    assert second.words[0].end_ms == 90


async def test_characters_count_code_points(utterances: Utterances, told: Told) -> None:
    utterances.audio("a", 0, 900, b"")
    for text in ("héllo", "👋🏽", "你好"):
        utterances.timed_word("a", text, 0, 1)
    utterances.flush_words()
    [message] = told.of("utterance_words")
    assert message.text == "héllo 👋🏽 你好"
    assert [message.text[w.char_start : w.char_end] for w in message.words] == [
        "héllo",
        "👋🏽",
        "你好",
    ]


async def test_a_cut_says_what_was_heard(utterances: Utterances, told: Told) -> None:
    utterances.audio("a", 1000, 3000, b"")
    for i, text in enumerate(("one", "two", "three")):
        utterances.timed_word("a", text, i * 500, i * 500 + 400)
    utterances.end("a", INTERRUPTED, 1600, REPORT)
    [ended] = told.of("utterance_ended")
    assert (ended.heard_words, ended.heard_char_end, ended.heard_media_ms) == (2, 7, 1600)
    assert utterances.open == []


async def test_an_utterance_that_was_heard_to_its_end_has_all_its_words(
    utterances: Utterances, told: Told
) -> None:
    utterances.audio("a", 0, 3000, b"")
    utterances.timed_word("a", "one", 0, 400)
    utterances.end("a", COMPLETED, 2990, REPORT)
    [ended] = told.of("utterance_ended")
    assert (ended.heard_words, ended.heard_media_ms) == (1, 3000)


async def test_a_cut_before_the_first_word_heard_nothing(
    utterances: Utterances, told: Told
) -> None:
    utterances.audio("a", 1000, 3000, b"")
    utterances.timed_word("a", "one", 0, 400)
    utterances.end("a", INTERRUPTED, 900, REPORT)
    [ended] = told.of("utterance_ended")
    assert (ended.heard_words, ended.heard_char_end) == (0, 0)
