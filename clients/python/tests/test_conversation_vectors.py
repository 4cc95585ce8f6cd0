"""The golden cases of protocol/vectors/conversation hold for the turn log."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from voxwire._turn_log import TurnLog
from voxwire.conversation import BotTurn, LoggedToolCall, UserTurn
from voxwire_protocol import events, wire
from voxwire_protocol.event_codec import from_envelope, snapshot_of

VECTORS = Path(__file__).resolve().parents[3] / "protocol" / "vectors" / "conversation"
CASES = sorted(VECTORS.glob("*.json"))


def known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def call_json(call: LoggedToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "name": call.name,
        "status": call.status,
        "own": call.own,
        **known(args=call.arguments, result=call.result, duration_ms=call.duration_ms),
        **({"progress": call.progress} if call.progress else {}),
    }


def turn_json(turn: UserTurn | BotTurn) -> dict[str, Any]:
    if isinstance(turn, UserTurn):
        return asdict(turn)
    return {
        "id": turn.id,
        "role": turn.role,
        "utterances": [
            asdict(it) | {"words": [asdict(w) for w in it.words]} for it in turn.utterances
        ],
        "tool_calls": [call_json(call) for call in turn.tool_calls],
        "interrupted": turn.interrupted,
        **known(heard_text=turn.heard_text, unheard_text=turn.unheard_text),
    }


def tell(log: TurnLog, step: dict[str, Any]) -> None:
    match step["op"]:
        case "begin":
            log.take(events.SessionStarted("s", "", "", False, ()))
        case "over":
            log.over()
        case "message":
            envelope = json_format.ParseDict(step["message"], wire.Envelope())
            if (event := from_envelope(envelope)) is not None:
                log.take(event)
        case "snapshot":
            snapshot = json_format.ParseDict(step["message"], wire.Snapshot())
            log.take(events.EventsSkipped(0, 0, snapshot_of(snapshot)))
        case "word":
            source = events.TimingSource.UNKNOWN
            word = (step["utterance_id"], step["index"], "", 0, 0, 0, 0, source)
            log.take(events.BotWord(*word))
        case "own_call":
            log.own_call(step["call_id"])
        case "own_progress":
            log.own_progress(step["call_id"], step["message"])
        case other:
            raise AssertionError(f"no such step: {other}")


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_log_is_what_the_vector_says(case: Path) -> None:
    log = TurnLog()
    compared = 0
    for at, step in enumerate(json.loads(case.read_text())["steps"]):
        if step["op"] == "log":
            made = log.conversation
            assert [turn_json(turn) for turn in made.turns] == step["turns"], at
            assert made.skipped == step["skipped"], at
            compared += 1
            continue
        before = log.conversation
        tell(log, step)
        if step.get("unchanged"):
            assert log.conversation is before, at
    assert compared


def test_there_are_cases() -> None:
    assert len(CASES) >= 13
