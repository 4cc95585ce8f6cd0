"""What a Snapshot is made from."""

import pytest

from voxwire_protocol import wire
from voxwire_server.conversation.history import MAX_TURNS, History

USER, BOT = wire.TurnRole.TURN_ROLE_USER, wire.TurnRole.TURN_ROLE_BOT
COMPLETED = wire.UtteranceEnd.UTTERANCE_END_COMPLETED
INTERRUPTED = wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED


@pytest.fixture
def history() -> History:
    return History()


def said(history: History, text: str, *, turn_id: str = "t1", final: bool = True) -> None:
    transcript = wire.Transcript(text=text, turn_id=turn_id, final=final)
    history.note(wire.Envelope(transcript=transcript))


def begins(history: History, name: str, turn_id: str = "t1") -> None:
    started = wire.UtteranceStarted(utterance_id=name, turn_id=turn_id, media_ms=100)
    history.note(wire.Envelope(utterance_started=started))


def speaks(history: History, name: str, text: str, offset: int = 0) -> None:
    words = wire.UtteranceWords(utterance_id=name, text=text, text_offset=offset)
    history.note(wire.Envelope(utterance_words=words))


def ends(history: History, name: str, how: wire.UtteranceEnd, char_end: int = 0) -> None:
    ended = wire.UtteranceEnded(utterance_id=name, end=how, heard_char_end=char_end)
    history.note(wire.Envelope(utterance_ended=ended))


def turns(history: History, max_bytes: int = 32_768) -> list[tuple[str, int, str, str]]:
    snapshot = history.snapshot(heard_ms=0, muted=False, max_bytes=max_bytes)
    return [(t.turn_id, t.role, t.text, t.unheard_text) for t in snapshot.turns]


def test_turns_hold_what_was_heard_and_what_was_not(history: History) -> None:
    said(history, "tell", final=False)
    said(history, "tell me")
    begins(history, "u1")
    speaks(history, "u1", "once upon")
    speaks(history, "u1", "upon a time", offset=5)
    begins(history, "u2")
    speaks(history, "u2", "there was")
    ends(history, "u1", COMPLETED)
    ends(history, "u2", INTERRUPTED, char_end=5)
    assert turns(history) == [
        ("t1", USER, "tell me", ""),
        ("t1", BOT, "once upon a time there", "was"),
    ]


def test_an_utterance_of_another_turn_or_behind_a_cut_one_stands_alone(history: History) -> None:
    for name, turn_id in (("u1", "t1"), ("u2", "t1"), ("u3", "t2")):
        begins(history, name, turn_id)
        speaks(history, name, "a b")
        ends(history, name, INTERRUPTED, char_end=1)
    ends(history, "u3", COMPLETED)  # known no more
    assert turns(history) == [
        ("t1", BOT, "a", "b"),
        ("t1", BOT, "a", "b"),
        ("t2", BOT, "a", "b"),
    ]


def test_what_is_open_is_in_the_snapshot(history: History) -> None:
    begins(history, "u1")
    speaks(history, "u1", "one")
    begins(history, "u2")
    speaks(history, "u2", "two")
    speaks(history, "unknown", "three")
    state = wire.StateChanged(bot=wire.BotState.BOT_STATE_SPEAKING)
    history.note(wire.Envelope(state_changed=state))
    calls = [wire.ToolCallStarted(call_id="c2", name="weather")]
    history.note(wire.Envelope(ping=wire.Ping()))
    snapshot = history.snapshot(heard_ms=123.9, muted=True, max_bytes=32_768, tool_calls=calls)
    assert snapshot.utterance.utterance_id == "u1"
    assert [u.utterance_id for u in snapshot.queued_utterances] == ["u2"]
    assert [w.text for w in snapshot.words] == ["one", "two"]
    assert [c.call_id for c in snapshot.tool_calls] == ["c2"]
    assert snapshot.state == state
    assert snapshot.heard_media_ms == 123
    assert snapshot.user_muted


def test_memory_and_size_are_bounded(history: History) -> None:
    for number in range(MAX_TURNS + 50):
        said(history, "x" * 20_000, turn_id=f"t{number}")
    everything = turns(history, max_bytes=100_000_000)
    assert len(everything) == MAX_TURNS
    assert everything[0][0] == "t50"
    assert len(everything[0][2]) == 16_384
    last = turns(history, max_bytes=40_000)
    assert [turn[0] for turn in last] == ["t248", "t249"]
    begins(history, "u1")
    for offset in range(0, 50_000, 500):
        speaks(history, "u1", "y" * 500, offset=offset)
    snapshot = history.snapshot(heard_ms=0, muted=False, max_bytes=20_000)
    assert snapshot.ByteSize() <= 20_000
    assert snapshot.words[-1].text_offset == 49_500  # the newest words stay


def test_a_long_answer_is_not_one_endless_turn(history: History) -> None:
    for number in range(4):
        begins(history, f"u{number}")
        speaks(history, f"u{number}", "z" * 10_000)
        ends(history, f"u{number}", COMPLETED)
    assert [len(turn[2]) for turn in turns(history, 10_000_000)] == [20_001, 20_001]


def test_a_snapshot_gives_way_to_the_limit_in_order(history: History) -> None:
    begins(history, "u1")
    calls = []
    for number in range(3):
        calls.append(wire.ToolCallStarted(call_id=f"c{number}", arguments_json="x" * 40_000))
        begins(history, f"queued{number}")
    snapshot = history.snapshot(heard_ms=0, muted=False, max_bytes=50_000, tool_calls=calls)
    assert [bool(call.arguments_json) for call in snapshot.tool_calls] == [False, False, True]
    assert all(call.arguments_json for call in calls)  # only what is told is shortened
    snapshot = history.snapshot(heard_ms=0, muted=False, max_bytes=40, tool_calls=calls)
    assert snapshot.ByteSize() <= 40
    assert snapshot.utterance.utterance_id == "u1"
    assert [len(snapshot.tool_calls), len(snapshot.words)] == [0, 0]


def test_what_a_process_before_was_saying_ends_at_what_was_heard(history: History) -> None:
    said(history, "tell me")
    for name, text, at_ms in (("u1", "once upon", 100), ("u2", "there was", 900)):
        begins(history, name)
        words = [
            wire.Word(char_start=0, char_end=text.index(" "), start_ms=0),
            wire.Word(char_start=text.index(" ") + 1, char_end=len(text), start_ms=300),
        ]
        piece = wire.UtteranceWords(utterance_id=name, text=text, words=words, base_media_ms=at_ms)
        history.note(wire.Envelope(utterance_words=piece))
    told = history.snapshot(heard_ms=350, muted=False, max_bytes=32_768)
    restored = History()
    restored.restore(told)
    assert turns(restored) == [("t1", USER, "tell me", ""), ("t1", BOT, "once", "upon")]
    told = history.snapshot(heard_ms=950, muted=False, max_bytes=32_768)
    restored = History()
    restored.restore(told)
    assert turns(restored)[1:] == [("t1", BOT, "once upon there", "was")]
