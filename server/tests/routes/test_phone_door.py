"""Who may bring a call: signatures and tickets, once each; and how calls end. In virtual time."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.front_door import House
from tests.support.phone_clicks import ClickingBot
from tests.support.phone_line import PUBLIC, TOKEN, WSS, Answered, Exchange, Line
from tests.support.phone_peer import twilio_signature
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.session import Session

FORBIDDEN = 4000 + wire.ErrorCode.ERROR_CODE_FORBIDDEN
TIMEOUT = 4000 + wire.ErrorCode.ERROR_CODE_TIMEOUT
STREAM = f"{WSS}/phone/twilio/media"


class Board:
    """An exchange, its bots, and what they are told."""

    def __init__(self, time: VirtualTime, **settings: object) -> None:
        self.bots: list[ClickingBot] = []
        self.exchange = Exchange(time, house=House(self._run), **settings)

    async def _run(self, session: Session) -> None:
        self.bots.append(ClickingBot(session))
        await self.bots[-1].run()

    @property
    def sessions(self) -> int:
        return len(self.exchange.process.sessions)


@asynccontextmanager
async def board(time: VirtualTime, **settings: object) -> AsyncIterator[Board]:
    """A switchboard; at its end nothing is left."""
    made = Board(time, **settings)
    yield made
    await made.exchange.close()
    assert made.sessions == 0


async def turned_away(line: Line, time: VirtualTime) -> int:
    """Code that the line was closed with."""
    await time.advance(10)
    assert line.closed is not None
    assert line.exchange.process.sessions == []
    return line.closed[0]


# webhooks


@in_virtual_time
async def test_a_webhook_that_is_not_signed_opens_nothing(time: VirtualTime) -> None:
    async with board(time) as made:
        ring, form = made.exchange.ring, made.exchange.form()
        url = f"{PUBLIC}/phone/twilio?bot=a"
        for headers in (
            {},
            {"x-twilio-signature": "x"},
            {"x-twilio-signature": twilio_signature("another token", url, form)},
            {"x-twilio-signature": twilio_signature(TOKEN, url, {**form, "From": "+1"})},
            {"x-twilio-signature": twilio_signature(TOKEN, url.replace("a", "b"), form)},
        ):
            answered = await ring(headers=headers, form=form)
            assert (answered.status, "ticket" in answered.text) == (403, False)
        good = {"x-twilio-signature": twilio_signature(TOKEN, url, form)}
        assert (await ring(headers=good, form=form)).status == 200


@in_virtual_time
async def test_a_host_that_a_proxy_or_a_liar_names_is_not_what_is_signed(time: VirtualTime) -> None:
    async with board(time) as made:
        form = made.exchange.form()
        signature = twilio_signature(TOKEN, f"{PUBLIC}/phone/twilio?bot=a", form)
        headers = {"x-twilio-signature": signature, "host": "10.0.0.1:7860"}
        assert (await made.exchange.ring(headers=headers, form=form)).status == 200


@in_virtual_time
async def test_a_webhook_counts_once(time: VirtualTime) -> None:
    async with board(time) as made:
        form = made.exchange.form()
        assert (await made.exchange.ring(form=form)).status == 200
        await time.advance(3_600_000)
        assert (await made.exchange.ring(form=form)).status == 403
        assert (await made.exchange.ring()).status == 200


@in_virtual_time
async def test_a_body_is_a_form_of_32_kb_at_most(time: VirtualTime) -> None:
    async with board(time) as made:
        large = {"CallSid": "CA1", "Junk": "x" * 33_000}
        assert (await made.exchange.ring(form=large)).status == 413
        asked = await made.exchange.request(
            "POST", "/phone/twilio", "", {"content-type": "application/json"}, b"{}"
        )
        assert asked.status == 415
        assert (await made.exchange.request("GET", "/phone/twilio", "", {})).status == 405


@in_virtual_time
async def test_a_full_server_and_a_bot_that_is_not_there_are_busy(time: VirtualTime) -> None:
    async with board(time, max_sessions=1) as made:
        await made.exchange.call()
        assert "Reject" in (await made.exchange.ring()).text
    async with board(time) as made:
        answered = await made.exchange.ring(query="bot=nobody")
        assert (answered.status, "Reject" in answered.text) == (200, True)
        assert answered.text.count("nobody") == 0


# streams


async def ringing(made: Board) -> tuple[Line, Answered]:
    """A line that is open, and what the webhook of its call was answered."""
    form = made.exchange.form()
    answered = await made.exchange.ring(form=form)
    line = made.exchange.line()
    line.phone.call_id = form["CallSid"]
    return line, answered


@in_virtual_time
async def test_a_stream_that_is_not_signed_is_not_even_accepted(time: VirtualTime) -> None:
    async with board(time) as made:
        for headers in ({}, {"x-twilio-signature": twilio_signature("another", STREAM)}):
            line, answered = await ringing(made)
            assert answered.stream_url == STREAM
            line.open(STREAM, headers)
            await time.advance(10)
            assert (line.status, line.closed, made.sessions) == (403, None, 0)


@in_virtual_time
async def test_a_ticket_opens_one_stream(time: VirtualTime) -> None:
    async with board(time) as made:
        line, answered = await ringing(made)
        line.open(STREAM)
        line.phone.dial(**answered.parameters)
        await time.advance(10)
        assert made.sessions == 1
        again = made.exchange.line()
        again.phone.call_id = line.phone.call_id
        again.open(STREAM)
        again.phone.dial(**answered.parameters)
        await time.advance(10)
        assert again.closed is not None
        assert (again.closed[0], made.sessions) == (FORBIDDEN, 1)


@pytest.mark.parametrize("how", ["another call's", "none", "changed", "old"])
@in_virtual_time
async def test_another_ticket_opens_none(time: VirtualTime, how: str) -> None:
    async with board(time) as made:
        line, answered = await ringing(made)
        line.open(STREAM)
        ticket = answered.parameters["ticket"]
        if how == "another call's":
            ticket = (await made.exchange.ring()).parameters["ticket"]
        elif how == "none":
            ticket = ""
        elif how == "changed":
            ticket = ticket[:-8] + ticket[-8:].swapcase()
        else:
            made.exchange.now_s += 61
        line.phone.dial(ticket)
        assert await turned_away(line, time) == FORBIDDEN


@in_virtual_time
async def test_who_says_nothing_is_not_waited_for(time: VirtualTime) -> None:
    async with board(time) as made:
        line, _ = await ringing(made)
        line.open(STREAM)
        await time.advance(4990)
        assert line.closed is None
        await time.advance(10)
        assert await turned_away(line, time) == TIMEOUT


@in_virtual_time
async def test_who_says_something_else_is_turned_away(time: VirtualTime) -> None:
    async with board(time) as made:
        for message in ("hello", b"\xff", '{"event": "start"}'):
            line, _ = await ringing(made)
            line.open(STREAM)
            line._up.send(message)
            assert await turned_away(line, time) == FORBIDDEN
        line, _ = await ringing(made)
        line.open(STREAM)
        for _ in range(8):
            line._up.send('{"event": "connected"}')
        assert await turned_away(line, time) == FORBIDDEN


# calls


@in_virtual_time
async def test_the_bot_knows_who_calls_and_what_was_sent_along(time: VirtualTime) -> None:
    async with board(time) as made:
        form = made.exchange.form()
        answered = await made.exchange.ring(query="bot=b&shop=12&ticket=x", form=form)
        line = made.exchange.line()
        line.phone.call_id = form["CallSid"]
        line.open(answered.stream_url)
        assert sorted(answered.parameters) == ["shop", "ticket"]
        line.phone.dial(**answered.parameters)
        await time.advance(100)
        facts = made.bots[0].session.facts
        assert (facts.bot, facts.user) == ("b", "tel:+15550100")
        assert facts.phone is not None
        call = facts.phone
        assert (call.vendor, call.call_id) == ("twilio", form["CallSid"])
        assert (call.caller, call.called) == ("+15550100", "+15550199")
        assert call.parameters == {"shop": "12"}


@in_virtual_time
async def test_keys_reach_the_bot(time: VirtualTime) -> None:
    async with board(time) as made:
        line = await made.exchange.call(delay_ms=40, jitter_ms=20)
        await time.advance(500)
        line.phone.press("1*0#")
        await time.advance(500)
        assert made.bots[0].digits == "1*0#"
        assert made.bots[0].user_bytes > 0


def hangs_up(line: Line, bot: ClickingBot) -> None:
    line.phone.hang_up()


def is_cut(line: Line, bot: ClickingBot) -> None:
    line.cut()


def leaves(line: Line, bot: ClickingBot) -> None:
    bot.stop.set()


@pytest.mark.parametrize("how", [hangs_up, is_cut, leaves])
@in_virtual_time
async def test_a_call_ends(time: VirtualTime, how: Callable[[Line, ClickingBot], None]) -> None:
    async with board(time) as made:
        line = await made.exchange.call(delay_ms=40)
        await time.advance(500)
        how(line, made.bots[0])
        await time.advance(1000)
        assert made.sessions == 0
        assert line.served is not None
        await line.served
        if how is not is_cut:
            assert line.closed == (1000, "session ended")


@in_virtual_time
async def test_a_vendor_that_falls_silent_is_gone(time: VirtualTime) -> None:
    async with board(time) as made:
        line = await made.exchange.call()
        line.pongs = False
        await time.advance(500)
        line.phone.stop()
        await time.advance(4000)
        assert made.sessions == 1
        await time.advance(3000)
        assert made.sessions == 0
        assert line.aborted


@in_virtual_time
async def test_a_vendor_that_sends_no_sound_and_answers_pings_stays(time: VirtualTime) -> None:
    async with board(time) as made:
        line = await made.exchange.call()
        await time.advance(500)
        line.phone.stop()
        await time.advance(60_000)
        assert made.sessions == 1


@in_virtual_time
async def test_two_calls_at_once_hear_their_own_bots(time: VirtualTime) -> None:
    async with board(time) as made:
        first = await made.exchange.call(delay_ms=10)
        second = await made.exchange.call(delay_ms=40)
        await time.advance(500)
        made.bots[0].say(1000)
        await time.advance(2000)
        assert abs(first.phone.heard).max() > 10_000
        assert abs(second.phone.heard).max() == 0
        first.phone.hang_up()
        await time.advance(500)
        assert made.sessions == 1
        made.bots[1].say(1000)
        await time.advance(2000)
        assert abs(second.phone.heard).max() > 10_000


@in_virtual_time
async def test_a_hundred_calls_leave_nothing_behind(time: VirtualTime) -> None:
    async with board(time) as made:
        for number in range(100):
            line = await made.exchange.call(delay_ms=10)
            await time.advance(100)
            made.bots[-1].say(500)
            await time.advance(100)
            (hangs_up, is_cut, leaves)[number % 3](line, made.bots[-1])
            await time.advance(500)
            assert made.sessions == 0
            assert line.served is not None
            await line.served


# bad frames


@in_virtual_time
async def test_no_message_ends_a_call(time: VirtualTime) -> None:
    """10 000 messages that a seeded mutator makes of real ones: left out, or what they say."""
    async with board(time) as made:
        line = await made.exchange.call()
        phone, spelling = line.phone, line.phone.spelling
        chance = random.Random(17)
        good = [
            spelling.voice(phone.heard[:160], 3, phone.stream),
            spelling.key("5", phone.stream),
            spelling.played("0.1", phone.stream),
            '{"event": "connected", "protocol": "Call", "version": "1.0.0"}',
            *spelling.begins(phone.call_id, phone.stream, "ticket"),
        ]
        for number in range(10_000):
            message = chance.choice(good)
            data = bytearray(message.encode() if isinstance(message, str) else message)
            for _ in range(chance.randrange(4)):
                place = chance.randrange(len(data) + 1)
                match chance.randrange(3):
                    case 0:
                        data[place : place + 1] = bytes([chance.randrange(256)])
                    case 1:
                        del data[place : place + chance.randrange(40)]
                    case _:
                        data[place:place] = chance.choice((b'"', b"{", b"}", b"0", b"null", b"\\"))
            text = data.decode(errors="replace")
            line._up.send(bytes(data) if number % 10 == 0 else text)
            if number % 50 == 0:
                await time.advance(1000)
        assert made.sessions == 1
        made.bots[0].say(1000)
        await time.advance(2000)
        assert abs(phone.heard).max() > 10_000
