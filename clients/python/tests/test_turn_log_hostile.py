"""The turn log of events that come twice, out of order, or make no sense."""

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire._turn_log import MAX_TURNS, TurnLog
from voxwire.cli.captions import Captions
from voxwire.conversation import BotTurn
from voxwire_protocol import events, wire
from voxwire_protocol.event_codec import from_envelope


def told(**payload: object) -> events.Event:
    event = from_envelope(wire.Envelope(**payload))  # pyright: ignore[reportArgumentType]
    assert event is not None
    return event


def words(utterance_id: str, text: str, *, offset: int = 0) -> events.Event:
    spans, at = [], offset
    for word in text.split():
        spans.append(wire.Word(char_start=at, char_end=at + len(word)))
        at += len(word) + 1
    return told(
        utterance_words=wire.UtteranceWords(
            utterance_id=utterance_id, text=text, text_offset=offset, words=spans
        )
    )


def heard(utterance_id: str, index: int) -> events.BotWord:
    source = events.TimingSource.ESTIMATED
    return events.BotWord(utterance_id, index, "", 0, 0, 0, 0, source)


def said(turn_id: str, text: str, *, final: bool) -> events.UserTranscript:
    return events.UserTranscript(text, final, f"{turn_id}-{len(text)}", turn_id, "", False)


def ended(utterance_id: str, heard_words: int, *, cut: bool) -> events.UtteranceEnded:
    end = events.UtteranceEnd.INTERRUPTED if cut else events.UtteranceEnd.COMPLETED
    source = events.HeardSource.UNKNOWN
    return events.UtteranceEnded(utterance_id, end, 0, 0, heard_words, source)


def started(utterance_id: str, turn_id: str) -> events.UtteranceStarted:
    source = events.TimingSource.ESTIMATED
    return events.UtteranceStarted(utterance_id, turn_id, "r", 0, source, "")


SOME = [
    said("t1", "hel", final=False),
    said("t1", "hello", final=True),
    started("u1", "t1"),
    words("u1", "one two three"),
    heard("u1", 0),
    heard("u1", 1),
    heard("u1", 7),
    ended("u1", 2, cut=True),
    ended("u1", 3, cut=False),
    events.Interrupted(events.InterruptionSource.USER, "u1"),
    events.ToolCallStarted("c1", "look", {}, "r"),
    events.ToolCallEnded("c1", "look", events.ToolOutcome.DONE, "seen", 5),
    started("u2", "t2"),
    words("u2", "four five", offset=40),
    heard("u9", 0),
    events.EventsSkipped(3),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(SOME), max_size=40))
def test_whatever_comes_in_whatever_order_names_are_once_and_nothing_stays_open(
    happened: list[events.Event],
) -> None:
    log = TurnLog()
    for event in happened:
        before = log.conversation
        log.take(event)
        if log.conversation is not before:
            assert log.conversation != before
    log.over()
    bots = [turn for turn in log.conversation.turns if isinstance(turn, BotTurn)]
    spoken = [one for turn in bots for one in turn.utterances]
    calls = [call for turn in bots for call in turn.tool_calls]
    assert len({turn.id for turn in log.conversation.turns}) == len(log.conversation.turns)
    assert len({one.id for one in spoken}) == len(spoken)
    assert len({call.id for call in calls}) == len(calls)
    assert not any(one.end == "speaking" for one in spoken)
    assert not any(call.status == "running" for call in calls)
    assert all(turn.role == "bot" or turn.final for turn in log.conversation.turns)
    for one in spoken:
        assert [word.index for word in one.words] == sorted({word.index for word in one.words})
    str(log.conversation)


def test_a_piece_that_lies_far_behind_takes_no_memory() -> None:
    log, captions = TurnLog(), Captions()
    log.take(started("u", "t"))
    tracemalloc.start()
    for offset in (2**20, 2**31, 2**32 - 100):
        event = words("u", "far away", offset=offset)
        log.take(event)
        captions.feed(event)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 << 20
    [turn] = log.conversation.turns
    assert turn.text == "far awayfar awayfar away"


def test_a_snapshot_brings_no_more_turns_than_are_kept() -> None:
    role = events.TurnRole.USER
    turns = tuple(events.Turn(f"t{n}", role, "hi", "") for n in range(MAX_TURNS + 100))
    snapshot = events.Snapshot(
        turns, "", 0, (), events.BotState.IDLE, events.UserState.SILENT, False
    )
    log = TurnLog()
    log.take(events.EventsSkipped(0, 0, snapshot))
    assert len(log.conversation.turns) == MAX_TURNS
    assert log.conversation.turns[-1].id == f"t{MAX_TURNS + 99}:user"
