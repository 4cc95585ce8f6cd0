"""RTP packets as they arrive, and what is handed over: 1 tick a millisecond, packets of 20 ms."""

from collections.abc import Iterator
from typing import Any

Case = dict[str, Any]
Step = dict[str, Any]

OPTIONS = {"clock_rate": 1000, "min_target_ms": 20, "max_target_ms": 160, "capacity": 64}


def cases() -> Iterator[tuple[str, Case]]:
    """File name and content of each case."""
    for name, (about, steps, options) in _CASES.items():
        yield name, {"about": about, "options": OPTIONS | options, "steps": steps}


def _push(now_ms: float, number: int, timestamp: int | None = None) -> Step:
    """A packet; its timestamp is 20 for each number unless it is given."""
    at = number * 20 if timestamp is None else timestamp
    return {"op": "push", "now_ms": now_ms, "sequence_number": number, "timestamp": at}


def _pop(now_ms: float, *items: int | tuple[int, int], due: float | None = None) -> Step:
    """Packets by their numbers, gaps as timestamp and ticks; then when there is more to do."""
    listed = [
        {"packet": item} if isinstance(item, int) else {"gap": item[0], "samples": item[1]}
        for item in items
    ]
    return {"op": "pop", "now_ms": now_ms, "items": listed, "next_due_ms": due}


def _in_order(first: int, last: int) -> list[Step]:
    """Packets that come when they are due, each handed over at once."""
    return [
        step
        for number in range(first, last + 1)
        for step in (_push(number * 20, number), _pop(number * 20, number))
    ]


def _stats(received: int, **counts: int) -> Step:
    zero = {"lost": 0, "late": 0, "duplicates": 0, "concealed_ms": 0, "target_ms": 20}
    return {"op": "stats", "received": received, **(zero | counts)}


_CASES: dict[str, tuple[str, list[Step], dict[str, int]]] = {
    "in-order": (
        "A packet that is next in order is handed over at once.",
        [_pop(0), *_in_order(0, 9), _stats(10)],
        {},
    ),
    "swapped": (
        "Neighbours that swapped are mended; nothing is lost.",
        [
            *_in_order(0, 0),
            _push(20, 2),
            _pop(20, due=40),
            _push(25, 1),
            _pop(25, 1, 2),
            _stats(3, target_ms=25),
        ],
        {},
    ),
    "hole": (
        "A hole is waited for until the target is over, then it is a gap.",
        [
            *_in_order(0, 0),
            _push(40, 2),
            _pop(40, due=60),
            _pop(59.5, due=60),
            _pop(60, (20, 20), 2),
            _stats(2, lost=1, concealed_ms=20),
        ],
        {},
    ),
    "two-holes": (
        "Two holes are given up each in its time.",
        [
            *_in_order(0, 0),
            _push(40, 2),
            _push(55, 4),
            _pop(59, due=60),
            _pop(60, (20, 20), 2, due=75),
            _pop(74, due=75),
            _pop(75, (60, 20), 4),
            _stats(3, lost=2, concealed_ms=40),
        ],
        {},
    ),
    "late": (
        "What comes after its gap was declared raises the target; what comes twice is dropped.",
        [
            *_in_order(0, 0),
            _push(40, 2),
            _pop(60, (20, 20), 2),
            _push(70, 1),
            _pop(70),
            _stats(3, lost=1, late=1, concealed_ms=20, target_ms=50),
            _push(71, 1),
            _push(72, 2),
            _pop(72),
            _stats(5, lost=1, late=1, duplicates=2, concealed_ms=20, target_ms=50),
        ],
        {},
    ),
    "before-the-first": (
        "What precedes the first packet is late; a packet that waits is not taken twice.",
        [
            _push(0, 5),
            _pop(0, 5),
            _push(1, 4),
            _push(40, 7),
            _push(41, 7),
            _pop(41, due=60),
            _stats(4, late=1, duplicates=1),
        ],
        {},
    ),
    "wrap": (
        "Numbers have 16 bits and timestamps 32, and both wrap.",
        [
            _push(0, 65534, 4294967276),
            _pop(0, 65534),
            _push(20, 65535, 0),
            _pop(20, 65535),
            _push(60, 1, 40),
            _pop(80, (20, 20), 1),
            _stats(3, lost=1, concealed_ms=20),
        ],
        {},
    ),
    "silence": (
        "A jump of the timestamp without one of the number is silence of the sender, no gap.",
        [*_in_order(0, 0), _push(1020, 1, 1020), _pop(1020, 1), _stats(2)],
        {},
    ),
    "silence-in-a-hole": (
        "Of a hole with silence in it no more is concealed than the packets that were lost.",
        [
            *_in_order(0, 0),
            _push(440, 2, 440),
            _pop(460, (420, 20), 2),
            _stats(2, lost=1, concealed_ms=20),
        ],
        {},
    ),
    "outage": (
        "At most 120 ms are concealed, from where the sound stopped.",
        [
            *_in_order(0, 0),
            _push(400, 20),
            _pop(420, (20, 120), 20),
            _stats(2, lost=19, concealed_ms=120),
        ],
        {},
    ),
    "restart": (
        "A far number is one stray packet until the next one follows it: then it is a new start.",
        [
            *_in_order(0, 1),
            _push(40, 40000, 7000),
            _pop(40),
            _push(60, 40001, 7020),
            _pop(60, 40001),
            _push(80, 40002, 7040),
            _pop(80, 40002),
            _push(100, 9, 9000),
            _pop(100),
            _push(100, 40003, 7060),
            _pop(100, 40003),
            _stats(7, late=2),
        ],
        {},
    ),
    "full": (
        "A hole with as many packets behind it as there is room for is given up at once.",
        [
            *_in_order(0, 0),
            _push(20, 2, 40),
            _push(20, 3, 60),
            _push(20, 4, 80),
            _push(20, 5, 100),
            _pop(20, (20, 20), 2, 3, 4),
            _stats(5, lost=1, late=1, concealed_ms=20),
        ],
        {"capacity": 3},
    ),
    "target": (
        "Of jitter that is seldom the 95th percentile knows nothing; often, it is waited for.",
        [
            *_in_order(0, 29),
            _push(680, 30, 600),
            _pop(680, 30),
            _stats(31),
            _push(681, 31, 620),
            _pop(681, 31),
            _push(740, 32, 640),
            _pop(740, 32),
            _stats(33, target_ms=39),
        ],
        {},
    ),
    "longest": (
        "The target has a highest value; a longer pause than half a second is no jitter.",
        [
            *_in_order(0, 0),
            _push(420, 1, 20),
            _pop(420, 1),
            _stats(2, target_ms=160),
            _push(1300, 2, 40),
            _pop(1300, 2),
            _stats(3, target_ms=160),
            _push(5500, 3, 4240),
            _pop(5500, 3),
            _stats(4),
        ],
        {},
    ),
}
