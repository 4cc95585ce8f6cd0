"""Scripts for ``clock``: pings, their answers, and what they measure (RFC 5905 §8)."""

from collections.abc import Iterator
from typing import Any

Case = dict[str, Any]
Step = dict[str, Any]


def cases() -> Iterator[tuple[str, Case]]:
    """File name and content of each case."""
    for name, (about, steps) in _CASES.items():
        yield name, {"about": about, "steps": steps}


def _ping(now_us: int, number: int) -> Step:
    return {"op": "ping", "now_us": now_us, "number": number, "t0_us": now_us}


def _answer(number: int, t0_us: int, received_us: int, now_us: int) -> Step:
    return {
        "op": "pong",
        "number": number,
        "t0_us": t0_us,
        "received_us": received_us,
        "now_us": now_us,
        "t1_us": received_us,
        "t2_us": now_us,
    }


def _receive(
    now_us: int, number: int, t0_us: int, t1_us: int, t2_us: int, sample: tuple[int, int] | None
) -> Step:
    """``sample``: offset and round trip."""
    times = {"t0_us": t0_us, "t1_us": t1_us, "t2_us": t2_us}
    measured = None if sample is None else {"offset_us": sample[0], "rtt_us": sample[1]}
    return {"op": "receive", "now_us": now_us, "number": number, **times, "sample": measured}


def _next(now_ms: int, value: int) -> Step:
    return {"op": "next_ping_ms", "now_ms": now_ms, "value": value}


def _state(offset_us: int | None, rtt_us: int | None) -> Step:
    return {"op": "state", "offset_us": offset_us, "rtt_us": rtt_us}


def _exchange(number: int, at_us: int, offset_us: int, rtt_us: int) -> list[Step]:
    """A ping that is answered at once, as long on the way out as back."""
    there_us = at_us + offset_us + rtt_us // 2
    return [
        _ping(at_us, number),
        _receive(at_us + rtt_us, number, at_us, there_us, there_us, (offset_us, rtt_us)),
    ]


_CASES: dict[str, tuple[str, list[Step]]] = {
    "exchange": (
        "Offset and round trip of one exchange; the peer's own delay is no part of it.",
        [
            _state(None, None),
            _ping(1_000_000, 1),
            _receive(1_100_000, 1, 1_000_000, 9_040_000, 9_060_000, (8_000_000, 80_000)),
            _state(8_000_000, 80_000),
            _answer(7, 123, 5_000, 5_250),
        ],
    ),
    "ahead": (
        "A peer whose clock is behind has a negative offset; half a microsecond is rounded down.",
        [
            _ping(5_000_000, 1),
            _receive(5_000_101, 1, 5_000_000, 2_000_050, 2_000_050, (-3_000_001, 101)),
            _state(-3_000_001, 101),
        ],
    ),
    "fastest": (
        "The fastest of the last 8 exchanges counts, the earlier of equals; older ones do not.",
        [
            *_exchange(1, 0, 5_000, 400),
            *_exchange(2, 1_000, 5_100, 200),
            *_exchange(3, 2_000, 5_200, 200),
            _state(5_100, 200),
            *(
                step
                for number in range(4, 10)
                for step in _exchange(number, number * 1_000, 6_000 + number, 600)
            ),
            _state(5_100, 200),
            *_exchange(10, 20_000, 6_100, 600),
            _state(5_200, 200),
            *_exchange(11, 21_000, 6_200, 600),
            _state(6_004, 600),
        ],
    ),
    "no-answer": (
        "What answers no open ping, comes twice, or cannot be true measures nothing.",
        [
            _receive(10, 1, 0, 5, 5, None),
            _ping(1_000, 1),
            _receive(2_000, 1, 999, 5, 5, None),
            _receive(2_000, 2, 1_000, 5, 5, None),
            _receive(2_000, 1, 1_000, 9, 8, None),  # answered before it came
            _receive(2_000, 1, 1_000, 8, 9, None),  # and spent
            _ping(3_000, 2),
            _receive(3_100, 2, 3_000, 50, 151, None),  # longer with the peer than on the way
            _ping(4_000, 3),
            _receive(4_100, 3, 4_000, 50, 150, (-4_000 + 50, 0)),
            _receive(4_100, 3, 4_000, 50, 150, None),
            _state(-3_950, 0),
        ],
    ),
    "open-pings": (
        "The last 8 pings may be answered, in any order.",
        [
            *(_ping(number * 1_000, number) for number in range(1, 10)),
            _receive(10_000, 1, 1_000, 0, 0, None),
            _receive(10_000, 9, 9_000, 9_500, 9_500, (0, 1_000)),
            _receive(10_000, 2, 2_000, 6_000, 6_000, (0, 8_000)),
            _state(0, 1_000),
        ],
    ),
    "when": (
        "Five pings in the first second, then one every 10 s; a fraction of a millisecond is cut.",
        [
            _next(77, 77),
            _ping(100_999, 1),
            _next(100, 300),
            _ping(300_000, 2),
            _ping(500_000, 3),
            _ping(700_000, 4),
            _next(700, 900),
            _ping(900_000, 5),
            _next(900, 10_900),
            _ping(12_000_000, 6),
            _next(30_000, 22_000),
        ],
    ),
}
