"""What the user waited for, over the turns of a session."""

from virtual import session_of, virtual

import voxwire
from voxwire.latency import LatencyLog
from voxwire.testing import FakeServer, FakeSession
from voxwire_protocol import wire


def turn(turn_id: str, total_ms: int | None, *, response_ms: int = 0, playout_delay_ms: int = 0):
    return voxwire.TurnMetrics(turn_id, response_ms, playout_delay_ms, total_ms=total_ms)


def test_percentiles_are_of_the_nearest_rank() -> None:
    log = LatencyLog()
    assert (log.latency.turns, log.latency.p50_ms, log.latency.max_ms) == (0, None, None)
    assert str(log.latency) == "no turn was measured"
    for number in range(1, 101):
        log.take(turn(f"t{number}", 10 * number))
    found = log.latency
    assert (found.turns, found.p50_ms, found.p95_ms, found.max_ms) == (100, 500, 950, 1000)
    assert [bucket.turns for bucket in found.histogram] == [29, 20, 30, 21, 0, 0, 0]
    assert [bucket.from_ms for bucket in found.histogram] == [0, 300, 500, 800, 1200, 2000, 5000]
    assert found.last is not None and found.last.turn_id == "t100"
    assert str(found).splitlines()[0] == "100 turns, p50 500 ms, p95 950 ms"
    assert len(str(found).splitlines()) == 8


def test_a_turn_that_is_told_again_counts_once_and_an_old_server_tells_it_in_parts() -> None:
    log = LatencyLog()
    log.take(turn("t1", None, response_ms=300, playout_delay_ms=50))
    assert log.latency.max_ms == 350
    log.take(turn("t1", 6000))
    log.take(turn("t2", -5))
    assert (log.latency.turns, log.latency.max_ms) == (2, 6000)
    assert [bucket.turns for bucket in log.latency.histogram] == [1, 0, 0, 0, 0, 0, 1]


@virtual
async def test_a_session_counts_its_turns() -> None:
    async def bot(session: FakeSession) -> None:
        for number, total_ms in enumerate((250, 900)):
            session.send(turn_metrics=wire.TurnMetrics(turn_id=f"t{number}", total_ms=total_ms))

    async with FakeServer(bot) as server, session_of(server) as session:
        await session.wait_for(voxwire.SessionEnded)
        assert (session.latency.turns, session.latency.p50_ms) == (2, 250)
