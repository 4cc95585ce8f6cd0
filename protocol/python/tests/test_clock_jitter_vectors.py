"""The golden cases of protocol/vectors/clock and jitter hold for this implementation."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from voxwire_protocol import wire
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.jitter import Gap, Item, JitterBuffer, Packet

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
CLOCK = {path.stem: json.loads(path.read_text()) for path in (VECTORS / "clock").glob("*.json")}
JITTER = {path.stem: json.loads(path.read_text()) for path in (VECTORS / "jitter").glob("*.json")}


@pytest.mark.parametrize("name", sorted(CLOCK))
def test_clock_script(name: str) -> None:
    clock = ClockSync()
    for at, step in enumerate(CLOCK[name]["steps"]):
        _clock_step(clock, step, f"{name}, step {at}")


def _clock_step(clock: ClockSync, step: dict[str, Any], where: str) -> None:
    match step["op"]:
        case "ping":
            ping = clock.ping(step["now_us"])
            assert (ping.number, ping.t0_us) == (step["number"], step["t0_us"]), where
        case "pong":
            ping = wire.Ping(number=step["number"], t0_us=step["t0_us"])
            pong = clock.pong(ping, step["received_us"], step["now_us"])
            times = ("number", "t0_us", "t1_us", "t2_us")
            assert all(getattr(pong, time) == step[time] for time in times), where
        case "receive":
            times = {time: step[time] for time in ("number", "t0_us", "t1_us", "t2_us")}
            sample = clock.receive(wire.Pong(**times), step["now_us"])
            assert (asdict(sample) if sample else None) == step["sample"], where
        case "next_ping_ms":
            assert clock.next_ping_ms(step["now_ms"]) == step["value"], where
        case _:
            state = {"op": "state", "offset_us": clock.offset_us, "rtt_us": clock.rtt_us}
            assert state == step, where


@pytest.mark.parametrize("name", sorted(JITTER))
def test_jitter_script(name: str) -> None:
    buffer = JitterBuffer(**JITTER[name]["options"])
    for at, step in enumerate(JITTER[name]["steps"]):
        _jitter_step(buffer, step, f"{name}, step {at}")


def _payload(sequence_number: int) -> bytes:
    return sequence_number.to_bytes(2, "big")


def _jitter_step(buffer: JitterBuffer, step: dict[str, Any], where: str) -> None:
    match step["op"]:
        case "push":
            number: int = step["sequence_number"]
            buffer.push(number, step["timestamp"], _payload(number), step["now_ms"])
        case "pop":
            items = buffer.pop(step["now_ms"])
            assert [_item(item) for item in items] == step["items"], where
            assert buffer.next_due_ms == step["next_due_ms"], where
        case _:
            assert {"op": "stats", **asdict(buffer.stats)} == step, where


def _item(item: Item) -> dict[str, int]:
    if isinstance(item, Gap):
        return {"gap": item.timestamp, "samples": item.samples}
    assert isinstance(item, Packet)
    assert item.payload == _payload(item.sequence_number)
    return {"packet": item.sequence_number}
