"""The bot's voice without a listener: the code's table is the specification's, cell by cell."""

import pytest

from tests.support.tables import cells
from voxwire_server.playout.gap_rules import RULES, GapEvent, VoiceState, after, over_at_ms


def test_every_cell_is_the_specs() -> None:
    written = {(str(at[0]), str(at[1])): str(cell or "—") for at, cell in RULES.items()}
    assert written == cells("session.md", "voice")


def test_the_table_is_whole() -> None:
    assert set(RULES) == {(state, event) for state in VoiceState for event in GapEvent}


def test_what_cannot_happen_is_refused() -> None:
    with pytest.raises(LookupError, match="plays again: not while WAITING"):
        after(VoiceState.WAITING, GapEvent.PLAYS_AGAIN)


def test_every_state_leads_back_to_playing() -> None:
    for state in VoiceState:
        assert after(state, GapEvent.PATH_OPENED) is VoiceState.PLAYING


def test_what_was_placed_in_a_gap_waits_as_long_from_then_on() -> None:
    assert over_at_ms(1000, placed_ms=400, limit_ms=2000) == 3000
    assert over_at_ms(1000, placed_ms=2500, limit_ms=2000) == 4500
