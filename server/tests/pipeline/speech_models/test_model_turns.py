"""Contexts for turns of models that speak by themselves, their troubles, and OpenAI's cuts."""

import pytest
from pipecat.frames.frames import (
    InterruptionFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.utils.text.base_text_aggregator import TextType

from voxwire_server.pipeline.contexts import is_live
from voxwire_server.pipeline.speech_models.model_turns import SPOKEN_KEY, ModelTurns
from voxwire_server.pipeline.speech_models.openai import Item, cut_items
from voxwire_server.pipeline.troubles import trouble_of


def audio(turns: ModelTurns) -> str:
    frame = TTSAudioRawFrame(b"\0\0", 24000, 1)
    turns.note(frame)
    return str(frame.context_id)


def start(turns: ModelTurns) -> None:
    turns.note(TTSStartedFrame())
    turns.note(LLMFullResponseStartFrame())


def test_a_turn_is_one_context_from_its_two_starts_to_its_stop() -> None:
    turns = ModelTurns()
    start(turns)
    first = audio(turns)
    stop = TTSStoppedFrame()
    turns.note(stop)
    assert stop.context_id == first == audio(turns)
    start(turns)
    assert audio(turns) != first and is_live(first) and not is_live("tts-1") and not is_live(None)


def test_what_comes_after_a_cut_without_a_start_belongs_to_the_turn_that_was_cut() -> None:
    turns = ModelTurns()
    start(turns)
    first = audio(turns)
    turns.note(InterruptionFrame())
    assert audio(turns) == first
    start(turns)
    assert audio(turns) != first


def test_a_transcript_that_is_pushed_twice_is_taken_once() -> None:
    turns = ModelTurns()
    start(turns)
    early, late = LLMTextFrame("Hello."), TTSTextFrame("Hello.", text_type=TextType.SENTENCE)
    turns.note(early)
    turns.note(late)
    assert early.metadata[SPOKEN_KEY] == turns.context_id and SPOKEN_KEY not in late.metadata
    alone = TTSTextFrame(" Bye.", text_type=TextType.SENTENCE)
    turns.note(alone)
    assert alone.metadata[SPOKEN_KEY] == turns.context_id


@pytest.mark.parametrize(
    ("heard_ms", "cuts"),
    [
        (0, [("a", 0), ("b", 0)]),
        (700, [("a", 700), ("b", 0)]),
        (1000, [("b", 0)]),
        (1250, [("b", 250)]),
        (9000, []),
    ],
)
def test_the_items_of_a_turn_are_cut_at_the_heard_millisecond(
    heard_ms: int, cuts: list[tuple[str, int]]
) -> None:
    items = [Item("a", 0, 1000.0), Item("b", 0, 500.0)]
    assert [(item.item_id, left) for item, left in cut_items(items, heard_ms)] == cuts


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("1007 None. API key not valid. Please pass a valid API key."), "key"),
        (RuntimeError("server rejected WebSocket connection: HTTP 401"), "key"),
        (RuntimeError("1011 None. You exceeded your current quota, please check"), "quota"),
        (TimeoutError(), "silent"),
        (ValueError("Failed to parse response: b'{'"), "malformed"),
        (ConnectionResetError("reset"), "lost"),
        ("Deadline expired before operation could complete.", "lost"),
        (KeyError("item"), "malformed"),
        (None, "unknown"),
    ],
)
def test_trouble_has_a_kind_whatever_words_it_comes_in(error: object, kind: str) -> None:
    trouble = trouble_of(error)  # type: ignore[arg-type]
    assert trouble.kind == kind
    assert "API key not valid" not in trouble.reason
