"""What bot and user are said to be doing (protocol/spec/session.md, States of the conversation)."""

from voxwire_protocol import wire
from voxwire_server.conversation.states import ConversationState

B, U = wire.BotState, wire.UserState


def bots(*changes: wire.StateChanged | None) -> list[str]:
    return [B.Name(c.bot).removeprefix("BOT_STATE_").lower() for c in changes if c is not None]


def test_a_turn_goes_listening_thinking_speaking_idle() -> None:
    s = ConversationState()
    assert bots(
        s.ready(),
        s.user_started(),
        s.user_stopped(),
        s.response_started(),
        s.bot_started(1000),
        s.response_ended(),
        s.bot_stopped(),
    ) == ["idle", "listening", "thinking", "speaking", "idle"]


def test_speaking_takes_effect_where_it_was_placed() -> None:
    s = ConversationState()
    s.ready()
    change = s.bot_started(1234)
    assert change is not None
    assert change.media_ms == 1234


def test_a_tool_between_two_utterances_is_thinking_not_idle() -> None:
    s = ConversationState()
    s.ready()
    s.user_stopped()
    s.response_started()
    s.bot_started(0)
    s.response_ended()
    s.answer_owed()
    assert bots(s.bot_stopped(), s.response_started(), s.bot_started(1000)) == [
        "thinking",
        "speaking",
    ]


def test_an_interruption_ends_in_listening() -> None:
    s = ConversationState()
    s.ready()
    s.bot_started(0)
    assert bots(s.user_started(), s.bot_stopped()) == ["speaking", "listening"]


def test_a_dropped_answer_ends_thinking() -> None:
    s = ConversationState()
    s.ready()
    assert bots(s.answer_owed(), s.answer_dropped()) == ["thinking", "idle"]


def test_nothing_is_said_twice() -> None:
    s = ConversationState()
    s.ready()
    assert s.ready() is None
    assert s.bot == B.BOT_STATE_IDLE


def test_a_turn_end_that_is_noticed_after_the_answer_began_owes_nothing() -> None:
    s = ConversationState()
    s.ready()
    s.user_started()
    s.response_started()
    s.user_stopped()
    s.bot_started(0)
    s.response_ended()
    assert bots(s.bot_stopped()) == ["idle"]
