"""The golden cases of protocol/vectors/addresses hold for this client."""

import json
from pathlib import Path
from typing import Any

import pytest

from voxwire._addresses import Addresses, moving_window_ms

VECTORS = Path(__file__).resolve().parents[3] / "protocol" / "vectors" / "addresses"
CASES = {path.stem: json.loads(path.read_text()) for path in VECTORS.glob("*.json")}


def run_step(addresses: Addresses, step: dict[str, Any]) -> dict[str, Any]:
    """The step, with what comes of it in place of what is expected."""
    match step["op"]:
        case "welcomed":
            addresses.welcomed(step["url"], step["resume_url"])
            return step
        case "sent_on":
            return step | {"moves": addresses.sent_on(step["resume_url"], here=step["here"])}
        case "failed":
            addresses.failed(step["url"])
            return step
        case "refused":
            return step | {"goes_on": addresses.refused(step["url"])}
        case "order":
            return step | {"urls": list(addresses.order)}
        case "window":
            earliest_ms, latest_ms = moving_window_ms(step["time_left_ms"], step["jitter"])
            return step | {"earliest_ms": earliest_ms, "latest_ms": latest_ms}
        case other:
            raise AssertionError(f"no such step: {other}")


@pytest.mark.parametrize("name", sorted(CASES))
def test_addresses_vectors(name: str) -> None:
    addresses = Addresses(CASES[name]["first"])
    for at, step in enumerate(CASES[name]["steps"]):
        assert run_step(addresses, step) == step, f"{name}, step {at}"


def test_there_are_cases() -> None:
    assert sum(len(case["steps"]) for case in CASES.values()) >= 100
