"""The table of a session's life is that of protocol/spec/session.md, cell by cell."""

from pathlib import Path

import pytest

from voxwire_server.lifecycle import RULES, Answer, Cell, Event, Life, OutOfTurnError, State

SPEC = Path(__file__).resolve().parents[2] / "protocol" / "spec" / "session.md"


def spec() -> dict[tuple[str, str], str]:
    lines = SPEC.read_text("utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("| event | `ATTACHED`"))
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines[start:]
        if line.startswith("|")
    ][: len(Event) + 2]
    heading, _, *body = table
    return {
        (row[0], column.strip("`")): cell
        for row in body
        for column, cell in zip(heading[1:], row[1:], strict=True)
    }


def written(cell: Cell | None) -> str:
    if cell is None:
        return "—"
    parts = [f"`{cell.state.value}`", cell.answer.value]
    return ", ".join(part for part in parts if part)


def test_every_cell_is_the_specs() -> None:
    ours = {(event.value, state.value): written(cell) for (event, state), cell in RULES.items()}
    assert ours == spec()


@pytest.mark.parametrize(("event", "state"), list(RULES))
def test_a_session_becomes_what_the_cell_says(event: Event, state: State) -> None:
    life, cell = in_state(state), RULES[event, state]
    if cell is None:
        with pytest.raises(OutOfTurnError):
            life.on(event)
        assert life.state is state
    else:
        assert life.would(event) is cell.answer
        assert life.state is state
        assert life.on(event) is cell.answer
        assert life.state is cell.state


def in_state(state: State) -> Life:
    life = Life()
    steps = {State.ATTACHED: [], State.PARKED: [Event.LOST], State.ENDED: [Event.BYE]}
    for event in steps[state]:
        life.on(event)
    assert life.state is state
    return life


def test_what_has_ended_stays_so() -> None:
    for event in Event:
        life = in_state(State.ENDED)
        life.on(event)
        assert life.over


def test_every_answer_is_given_somewhere() -> None:
    assert {cell.answer for cell in RULES.values() if cell} == set(Answer)
