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


def told(change: wire.StateChanged | None) -> tuple[int, bool, int] | None:
    return change and (change.bot, change.user_muted, change.media_ms)


def test_a_user_who_is_not_listened_to_is_told_so_once() -> None:
    s = ConversationState()
    s.ready()
    assert told(s.muted(muted=True)) == (B.BOT_STATE_IDLE, True, 0)
    assert s.muted(muted=True) is None
    assert told(s.answer_owed()) == (B.BOT_STATE_THINKING, True, 0)
    assert told(s.muted(muted=False)) == (B.BOT_STATE_THINKING, False, 0)


def test_one_who_is_not_listened_to_from_the_start_is_told_when_it_has_started() -> None:
    s = ConversationState()
    assert s.muted(muted=True) is None
    assert s.bot == B.BOT_STATE_STARTING
    assert told(s.ready()) == (B.BOT_STATE_IDLE, True, 0)


def test_while_the_bot_speaks_it_takes_effect_where_its_voice_began() -> None:
    s = ConversationState()
    s.ready()
    s.bot_started(1234)
    assert told(s.muted(muted=True)) == (B.BOT_STATE_SPEAKING, True, 1234)
    assert told(s.bot_stopped()) == (B.BOT_STATE_IDLE, True, 0)
    assert told(s.muted(muted=False)) == (B.BOT_STATE_IDLE, False, 0)
