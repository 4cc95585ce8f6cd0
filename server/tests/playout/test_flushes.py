"""Flushes: said at once, answered by the listener, or believed by the clock."""

import pytest

from tests.support.stage import FEATURES, Stage
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time

REPORTED = wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
SERVER_CLOCK = wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK


@in_virtual_time
async def test_when_all_is_heard_there_is_nothing_to_flush(time: VirtualTime) -> None:
    stage = Stage()
    path = await stage.open(1)
    assert await stage.voice.flush("u1") is None
    assert path.cuts == []
    assert stage.port.of("flush") == []


@in_virtual_time
async def test_a_flush_voids_the_path_and_waits_for_the_report(time: VirtualTime) -> None:
    stage = Stage()
    path = await stage.open(1)
    stage.say(1000)
    stage.report(100)
    flushing = stage.port.spawn(flush(stage, time, expected=(160.0, REPORTED), after_ms=40))
    await time.advance(40)
    [flushed] = stage.port.of("flush")
    assert (flushed.path_id, flushed.flush_id, flushed.until_media_ms) == (1, 1, 1000)
    assert flushed.utterance_id == "u1"
    assert [cut.until_ms for cut in path.cuts] == [1000]
    stage.report(160, playing=False, flush_id=1)
    assert flushing is not None
    await flushing
    assert stage.voice.heard_ms() == 1000
    assert not path.sound.pending


async def flush(
    stage: Stage, time: VirtualTime, *, expected: tuple[float, object], after_ms: float
) -> None:
    before = time.now_ms()
    assert await stage.voice.flush("u1") == expected
    assert time.now_ms() - before == pytest.approx(after_ms)


@in_virtual_time
async def test_a_report_that_does_not_come_is_waited_for_150_ms(time: VirtualTime) -> None:
    stage = Stage()
    await stage.open(1)
    stage.say(1000)
    stage.report(100)
    await flush(stage, time, expected=(250.0, SERVER_CLOCK), after_ms=150)


@pytest.mark.parametrize("without", ["the feature", "a control channel"])
@in_virtual_time
async def test_who_cannot_answer_is_not_asked(without: str, time: VirtualTime) -> None:
    features = FEATURES - {wire.Feature.FEATURE_FLUSH} if without == "the feature" else FEATURES
    stage = Stage(features=features)
    stage.is_attached = without != "a control channel"
    await stage.open(1)
    stage.say(1000)
    stage.report(100)
    await flush(stage, time, expected=(100.0, REPORTED), after_ms=0)


@in_virtual_time
async def test_who_drops_nothing_hears_all_that_he_was_sent(time: VirtualTime) -> None:
    stage = Stage(features=frozenset())
    path = await stage.open(1)
    stage.say(1000)
    await time.advance(100)
    assert stage.voice.heard_ms() == 100
    sent_ms = 20 * len(path.blocks)
    assert sent_ms > 200
    await flush(stage, time, expected=(sent_ms, SERVER_CLOCK), after_ms=0)


@in_virtual_time
async def test_what_a_path_drops_before_it_has_left_is_never_heard(time: VirtualTime) -> None:
    stage = Stage(features=frozenset())
    path = await stage.open(1)
    stage.say(1000)
    await time.advance(100)
    sent_ms = 20 * len(path.blocks)
    path.drops_from_ms = 60  # the socket is slow: the clock has it that some of it was heard
    assert 60 < stage.voice.heard_ms() < sent_ms
    await flush(stage, time, expected=(60, SERVER_CLOCK), after_ms=0)


@in_virtual_time
async def test_in_a_gap_only_what_was_reported_is_certain(time: VirtualTime) -> None:
    stage = Stage()
    await stage.open(1)
    stage.say(1000)
    stage.report(100)
    await time.advance(100)
    stage.voice.lost(time.now_ms() - 100)
    await flush(stage, time, expected=(100.0, REPORTED), after_ms=0)


@in_virtual_time
async def test_at_the_end_nobody_waits_for_a_report(time: VirtualTime) -> None:
    stage = Stage()
    await stage.open(1)
    stage.say(1000)
    task = stage.port.spawn(flush(stage, time, expected=(0, REPORTED), after_ms=0))
    await stage.port.settle()
    stage.voice.close()
    await stage.port.settle()
    assert task is not None
    assert task.cancelled()
