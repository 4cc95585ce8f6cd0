"""A session with a stock bot that gets another line: what it is told, and when it is over."""

import json

import pytest
from stock_line import RTC, TRUSTED_S, FakeLine, Held, running
from test_rtvi_dialling import runner

from voxwire import ErrorCode, SessionError, TransportError
from voxwire.rtvi._offers import Offers
from voxwire_protocol import wire
from voxwire_protocol.rtvi import RtviMessage
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time

FIRST = f"SmallWebRTCConnection#1-{'0a' * 16}"


def answer(pc_id: str) -> bytes:
    return json.dumps({"sdp": "v=0", "type": "answer", "pc_id": pc_id}).encode()


def offers_to(url: str) -> Offers:
    return Offers(url + "/api/offer", name="", headers={}, request_data=None)


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


async def test_a_host_that_refuses_has_no_session_any_more() -> None:
    async with runner(answer(FIRST)) as url:
        offers = offers_to(url)
        await offers.make("v=0", timeout_ms=30_000)
    with pytest.raises(SessionError) as gone:
        await offers.make("v=0", timeout_ms=30_000)
    assert (gone.value.code, gone.value.retryable) == (ErrorCode.SESSION_EXPIRED, False)
    with pytest.raises(TransportError) as nobody:  # where none was, there is nothing to lose
        await offers_to(url).make("v=0", timeout_ms=30_000)
    assert (nobody.value.code, nobody.value.retryable) == (ErrorCode.UNREACHABLE, True)


async def test_behind_a_proxy_that_refuses_the_bot_may_still_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with runner(answer(FIRST)) as url:
        monkeypatch.setenv("http_proxy", url)  # which answers in the place of the host
        offers = offers_to("http://bots.invalid")
        await offers.make("v=0", timeout_ms=30_000)
    with pytest.raises(TransportError) as unreachable:
        await offers.make("v=0", timeout_ms=30_000)
    assert unreachable.value.retryable


@pytest.mark.parametrize(
    "after",
    [f"SmallWebRTCConnection#2-{'0b' * 16}", f"SmallWebRTCConnection#0-{'0a' * 16}"],
)
async def test_another_bot_is_not_the_session(after: str) -> None:
    async with runner(answer(FIRST), answer(after)) as url:
        offers = offers_to(url)
        await offers.make("v=0", timeout_ms=30_000)
        with pytest.raises(SessionError) as other:
            await offers.make("v=0", timeout_ms=30_000)
    assert (other.value.code, other.value.retryable) == (ErrorCode.SESSION_EXPIRED, False)


@pytest.mark.parametrize(
    "after", [f"SmallWebRTCConnection#1-{'0b' * 16}", "a-name-of-another-kind#2", FIRST]
)
async def test_the_same_connection_under_a_new_name_is_the_session(after: str) -> None:
    async with runner(answer(FIRST), answer(after)) as url:
        offers = offers_to(url)
        await offers.make("v=0", timeout_ms=30_000)
        assert await offers.make("v=0", timeout_ms=30_000) == "v=0"
