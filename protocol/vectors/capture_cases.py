"""The user's audio as a client keeps it: one sample a millisecond, kept for 100 ms."""

from collections.abc import Iterator
from typing import Any

Case = dict[str, Any]
Step = dict[str, Any]

OPTIONS = {"sample_rate": 1000, "kept_ms": 100}


def cases() -> Iterator[tuple[str, Case]]:
    """File name and content of each case."""
    for name, (about, steps) in _CASES.items():
        yield name, {"about": about, "options": OPTIONS, "steps": steps}


def _capture(now_ms: int, samples: int = 20) -> Step:
    return {"op": "capture", "now_ms": now_ms, "samples": samples}


def _captures(first_ms: int, last_ms: int) -> list[Step]:
    return [_capture(at) for at in range(first_ms, last_ms + 1, 20)]


def _resume(now_ms: int, index: int, lost: int = 0) -> Step:
    return {"op": "resume", "now_ms": now_ms, "index": index, "lost": lost}


def _send(now_ms: int, *pieces: tuple[int, int]) -> Step:
    return {"op": "send", "now_ms": now_ms, "pieces": [list(piece) for piece in pieces]}


def _state(next_index: int, waiting: int, lost: int) -> Step:
    return {"op": "state", "next_index": next_index, "waiting": waiting, "lost": lost}


_CASES: dict[str, tuple[str, list[Step]]] = {
    "live": (
        "What a path takes goes out as it was captured.",
        [
            _resume(0, 0),
            _capture(20),
            _send(20, (0, 20)),
            _capture(40),
            _capture(60, 10),
            _send(60, (20, 20), (40, 10)),
            _send(60),
            _state(50, 0, 0),
        ],
    ),
    "first-words": (
        "What is captured before the first path is sent when it takes audio.",
        [
            *_captures(20, 60),
            _send(60),
            _state(60, 0, 0),
            _resume(70, 0),
            _state(60, 60, 0),
            _send(70, (0, 20), (20, 20), (40, 20)),
        ],
    ),
    "first-words-too-old": (
        "The oldest of it is dropped first.",
        [
            *_captures(20, 200),
            _resume(200, 0, 100),
            _send(200, (100, 20), (120, 20), (140, 20), (160, 20), (180, 20)),
            _state(200, 0, 100),
        ],
    ),
    "sent-again": (
        "What was sent and did not arrive is sent again, from the very sample on.",
        [
            _resume(0, 0),
            *_captures(20, 60),
            _send(60, (0, 20), (20, 20), (40, 20)),
            {"op": "park"},
            _capture(80),
            _send(80),
            _resume(90, 30),
            _send(90, (30, 10), (40, 20), (60, 20)),
            _state(80, 0, 0),
        ],
    ),
    "gap-too-long": (
        "After a gap that is longer than what is kept, the rest is lost and said so.",
        [
            _resume(0, 0),
            _capture(20),
            _send(20, (0, 20)),
            {"op": "park"},
            *_captures(40, 200),
            _resume(225, 20, 100),
            _send(225, (120, 20), (140, 20), (160, 20), (180, 20)),
            _state(200, 0, 100),
        ],
    ),
    "gap-too-long-sent-late": (
        "What was not said to be lost is sent, though the loop was late; 200 ms later it is not.",
        [
            _resume(0, 0),
            _capture(20),
            _send(20, (0, 20)),
            {"op": "park"},
            *_captures(40, 200),
            _resume(225, 20, 100),
            _capture(230),
            _send(424, (120, 20), (140, 20), (160, 20), (180, 20), (200, 20)),
            {"op": "park"},
            _capture(440),
            _resume(445, 220, 0),
            _send(645),
            _state(240, 0, 120),
        ],
    ),
    "too-old": (
        "What a microphone gave before it stood still is not sent late.",
        [
            *_captures(20, 60),
            _resume(900, 0, 60),
            _send(900),
            _capture(920),
            _send(920, (60, 20)),
            _state(80, 0, 60),
        ],
    ),
    "backed-up": (
        "A path that takes nothing for too long loses the oldest; it is counted once.",
        [
            _resume(0, 0),
            *_captures(20, 140),
            _state(140, 100, 40),
            _send(140, (40, 20), (60, 20), (80, 20), (100, 20), (120, 20)),
            _state(140, 0, 40),
            _resume(140, 0, 40),
            _state(140, 100, 40),
        ],
    ),
    "muted": (
        "A mute forgets what waited; what follows is sent; nothing of it counts as lost.",
        [
            *_captures(20, 60),
            {"op": "mute", "samples": 40},
            _capture(120),
            _resume(120, 10),
            _state(120, 20, 0),
            _send(120, (100, 20)),
            {"op": "mute", "samples": 0},
            _send(120),
            _state(120, 0, 0),
        ],
    ),
    "unnumbered": (
        "Where the server knows only the age of its newest audio, 60 ms more are left out.",
        [
            *_captures(20, 100),
            {"op": "resume_after", "now_ms": 100, "age_ms": 90, "lost": 0},
            _send(100, (70, 10), (80, 20)),
            {"op": "resume_after", "now_ms": 100, "age_ms": 30, "lost": 0},
            _send(100),
            _state(100, 0, 0),
        ],
    ),
    "ahead": (
        "A server that wants what was never captured gets what is captured next.",
        [
            _capture(20),
            _resume(20, 500),
            _capture(40),
            _send(40, (20, 20)),
        ],
    ),
    "follow": (
        "A server that takes nothing again gets what is captured from now on.",
        [
            *_captures(20, 60),
            {"op": "follow"},
            _capture(80),
            _send(80, (60, 20)),
            _state(80, 0, 0),
        ],
    ),
}
