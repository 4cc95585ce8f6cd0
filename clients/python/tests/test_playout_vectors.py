"""The golden cases of protocol/vectors/playout hold for the playout buffer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxwire.playout import Block, PlayoutBuffer, Samples

FOLDER = Path(__file__).resolve().parents[3] / "protocol" / "vectors" / "playout"
CASES = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
KINDS = {"quiet": "played", "fading": "played"}
"""What a script tells apart and the buffer does not."""


@pytest.mark.parametrize("name", sorted(CASES))
def test_playout_script(name: str) -> None:
    buffer = PlayoutBuffer(**CASES[name]["options"])
    for at, step in enumerate(CASES[name]["steps"]):
        _step(buffer, step, f"{name}, step {at}")


def _numbered(index: int, count: int) -> Samples:
    """Loud audio of which every sample tells its position."""
    return (np.arange(index, index + count) % 1000 + 1000).astype(np.int16)


def _step(buffer: PlayoutBuffer, step: dict[str, Any], where: str) -> None:
    match step["op"]:
        case "push":
            samples = _numbered(step["index"], step["samples"])
            buffer.push(step["index"], samples * 0 if step["quiet"] else samples)
        case "pull":
            _check(buffer.pull(step["samples"]), step["spans"], where)
        case "flush":
            assert buffer.flush(step["until"]) == step["position"], where
        case "restart":
            buffer.restart(target_ms=step["target_ms"], continuous=False)
        case "rewind":
            buffer.rewind(step["index"], misplaced=step["misplaced"])
        case _:
            state = {
                "op": "state",
                "position": buffer.position,
                "playing": buffer.playing,
                "target_ms": buffer.target_ms,
                "buffered_ms": buffer.buffered_ms,
                "concealed_ms": buffer.concealed_ms,
                "underruns": buffer.underruns,
                "late": buffer.late_samples,
                "refused": buffer.refused_samples,
                "trimmed": buffer.trimmed_samples,
            }
            assert state == step, where


def _check(block: Block, spans: list[list[Any]], where: str) -> None:
    """Each sample is of the kind, at the position, and sounds as it should."""
    got = [
        (span.kind.value, span.position + at * span.kind.moves)
        for span in block.spans
        for at in range(span.length)
    ]
    wanted = [
        (kind, position + at * (kind not in ("concealed", "silent")))
        for kind, position, length in spans
        for at in range(length)
    ]
    assert got == [(KINDS.get(kind, kind), position) for kind, position in wanted], where
    for (kind, position), sample in zip(wanted, block.samples.tolist(), strict=True):
        loud = int(_numbered(position, 1)[0])
        match kind:
            case "played":
                assert sample == loud, where
            case "fading":
                assert 0 < sample <= loud, where
            case "concealed":
                assert sample > 0, where
            case _:
                assert sample == 0, where
