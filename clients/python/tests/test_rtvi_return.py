"""A session with a stock bot that gets another line: what it is told, and when it is over."""

from stock_line import RTC, TRUSTED_S, FakeLine, Held, running

from voxwire_protocol import wire
from voxwire_protocol.rtvi import RtviMessage
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time


@in_virtual_time
async def test_what_was_being_said_ends_with_its_line(time: VirtualTime) -> None:
    after = FakeLine(RTC)
    held = Held(time, FakeLine(RTC), after)
    async with running(held, time) as line:
        line.say(
            RtviMessage("bot-llm-started"),
            RtviMessage("bot-started-speaking"),
            RtviMessage("bot-tts-text", {"text": "First"}),
        )
        await time.settle()
        held.handler.position_ms = 700
        held.handler.envelopes.clear()
        line.lose()
        await time.advance(TRUSTED_S * 1000 + 1)
        assert held.handler.told[-2:] == ["attached 1 3000", "skipped"]
        [ended] = held.handler.of("utterance_ended")
        assert ended.end == wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
        assert (ended.heard_media_ms, ended.heard_words) == (699, 1)
        [state] = held.handler.of("state_changed")
        assert state.bot == wire.BotState.BOT_STATE_IDLE
        assert len(held.handler.of("response_ended")) == 1
        after.say(RtviMessage("bot-tts-text", {"text": "Second"}))
        await time.settle()
        [words] = held.handler.of("utterance_words")
        assert (words.utterance_id, words.text, words.text_offset) == ("s2", "Second", 0)
