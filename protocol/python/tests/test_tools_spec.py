"""The tables of protocol/spec/tools.md are what the code does."""

from pathlib import Path

import pytest

from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.tools import (
    KEPT_CALLS,
    CallError,
    CallState,
    Effect,
    Executor,
    Refused,
    ToolCalls,
)

SPEC = (Path(__file__).resolve().parents[2] / "spec" / "tools.md").read_text("utf-8")
TOKEN = bytes(16)
FAILURE = CallError(ErrorCode.TOOL_FAILED, "no")
DEADLINE_MS, ACCEPT_MS = 10_000, 2_000


def table(first_column: str) -> dict[tuple[str, str], str]:
    """Cells of the Markdown table whose first heading is given, by row and column."""
    lines = SPEC.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows: list[list[str]] = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    heading, _, *body = rows
    return {
        (row[0], column): cell
        for row in body
        for column, cell in zip(heading[1:], row[1:], strict=True)
    }


STATES = table("state")
ANSWERS = table("call")


def opened(executor: Executor = Executor.CLIENT) -> ToolCalls:
    calls = ToolCalls()
    token = TOKEN if executor is Executor.CLIENT else None
    calls.request("a", "tool", executor=executor, arguments="{}", now_ms=0, call_token=token)
    return calls


def in_state(state: CallState) -> ToolCalls:
    calls = opened()
    match state:
        case CallState.ACCEPTED:
            calls.accept("a", now_ms=0)
        case CallState.RUNNING:
            calls.progress("a", now_ms=0)
        case CallState.DONE:
            calls.result("a", "1", now_ms=0, call_token=TOKEN)
        case CallState.FAILED:
            calls.result("a", FAILURE, now_ms=0, call_token=TOKEN)
        case CallState.CANCELLED:
            calls.cancel("a", "", now_ms=0)
        case CallState.TIMED_OUT:
            calls.accept("a", now_ms=0)
            calls.tick(DEADLINE_MS)
        case CallState.REQUESTED:
            pass
    assert calls.state("a") is state
    return calls


def happen(calls: ToolCalls, event: str) -> list[Effect]:
    match event:
        case "accept":
            return calls.accept("a", now_ms=1)
        case "progress":
            return calls.progress("a", now_ms=1)
        case "result" | "same result":
            return calls.result("a", "1", now_ms=1, call_token=TOKEN)
        case "other result":
            return calls.result("a", "2", now_ms=1, call_token=TOKEN)
        case "wrong token":
            return calls.result("a", "1", now_ms=1, call_token=b"x" * 16)
        case "error":
            return calls.result("a", FAILURE, now_ms=1, call_token=TOKEN)
        case "cancel":
            return calls.cancel("a", "", now_ms=1, by=Executor.CLIENT)
        case "interruption":
            return calls.interrupted(1)
        case "accept deadline":
            return calls.tick(ACCEPT_MS)
        case _:
            assert event == "deadline"
            calls.on_lost()  # the acceptance is not waited for, so that the deadline comes first
            return calls.tick(DEADLINE_MS)


def test_the_table_has_every_state() -> None:
    assert {row for row, _ in STATES} == {state.name for state in CallState}
    assert len(STATES) == len(CallState) * 8


@pytest.mark.parametrize(("state", "event"), STATES, ids=" ".join)
def test_a_state_follows_as_the_table_says(state: str, event: str) -> None:
    calls = in_state(CallState[state])
    happen(calls, event)
    wanted = STATES[state, event]
    after = calls.state("a")
    assert after is not None
    assert after.name == (state if wanted == "none" else wanted)


def standing(row: str) -> ToolCalls:
    match row:
        case "unknown":
            return ToolCalls()
        case "run by the server":
            return opened(Executor.SERVER)
        case "open":
            return opened()
        case "ended by a result":
            return in_state(CallState.DONE)
        case _:
            assert row == "ended without one"
            return in_state(CallState.CANCELLED)


@pytest.mark.parametrize(("row", "event"), ANSWERS, ids=" ".join)
def test_a_message_is_answered_as_the_table_says(row: str, event: str) -> None:
    effects = happen(standing(row), event)
    codes = [effect.code.name for effect in effects if isinstance(effect, Refused)]
    wanted = ANSWERS[row, event]
    assert codes == ([] if wanted == "ok" else [wanted])


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    calls = opened()
    assert calls.next_due_ms == ACCEPT_MS
    assert calls.open_calls[0].deadline_ms == DEADLINE_MS
    assert calls.result("a", "x" * 49_152, now_ms=1, call_token=TOKEN)[0].call_id == "a"
    assert calls.state("a") is CallState.DONE
    assert "49 152 bytes" in SPEC
    assert "or 10 000." in SPEC
    assert "within 2 000," in SPEC
    assert f"{KEPT_CALLS} ended calls" in SPEC
