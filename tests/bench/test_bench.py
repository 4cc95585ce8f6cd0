"""The bench itself: its arithmetic, its verdicts, and what it reads from the wire."""

import asyncio
import itertools
import os
import struct
import sys
import time

import numpy as np
import pytest

from tests.bench.dialects import Dialect
from tests.bench.dialects.stock import StockWs
from tests.bench.intelligible import distance, plain, sentences
from tests.bench.load_rtc import PITCHES_HZ, BurstDetector, Cycle, opus_packets
from tests.bench.load_ws import MAGIC, MARKER, Session
from tests.bench.measure import Meter, process_tree
from tests.bench.report import Line, exit_code
from tests.bench.sounds import Heard, Mouth, spoken_s
from tests.bench.trips import Trips, percentile
from tests.bench.websocket_wire import BINARY, WebSocketWire, client_frame

BUSY_S = 0.4
BUSY = f"""
import time
while time.process_time() < {BUSY_S}: pass
print(flush=True)
time.sleep(60)
"""


def line(**fields: object) -> Line:
    return Line(row="P0", what="x", unit="ms", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"ours": 1.0, "peer": 3.0, "ratio_bound": 0.45}, "green"),
        ({"ours": 2.0, "peer": 3.0, "ratio_bound": 0.45}, "red"),
        ({"ours": 61.0, "peer": 163.0, "bound": 60.0}, "red"),
        ({"ours": 50.0, "bound": 60.0}, "green"),
        ({"ours": 50.0, "peer": 60.0, "bound": 60.0, "ratio_bound": 0.5}, "red"),
        ({"ours": 50.0, "ratio_bound": 0.5}, "missing"),
        ({"peer": 163.0, "bound": 60.0}, "missing"),
        ({"ours": 1.0, "peer": 3.0}, "info"),
    ],
)
def test_a_line_is_green_only_when_every_bound_was_tried_and_holds(
    fields: dict[str, float], verdict: str
) -> None:
    assert line(**fields).verdict == verdict


def test_a_red_or_unmeasured_must_line_fails_the_bench() -> None:
    red = line(ours=2.0, bound=1.0)
    missing = line(bound=1.0)
    assert exit_code([red], baselines=True) == 1
    assert exit_code([missing], baselines=False) == 1
    assert exit_code([missing], baselines=True) == 0
    assert exit_code([line(ours=2.0, bound=1.0, must=False)], baselines=False) == 0


def test_a_window_counts_what_was_sent_in_it_however_late_it_returns() -> None:
    trips = Trips()
    trips.sent(0.5)
    trips.open(1.0)
    trips.sent(1.0)
    trips.sent(1.5)
    trips.close(2.0)
    trips.sent(2.1)
    trips.returned(0.5, 1.2)
    trips.returned(1.0, 2.5)
    result = trips.collect()
    assert (result.sent, result.returned, result.missed) == (2, 1, 1)
    assert result.p50_ms == pytest.approx(1500)


def test_percentile_of_nothing_is_none() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
async def test_frames_of_every_length_are_read_however_they_are_cut(size: int) -> None:
    got: list[bytes] = []
    wire = WebSocketWire(host="h", path="/", subprotocol=None, on_message=got.append)
    payload = os.urandom(size)
    # a server's frame is a client's without the mask bit and key
    sent = bytearray(client_frame(BINARY, payload))
    sent[1] &= 0x7F
    head = len(sent) - size - 4
    del sent[head : head + 4]
    stream = b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + bytes(sent) * 2
    for start in range(0, len(stream), 1000):
        wire.data_received(stream[start : start + 1000])
    assert wire.opened.done()
    assert got == [payload, payload]


async def test_a_block_is_back_when_its_last_sample_is_whatever_it_was_packed_into() -> None:
    trips = Trips()
    session = Session(0, Dialect(), trips)
    session._sent_at = {0: 10.0, 1: 10.02}
    trips.open(0.0)
    stream = b"".join(b"\0" * 628 + MARKER.pack(MAGIC, seq) for seq in (0, 1))
    for number, start in enumerate(range(0, len(stream), 7)):
        session._scan(stream[start : start + 7], 11.0 + number)
    assert trips.collect().returned == 2
    assert session._sent_at == {}


def test_the_stock_dialect_reads_back_what_it_writes() -> None:
    pcm = struct.pack("<320h", *range(320))
    assert StockWs().decode(StockWs().encode_block(0, pcm)) == [pcm]


@pytest.mark.parametrize("packet_ms", [20, 60])
def test_each_burst_of_a_cycle_is_found_once_with_its_pitch(packet_ms: int) -> None:
    detector = BurstDetector()
    cycle = Cycle(packet_ms)
    packets = opus_packets("bursts", cycle)
    found = [
        detector.feed(packet, number * packet_ms / 1000)
        for number, packet in enumerate(packets * 2)
    ]
    numbers = [item[0] for item in found if item is not None]
    assert numbers[-len(PITCHES_HZ) :] == list(range(len(PITCHES_HZ)))
    onsets = [item[1] for item in found if item is not None][-len(PITCHES_HZ) :]
    assert [after - before for before, after in itertools.pairwise(onsets)] == (
        pytest.approx([cycle.burst_every * packet_ms / 1000] * 3, abs=packet_ms / 1000)
    )


def test_a_clip_starts_and_stops_with_its_voiced_samples() -> None:
    mouth = Mouth()
    clip = np.zeros(1600, np.int16)
    clip[400:1200] = 1000
    mouth.say(clip)
    before_s = time.monotonic()
    for _ in range(5):
        mouth.read(320)
    assert mouth.started_s is not None and mouth.stopped_s is not None
    # read 400 is in block 2, read 1199 in block 4: a block is captured when it is read
    assert mouth.started_s == pytest.approx(before_s - (640 - 400) / 16000, abs=0.01)
    assert mouth.stopped_s == pytest.approx(before_s - (1280 - 1199) / 16000, abs=0.01)
    assert spoken_s(clip) == pytest.approx(0.05, abs=0.001)


def test_what_was_heard_is_placed_to_the_sample() -> None:
    heard = Heard()
    block = np.zeros(480, np.int16)
    block[240] = 20000
    heard.add(10.0, block, 24000)
    heard.add(10.02, np.zeros(480, np.int16), 24000)
    heard.add(10.1, block, 24000)
    assert heard.first(9.0) == pytest.approx(10.01)
    assert heard.first(10.011) == pytest.approx(10.11)
    assert heard.first(10.2) is None
    assert heard.last(9.0, 10.1) == pytest.approx(10.01)
    assert heard.last(10.02, 10.1) is None
    assert heard.clicks() == pytest.approx([10.01, 10.11])


async def test_the_meter_sees_a_busy_child() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-Sc", BUSY, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.pid in process_tree(os.getpid())
        meter = Meter(process.pid, [os.getpid()])
        meter.start()
        assert process.stdout is not None
        await process.stdout.readline()
        usage = meter.stop()
    finally:
        process.kill()
        await process.wait()
    assert usage.server_percent * usage.seconds / 100 == pytest.approx(BUSY_S, abs=0.1)
    assert usage.server_rss_mb > 0


def test_word_error_counts_what_is_put_in_taken_out_or_changed() -> None:
    said = plain("It's 21 degrees, and 4.5 stars!")
    assert " ".join(said) == "its twenty one degrees and four point five stars"
    assert distance(said, plain("its twenty-one degrees and four point five stars")) == 0
    assert distance(said, said[1:]) == distance(said, ["oh", *said]) == 1
    assert distance(said, []) == len(said)
    assert distance(["a", "b"], ["b", "a"]) == 2


def test_what_the_bot_says_is_heard_sentence_by_sentence() -> None:
    said = sentences()
    assert 50 <= len(said) <= 120
    assert all(text[-1] in ".!?" and len(text.split()) <= 40 for text in said), said
