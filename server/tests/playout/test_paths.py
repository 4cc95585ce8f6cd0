"""Media paths: opened by a table of carriers, their failures told, closed at the end."""

import asyncio

import pytest

from tests.support.stage import CONNECTION_LOST, WEBRTC, WEBSOCKET, FakePath, Stage
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.playout.gap_rules import VoiceState
from voxwire_server.ports import PathError, Report

ICE_FAILED = wire.ErrorCode.ERROR_CODE_ICE_FAILED
MISSING_EXTRA = wire.ErrorCode.ERROR_CODE_MISSING_EXTRA


@in_virtual_time
async def test_a_path_is_answered_and_then_ready(time: VirtualTime) -> None:
    stage = Stage()
    path = await stage.open(1)
    assert [kind for kind, _ in stage.port.sent] == ["path_answer", "path_ready"]
    [answer] = stage.port.of("path_answer")
    assert (answer.path_id, answer.capture.sample_rate, answer.capture.block_ms) == (1, 8000, 20)
    assert stage.voice.path is path
    assert stage.user.told == ["ready 1 numbered"]


@in_virtual_time
async def test_a_path_is_answered_in_its_own_format(time: VirtualTime) -> None:
    stage = Stage(path_rate=16_000)
    path = await stage.open(1, WEBRTC)
    [answer] = stage.port.of("path_answer")
    assert (answer.playout.sample_rate, answer.sdp_answer) == (16_000, "answer")
    assert stage.user.told == ["ready 1 at 16000"]
    path.sink.audio(b"abcd", 48_000)
    assert stage.user.taken == [(1, b"abcd", 48_000)]


@in_virtual_time
async def test_a_path_is_not_ready_before_the_bot_is(time: VirtualTime) -> None:
    stage = Stage()
    stage.runs.clear()
    await stage.open(1)
    assert stage.voice.path is None
    assert stage.port.of("path_ready") == []
    stage.runs.set()
    await stage.port.settle()
    assert stage.voice.path is stage.paths[1]


@in_virtual_time
async def test_a_newer_path_takes_the_place_of_the_older_one(time: VirtualTime) -> None:
    stage = Stage()
    first = await stage.open(1)
    second = await stage.open(2)
    assert stage.voice.path is second
    assert first.closed
    assert not second.closed
    assert stage.user.told == ["ready 1 numbered", "ready 2 numbered", "closed 1"]
    assert stage.closes == []


@in_virtual_time
async def test_what_an_opener_refuses_the_client_is_told(time: VirtualTime) -> None:
    stage = Stage()
    stage.refuses = PathError(MISSING_EXTRA, "pip install")
    stage.voice.paths.open(wire.PathOpen(path_id=1, carrier=WEBRTC))
    await stage.port.settle()
    assert stage.closes == [(1, MISSING_EXTRA)]
    assert stage.port.of("path_close")[0].reason == "pip install"


@in_virtual_time
async def test_a_path_that_never_connects_is_closed_and_told(time: VirtualTime) -> None:
    stage = Stage()

    async def connects() -> None:
        await asyncio.sleep(15)
        raise PathError(ICE_FAILED, "no connection")

    stage.connects = connects
    path = await stage.open(1, WEBRTC)
    await time.advance(15_001)
    assert path.closed
    assert stage.closes == [(1, ICE_FAILED)]
    assert stage.user.told == ["closed 1", "hush"]
    assert stage.voice.state is VoiceState.PLAYING


@in_virtual_time
async def test_a_path_that_goes_while_it_opens_is_closed_and_told(time: VirtualTime) -> None:
    stage = Stage()

    async def never() -> None:
        await asyncio.Event().wait()

    stage.connects = never
    path = await stage.open(1, WEBRTC)
    path.sink.gone(PathError(CONNECTION_LOST, "it went"))
    await stage.port.settle()
    assert path.closed
    assert stage.closes == [(1, CONNECTION_LOST)]


@in_virtual_time
async def test_a_path_in_use_that_goes_is_told_once_and_leaves_a_gap(time: VirtualTime) -> None:
    stage = Stage()
    path = await stage.open(1, WEBRTC)
    for _ in range(2):
        path.sink.gone(PathError(CONNECTION_LOST, "it went"))
    path.sink.audio(b"ab")
    await stage.port.settle()
    assert path.closed
    assert stage.voice.path is None
    assert stage.closes == [(1, CONNECTION_LOST)]
    assert stage.voice.state is VoiceState.WAITING
    assert stage.user.taken == []
    assert stage.user.told[-2:] == ["closed 1", "hush"]


@in_virtual_time
async def test_a_path_on_the_control_channel_goes_with_it_and_its_client_knows(
    time: VirtualTime,
) -> None:
    stage = Stage()
    path = await stage.open(1)
    stage.voice.channel_lost(time.now_ms() - 500)
    await stage.port.settle()
    assert path.closed
    assert stage.closes == []
    assert stage.voice.state is VoiceState.WAITING


@in_virtual_time
async def test_a_path_with_a_wire_of_its_own_outlives_the_control_channel(
    time: VirtualTime,
) -> None:
    stage = Stage()
    path = await stage.open(1, WEBRTC)
    stage.voice.channel_lost(time.now_ms())
    await stage.port.settle()
    assert stage.voice.path is path
    assert stage.voice.state is VoiceState.PLAYING


@in_virtual_time
async def test_a_path_whose_channel_goes_before_it_is_ready_never_is(time: VirtualTime) -> None:
    stage = Stage()
    stage.runs.clear()
    path = await stage.open(1)
    stage.voice.channel_lost(time.now_ms())
    await stage.port.settle()
    stage.runs.set()
    await stage.port.settle()
    assert path.closed
    assert stage.closes == [(1, CONNECTION_LOST)]
    assert stage.port.of("path_ready") == []


@in_virtual_time
async def test_a_client_gives_a_path_up_that_opens(time: VirtualTime) -> None:
    stage = Stage()
    stage.runs.clear()
    path = await stage.open(1)
    stage.voice.paths.close(1)
    await stage.port.settle()
    assert path.closed
    assert stage.closes == []
    stage.runs.set()
    await stage.port.settle()
    assert stage.voice.path is None


@in_virtual_time
async def test_a_client_gives_the_path_in_use_up_while_it_replaces_another(
    time: VirtualTime,
) -> None:
    stage = Stage()
    first = await stage.open(1)
    first.closing = asyncio.sleep(0.5)
    second = await stage.open(2)
    stage.voice.paths.close(2)
    await stage.port.settle()
    assert stage.voice.path is None
    await stage.port.settle()
    assert second.closed


@in_virtual_time
async def test_a_number_is_used_once(time: VirtualTime) -> None:
    stage = Stage()
    await stage.open(1)
    for path_id in (0, 1):
        stage.voice.paths.open(wire.PathOpen(path_id=path_id, carrier=WEBSOCKET))
    assert stage.port.codes == [ErrorCode.INVALID_ARGUMENT] * 2
    assert stage.closes == []
    for path_id in (0, 1):
        with pytest.raises(ValueError, match="used once"):
            stage.voice.paths.sink(path_id)


@in_virtual_time
async def test_too_many_that_open_are_refused(time: VirtualTime) -> None:
    stage = Stage()
    stage.runs.clear()
    for path_id in range(1, 6):
        stage.voice.paths.open(wire.PathOpen(path_id=path_id, carrier=WEBSOCKET))
    assert stage.closes == [(5, wire.ErrorCode.ERROR_CODE_RATE_LIMITED)]


@pytest.mark.parametrize(
    ("form", "carrier", "code"),
    [
        (wire.AudioFormat(sample_rate=12_345), WEBSOCKET, "UNSUPPORTED_FORMAT"),
        (wire.AudioFormat(sample_rate=8000, num_channels=2), WEBSOCKET, "UNSUPPORTED_FORMAT"),
        (wire.AudioFormat(sample_rate=8000, block_ms=7), WEBSOCKET, "UNSUPPORTED_FORMAT"),
        (None, wire.Carrier.CARRIER_DAILY, "UNSUPPORTED"),
    ],
)
@in_virtual_time
async def test_what_no_path_can_be_is_refused(
    form: wire.AudioFormat | None, carrier: wire.Carrier, code: str
) -> None:
    stage = Stage()
    stage.voice.paths.open(wire.PathOpen(path_id=1, carrier=carrier, capture=form))
    assert stage.closes == [(1, wire.ErrorCode.Value(f"ERROR_CODE_{code}"))]


# paths of other front doors


@in_virtual_time
async def test_a_path_without_a_request_comes_into_use_by_one_verb(time: VirtualTime) -> None:
    stage = Stage()
    paths = stage.voice.paths
    path = FakePath(1, paths.sink(1), paths.sound(1, 8000))
    paths.use(path)
    await stage.port.settle()
    assert stage.voice.path is path
    assert [kind for kind, _ in stage.port.sent] == ["path_ready"]
    for again in (path, FakePath(2, path.sink, path.sound)):
        with pytest.raises(LookupError):
            paths.use(again)


@in_virtual_time
async def test_a_path_that_reports_by_itself_answers_flushes(time: VirtualTime) -> None:
    stage = Stage(features=frozenset())
    stage.is_attached = False
    path = await stage.open(1, WEBRTC)
    stage.say(1000)
    path.sink.report(Report(media_ms=40))
    path.on_void = lambda cut: path.sink.report(
        Report(media_ms=100, playing=False, flush_id=cut.flush_id)
    )
    heard, source = await stage.voice.flush("u1") or (0, None)
    assert heard == pytest.approx(100)
    assert source == wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
    assert len(path.cuts) == 1


# the end


@in_virtual_time
async def test_at_the_end_every_path_is_closed(time: VirtualTime) -> None:
    stage = Stage()
    first = await stage.open(1)
    first.closing = asyncio.sleep(0.2)
    second = await stage.open(2)
    await stage.voice.paths.release()
    assert (first.closed, second.closed) == (True, True)
    assert stage.voice.path is None


@in_virtual_time
async def test_a_path_that_does_not_close_is_not_waited_for(
    time: VirtualTime,
) -> None:
    stage = Stage()
    path = await stage.open(1)
    path.closing = asyncio.sleep(60)
    before = time.now_ms()
    await stage.voice.paths.release()
    assert time.now_ms() - before == pytest.approx(1000)
