"""How long the user waited."""

from voxwire_server.session.turns import TurnTimer


def test_a_turn_is_measured_once() -> None:
    turns = TurnTimer()
    turns.speech_ended(1000)
    turns.bot_placed(1260)
    turns.bot_placed(1900)
    metrics = turns.bot_heard(1300, "t1")
    assert metrics is not None
    assert (metrics.turn_id, metrics.response_ms, metrics.playout_delay_ms) == ("t1", 260, 40)
    assert turns.bot_heard(1400, "t1") is None


def test_a_greeting_and_a_user_who_goes_on_speaking_are_not_measured() -> None:
    turns = TurnTimer()
    turns.bot_placed(100)
    assert turns.bot_heard(200, "t0") is None
    turns.speech_ended(1000)
    turns.speech_started()
    turns.bot_placed(1200)
    assert turns.bot_heard(1300, "t1") is None
