"""Cases for ``quality``: what was lost between two looks, and the word for a moment's figures."""

from collections.abc import Iterator
from typing import Any

Case = dict[str, Any]


def cases() -> Iterator[tuple[str, Case]]:
    """File name and content of each case."""
    yield "loss", {"about": "The share of packets lost between two looks.", "steps": _LOSS}
    yield (
        "grade",
        {
            "about": "A bound is passed by what is above it; what is not known does not count.",
            "steps": _GRADES,
        },
    )


def _loss(before: tuple[int, int], now: tuple[int, int], loss: float | None) -> Case:
    """Each look is of packets received, packets lost."""
    return {"op": "loss", "before": list(before), "now": list(now), "loss": loss}


def _grade(grade: str, *, lost: bool = False, **figures: float | None) -> Case:
    known: dict[str, float | None] = {
        **{"round_trip_ms": None, "jitter_ms": None, "loss": None, "buffered_ms": 0},
        **figures,
    }
    return {"op": "grade", **known, "lost": lost, "grade": grade}


_LOSS = [
    _loss((0, 0), (100, 0), 0.0),
    _loss((0, 0), (75, 25), 0.25),
    _loss((1000, 10), (1045, 15), 0.1),
    _loss((1000, 10), (1000, 10), None),
    _loss((0, 0), (0, 0), None),
    _loss((0, 0), (0, 4), 1.0),
    _loss((100, 7), (150, 5), 0.0),  # what was taken for lost came after all
]

_GRADES = [
    _grade("excellent"),
    _grade("excellent", round_trip_ms=30, jitter_ms=4, loss=0.01, buffered_ms=40),
    _grade("excellent", round_trip_ms=200, jitter_ms=30, loss=0.02, buffered_ms=200),
    _grade("good", round_trip_ms=200.5),
    _grade("good", jitter_ms=31),
    _grade("good", loss=0.025),
    _grade("good", buffered_ms=201),
    _grade("good", round_trip_ms=400, jitter_ms=60, loss=0.08, buffered_ms=400),
    _grade("poor", round_trip_ms=401),
    _grade("poor", jitter_ms=60.5),
    _grade("poor", loss=0.09),
    _grade("poor", buffered_ms=401),
    _grade("poor", round_trip_ms=30, jitter_ms=4, loss=0.5, buffered_ms=40),
    _grade("lost", lost=True),
    _grade("lost", lost=True, round_trip_ms=500, loss=0.5),
]
