"""Bot audio by position and what a speaker is handed: one sample a millisecond."""

from collections.abc import Iterator
from typing import Any

Case = dict[str, Any]
Step = dict[str, Any]
Span = tuple[str, int, int]  # kind, position, length

OPTIONS = {"sample_rate": 1000, "target_ms": 40, "max_target_ms": 200, "continuous": False}


def cases() -> Iterator[tuple[str, Case]]:
    """File name and content of each case."""
    for name, (about, steps) in _CASES.items():
        continuous = name.startswith("continuous-")
        options = OPTIONS | {"continuous": continuous}
        yield name, {"about": about, "options": options, "steps": steps}


def _push(index: int, samples: int = 20, *, quiet: bool = False) -> Step:
    return {"op": "push", "index": index, "samples": samples, "quiet": quiet}


def _pull(*spans: Span, samples: int = 20) -> Step:
    assert sum(length for _, _, length in spans) == samples
    return {"op": "pull", "samples": samples, "spans": [list(span) for span in spans]}


def _played(position: int, samples: int = 20) -> Step:
    return _pull(("played", position, samples), samples=samples)


def _silent(position: int, samples: int = 20) -> Step:
    return _pull(("silent", position, samples), samples=samples)


def _flush(until: int, position: int) -> Step:
    return {"op": "flush", "until": until, "position": position}


def _state(position: int, **changes: Any) -> Step:
    state = {
        "op": "state",
        "position": position,
        "playing": True,
        "target_ms": 40,
        "buffered_ms": 0,
        "concealed_ms": 0,
        "underruns": 0,
        "late": 0,
        "refused": 0,
        "trimmed": 0,
    }
    return state | changes


def _play(first: int, last: int) -> list[Step]:
    """Starts with 40 ms and plays until ``last``, 20 ms ahead."""
    steps = [_push(first), _push(first + 20), _played(first)]
    for index in range(first + 40, last, 20):
        steps += [_push(index), _played(index - 20)]
    return [*steps, _played(last - 20)]


_CASES: dict[str, tuple[str, list[Step]]] = {
    "start": (
        "It plays once as much is there as the target says.",
        [
            _silent(0),
            _push(0),
            _silent(0),
            _state(0, playing=False, buffered_ms=20),
            _push(20),
            _played(0),
            _state(20, buffered_ms=20),
            _played(20),
        ],
    ),
    "start-of-little": (
        "What is shorter than the target plays once it has waited for as long.",
        [_push(0), _silent(0), _silent(0), _played(0)],
    ),
    "jump": (
        "The position jumps to the first audio; a block of any length is filled.",
        [
            _push(5000, 60),
            _pull(("played", 5000, 7), samples=7),
            _played(5007, 33),
            _push(5060),
            _pull(("played", 5040, 40), samples=40),
            _state(5080),
        ],
    ),
    "pause": (
        "A hole of up to half a second is silence that lasts as long; the position goes on.",
        [
            *_play(0, 40),
            _push(540, 40),
            _pull(("gap", 40, 500), ("played", 540, 20), samples=520),
            _state(560, buffered_ms=20),
        ],
    ),
    "hole": (
        "A longer one is jumped over.",
        [*_play(0, 40), _push(541, 40), _played(541), _state(561, buffered_ms=20)],
    ),
    "out-of-order": (
        "Pieces may come in any order, twice and overlapping; each sample plays once.",
        [
            _push(40),
            _push(0),
            _push(10, 40),
            _push(0, 60),
            _state(0, playing=False, buffered_ms=60),
            _played(0, 60),
            _push(30, 40),
            _state(60, buffered_ms=10, late=30),
            _played(60, 10),
        ],
    ),
    "underrun": (
        "Late audio is hidden once for 20 ms; if it continues, the target grows by its lateness.",
        [
            *_play(0, 60),
            _pull(("concealed", 60, 20)),
            _state(60, playing=False),
            _silent(60),
            _push(60, 60),
            _state(60, playing=False, buffered_ms=60, target_ms=80, underruns=1, concealed_ms=20),
            _push(120),
            _played(60, 80),
            _pull(("concealed", 140, 20)),
            _push(140, 100),
            _played(140, 100),
            _state(240, target_ms=100, underruns=2, concealed_ms=40),
        ],
    ),
    "underrun-in-pieces": (
        "What is made up goes on in the next block, however long a block is.",
        [
            *_play(0, 40),
            _push(40, 15),
            _pull(("played", 40, 15), ("concealed", 55, 5)),
            _pull(("concealed", 55, 7), samples=7),
            _state(55, playing=False),
            _pull(("concealed", 55, 8), ("silent", 55, 12)),
            _push(55, 80),
            _state(55, playing=False, buffered_ms=80, target_ms=72, underruns=1, concealed_ms=20),
            _played(55),
        ],
    ),
    "underrun-at-most": (
        "The target has a highest value.",
        [
            *_play(0, 60),
            _pull(("concealed", 60, 20), ("silent", 60, 480), samples=500),
            _push(60, 20),
            _state(60, playing=False, buffered_ms=20, target_ms=200, underruns=1, concealed_ms=20),
        ],
    ),
    "new-start": (
        "What comes more than half a second later, or elsewhere, was not late.",
        [
            *_play(0, 60),
            _pull(("concealed", 60, 20), ("silent", 60, 481), samples=501),
            _push(60, 40),
            _played(60, 40),
            _pull(("concealed", 100, 20)),
            _push(101, 40),
            _state(100, playing=False, buffered_ms=40),
        ],
    ),
    "decay": (
        "Every 10 s without an underrun the target shrinks by 10 ms, to where it began.",
        [
            *_play(0, 60),
            _pull(("concealed", 60, 20)),
            _push(60, 9999),
            _played(60, 9999),
            _state(10059, target_ms=60, underruns=1, concealed_ms=20),
            _push(10059, 20001),
            _played(10059, 1),
            _state(10060, target_ms=50, underruns=1, concealed_ms=20, buffered_ms=20000),
            _played(10060, 10000),
            _played(20060, 10000),
            _state(30060, target_ms=40, underruns=1, concealed_ms=20),
        ],
    ),
    "flush": (
        "A flush fades for 10 ms; what lies before it is void, also when it comes later.",
        [
            *_play(0, 40),
            _push(40, 100),
            _played(40),
            _flush(1000, 70),
            _state(70, playing=False),
            _pull(("fading", 60, 10), ("silent", 70, 10)),
            _push(140, 100),
            _state(70, playing=False, late=100),
            _push(980, 80),
            _state(70, playing=False, late=120, buffered_ms=60),
            _played(1000, 60),
        ],
    ),
    "flush-of-a-part": (
        "What lies behind the flush stays.",
        [
            _push(0, 100),
            _played(0),
            _flush(25, 25),
            _pull(("fading", 20, 5), ("played", 25, 15)),
            _played(40, 60),
        ],
    ),
    "flush-of-the-past": (
        "A flush never rewinds.",
        [*_play(0, 40), _flush(40, 40), _flush(7, 40), _push(40), _played(40)],
    ),
    "flush-before-the-start": (
        "What waits is void without a sound.",
        [_push(0), _flush(500, 0), _silent(0), _push(500, 40), _played(500)],
    ),
    "flush-when-dry": (
        "After a flush nothing is late.",
        [
            *_play(0, 60),
            _pull(("concealed", 60, 20)),
            _flush(80, 60),
            _push(80, 40),
            _state(60, playing=False, buffered_ms=40),
            _played(80, 40),
        ],
    ),
    "refused": (
        "More than half a minute, or what lies an hour ahead, is not kept.",
        [
            _push(0, 30000),
            _push(30000, 1),
            _state(0, playing=False, buffered_ms=30000, refused=1),
            _played(0, 20),
            _push(3600000, 20),
            _push(3600001, 20),
            _state(20, buffered_ms=30000, refused=21),
        ],
    ),
    "restart": (
        "Another stream: what waits is dropped, position and counters stay.",
        [
            *_play(0, 60),
            _push(40),
            _push(60, 60),
            {"op": "restart", "target_ms": 60},
            _state(60, playing=False, late=20, target_ms=60),
            _push(60, 40),
            _silent(60),
            _push(100),
            _played(60),
        ],
    ),
    "continuous-trim": (
        "A stream that sends silence gives it up where it lies 60 ms above the target.",
        [
            _push(0, 40),
            _played(0, 20),
            *(_push(index, quiet=True) for index in range(40, 120, 20)),
            _played(20),
            _pull(("quiet", 40, 20)),
            *(_push(index, quiet=True) for index in range(120, 180, 20)),
            _push(180),
            _pull(("quiet", 80, 20)),
            _state(100, buffered_ms=100, trimmed=20),
            _pull(("quiet", 100, 20)),
            _state(120, buffered_ms=80, trimmed=20),
            _push(200),
            _push(220),
            _pull(("quiet", 140, 20)),
            _pull(("quiet", 160, 20)),
            _played(180),
            _state(200, buffered_ms=40, trimmed=40),
        ],
    ),
    "continuous-loud": (
        "Sound is never given up.",
        [_push(0), *(_push(index) for index in range(20, 200, 20)), _played(0), _played(20)],
    ),
    "continuous-rewind": (
        "Silence that overtook the word of its place is taken back, and nothing that was heard.",
        [
            _push(0, 40),
            _played(0, 40),
            _push(40, 100, quiet=True),
            _pull(("quiet", 40, 60), samples=60),
            {"op": "rewind", "index": 20, "misplaced": 100},
            _state(40),
            _push(40, 40),
            _played(40, 40),
        ],
    ),
    "continuous-rewind-ahead": (
        "A place ahead of the position drops what was pushed and moves nothing.",
        [
            _push(0, 100, quiet=True),
            _pull(("quiet", 0, 20)),
            {"op": "rewind", "index": 60, "misplaced": 80},
            _state(20, buffered_ms=40),
            _pull(("quiet", 20, 40), samples=40),
            _push(60, 20),
            _played(60, 20),
        ],
    ),
}
