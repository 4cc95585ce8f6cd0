"""The bot's voice and its listener: each cell of the table on a voice that runs."""

from collections.abc import Awaitable, Callable

import pytest

from tests.support.stage import AHEAD_MS, RATE, WEBRTC, Stage
from tests.support.tables import cells
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.playout import gap_rules
from voxwire_server.playout.gap_rules import RULES, GapEvent, VoiceState
from voxwire_server.ports import Report

TABLE = cells("session.md", "voice")
REPORTED = wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
SERVER_CLOCK = wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK

Do = Callable[[Stage, VirtualTime], Awaitable[None]]


# states


async def playing(stage: Stage, time: VirtualTime) -> None:
    await stage.open(1)
    stage.say(10_000)
    stage.report(0)


async def waiting(stage: Stage, time: VirtualTime) -> None:
    await playing(stage, time)
    stage.voice.lost(time.now_ms())


async def suspended(stage: Stage, time: VirtualTime) -> None:
    await playing(stage, time)
    stage.report(100, suspended=True)


async def cut(stage: Stage, time: VirtualTime) -> None:
    await waiting(stage, time)
    await time.advance(2001)
    assert len(stage.cuts) == 1


async def cut_suspended(stage: Stage, time: VirtualTime) -> None:
    await suspended(stage, time)
    await time.advance(3001)
    assert len(stage.cuts) == 1


# events


async def path_lost(stage: Stage, time: VirtualTime) -> None:
    stage.voice.lost(time.now_ms())


async def path_opened(stage: Stage, time: VirtualTime) -> None:
    await stage.open(2)


async def gap_over(stage: Stage, time: VirtualTime) -> None:
    await time.advance(2001)


async def suspends(stage: Stage, time: VirtualTime) -> None:
    stage.report(100, suspended=True)


async def plays_again(stage: Stage, time: VirtualTime) -> None:
    stage.report(100)


async def speaks(stage: Stage, time: VirtualTime) -> None:
    await stage.voice.flush("u1")
    stage.say(1000)


# how each cell is brought about: the state, and what then happens

HOW: dict[tuple[str, str], tuple[Do, Do]] = {
    ("PLAYING", "path lost"): (playing, path_lost),
    ("PLAYING", "path opened"): (playing, path_opened),
    ("PLAYING", "suspended"): (playing, suspends),
    ("PLAYING", "plays again"): (playing, plays_again),
    ("PLAYING", "bot speaks"): (playing, speaks),
    ("WAITING", "path lost"): (waiting, path_lost),
    ("WAITING", "path opened"): (waiting, path_opened),
    ("WAITING", "voice_gap_ms over"): (waiting, gap_over),
    ("WAITING", "bot speaks"): (waiting, speaks),
    ("SUSPENDED", "path lost"): (suspended, path_lost),
    ("SUSPENDED", "path opened"): (suspended, path_opened),
    ("SUSPENDED", "suspended"): (suspended, suspends),
    ("SUSPENDED", "plays again"): (suspended, plays_again),
    ("SUSPENDED", "bot speaks"): (suspended, speaks),
    ("CUT", "path lost"): (cut, path_lost),
    ("CUT", "path opened"): (cut, path_opened),
    ("CUT", "suspended"): (cut_suspended, suspends),
    ("CUT", "plays again"): (cut_suspended, plays_again),
    ("CUT", "bot speaks"): (cut, speaks),
}


async def after_a_gap(stage: Stage, time: VirtualTime) -> None:
    """The limit of a gap that is over is reached."""
    await waiting(stage, time)
    stage.voice.alive()


async def suspended_after_a_gap(stage: Stage, time: VirtualTime) -> None:
    await waiting(stage, time)
    stage.report(100, suspended=True)


async def cut_after_a_gap(stage: Stage, time: VirtualTime) -> None:
    await suspended_after_a_gap(stage, time)
    await time.advance(501)
    assert len(stage.cuts) == 1


async def after_a_suspension(stage: Stage, time: VirtualTime) -> None:
    await suspended(stage, time)
    stage.report(100)


async def waiting_after_a_suspension(stage: Stage, time: VirtualTime) -> None:
    await suspended(stage, time)
    stage.voice.lost(time.now_ms())


async def cut_after_a_suspension(stage: Stage, time: VirtualTime) -> None:
    await suspended(stage, time)
    stage.voice.lost(time.now_ms())
    await time.advance(501)
    assert len(stage.cuts) == 1


async def suspended_over(stage: Stage, time: VirtualTime) -> None:
    await time.advance(3001)


HOW |= {
    ("PLAYING", "voice_gap_ms over"): (after_a_gap, gap_over),
    ("PLAYING", "suspended_ms over"): (after_a_suspension, suspended_over),
    ("WAITING", "suspended_ms over"): (waiting_after_a_suspension, suspended_over),
    ("SUSPENDED", "voice_gap_ms over"): (suspended_after_a_gap, gap_over),
    ("SUSPENDED", "suspended_ms over"): (suspended, suspended_over),
    ("CUT", "voice_gap_ms over"): (cut_after_a_gap, gap_over),
    ("CUT", "suspended_ms over"): (cut_after_a_suspension, suspended_over),
}
LIMITS = {
    ("WAITING", "suspended_ms over"): (60_000, 3000),
    ("CUT", "voice_gap_ms over"): (2000, 500),
    ("CUT", "suspended_ms over"): (500, 3000),
}


async def state_after(state: str, event: str, time: VirtualTime) -> str:
    voice_gap_ms, suspended_ms = LIMITS.get((state, event), (2000, 3000))
    stage = Stage(voice_gap_ms=voice_gap_ms, suspended_ms=suspended_ms)
    begin, happens = HOW[state, event]
    await begin(stage, time)
    before = str(stage.voice.state)
    await happens(stage, time)
    after = str(stage.voice.state)
    stage.voice.close()
    return after if before == state else f"began {before}"


def test_every_cell_is_brought_about() -> None:
    told_again = {("WAITING", "suspended")}  # test_after_a_cut_one_who_cannot_play...
    possible = {at for at, cell in TABLE.items() if cell != "—"}
    assert set(HOW) | told_again == possible


@pytest.mark.parametrize(("state", "event"), HOW)
@in_virtual_time
async def test_a_voice_becomes_what_the_cell_says(
    state: str, event: str, time: VirtualTime
) -> None:
    assert await state_after(state, event, time) == TABLE[state, event]


@pytest.mark.parametrize(("state", "event"), HOW)
def test_a_voice_asks_the_table(state: str, event: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that is turned into another shows: nothing but the table decides."""
    at = VoiceState(state), GapEvent(event)
    others = [other for other in VoiceState if other is not RULES[at]]

    def shows(other: VoiceState) -> bool:
        monkeypatch.setitem(gap_rules.RULES, at, other)
        time = VirtualTime()
        try:
            return time.run(state_after(state, event, time)) != TABLE[state, event]
        except LookupError:  # what follows cannot happen then
            return True

    assert any(shows(other) for other in others)


# what the cells mean


@in_virtual_time
async def test_a_voice_goes_on_from_the_last_position_that_was_reported(time: VirtualTime) -> None:
    stage = Stage()
    path = await stage.open(1)
    stage.say(2000)
    stage.report(100)
    assert len(path.pcm) // 2 * 1000 // RATE >= AHEAD_MS
    stage.voice.channel_lost(time.now_ms())
    await time.advance(1500)
    assert path.closed
    assert stage.voice.waits
    again = await stage.open(2)
    assert again.blocks[0].start == 100 * RATE // 1000
    assert stage.cuts == []


@in_virtual_time
async def test_what_waited_too_long_is_cut_where_it_was_heard(time: VirtualTime) -> None:
    stage = Stage()
    await stage.open(1)
    stage.say(2000)
    stage.report(100)
    stage.voice.channel_lost(time.now_ms())
    await time.advance(1999)
    assert stage.cuts == []
    await time.advance(2)
    assert stage.cuts == [100]
    assert not stage.voice.waits
    assert stage.voice.backlog_ms() == 0
    assert stage.port.of("flush") == []  # nobody is there to be told
    await stage.open(2)
    [flush] = stage.port.of("flush")
    assert (flush.path_id, flush.utterance_id) == (2, "u1")


@in_virtual_time
async def test_what_was_placed_in_a_gap_waits_as_long_from_then_on(time: VirtualTime) -> None:
    stage = Stage()
    await stage.open(1)
    stage.voice.channel_lost(time.now_ms())
    await time.advance(1500)
    stage.say(500)
    await time.advance(1900)
    assert stage.voice.state is VoiceState.WAITING
    await time.advance(200)
    assert stage.voice.state is VoiceState.CUT
    stage.say(500)
    assert stage.voice.waits
    await time.advance(1999)
    assert len(stage.cuts) == 1
    await time.advance(2)
    assert len(stage.cuts) == 2


@in_virtual_time
async def test_after_a_cut_one_who_cannot_play_has_said_so_still(time: VirtualTime) -> None:
    stage = Stage(suspended_ms=3000)
    await cut_suspended(stage, time)
    assert stage.voice.suspended
    stage.say(1000)
    assert stage.voice.state is VoiceState.SUSPENDED
    await time.advance(2999)
    assert stage.voice.state is VoiceState.SUSPENDED
    await time.advance(2)
    assert len(stage.cuts) == 2


@in_virtual_time
async def test_one_who_comes_back_and_cannot_play_has_said_so_still(time: VirtualTime) -> None:
    stage = Stage()
    await suspended(stage, time)
    stage.voice.lost(time.now_ms())
    assert stage.voice.state is VoiceState.WAITING
    stage.voice.alive()
    assert stage.voice.state is VoiceState.SUSPENDED


@in_virtual_time
async def test_what_a_new_path_finds_late_is_cut_before_it_sounds(time: VirtualTime) -> None:
    stage = Stage()
    old = await stage.open(1, WEBRTC)
    stage.say(5000)
    stage.report(100)
    for _ in range(6):  # it stands still, though it is there
        await time.advance(500)
        stage.report(200, playing=False)
    path = await stage.open(2)
    assert stage.cuts == [200]
    assert path.blocks == []
    assert old.closed


@in_virtual_time
async def test_silence_is_a_gap_when_it_lasts(time: VirtualTime) -> None:
    stage = Stage()
    await stage.open(1)
    stage.say(5000)
    stage.report(100)
    last_sign_ms = time.now_ms()
    await time.advance(1900)
    stage.voice.watch(last_sign_ms)
    assert stage.voice.state is VoiceState.PLAYING
    await time.advance(200)
    stage.voice.watch(last_sign_ms)
    assert stage.voice.state is VoiceState.WAITING
    await time.advance(1)
    assert stage.cuts == [100]


@in_virtual_time
async def test_a_message_is_no_sign_of_a_listener_with_a_wire_of_its_own(
    time: VirtualTime,
) -> None:
    stage = Stage()
    path = await stage.open(1, WEBRTC)
    stage.voice.lost(time.now_ms())
    stage.voice.alive()
    assert stage.voice.state is VoiceState.WAITING
    path.sink.audio(bytes(320))
    assert stage.voice.state is VoiceState.PLAYING


@in_virtual_time
async def test_a_path_that_kept_the_voice_back_sends_again_what_was_missed(
    time: VirtualTime,
) -> None:
    stage = Stage()
    path = await stage.open(1, WEBRTC)
    stage.say(2000)
    stage.report(100)
    stage.voice.lost(time.now_ms())
    await time.advance(500)
    path.blocks.clear()
    await stage.voice.returned()
    path.wake()
    assert stage.voice.state is VoiceState.PLAYING
    assert path.blocks[0].start == 100 * RATE // 1000


@in_virtual_time
async def test_without_resume_nobody_is_waited_for(time: VirtualTime) -> None:
    stage = Stage(features=frozenset())
    await waiting(stage, time)
    assert stage.voice.state is VoiceState.WAITING
    assert not stage.voice.waits


@in_virtual_time
async def test_who_waits_for_a_change_hears_of_the_next_one(time: VirtualTime) -> None:
    stage = Stage()
    await waiting(stage, time)
    before = time.now_ms()
    await stage.voice.changed()
    assert time.now_ms() - before == pytest.approx(2000)
    assert stage.voice.state is VoiceState.CUT


# placing and hearing


@in_virtual_time
async def test_what_must_be_known_ahead_of_the_sound_is_said_before_it(time: VirtualTime) -> None:
    stage = Stage()
    path = await stage.open(1)
    seen: list[tuple[int, int]] = []
    stage.voice.place(
        bytes(320), new_stretch=True, announce=lambda start: seen.append((start, len(path.blocks)))
    )
    assert seen == [(0, 0)]
    assert len(path.blocks) == 1


@in_virtual_time
async def test_a_report_is_told_on_and_of_another_path_is_dropped(time: VirtualTime) -> None:
    stage = Stage()
    path = await stage.open(1)
    stage.say(1000)
    moves = stage.moves
    stage.report(100, path_id=7)
    assert (stage.reports, stage.moves) == ([], moves)
    stage.report(100, concealed_ms=40)
    assert stage.reports == [Report(media_ms=100, concealed_ms=40)]
    assert stage.moves == moves + 1
    assert stage.voice.heard_at() == (100, REPORTED)
    assert stage.voice.playout.concealed_ms == 40
    assert stage.voice.eta_ms(90) == 0
    assert path.blocks[-1].end * 1000 // RATE >= 400


@in_virtual_time
async def test_keys_of_the_path_in_use_are_pressed(time: VirtualTime) -> None:
    stage = Stage()
    first = await stage.open(1)
    first.sink.keys("1")
    second = await stage.open(2)
    first.sink.keys("2")
    second.sink.keys("3#")
    assert stage.pressed == ["1", "3#"]


@in_virtual_time
async def test_a_telephone_hears_the_voice_at_its_own_rate_and_says_how_far(
    time: VirtualTime,
) -> None:
    """8 kHz below a voice of 24 kHz, with marks as reports and nothing on a control channel."""
    stage = Stage(features=frozenset(), rate=24_000, path_rate=8000)
    stage.is_attached = False
    path = await stage.open(1, WEBRTC)
    stage.say(3000)
    for played_ms in range(0, 500, 20):
        path.sink.report(Report(media_ms=played_ms))
        path.wake()
        await time.advance(20)
    sent_ms = path.blocks[-1].end * 1000 // 8000
    assert sent_ms >= 480
    path.on_void = lambda cut: path.sink.report(
        Report(media_ms=500, playing=False, flush_id=cut.flush_id)
    )
    heard = await stage.voice.flush("u1")
    assert heard is not None
    assert heard[0] == pytest.approx(500, abs=20)
    assert not path.sound.pending
    start = stage.say(500)
    path.wake()
    assert path.blocks[-1].start >= start // 3


# heard words of a peer that does not fire them


@in_virtual_time
async def test_a_call_comes_when_the_server_believes_the_position_heard(time: VirtualTime) -> None:
    stage = Stage(features=frozenset())
    await stage.open(1)
    began = time.now_ms()
    stage.say(1000)
    called: list[tuple[str, float]] = []
    for word, media_ms in (("two", 200), ("one", 100), ("never", 5000)):
        stage.voice.when_heard(media_ms, lambda w=word: called.append((w, time.now_ms() - began)))
    for _ in range(10):
        await time.advance(100)
        stage.voice.alive()
        stage.paths[1].wake()
    assert [word for word, _ in called] == ["one", "two"]
    assert called[0][1] == pytest.approx(100, abs=2)
    assert called[1][1] == pytest.approx(200, abs=2)


@in_virtual_time
async def test_of_words_that_were_flushed_only_the_heard_ones_are_called(time: VirtualTime) -> None:
    stage = Stage()
    path = await stage.open(1)
    stage.say(2000)
    called: list[int] = []
    for media_ms in (100, 290, 300, 900):
        stage.voice.when_heard(media_ms, lambda at=media_ms: called.append(at))
    stage.report(100)
    assert called == [100]
    path.on_void = lambda cut: stage.report(300, playing=False, flush_id=cut.flush_id)
    assert await stage.voice.flush("u1") == (300, REPORTED)
    assert called == [100, 290]
    await time.advance(5000)
    assert called == [100, 290]
