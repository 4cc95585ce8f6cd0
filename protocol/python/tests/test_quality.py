"""The word for how the audio flows is every client's, and jitter is that of RFC 3550."""

import json
from pathlib import Path
from typing import Any

import pytest

from voxwire_protocol.quality import ArrivalJitter, grade_of, loss_between

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "quality"
CASES = {path.stem: json.loads(path.read_text())["steps"] for path in VECTORS.glob("*.json")}


def outcome(step: dict[str, Any]) -> Any:
    match step["op"]:
        case "loss":
            return loss_between(tuple(step["before"]), tuple(step["now"]))
        case "grade":
            figures = ("round_trip_ms", "jitter_ms", "loss", "buffered_ms", "lost")
            return grade_of(**{name: step[name] for name in figures})
        case other:
            raise AssertionError(f"no such step: {other}")


@pytest.mark.parametrize("name", sorted(CASES))
def test_quality_vectors(name: str) -> None:
    for at, step in enumerate(CASES[name]):
        assert outcome(step) == step[step["op"]], f"{name}, step {at}"


def test_there_are_cases() -> None:
    assert sum(map(len, CASES.values())) >= 20


def test_jitter_is_a_sixteenth_of_each_deviation() -> None:
    jitter = ArrivalJitter(48_000)
    jitter.note(0xFFFF_FF00, 1000.0)
    assert jitter.jitter_ms is None
    jitter.note(0xFFFF_FF00 + 960 & 0xFFFF_FFFF, 1020.0)  # 20 ms later, over the wrap
    assert jitter.jitter_ms == pytest.approx(0.0, abs=1e-9)
    jitter.note(0xFFFF_FF00 + 1920 & 0xFFFF_FFFF, 1072.0)  # 32 ms late
    assert jitter.jitter_ms == pytest.approx(2.0)
    jitter.note(0xFFFF_FF00 + 2880 & 0xFFFF_FFFF, 1092.0)
    assert jitter.jitter_ms == pytest.approx(2.0 * 15 / 16)


def test_a_packet_behind_a_later_one_does_not_count() -> None:
    jitter = ArrivalJitter(48_000)
    for timestamp, at_ms in ((0, 0.0), (1920, 40.0), (960, 41.0), (2880, 60.0)):
        jitter.note(timestamp, at_ms)
    assert jitter.jitter_ms == pytest.approx(0.0, abs=1e-9)


def test_a_pause_of_the_sender_is_no_jitter() -> None:
    jitter = ArrivalJitter(48_000)
    for timestamp, at_ms in ((0, 0.0), (960, 20.0), (960 + 480_000, 10_020.0)):
        jitter.note(timestamp, at_ms)
    assert jitter.jitter_ms == pytest.approx(0.0, abs=1e-9)
