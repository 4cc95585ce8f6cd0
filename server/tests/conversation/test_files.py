"""Files come piece by piece, whole and once, or are refused; nothing is left of those that are."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_pipeline import FakePipeline
from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.files import PIECE_BYTES, OutgoingFile
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.conversation.file_arrival import FILE_BYTES_PER_SECOND, MAX_WINDOW_BYTES
from voxwire_server.conversation.files import (
    LEAST_BYTES_PER_SECOND,
    MAX_GIVEN_FILES,
    MAX_OPEN,
    STALL_MS,
    Files,
)
from voxwire_server.conversation.lane import Errand, Kind, Lane
from voxwire_server.sent_files import Acceptance, FileRefusal, FileRoom, SentFile

MAX_BYTES = 1_000_000
ACCEPTS = Acceptance(("image/*", "application/pdf"), MAX_BYTES)


def data_of(size: int) -> bytes:
    """Bytes of which none stands for another one."""
    return b"".join(number.to_bytes(4, "big") for number in range(-(-size // 4)))[:size]


class Bench:
    """The files of one session, and a client that sends what it may."""

    def __init__(self, *, total_bytes: int = 10 * MAX_BYTES) -> None:
        self.port = FakePort()
        self.pipeline = FakePipeline()
        self.room = FileRoom(total_bytes)
        self.attached = True
        self.may_answer = True
        ready = asyncio.Event()
        ready.set()
        self.lane = Lane(self.port, session_id="s", ready=ready, over=lambda: False)
        self.files = Files(
            self.port,
            self.lane,
            accepts=ACCEPTS,
            room=self.room,
            pipeline=lambda: self.pipeline,
            attached=lambda: self.attached,
            may_answer=lambda: self.may_answer,
        )
        self._sending: dict[str, OutgoingFile] = {}
        self._read = 0

    def say(self, envelope: wire.Envelope) -> None:
        self.files.take(wire.Envelope.FromString(envelope.SerializeToString()))

    def begin(self, file_id: str, data: bytes, **fields: Any) -> OutgoingFile:
        begin = wire.FileBegin(**{"file_id": file_id, "name": "a.png", "type": "image/png"})
        begin.MergeFrom(wire.FileBegin(**fields))
        self._sending[file_id] = OutgoingFile(begin, data)
        self.say(self._sending[file_id].begin())
        return self._sending[file_id]

    def answer(self) -> bool:
        """Send what the server has let the client send; False = nothing."""
        news = self.port.sent[self._read :]
        self._read = len(self.port.sent)
        pieces = [
            piece
            for kind, message in news
            if kind == "file_taken" and message.file_id in self._sending
            for piece in self._sending[message.file_id].taken(message)
        ]
        for piece in pieces:
            self.say(piece)
        return bool(pieces)

    async def run(self, time: VirtualTime, *, rtt_ms: float = 20, steps: int = 2000) -> None:
        """Send until everything is over."""
        for _ in range(steps):
            self.answer()
            await time.advance(rtt_ms)
            if len(self.ended) >= len(self._sending):
                return
        raise AssertionError("the files did not end")

    @property
    def ended(self) -> dict[str, int]:
        return {message.file_id: message.code for message in self.port.of("file_ended")}

    @property
    def got(self) -> list[SentFile]:
        return [what for kind, what in self.pipeline.told if kind == "file"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("size", [1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, MAX_BYTES])
@in_virtual_time
async def test_a_file_comes_whole_and_its_memory_is_given_back(
    bench: Bench, time: VirtualTime, size: int
) -> None:
    bench.begin("f", data_of(size), text="what is it?", run_immediately=False)
    await bench.run(time)
    assert bench.ended == {"f": 0}
    [file] = bench.got
    assert file.data == data_of(size)
    assert (file.name, file.media_type, file.text) == ("a.png", "image/png", "what is it?")
    assert (file.run_immediately, file.audio_response) == (False, True)
    assert bench.room.used_bytes == 0


@in_virtual_time
async def test_no_more_is_on_its_way_than_the_window_and_not_faster_than_allowed(
    bench: Bench, time: VirtualTime
) -> None:
    bench.begin("f", data_of(MAX_BYTES))
    began_ms = bench.port.clock.now_ms()
    await bench.run(time, rtt_ms=5)
    taken = bench.port.of("file_taken")
    assert max(message.limit - message.offset for message in taken) <= MAX_WINDOW_BYTES
    took_ms = bench.port.clock.now_ms() - began_ms
    assert took_ms >= (MAX_BYTES - MAX_WINDOW_BYTES) * 1000 / FILE_BYTES_PER_SECOND


@in_virtual_time
async def test_the_window_stays_small_where_the_way_is_narrow(
    bench: Bench, time: VirtualTime
) -> None:
    """50 000 bytes a second: behind 128 KiB, everything else would be 2.6 s late."""
    data = data_of(400_000)
    began_ms = bench.port.clock.now_ms()
    file = bench.begin("f", data)
    waiting: list[wire.Envelope] = []
    read, delays_ms = 0, []
    while not bench.ended:
        for kind, message in bench.port.sent[read:]:
            if kind == "file_taken":
                waiting.extend(file.taken(message))
        read = len(bench.port.sent)
        delays_ms.append(sum(len(each.file_piece.data) for each in waiting) / 50)
        if waiting:
            await time.advance(len(waiting[0].file_piece.data) / 50)
            bench.say(waiting.pop(0))
        else:
            await time.advance(1)
    await bench.port.settle()
    assert bench.got[0].data == data
    assert max(delays_ms) <= 330
    assert sum(delays_ms) / len(delays_ms) <= 200
    assert bench.port.clock.now_ms() - began_ms < len(data) / 50 * 1.1  # and it is all used


@in_virtual_time
async def test_files_come_one_after_the_other_and_no_more_than_four_wait(
    bench: Bench, time: VirtualTime
) -> None:
    for number in range(MAX_OPEN + 1):
        bench.begin(f"f{number}", data_of(40_000 + number))
    assert bench.ended == {f"f{MAX_OPEN}": ErrorCode.RATE_LIMITED}
    assert {message.file_id for message in bench.port.of("file_taken")} == {"f0"}
    await bench.run(time)
    assert [len(file.data) for file in bench.got] == [40_000 + number for number in range(MAX_OPEN)]


@in_virtual_time
async def test_a_thousand_begins_cost_no_memory(bench: Bench) -> None:
    for number in range(1000):
        bench.begin(f"f{number}", b"x" * 10, size=10)
    assert len(bench.ended) == 1000 - MAX_OPEN
    assert bench.room.used_bytes == 0
    assert len(bench.files._over) <= 64


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"type": "video/mp4"}, ErrorCode.UNSUPPORTED),
        ({"type": "image"}, ErrorCode.INVALID_ARGUMENT),
        ({"type": "image/png\r\nx: y"}, ErrorCode.INVALID_ARGUMENT),
        ({"name": "../a.png"}, ErrorCode.INVALID_ARGUMENT),
        ({"name": "a\\b.png"}, ErrorCode.INVALID_ARGUMENT),
        ({"name": "a\0.png"}, ErrorCode.INVALID_ARGUMENT),
        ({"name": ".."}, ErrorCode.INVALID_ARGUMENT),
        ({"name": "a" * 256}, ErrorCode.INVALID_ARGUMENT),
        ({"text": "a" * 16_001}, ErrorCode.TOO_LARGE),
        ({"size": MAX_BYTES + 1}, ErrorCode.TOO_LARGE),
        ({"size": 2**32 - 1}, ErrorCode.TOO_LARGE),
        ({"size": 0}, ErrorCode.INVALID_ARGUMENT),
    ],
)
@in_virtual_time
async def test_what_the_bot_does_not_take_is_refused_before_a_byte_of_it_comes(
    bench: Bench, fields: dict[str, Any], code: ErrorCode
) -> None:
    begin = {"file_id": "f", "name": "a.png", "type": "image/png", "size": 10, **fields}
    bench.say(wire.Envelope(file_begin=wire.FileBegin(**begin)))
    assert bench.ended == {"f": code}
    assert bench.port.of("file_taken") == []


@pytest.mark.parametrize(
    "pieces",
    [
        [(5, b"x")],
        [(0, b"x" * 10), (5, b"x")],
        [(0, b"x" * 10), (0, b"x" * 10)],
        [(0, b"x" * 10), (11, b"x")],
        [(0, b"")],
        [(0, b"x" * (PIECE_BYTES + 1))],
        [(0, b"x" * PIECE_BYTES), (PIECE_BYTES, b"x" * 10)],
        [(2**32 - 1, b"x")],
    ],
)
@in_virtual_time
async def test_pieces_that_do_not_fit_end_the_file_and_nothing_else(
    bench: Bench, time: VirtualTime, pieces: list[tuple[int, bytes]]
) -> None:
    bench.begin("f", data_of(MAX_BYTES))
    bench.begin("g", data_of(100))
    for offset, data in pieces:
        piece = wire.FilePiece(file_id="f", offset=offset, data=data)
        bench.say(wire.Envelope(file_piece=piece))
    assert bench.ended == {"f": ErrorCode.MALFORMED}
    await bench.run(time)
    assert [len(file.data) for file in bench.got] == [100]
    assert bench.room.used_bytes == 0


@in_virtual_time
async def test_a_piece_of_no_file_is_refused_and_a_flood_of_them_is_not_answered(
    bench: Bench,
) -> None:
    stray = wire.Envelope(file_piece=wire.FilePiece(file_id="?" * 100, data=b"x"))
    bench.say(stray)
    [ended] = bench.port.of("file_ended")
    assert (ended.file_id, ended.code) == ("?" * 64, ErrorCode.INVALID_STATE)
    bench.may_answer = False
    bench.say(stray)
    bench.say(wire.Envelope(file_begin=wire.FileBegin(file_id="")))
    assert len(bench.port.sent) == 1
    bench.may_answer = True
    bench.say(wire.Envelope(file_begin=wire.FileBegin(file_id="")))
    assert bench.port.codes == [ErrorCode.MALFORMED]


@in_virtual_time
async def test_a_file_that_is_given_up_leaves_nothing_and_the_next_one_comes(
    bench: Bench, time: VirtualTime
) -> None:
    file = bench.begin("f", data_of(MAX_BYTES))
    for _ in range(5):
        bench.answer()
        await time.advance(20)
    assert bench.room.used_bytes > 0
    bench.say(file.cancel())
    assert bench.room.used_bytes == 0
    del bench._sending["f"]
    bench.begin("g", data_of(100))
    await bench.run(time)
    assert bench.ended == {"g": 0}
    bench.say(file.cancel())  # of none


@in_virtual_time
async def test_a_client_that_sends_nothing_any_more_is_waited_for_30_s(
    bench: Bench, time: VirtualTime
) -> None:
    bench.begin("f", data_of(MAX_BYTES))
    bench.answer()
    await time.advance(1000)  # what it may send is granted within that
    await time.advance(STALL_MS - 1001)
    assert bench.ended == {}
    await time.advance(1000)
    assert bench.ended == {"f": ErrorCode.TIMEOUT}
    assert bench.room.used_bytes == 0


@in_virtual_time
async def test_a_byte_in_a_while_is_not_enough(bench: Bench, time: VirtualTime) -> None:
    """Nor does a file beside it, or the same begun again, win it time."""
    file = bench.begin("f", data_of(MAX_BYTES))
    for second in range(40):
        if bench.ended:
            break
        piece = wire.FilePiece(file_id="f", offset=second, data=b"x")
        bench.say(wire.Envelope(file_piece=piece))
        bench.say(file.begin())
        bench.say(bench.begin("g", data_of(10)).cancel())
        await time.advance(1000)
    assert bench.ended == {"f": ErrorCode.TIMEOUT}
    assert second <= STALL_MS // 1000 + 1
    assert bench.room.used_bytes == 0


@in_virtual_time
async def test_the_slowest_way_that_is_served_brings_a_file(
    bench: Bench, time: VirtualTime
) -> None:
    size = 3 * STALL_MS * LEAST_BYTES_PER_SECOND // 1000
    whole = data_of(size)
    bench.begin("f", whole)
    for offset in range(0, size, LEAST_BYTES_PER_SECOND):
        await time.advance(1000)
        data = whole[offset : offset + LEAST_BYTES_PER_SECOND]
        bench.say(wire.Envelope(file_piece=wire.FilePiece(file_id="f", offset=offset, data=data)))
    await bench.port.settle()
    assert bench.ended == {"f": 0}
    assert [file.data for file in bench.got] == [whole]


@in_virtual_time
async def test_time_without_a_connection_does_not_count(bench: Bench, time: VirtualTime) -> None:
    bench.begin("f", data_of(MAX_BYTES))
    bench.answer()
    bench.attached = False
    await time.advance(2 * STALL_MS)
    bench.attached = True
    bench.files.back()
    await time.advance(STALL_MS - 1)
    await bench.run(time)
    assert bench.ended == {"f": 0}


@in_virtual_time
async def test_a_file_that_begins_again_goes_on_where_the_server_is(
    bench: Bench, time: VirtualTime
) -> None:
    """As after a snapshot: what either side said last may be lost."""
    file = bench.begin("f", data_of(300_000))
    for step in range(200):
        if step % 3 == 2:
            for kind, message in bench.port.sent[bench._read :]:
                if kind == "file_taken":
                    list(file.taken(message))  # lost on the way
            bench._read = len(bench.port.sent)
            bench.say(file.begin())
        bench.answer()
        await time.advance(20)
        if bench.ended:
            break
    assert [file.data for file in bench.got] == [data_of(300_000)]
    bench.say(file.begin())
    assert [message.code for message in bench.port.of("file_ended")] == [0, 0]
    assert len(bench.got) == 1


@in_virtual_time
async def test_memory_of_all_sessions_is_bounded(time: VirtualTime) -> None:
    bench = Bench(total_bytes=500_000)
    bench.begin("large", data_of(600_000))
    assert bench.ended == {"large": ErrorCode.CAPACITY}
    bench.begin("fits", data_of(400_000))
    bench.room.take(300_000)  # another session's, meanwhile
    await bench.run(time)
    assert bench.ended["fits"] == ErrorCode.CAPACITY
    assert bench.room.used_bytes == 300_000
    assert all(message.retryable for message in bench.port.of("file_ended"))


@in_virtual_time
async def test_one_session_holds_no_more_than_two_files_of_the_largest_size(bench: Bench) -> None:
    for number in range(3):
        bench.begin(f"f{number}", data_of(MAX_BYTES))
    assert bench.ended == {"f2": ErrorCode.CAPACITY}


@in_virtual_time
async def test_a_session_that_ends_gives_everything_back(bench: Bench, time: VirtualTime) -> None:
    bench.begin("f", data_of(MAX_BYTES))
    for _ in range(5):
        bench.answer()
        await time.advance(20)
    bench.files.close()
    assert bench.room.used_bytes == 0
    sent = len(bench.port.sent)
    bench.begin("g", data_of(10))
    await time.advance(2 * STALL_MS)
    assert len(bench.port.sent) == sent


@in_virtual_time
async def test_a_file_that_came_whole_is_checked_alike(bench: Bench) -> None:
    def give(**fields: Any) -> FileRefusal | None:
        file = {"name": "a.png", "media_type": "image/png", "data": b"x", **fields}
        return bench.files.give(SentFile(**file))

    assert give() is None
    refused = [
        give(media_type="video/mp4"),
        give(name="a/b"),
        give(data=b"x" * (MAX_BYTES + 1)),
    ]
    assert [each and each.code for each in refused] == [
        ErrorCode.UNSUPPORTED,
        ErrorCode.INVALID_ARGUMENT,
        ErrorCode.TOO_LARGE,
    ]
    await bench.port.settle()
    assert len(bench.got) == 1
    assert bench.room.used_bytes == 0


@in_virtual_time
async def test_a_bot_is_given_four_of_the_largest_files_and_no_more(
    bench: Bench, time: VirtualTime
) -> None:
    """Its context keeps them: with no end to it, so would the memory that it takes."""

    def give(size: int) -> FileRefusal | None:
        file = SentFile(name="a.png", media_type="image/png", data=bytes(size))
        return bench.files.give(file)

    for _ in range(MAX_GIVEN_FILES - 1):
        assert give(MAX_BYTES) is None
        await bench.port.settle()
    bench.begin("half", data_of(MAX_BYTES // 2))
    promised = give(MAX_BYTES // 2 + 1)
    assert promised is not None
    assert (promised.code, promised.retryable) == (ErrorCode.CAPACITY, True)
    await bench.run(time)
    bench.begin("whole", data_of(MAX_BYTES))
    [_, ended] = bench.port.of("file_ended")
    assert (ended.code, ended.retryable) == (ErrorCode.CAPACITY, False)
    assert give(MAX_BYTES // 2) is None
    assert give(1) is not None
    await bench.port.settle()
    assert sum(len(file.data) for file in bench.got) == MAX_GIVEN_FILES * MAX_BYTES
    assert bench.room.used_bytes == 0


@in_virtual_time
async def test_a_file_behind_the_session_s_end_is_refused_and_leaves_nothing(bench: Bench) -> None:
    bench.files.close()
    refusal = bench.files.give(SentFile(name="a.png", media_type="image/png", data=b"x"))
    assert refusal is not None
    assert (refusal.code, refusal.retryable) == (ErrorCode.INVALID_STATE, False)
    assert bench.room.used_bytes == 0


@in_virtual_time
async def test_a_file_that_the_lane_does_not_take_is_refused_and_leaves_nothing(
    bench: Bench,
) -> None:
    async def nothing(_: Errand) -> None: ...

    while bench.lane.put(Kind.CALL, nothing):
        pass
    refusal = bench.files.give(SentFile(name="a.png", media_type="image/png", data=b"x"))
    assert refusal is not None
    assert (refusal.code, refusal.retryable) == (ErrorCode.CAPACITY, True)
    assert bench.room.used_bytes == 0
    await bench.port.settle()
    assert bench.got == []


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers(0, 70_000))))
@in_virtual_time
async def test_whatever_is_said_memory_is_what_is_held(said: list[tuple[int, str, int]]) -> None:
    bench = Bench()
    for what, file_id, number in said:
        match what:
            case 0 | 1:
                begin = wire.FileBegin(file_id=file_id, type="image/png", size=number)
                bench.say(wire.Envelope(file_begin=begin))
            case 2:
                cancel = wire.FileCancel(file_id=file_id)
                bench.say(wire.Envelope(file_cancel=cancel))
            case _:
                offset = sum(f.offset for f in bench.files._open.values() if f.file_id == file_id)
                data = b"x" * (number % (PIECE_BYTES + 2))
                piece = wire.FilePiece(file_id=file_id, offset=offset, data=data)
                bench.say(wire.Envelope(file_piece=piece))
        held = sum(file.offset for file in bench.files._open.values())
        assert bench.room.used_bytes >= held
        await bench.port.settle()
        assert bench.room.used_bytes == held
    bench.files.close()
    assert bench.room.used_bytes == 0
