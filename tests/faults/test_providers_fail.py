"""A23: sessions whose providers fail go on, and their users hear something. Counts, no moments.

The moments: `python -m tests.support.providers.failing`.
"""

from tests.support.providers.failing import CELLS, outcomes


async def test_a_session_survives_each_fault_of_each_part_and_nothing_is_left() -> None:
    held = await outcomes(CELLS)
    assert len(held) == 54
    assert [outcome.row for outcome in held if not outcome.survived] == []
