"""The pure parts around the buffer: where the speaker is, what happens there, RTP time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire._anchors import AnchorMap
from voxwire._cues import HELD_MS, Cues
from voxwire._position import PositionClock, Reached
from voxwire.playout import Block, Span, SpanKind
from voxwire_protocol import events, wire
from voxwire_protocol.timeline import TimedWord, encode_words

RATE = 24_000


def block(*spans: tuple[int, int, SpanKind]) -> Block:
    """A block of (length, position, kind) spans."""
    placed: list[Span] = []
    offset = 0
    for length, position, kind in spans:
        placed.append(Span(offset, length, position, kind))
        offset += length
    last = placed[-1]
    end = last.position + (last.length if last.kind.moves else 0)
    return Block(np.zeros(offset, np.int16), tuple(placed), end)


def test_between_blocks_the_position_is_interpolated_and_never_runs_ahead() -> None:
    clock = PositionClock(RATE)
    assert clock.position_ms(5.0) == 0
    assert clock.time_of(0) is None
    clock.note(10.0, block((480, 2400, SpanKind.PLAYED)))
    assert clock.position_ms(9.0) == 0
    assert clock.position_ms(10.0) == 100
    assert clock.position_ms(10.005) == pytest.approx(105)
    assert clock.position_ms(11.0) == 120
    assert clock.time_of(105) == pytest.approx(10.005)
    assert clock.time_of(50) == pytest.approx(10.0)
    assert clock.time_of(120) is None


def test_a_word_at_the_end_of_what_was_played_waits_for_its_sample() -> None:
    clock = PositionClock(RATE)
    clock.note(1.0, block((240, 2400, SpanKind.PLAYED), (240, 2640, SpanKind.SILENT)))
    assert clock.reached(1.004) == Reached(104, 104)
    assert clock.reached(1.015) == Reached(109, 111)
    assert clock.reached(1.5) == Reached(109, 111)
    clock.note(1.02, block((480, 2640, SpanKind.PLAYED)))
    assert clock.reached(1.02).sounded_ms == 110
    assert clock.time_of(110) == pytest.approx(1.02)


def test_a_jump_within_a_block_is_reached_where_the_sound_is() -> None:
    clock = PositionClock(RATE)
    clock.note(0.0, block((240, 0, SpanKind.CONCEALED), (240, 24_000, SpanKind.PLAYED)))
    assert clock.position_ms(0.005) == 0
    assert clock.time_of(900) == pytest.approx(0.01)
    assert clock.time_of(1005) == pytest.approx(0.015)


def words(utterance_id: str, *starts: int) -> wire.UtteranceWords:
    return encode_words(
        [
            TimedWord(
                utterance_id=utterance_id,
                index=index,
                text="a",
                char_start=index * 2,
                char_end=index * 2 + 1,
                start_ms=start,
                end_ms=start + 10,
                end_estimated=False,
                source=wire.TimingSource.TIMING_SOURCE_PROVIDER_CHAR,
            )
            for index, start in enumerate(starts)
        ],
        "a " * len(starts),
    )


def state(bot: int, media_ms: int = 0, user: int = 1) -> wire.StateChanged:
    return wire.StateChanged(bot=bot, user=user, media_ms=media_ms)


SPEAKING, IDLE, LISTENING, THINKING = 5, 2, 3, 4


def test_words_and_states_happen_in_order_of_position() -> None:
    cues = Cues()
    cues.begin(wire.UtteranceStarted(utterance_id="u", media_ms=100))
    assert cues.speaking
    cues.add(words("u", 100, 150, 200))
    assert cues.change(state(SPEAKING, 100), 0) is None
    assert cues.change(state(IDLE, 200), 0) is None
    assert cues.next_ms() == 100
    assert cues.due(Reached(99, 101), 0) == []  # the bot speaks when a sample sounds
    first = cues.due(Reached(160, 160), 0)
    assert [type(event).__name__ for event in first] == ["StateChanged", "BotWord", "BotWord"]
    assert first[1].source == events.TimingSource.PROVIDER_CHAR
    rest = cues.due(Reached(199, 201), 0)
    assert [type(event).__name__ for event in rest] == ["StateChanged"]
    assert cues.next_ms() == 200
    cues.end(wire.UtteranceEnded(utterance_id="u"))
    assert not cues.speaking
    assert [event.index for event in cues.due(Reached(200, 200), 0)] == [2]
    assert cues.next_ms() is None


def test_a_state_whose_position_never_comes_is_applied_in_the_end() -> None:
    cues = Cues()
    cues.change(state(IDLE, 900), 1000)
    assert cues.due(Reached(0, 0), 1000 + HELD_MS - 1) == []
    assert len(cues.due(Reached(0, 0), 1000 + HELD_MS)) == 1


def test_a_bot_that_the_server_takes_for_heard_is_not_silent_before_it_spoke() -> None:
    """The server's clock ran ahead of a speaker that stalled: it was SPEAKING for ever."""
    cues = Cues()
    cues.change(state(THINKING), 0)
    cues.begin(wire.UtteranceStarted(utterance_id="u", media_ms=100))
    cues.add(words("u", 100, 150))
    cues.change(state(SPEAKING, 100), 0)
    cues.end(wire.UtteranceEnded(utterance_id="u"))
    assert cues.change(state(IDLE), 0) is None
    assert cues.due(Reached(99, 101), 0) == []
    assert [type(event).__name__ for event in cues.due(Reached(149, 149), 0)] == [
        "StateChanged",
        "BotWord",
    ]
    *_, last = cues.due(Reached(160, 160), 0)
    assert isinstance(last, events.StateChanged)
    assert last.bot == "idle"


def test_a_held_state_does_not_undo_what_the_user_does_meanwhile() -> None:
    cues = Cues()
    cues.change(state(IDLE, 900), 0)
    assert cues.change(state(SPEAKING, user=2), 0) == events.StateChanged(
        bot=events.BotState.SPEAKING, user=events.UserState.SPEAKING
    )
    (applied,) = cues.due(Reached(900, 900), 0)
    assert (applied.bot, applied.user) == ("idle", "speaking")


def test_a_cut_drops_words_and_keeps_the_last_state_that_nothing_replaced() -> None:
    cues = Cues()
    cues.begin(wire.UtteranceStarted(utterance_id="u", media_ms=0))
    cues.add(words("u", 0, 100, 200))
    cues.change(state(SPEAKING, 120), 0)
    cues.change(state(IDLE, 300), 0)
    cues.change(state(IDLE, 900), 0)
    (left,) = cues.cut(110, 300)
    assert (left.bot, left.media_ms) == ("idle", 300)
    assert [word.index for word in cues.due(Reached(500, 500), 0)] == [0, 1]
    cues.change(state(LISTENING), 0)
    assert cues.cut(110, 1000) == []
    assert cues.next_ms() is None


def test_a_message_without_a_source_has_that_of_its_utterance() -> None:
    cues = Cues()
    cues.begin(
        wire.UtteranceStarted(utterance_id="u", source=wire.TimingSource.TIMING_SOURCE_ESTIMATED)
    )
    message = words("u", 10)
    message.source = wire.TimingSource.TIMING_SOURCE_UNSPECIFIED
    cues.add(message)
    cues.add(wire.UtteranceWords(utterance_id="v", text="b", words=[wire.Word(char_end=1)]))
    sources = [word.source for word in cues.due(Reached(10, 10), 0)]
    assert sources == [events.TimingSource.UNKNOWN, events.TimingSource.ESTIMATED]


def test_before_the_first_anchor_nothing_has_a_place() -> None:
    anchors = AnchorMap(sample_rate=RATE)
    assert anchors.place(1000, 480) == []
    assert anchors.add(1960, 500) is None
    assert anchors.place(1000, 480) == [(480, 0, 0)] or anchors.place(1000, 480) == []
    assert anchors.place(1960, 480) == [(0, 480, 12_000)]
    assert anchors.place(2920, 480) == [(0, 480, 12_480)]


def test_a_block_is_split_at_an_anchor_within_it() -> None:
    anchors = AnchorMap(sample_rate=RATE)
    anchors.add(0, 0)
    assert anchors.add(480, 1000) == 240
    assert anchors.place(0, 480) == [(0, 240, 0), (240, 240, 24_000)]


def test_what_runs_on_to_the_next_anchor_does_not_pass_its_position() -> None:
    anchors = AnchorMap(sample_rate=RATE)
    anchors.add(0, 0)
    anchors.add(4800, 50)  # 100 ms of track time, 50 ms of media clock: the bot was late
    placed = [piece for at in range(0, 4800, 960) for piece in anchors.place(at, 480)]
    assert max(piece.sample_index + piece.length for piece in placed) == 1200
    assert anchors.place(4800, 480) == [(0, 480, 1200)]


def test_what_a_codec_smears_ahead_of_an_anchor_that_jumps_has_no_place() -> None:
    anchors = AnchorMap(sample_rate=RATE, smear_ticks=312)
    anchors.add(0, 0)
    anchors.add(9600, 1000)
    assert anchors.place(9600 - 960, 960) == [(0, 480 - 156, 4320), (480, 480, 24_000)]
    anchors.add(19_200, 1200)  # the same clock
    assert anchors.place(19_200 - 960, 960) == [(0, 480, 28_320), (480, 480, 28_800)]


def test_an_anchor_of_rate_0_holds_the_clock() -> None:
    anchors = AnchorMap(sample_rate=RATE)
    anchors.add(0, 0)
    anchors.add(960, 20, clock_rate=0)
    assert anchors.place(0, 480) == [(0, 480, 0)]
    assert anchors.place(960, 480) == []


def test_the_rounding_of_anchors_leaves_no_seam() -> None:
    anchors = AnchorMap(sample_rate=RATE)
    anchors.add(0, 0)
    index = 0
    for at in range(0, 96_000, 960):
        anchors.add(at, at // 48 + (1 if at % 1920 else 0))
        (piece,) = anchors.place(at, 480)
        assert abs(piece.sample_index - index) == 0
        index += 480


@given(
    start=st.integers(0, (1 << 32) - 1),
    steps=st.lists(st.integers(1, 50), min_size=1, max_size=30),
)
def test_the_timestamp_may_wrap_anywhere(start: int, steps: list[int]) -> None:
    anchors = AnchorMap(sample_rate=RATE)
    anchors.add(start, 0)
    ticks = 0
    for step in steps:
        ticks += step * 960
        (piece,) = anchors.place((start + ticks) % (1 << 32), 480)
        assert piece.sample_index == ticks // 2
