"""The lifecycle matrix: every act in every state under every trouble, in virtual time.

Whatever a program does, it ends within its deadline: with a result, a VoxwireError whose code says
why, its own exception, or cancelled if it was. Nothing is left: no task, thread, socket, device,
nothing that the loop complains of, and no session on a server that could be told. ``-s`` prints the
table. Here is a sixth of it, in which each act meets each state and each trouble;
`test_lifecycle_all.py` has it all.
"""

import pytest
from lifecycle_acts import IN_SESSION, OWN, VERBS, public_names
from lifecycle_matrix import table
from lifecycle_troubles import TROUBLES

ONE_IN = 6


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_call_ends_in_time_and_leaves_nothing(
    trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxwire._dispatcher._log.disabled", True)  # bugs of the program
    lines, failures, count = table(trouble, one_in=ONE_IN)
    print("\n".join(lines), f"\n{count} cells, {len(failures)} faults")
    assert not failures, "\n".join(failures)
    assert count > 25


def test_every_verb_and_value_of_a_session_is_in_the_matrix() -> None:
    rows = {verb.name or name for name, verb in VERBS.items()} - {"__anext__"}
    assert public_names() == rows | OWN | {"close"}
    assert {"close", "close twice"} <= set(IN_SESSION)
