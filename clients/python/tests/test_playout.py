"""The playout buffer: positions never lie, nothing sounds twice, and it always gives a block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voxwire.playout import MAX_BUFFERED_MS, Block, PlayoutBuffer, SpanKind

RATE = 24_000
BLOCK = 480
"""20 ms."""


def ms(duration_ms: int) -> int:
    return duration_ms * RATE // 1000


def loud(num_samples: int, value: int = 1000) -> np.ndarray:
    return np.full(num_samples, value, np.int16)


def make(**options) -> PlayoutBuffer:
    return PlayoutBuffer(sample_rate=RATE, **options)


def kinds(block: Block) -> list[SpanKind]:
    return [span.kind for span in block.spans]


def pull_ms(buffer: PlayoutBuffer, duration_ms: int) -> list[Block]:
    return [buffer.pull(BLOCK) for _ in range(duration_ms // 20)]


def test_it_gathers_its_target_before_it_plays() -> None:
    buffer = make()
    buffer.push(0, loud(BLOCK))
    assert kinds(buffer.pull(BLOCK)) == [SpanKind.SILENT]
    assert buffer.position == 0
    buffer.push(BLOCK, loud(BLOCK))
    block = buffer.pull(BLOCK)
    assert kinds(block) == [SpanKind.PLAYED]
    assert (block.samples == 1000).all()
    assert block.position == buffer.position == BLOCK


def test_another_stream_takes_up_where_the_one_before_really_stopped() -> None:
    buffer = make()
    buffer.push(0, loud(ms(400)))
    pull_ms(buffer, 100)
    buffer.restart(target_ms=20, continuous=True)
    assert (buffer.position, buffer.buffered_ms) == (ms(100), 0)
    assert kinds(buffer.pull(BLOCK)) == [SpanKind.SILENT]
    buffer.push(ms(60), loud(ms(100), value=2000))
    block = buffer.pull(BLOCK)
    assert (block.samples == 2000).all()
    assert block.position == ms(120)
    assert buffer.underruns == 0


def test_what_never_fills_the_target_plays_once_it_has_waited_that_long() -> None:
    buffer = make()
    buffer.push(0, loud(ms(10)))
    assert [kinds(block) for block in pull_ms(buffer, 40)] == [[SpanKind.SILENT]] * 2
    assert kinds(buffer.pull(BLOCK)) == [SpanKind.PLAYED, SpanKind.CONCEALED]


def test_a_dry_buffer_conceals_once_with_a_fade_and_then_stands_still() -> None:
    buffer = make()
    buffer.push(0, loud(ms(100)))
    pull_ms(buffer, 100)
    block = buffer.pull(BLOCK)
    assert kinds(block) == [SpanKind.CONCEALED]
    assert block.samples[0] == 1000
    assert abs(int(block.samples[-1])) < 10
    assert (np.diff(block.samples.astype(int)) <= 0).all()
    for block in pull_ms(buffer, 100):
        assert kinds(block) == [SpanKind.SILENT]
        assert not block.samples.any()
    assert buffer.position == ms(100)
    assert buffer.concealed_ms == buffer.underruns == 0  # it was the end, as far as is known


def test_late_audio_is_an_underrun_that_makes_the_target_grow_to_its_limit() -> None:
    buffer = make()
    position = 0
    for _ in range(12):
        buffer.push(position, loud(ms(200)))
        position += ms(200)
        pull_ms(buffer, 200 + 60)
    assert buffer.underruns > 3
    assert buffer.target_ms == 200
    assert buffer.concealed_ms == 20 * buffer.underruns


def test_audio_after_a_long_pause_is_no_underrun() -> None:
    buffer = make()
    buffer.push(0, loud(ms(100)))
    pull_ms(buffer, 700)
    buffer.push(ms(100), loud(ms(100)))
    assert buffer.underruns == 0
    assert buffer.target_ms == 40


def test_the_target_decays_when_all_goes_well() -> None:
    buffer = make()
    buffer.push(0, loud(ms(100)))
    pull_ms(buffer, 140)
    buffer.push(ms(100), loud(ms(100)))
    grown = buffer.target_ms
    assert grown > 40
    for position in range(ms(200), ms(60_000), ms(100)):
        buffer.push(position, loud(ms(100)))
        pull_ms(buffer, 100)
    assert buffer.target_ms == 40


def test_a_pause_between_two_buffered_pieces_is_silence_on_the_clock() -> None:
    buffer = make()
    buffer.push(0, loud(ms(100)))
    buffer.push(ms(300), loud(ms(100)))
    blocks = pull_ms(buffer, 400)
    assert [block.position for block in blocks] == [BLOCK * n for n in range(1, 21)]
    assert kinds(blocks[7]) == [SpanKind.GAP]
    assert all(span.kind.moves for block in blocks for span in block.spans)
    assert not SpanKind.SILENT.moves
    assert not SpanKind.CONCEALED.moves
    assert not blocks[7].samples.any()
    assert blocks[15].samples.all()


def test_a_long_hole_and_a_hole_behind_a_dry_buffer_are_jumped_over() -> None:
    buffer = make()
    buffer.push(0, loud(BLOCK * 2))
    buffer.push(ms(1000), loud(BLOCK * 2))
    pull_ms(buffer, 40)
    assert buffer.pull(BLOCK).spans[0].position == ms(1000)
    pull_ms(buffer, 200)
    buffer.push(ms(1200), loud(BLOCK * 2))
    block = buffer.pull(BLOCK)
    assert kinds(block) == [SpanKind.PLAYED]
    assert block.spans[0].position == ms(1200)


def test_a_flush_fades_within_10_ms_and_voids_what_is_buffered_and_what_comes_late() -> None:
    buffer = make()
    buffer.push(0, loud(ms(200)))
    pull_ms(buffer, 40)
    assert buffer.flush(ms(500)) == ms(50)
    block = buffer.pull(BLOCK)
    assert kinds(block) == [SpanKind.PLAYED, SpanKind.SILENT]
    assert [span.length for span in block.spans] == [ms(10), ms(10)]
    assert block.samples[0] == 1000
    assert abs(int(block.samples[ms(10) - 1])) < 10
    assert not block.samples[ms(10) :].any()
    buffer.push(ms(40), loud(ms(480)))  # the last 20 ms are valid
    assert buffer.buffered_ms == 20
    assert buffer.late_samples == ms(460)
    assert buffer.position == ms(50)
    pull_ms(buffer, 40)
    assert buffer.pull(BLOCK).spans[0].position == ms(500)


def test_a_flush_fades_across_pieces_and_blocks() -> None:
    buffer = make()
    for start in range(0, ms(100), 48):
        buffer.push(start, loud(48))
    buffer.pull(BLOCK)
    assert buffer.flush(ms(100)) == ms(30)
    first, second = buffer.pull(100), buffer.pull(200)
    assert kinds(first) == [SpanKind.PLAYED]
    assert kinds(second) == [SpanKind.PLAYED, SpanKind.SILENT]
    assert buffer.flush(ms(100)) == ms(30)


def test_a_flush_keeps_what_lies_behind_it() -> None:
    buffer = make()
    buffer.push(0, loud(ms(200)))
    buffer.push(ms(200), loud(ms(100), 2000))
    pull_ms(buffer, 20)
    buffer.flush(ms(250))
    assert buffer.buffered_ms == 50
    block = buffer.pull(BLOCK)
    assert [span.position for span in block.spans] == [ms(20), ms(250)]
    assert (block.samples[ms(10) :] == 2000).all()


def test_a_flush_before_the_position_or_before_anything_played_has_no_tail() -> None:
    buffer = make()
    assert buffer.flush(0) == 0
    buffer.push(0, loud(BLOCK))
    assert buffer.flush(ms(10)) == 0
    assert buffer.buffered_ms == 10
    buffer = make()
    buffer.push(0, loud(ms(100)))
    pull_ms(buffer, 100)
    assert buffer.flush(ms(50)) == ms(100)
    assert buffer.flush(ms(200)) == ms(100)  # dry: nothing to fade
    assert not buffer.pull(BLOCK).samples[BLOCK // 2 :].any()


def test_what_overlaps_sounds_once() -> None:
    buffer = make()
    buffer.push(BLOCK, loud(BLOCK, 2))
    buffer.push(BLOCK * 3, loud(BLOCK, 4))
    buffer.push(0, loud(BLOCK * 5, 9))
    buffer.push(0, loud(BLOCK * 5, 7))
    values = [int(buffer.pull(BLOCK).samples[0]) for _ in range(5)]
    assert values == [9, 2, 9, 4, 9]


def test_what_is_absurdly_far_ahead_or_too_much_is_refused() -> None:
    buffer = make()
    buffer.push(1 << 60, loud(BLOCK))
    for start in range(0, ms(MAX_BUFFERED_MS + 1000), BLOCK):
        buffer.push(start, loud(BLOCK))
    assert buffer.buffered_ms == MAX_BUFFERED_MS
    assert buffer.refused_samples == BLOCK + ms(1000)


def test_empty_audio_is_nothing() -> None:
    buffer = make()
    buffer.push(5, loud(0))
    assert buffer.buffered_ms == buffer.late_samples == 0


def test_a_stream_that_fell_behind_gives_up_silence_but_never_sound() -> None:
    buffer = make(target_ms=20, continuous=True)
    for start in range(0, ms(400), BLOCK):
        buffer.push(start, loud(BLOCK, 0 if start >= ms(200) else 1000))
    blocks = pull_ms(buffer, 200)
    assert all((block.samples == 1000).all() for block in blocks)
    blocks = pull_ms(buffer, 80)
    assert buffer.trimmed_samples == ms(60)
    assert buffer.position == ms(200 + 80 + 60)


def test_silence_that_had_no_place_is_taken_back() -> None:
    buffer = make(target_ms=20, continuous=True)
    for start in range(0, ms(100), BLOCK):
        buffer.push(start, loud(BLOCK))
    for start in range(ms(100), ms(240), BLOCK):
        buffer.push(start, loud(BLOCK, 0))
    pull_ms(buffer, 180)
    assert buffer.position >= ms(180)
    buffer.rewind(ms(120), misplaced=ms(300))
    assert (buffer.position, buffer.buffered_ms) == (ms(120), 0)
    buffer.rewind(ms(10), misplaced=ms(300))  # never over sound
    assert buffer.position == ms(100)


def test_sound_that_overtook_its_position_is_dropped_to_be_pushed_again() -> None:
    buffer = make(target_ms=20, continuous=True)
    buffer.push(0, loud(ms(40), 0))
    buffer.push(ms(40), loud(ms(20), 500))
    pull_ms(buffer, 20)
    buffer.rewind(ms(60), misplaced=ms(40))
    buffer.push(ms(60), loud(ms(20), 500))
    blocks = pull_ms(buffer, 60)
    placed = [s.position for b in blocks if b.samples.any() for s in b.spans]
    assert placed == [ms(60)]
    assert buffer.position == ms(80)


def test_sound_that_played_before_its_position_was_known_is_played_again_in_its_place() -> None:
    buffer = make(target_ms=20, continuous=True)
    buffer.push(0, loud(ms(100), 300))
    buffer.push(ms(100), loud(ms(100), 0))
    buffer.push(ms(200), loud(ms(20), 500))
    pull_ms(buffer, 200)
    assert buffer.position == ms(220)  # it had caught up by 20 ms of silence
    buffer.rewind(ms(120), misplaced=ms(200))
    assert buffer.position == ms(120)
    buffer.push(ms(120), loud(ms(20), 500))
    assert buffer.pull(BLOCK).spans[0].position == ms(120)


def test_an_onset_smeared_ahead_of_its_packet_does_not_hold_the_position() -> None:
    buffer = make(target_ms=20, continuous=True)
    buffer.push(0, loud(ms(100), 300))
    buffer.push(ms(100), loud(ms(94), 0))
    buffer.push(ms(194), loud(ms(6), 40))  # what a codec makes of the silence before a sound
    buffer.push(ms(200), loud(ms(20), 500))
    pull_ms(buffer, 200)
    buffer.rewind(ms(120), misplaced=ms(200))
    assert buffer.position == ms(120)


def test_an_onset_smeared_ahead_of_what_was_misplaced_goes_with_it() -> None:
    buffer = make(target_ms=20, continuous=True)
    buffer.push(0, loud(ms(54), 0))
    buffer.push(ms(54), loud(ms(6), 9000))
    buffer.push(ms(60), loud(ms(20), 20_000))
    pull_ms(buffer, 40)
    buffer.rewind(ms(900), misplaced=ms(60))
    buffer.push(ms(900), loud(ms(20), 20_000))
    sounded = [
        span.position
        for block in pull_ms(buffer, 100)
        for span in block.spans
        if span.kind is SpanKind.PLAYED and block.samples[span.offset : span.offset + 1].any()
    ]
    assert min(sounded) == ms(900)


def test_taking_back_never_undoes_a_flush() -> None:
    buffer = make(target_ms=20, continuous=True)
    buffer.push(0, loud(ms(100), 0))
    pull_ms(buffer, 60)
    buffer.flush(ms(200))
    buffer.push(ms(200), loud(ms(100), 0))
    pull_ms(buffer, 80)
    buffer.rewind(ms(50), misplaced=ms(400))
    assert buffer.position == ms(200)


def test_a_stream_of_which_everything_is_given_up_goes_on() -> None:
    buffer = make(target_ms=20, continuous=True)
    buffer.push(0, loud(ms(200), 0))
    assert kinds(buffer.pull(BLOCK)) == [SpanKind.SILENT]
    assert buffer.position == ms(200)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(0, 9600), st.integers(0, 1500)),
            st.tuples(st.just("pull"), st.integers(1, 960), st.just(0)),
            st.tuples(st.just("flush"), st.integers(0, 9600), st.just(0)),
        ),
        max_size=60,
    )
)
@settings(max_examples=200, deadline=None)
def test_every_sample_that_is_played_is_the_one_that_belongs_there(steps: list[tuple]) -> None:
    """The audio at position p has the value p % 30000 + 1, so that a wrong place shows."""
    track = (np.arange(12_000) % 30_000 + 1).astype(np.int16)
    buffer = make()
    before = 0
    stop: int | None = None
    for what, value, length in steps:
        if what == "push":
            buffer.push(value, track[value : value + length])
        elif what == "flush":
            stop = buffer.flush(value)
            assert stop - before <= ms(10)
            before = stop
        else:
            block = buffer.pull(value)
            assert len(block.samples) == value
            assert sum(span.length for span in block.spans) == value
            for span in block.spans:
                piece = block.samples[span.offset : span.offset + span.length]
                if span.kind is SpanKind.PLAYED and not (stop and span.position < stop):
                    assert (piece == track[span.position : span.position + span.length]).all()
                elif span.kind in (SpanKind.GAP, SpanKind.SILENT):
                    assert not piece.any()
            assert block.position == buffer.position >= before
            before = block.position


class Machine(RuleBasedStateMachine):
    """A sender that mostly behaves, a speaker that pulls in blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = make()
        self.sent = 0
        self.position = 0
        self.void = 0

    @rule(blocks=st.integers(1, 15))
    def send(self, blocks: int) -> None:
        for _ in range(blocks):
            self.buffer.push(self.sent, loud(BLOCK))
            self.sent += BLOCK

    @rule(gap=st.integers(1, ms(900)))
    def skip(self, gap: int) -> None:
        self.sent += gap

    @rule(blocks=st.integers(1, 15))
    def play(self, blocks: int) -> None:
        for _ in range(blocks):
            block = self.buffer.pull(BLOCK)
            for span in block.spans:
                if span.kind is SpanKind.PLAYED:
                    assert span.position >= self.position
                    assert span.position + span.length <= self.sent
                    self.position = span.position + span.length

    @precondition(lambda self: self.sent > self.buffer.position)
    @rule()
    def cut(self) -> None:
        stop = self.buffer.flush(self.sent)
        assert stop <= self.buffer.position
        assert self.buffer.buffered_ms == 0
        for block in (self.buffer.pull(BLOCK), self.buffer.pull(BLOCK)):
            for span in block.spans:
                assert span.kind is SpanKind.SILENT or span.position + span.length <= stop
        self.position = stop

    @invariant()
    def what_waits_is_bounded_and_the_target_is_in_range(self) -> None:
        assert 0 <= self.buffer.buffered_ms <= MAX_BUFFERED_MS
        assert 40 <= self.buffer.target_ms <= 200
        assert self.buffer.position <= max(self.sent, self.position)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 48_000])
def test_every_rate_works(rate: int) -> None:
    buffer = PlayoutBuffer(sample_rate=rate)
    buffer.push(0, loud(rate))
    for _ in range(50):
        buffer.pull(rate // 50)
    assert buffer.position == rate
