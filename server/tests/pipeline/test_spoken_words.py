"""A word has a position when its context has a sound, and not before."""

from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import AggregatedTextProgressFrame, Frame, TTSTextFrame
from pipecat.utils.text.base_text_aggregator import TextType

from voxwire_protocol import wire
from voxwire_server.pipeline.spoken_words import SpokenWords
from voxwire_server.pipeline.utterances import Utterances
from voxwire_server.pipeline.words import OFFSET_KEY, WORD_KEY

RATE = 1000
END_MS = 5000


class Stage:
    """An output of which only the words are real."""

    def __init__(self) -> None:
        self.held: list[tuple[str, float]] = []
        self.told: list[Any] = []
        self.cut_contexts: set[str | None] = set()
        self.utterances = Utterances(lambda **p: self.told.extend(p.items()), sample_rate=RATE)
        self.words = SpokenWords(
            self.utterances,
            hold=self._hold,
            end_ms=lambda: END_MS,
            cut_contexts=self.cut_contexts,
        )

    def _hold(self, frame: Frame, position: float) -> None:
        name = frame.text if isinstance(frame, TTSTextFrame) else type(frame).__name__
        self.held.append((name, position))

    def sound(self, context: str, start_ms: int, length_ms: int) -> None:
        """Audio of a context is placed: int16 mono, loud."""
        pcm = np.full(length_ms * RATE // 1000, 8000, np.int16).tobytes()
        timed = self.words.timed(context)
        if self.utterances.audio(context, start_ms, start_ms + length_ms, pcm, timed=timed):
            self.words.sounds(context)

    def end(self, context: str) -> None:
        """The listener has heard all of a context, of which no more comes for now."""
        self.words.stops(context)
        how, source = (
            wire.UtteranceEnd.UTTERANCE_END_COMPLETED,
            wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT,
        )
        self.utterances.end(context, how, float("inf"), source)

    def say(self, text: str, context: str = "a", **metadata: Any) -> None:
        """A text frame of a context arrives."""
        frame = TTSTextFrame(text, text_type=TextType.WORD)
        frame.context_id = context
        frame.metadata.update(metadata)
        assert self.words.take(frame)


@pytest.fixture
async def stage() -> Stage:
    return Stage()


def at(ms: float) -> dict[str, Any]:
    return {OFFSET_KEY: ms}


async def test_words_before_the_first_sound_wait_and_get_places_from_it(stage: Stage) -> None:
    stage.say("one", **at(0))
    stage.say("two", **at(300))
    assert stage.held == []
    stage.sound("a", 7000, 600)
    assert stage.held == [("one", 7000), ("two", 7300)]


async def test_words_of_a_context_that_queues_behind_another_wait_for_their_own(
    stage: Stage,
) -> None:
    stage.sound("a", 1000, 4000)
    stage.say("later", context="b", **at(100))
    assert stage.held == []
    stage.sound("b", 5000, 500)
    assert stage.held == [("later", 5100)]


async def test_what_follows_a_waiting_word_of_its_context_waits_with_it(stage: Stage) -> None:
    stage.say("one", **at(200))
    progress = AggregatedTextProgressFrame(
        segment_id=1,
        context_id="a",
        text="one",
        text_type=TextType.SENTENCE,
        accumulated_text="one",
        remaining_text="",
    )
    assert stage.words.take(progress)
    stage.sound("a", 1000, 500)
    assert stage.held == [("one", 1200), ("AggregatedTextProgressFrame", 1200)]


async def test_words_of_a_context_that_never_sounds_are_gone_with_its_end(stage: Stage) -> None:
    stage.say("never", **at(0))
    stage.say("A sentence.")
    stage.words.stops("a")
    assert (stage.held, stage.words.contexts) == ([], [])


async def test_a_cut_before_the_first_sound_leaves_nothing(stage: Stage) -> None:
    stage.say("never", **at(0))
    stage.words.cut()
    assert (stage.held, stage.words.contexts) == ([], [])


async def test_a_sentence_that_comes_before_its_sound_is_fitted_to_all_of_it(
    stage: Stage,
) -> None:
    stage.say("one two")
    stage.sound("a", 1000, 500)
    assert stage.held == []
    stage.sound("a", 1500, 500)
    stage.words.stops("a")
    assert [text for text, _ in stage.held] == ["one", "two"]
    assert stage.held[0][1] == 1000
    assert 1400 <= stage.held[1][1] <= 1600


async def test_a_sentence_whose_sound_was_placed_is_fitted_at_once(stage: Stage) -> None:
    stage.sound("a", 1000, 500)
    stage.say("one")
    stage.say("two")
    assert stage.held == [("one", 1000)]
    stage.sound("a", 1500, 500)
    stage.words.stops("a")
    assert stage.held == [("one", 1000), ("two", 1500)]


async def test_a_cut_keeps_the_place_of_a_sentence_that_sounds(stage: Stage) -> None:
    stage.say("one two")
    stage.sound("a", 1000, 1000)
    stage.words.cut()
    assert [text for text, _ in stage.held] == ["one", "two"]


async def test_text_that_comes_behind_the_end_of_what_was_heard_does_not_wait(
    stage: Stage,
) -> None:
    stage.sound("a", 1000, 500)
    stage.words.stops("a")
    stage.utterances.forget()
    stage.say("late", **at(300))
    assert stage.held == [("late", 0)]


async def test_words_ahead_of_the_sound_behind_a_pause_wait_for_it(stage: Stage) -> None:
    stage.sound("a", 1000, 500)
    stage.say("one", **at(0))
    stage.end("a")
    stage.say("two", **at(500))
    stage.say("three", **at(700))
    assert stage.held == [("one", 1000)], "nobody has heard the others"
    stage.sound("a", 6000, 500)
    assert stage.held == [("one", 1000), ("two", 6000), ("three", 6200)]
    stage.utterances.flush_words()
    assert [m.text for name, m in stage.told if name == "utterance_words"] == ["one", "two three"]


async def test_words_behind_the_sound_behind_a_pause_count_from_the_first_sound(
    stage: Stage,
) -> None:
    """They were told as far behind their sound as the context had sounded before."""
    stage.sound("a", 1000, 5000)
    stage.say("one", **at(0))
    stage.end("a")
    stage.sound("a", 11_000, 500)
    stage.end("a")
    stage.sound("a", 20_000, 1000)
    stage.say("two", **{WORD_KEY: {"start_ms": 5600, "end_ms": 5900}})
    assert stage.held == [("one", 1000), ("two", 20_100)]
    stage.utterances.flush_words()
    word = [m for name, m in stage.told if name == "utterance_words"][-1]
    assert (word.base_media_ms, word.words[0].end_ms) == (20_100, 300)


async def test_a_pause_inside_an_utterance_is_no_part_of_what_it_said(stage: Stage) -> None:
    stage.sound("a", 1000, 500)
    stage.sound("a", 3000, 500)
    stage.end("a")
    stage.sound("a", 9000, 500)
    stage.say("two", **at(1100))
    assert stage.held == [("two", 9100)]


async def test_a_late_word_of_what_was_heard_does_not_wait_for_more(stage: Stage) -> None:
    stage.sound("a", 1000, 500)
    stage.say("one", **at(0))
    stage.end("a")
    stage.sound("a", 6000, 500)
    stage.say("two", **at(499))
    stage.say("three", **at(500))
    assert stage.held == [("one", 1000), ("two", 0), ("three", 6000)]


async def test_a_voice_that_counts_anew_behind_a_pause_is_followed(stage: Stage) -> None:
    stage.sound("a", 1000, 500)
    stage.say("one", **at(0))
    stage.say("two", **at(300))
    stage.end("a")
    stage.say("three", **at(0))
    stage.sound("a", 6000, 500)
    stage.say("four", **at(200))
    assert stage.held[2:] == [("three", 6000), ("four", 6200)]


async def test_words_of_a_stopped_context_that_is_still_heard_wait_for_more(stage: Stage) -> None:
    stage.sound("a", 1000, 500)
    stage.words.stops("a")
    stage.say("two", **at(600))
    assert stage.held == []
    stage.words.stops("a")
    assert stage.held == [], "a stop that is said twice changes nothing"
    stage.utterances.audio("a", 1500, 2000, b"\0\0" * 500)
    assert stage.words.is_over("a")
    stage.words.sounds("a")
    assert stage.held == [("two", 1600)]


async def test_a_sentence_ahead_of_the_sound_behind_a_pause_waits_for_it(stage: Stage) -> None:
    stage.sound("a", 1000, 500)
    stage.say("one")
    stage.end("a")
    stage.say("two")
    assert stage.held == [("one", 1000)]
    stage.sound("a", 6000, 500)
    stage.words.stops("a")
    assert stage.held == [("one", 1000), ("two", 6000)]


async def test_a_sentence_behind_the_end_of_its_sound_does_not_wait(stage: Stage) -> None:
    stage.sound("a", 1000, 500)
    stage.end("a")
    stage.say("one")
    assert stage.held == [("one", 0)]


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), None, "soon", 1e12, -5e3, [], {}])
async def test_a_time_that_cannot_be_is_that_of_the_word_before(
    stage: Stage, offset: object
) -> None:
    stage.sound("a", 1000, 500)
    stage.say("one", **at(200))
    stage.say("odd", **{OFFSET_KEY: offset})
    stage.say("two", **at(300))
    assert stage.held == [("one", 1200), ("odd", 1200), ("two", 1300)]


@pytest.mark.parametrize(
    "times", [None, {}, 7, {"start_ms": None, "end_ms": None}, {"start_ms": 0, "end_ms": 1e300}]
)
async def test_exact_times_that_are_none_cost_nobody_else_a_place(
    stage: Stage, times: object
) -> None:
    stage.sound("a", 1000, 500)
    stage.say("odd", **{WORD_KEY: times})
    stage.say("two", **{WORD_KEY: {"start_ms": 300, "end_ms": 400}})
    assert stage.held == [("odd", 1000), ("two", 1300)]


async def test_no_word_begins_behind_the_end_of_its_context(stage: Stage) -> None:
    stage.sound("a", 1000, 500)
    stage.say("one", **at(0))
    stage.say("far", **at(90_000))
    stage.words.stops("a")
    stage.utterances.flush_words()
    words = [message for name, message in stage.told if name == "utterance_words"]
    last = words[-1].base_media_ms + words[-1].words[-1].start_ms
    assert last == 1499


async def test_text_that_cannot_be_encoded_is_mended_and_offsets_stay_right(
    stage: Stage,
) -> None:
    stage.sound("a", 1000, 500)
    for text in ("a\ud83d", "\ud83d\ude00b", "c"):
        stage.say(text, **at(0))
    stage.utterances.flush_words()
    message = dict(stage.told)["utterance_words"]
    assert message.text == "a\ufffd 😀b c"
    spans = [message.text[w.char_start : w.char_end] for w in message.words]
    assert spans == ["a\ufffd", "😀b", "c"]
    assert [text for text, _ in stage.held] == ["a\ufffd", "😀b", "c"]


async def test_pieces_that_bring_their_own_spaces_are_joined_as_they_are(stage: Stage) -> None:
    stage.sound("a", 1000, 500)
    for piece in ("Hel", "lo ", "there", "，", "您", "好"):
        frame = TTSTextFrame(piece, text_type=TextType.WORD)
        frame.context_id, frame.includes_inter_frame_spaces = "a", True
        frame.metadata[OFFSET_KEY] = 0.0
        stage.words.take(frame)
    stage.say("end", **at(0))
    stage.utterances.flush_words()
    message = dict(stage.told)["utterance_words"]
    assert message.text == "Hello there，您好 end"
    spans = [message.text[w.char_start : w.char_end] for w in message.words]
    assert spans == ["Hel", "lo", "there", "，", "您", "好", "end"]


async def test_a_chinese_sentence_without_times_is_made_of_its_characters(stage: Stage) -> None:
    stage.sound("a", 1000, 900)
    stage.say("您好，我用 iPhone。")
    assert [text for text, _ in stage.held] == ["您", "好，", "我", "用", " iPhone。"]
    stage.utterances.flush_words()
    assert dict(stage.told)["utterance_words"].text == "您好，我用 iPhone。"
