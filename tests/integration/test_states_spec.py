"""The states of the conversation, and those of a client, are those of protocol/spec/session.md: no
other, no fewer.
"""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.tables import cells, rows
from voxwire._states import STEPS as CLIENT_STEPS
from voxwire._states import ClientStatus, Step
from voxwire_protocol import wire
from voxwire_server.conversation.states import ConversationState

ROOT = Path(__file__).resolve().parents[2]
_, *ROWS = rows("session.md", "bot")
STEPS = [
    (state, event.strip(), target)
    for state, _, cell in ROWS
    for event, targets in re.findall(r"([^;→]+) → ([A-Z]+(?: or [A-Z]+)*)", cell)
    for target in targets.split(" or ")
]

Facts = list[str]
"""Methods of the machine, in the order in which the pipeline calls them."""

BEFORE: dict[str, Facts] = {
    "STARTING": [],
    "IDLE": ["ready"],
    "LISTENING": ["ready", "user_started"],
    "THINKING": ["ready", "answer_owed"],
    "SPEAKING": ["ready", "answer_owed", "response_started", "bot_started"],
}
EVENTS: dict[tuple[str, str], tuple[Facts, Facts]] = {
    # what has happened in that state already, and what happens
    ("STARTING", "the pipeline started"): ([], ["ready"]),
    ("IDLE", "user speaks"): ([], ["user_started"]),
    ("IDLE", "typed text"): ([], ["answer_owed"]),
    ("IDLE", "an answer is begun"): ([], ["response_started"]),
    ("IDLE", "bot speaks"): ([], ["bot_started"]),
    ("LISTENING", "user's turn ends"): ([], ["user_stopped"]),
    ("LISTENING", "user's turn ends, answered already"): (
        ["response_started", "response_ended"],
        ["user_stopped"],
    ),
    ("LISTENING", "bot speaks"): ([], ["bot_started"]),
    ("THINKING", "first sound"): (["response_started"], ["bot_started"]),
    ("THINKING", "no answer"): (["response_started"], ["response_ended"]),
    ("THINKING", "answer_timeout_ms over"): (["response_started"], ["answer_dropped"]),
    ("THINKING", "user speaks"): ([], ["user_started"]),
    ("SPEAKING", "heard to the end"): ([], ["bot_stopped"]),
    ("SPEAKING", "cut by the user"): (["user_started"], ["bot_stopped"]),
    ("SPEAKING", "cut otherwise"): (["answer_dropped"], ["bot_stopped"]),
}
ALREADY: dict[tuple[str, str], Facts] = {
    ("heard to the end", "IDLE"): ["response_ended"],
    ("heard to the end", "THINKING"): ["response_ended", "answer_owed"],
}


def happen(machine: ConversationState, fact: str) -> wire.StateChanged | None:
    call: Callable[..., wire.StateChanged | None] = getattr(machine, fact)
    if fact == "muted":
        return call(muted=not machine.user_muted)
    return call(1000) if fact == "bot_started" else call()


def bot(machine: ConversationState) -> str:
    return wire.BotState.Name(machine.bot).removeprefix("BOT_STATE_")


def test_every_cell_is_tried_and_every_state_has_a_row() -> None:
    assert {(state, event) for state, event, _ in STEPS} == set(EVENTS)
    schema = {n.removeprefix("BOT_STATE_") for n, v in wire.BotState.items() if v}
    assert [row[0] for row in ROWS] == list(BEFORE)
    assert set(BEFORE) == schema


@pytest.mark.parametrize(("state", "event", "target"), STEPS)
def test_a_step(state: str, event: str, target: str) -> None:
    machine = ConversationState()
    already, now = EVENTS[state, event]
    for fact in BEFORE[state] + already + ALREADY.get((event, target), []):
        happen(machine, fact)
    assert bot(machine) == state
    changes = [happen(machine, fact) for fact in now]
    assert bot(machine) == target
    [change] = [change for change in changes if change is not None]
    assert change.bot == machine.bot
    assert change.media_ms == (1000 if now == ["bot_started"] else 0)


def test_no_other_step_can_happen() -> None:
    """Every order of facts that a pipeline can tell, from its start on."""
    facts = [n for n, f in vars(ConversationState).items() if n[0] != "_" and callable(f)]
    first = ConversationState()
    happen(first, "ready")
    found, todo, known = set[tuple[str, str]](), [first], [_facts(first)]
    while todo:
        before = todo.pop()
        for fact in facts:
            after = copy.copy(before)
            if not _possible(before, fact):
                continue
            happen(after, fact)
            if bot(after) != bot(before):
                found.add((bot(before), bot(after)))
            if _facts(after) not in known:
                known.append(_facts(after))
                todo.append(after)
    assert found == {(state, target) for state, _, target in STEPS if state != "STARTING"}


def _facts(machine: ConversationState) -> dict[str, Any]:
    return dict(vars(machine))


def _possible(machine: ConversationState, fact: str) -> bool:
    """A voice begins once, and ends when it has begun."""
    user_speaks = machine.user == wire.UserState.USER_STATE_SPEAKING
    return {
        "user_started": not user_speaks,
        "user_stopped": user_speaks,
        "bot_started": not machine._speaking,
        "bot_stopped": machine._speaking,
    }.get(fact, True)


def test_the_steps_of_a_client_are_those_of_the_table() -> None:
    heading, *body = rows("session.md", "what happens")
    assert heading[1:] == list(ClientStatus)
    assert [row[0] for row in body] == list(Step)
    table = {
        (Step(event), ClientStatus(status)): ClientStatus(cell)
        for (event, status), cell in cells("session.md", "what happens").items()
        if cell != "—"
    }
    assert table == CLIENT_STEPS


def test_the_javascript_client_has_the_same_states() -> None:
    api = (ROOT / "clients/js/packages/client/src/api.ts").read_text("utf-8")
    union = api.split("export type ClientStatus =")[1].split("\n\n")[0]
    assert re.findall(r'status: "([a-z]+)"', union) == list(ClientStatus)
