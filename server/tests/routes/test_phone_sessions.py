"""Calls: what their bots know, how they end, where they go on. In virtual time."""

import asyncio
import gc
import random
import weakref
from collections.abc import Callable
from urllib.parse import urlencode

import numpy as np
import pytest

from tests.support.phone_board import VENDORS, board, ringing
from tests.support.phone_clicks import ClickingBot
from tests.support.phone_line import PUBLIC, Line
from tests.support.phone_mutator import other_bytes
from tests.support.phone_vendors import (
    CALLED,
    CALLER,
    FAR_ENDS,
    TOKEN,
    Announced,
    twilio_signature,
)
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.session import Session


@VENDORS
@in_virtual_time
async def test_the_bot_knows_who_calls_and_what_was_sent_along(
    time: VirtualTime, vendor: str
) -> None:
    async with board(time) as made:
        call_id = await made.taken(vendor, query="bot=b&shop=12&ticket=x")
        facts = made.bots[0].session.facts
        assert (facts.bot, facts.user) == ("b", "tel:+15550100")
        call = facts.phone
        assert call is not None
        assert (call.vendor, call.call_id) == (vendor, call_id)
        assert (call.caller, call.called) == ("+15550100", "+15550199")
        assert call.parameters["shop"] == "12"
        assert "ticket" not in call.parameters


@in_virtual_time
async def test_the_bot_knows_what_the_vendor_has_verified_of_the_number(time: VirtualTime) -> None:
    async with board(time) as made:
        for said, attestation in (("TN-Validation-Passed-B", "B"), ("No-TN-Validation", None)):
            url = f"{PUBLIC}/phone/twilio?bot=a"
            call_id = made.exchange.call_id()
            form = {"CallSid": call_id, "From": CALLER, "To": CALLED, "StirVerstat": said}
            headers = {"x-twilio-signature": twilio_signature(TOKEN, url, form)}
            webhook = Announced("POST", "bot=a", headers, urlencode(form).encode())
            answered = await made.exchange.request("/phone/twilio", webhook)
            answered.vendor = "twilio"
            stream, sent = answered.opens
            line = made.exchange.line("twilio", call_id)
            line.open(stream)
            line.phone.dial(sent)
            await time.advance(100)
            call = made.bots[-1].session.facts.phone
            assert call is not None
            assert (call.caller, call.attestation) == (CALLER, attestation)


@VENDORS
@in_virtual_time
async def test_keys_and_voice_reach_the_bot(time: VirtualTime, vendor: str) -> None:
    async with board(time) as made:
        line = await made.exchange.call(vendor, delay_ms=40, jitter_ms=20)
        await time.advance(500)
        before = made.bots[0].user_bytes
        line.phone.press("1*0#")
        await time.advance(1000)
        assert made.bots[0].digits == "1*0#"
        assert abs(made.bots[0].user_bytes - before - 32_000) <= 4800


@in_virtual_time
async def test_a_voice_that_comes_in_any_order_is_heard_in_its_own(time: VirtualTime) -> None:
    async with board(time) as made:
        line = await made.exchange.call("telnyx")
        await time.advance(500)
        held: list[str | bytes] = []

        def shuffled(piece: str | bytes) -> None:
            held.append(piece)
            if len(held) == 4:
                for place in (1, 0, 3, 2):
                    line.say(held[place])
                held.clear()

        line.phone.send_piece = shuffled
        bot = made.bots[0]
        bot.voice.clear()
        line.phone.speak(10 * np.arange(1600))
        await time.advance(1000)
        heard = np.frombuffer(bytes(bot.voice), "<i2")
        rising = heard[heard > 200]
        assert len(rising) > 3000
        assert (np.diff(rising[:3000].astype(int)) > -700).all()  # no piece stands behind its next


def hangs_up(line: Line, bot: ClickingBot) -> None:
    line.hang_up()


def is_cut(line: Line, bot: ClickingBot) -> None:
    line.cut()


def leaves(line: Line, bot: ClickingBot) -> None:
    bot.stop.set()


ENDS = {hangs_up: "CLIENT", is_cut: "ERROR", leaves: "BOT"}


@VENDORS
@pytest.mark.parametrize("how", ENDS)
@in_virtual_time
async def test_a_call_ends(
    time: VirtualTime, vendor: str, how: Callable[[Line, ClickingBot], None]
) -> None:
    async with board(time) as made:
        line = await made.exchange.call(vendor, delay_ms=40)
        told: list[wire.Envelope] = []
        line.live.outlet.tell(told.append)
        await time.advance(500)
        how(line, made.bots[0])
        await time.advance(1000)
        assert made.sessions == 0
        assert line.served is not None
        await line.served
        [ended] = [e.session_ended for e in told if e.WhichOneof("payload") == "session_ended"]
        assert wire.EndReason.Name(ended.reason) == f"END_REASON_{ENDS[how]}"
        if how is leaves:
            assert line.closed == (1000, "session ended")


CLOSES = {1000: "CLIENT", 1001: "CLIENT", 1005: "CLIENT", 1006: "ERROR", 1011: "ERROR"}
"""How a call ends whose stream is closed like that, without a word before: as it ends that the
vendor has ended, or as one that was lost (RFC 6455 §7.4.1)."""


@VENDORS
@pytest.mark.parametrize("code", CLOSES)
@in_virtual_time
async def test_a_stream_that_is_dropped_ends_as_the_vendor_means_it(
    time: VirtualTime, vendor: str, code: int
) -> None:
    async with board(time) as made:
        line = await made.exchange.call(vendor, delay_ms=40)
        told: list[wire.Envelope] = []
        line.live.outlet.tell(told.append)
        await time.advance(500)
        made.bots[0].say(2000)
        await time.advance(500)
        line.close(code)
        await time.advance(100)
        assert made.sessions == 0
        [ended] = [e.session_ended for e in told if e.WhichOneof("payload") == "session_ended"]
        assert wire.EndReason.Name(ended.reason) == f"END_REASON_{CLOSES[code]}"


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


@VENDORS
@in_virtual_time
async def test_two_calls_at_once_hear_their_own_bots(time: VirtualTime, vendor: str) -> None:
    async with board(time) as made:
        first = await made.exchange.call(vendor, delay_ms=10)
        second = await made.exchange.call(vendor, delay_ms=40)
        await time.advance(500)
        made.bots[0].say(1000)
        await time.advance(2000)
        assert abs(first.phone.heard).max() > 10_000
        assert abs(second.phone.heard).max() == 0
        first.hang_up()
        await time.advance(500)
        assert made.sessions == 1
        made.bots[1].say(1000)
        await time.advance(2000)
        assert abs(second.phone.heard).max() > 10_000


@in_virtual_time
async def test_a_hundred_calls_leave_nothing_behind(time: VirtualTime) -> None:
    names = list(FAR_ENDS)
    sessions: list[weakref.ref[Session]] = []
    async with board(time) as made:
        before = asyncio.all_tasks()
        for number in range(100):
            line = await made.exchange.call(names[number % 5], delay_ms=10)
            sessions.append(weakref.ref(line.live))
            await time.advance(100)
            made.bots[-1].say(500)
            await time.advance(100)
            (hangs_up, is_cut, leaves)[number % 3](line, made.bots[-1])
            await time.advance(500)
            assert made.sessions == 0
            assert line.served is not None
            await line.served
        del line
        made.bots.clear()
        made.exchange.lines.clear()
        await time.advance(120_000)  # a line's own timers, too
        assert asyncio.all_tasks() - before == set()
        gc.collect()
        assert sum(session() is not None for session in sessions) == 0


@in_virtual_time
async def test_a_process_that_leaves_takes_no_call_and_ends_none(time: VirtualTime) -> None:
    async with board(time) as made:
        line = await made.exchange.call()
        late, answered = await ringing(made)
        leaving = asyncio.ensure_future(made.exchange.process.directory.drain(30_000))
        await time.advance(10)
        busy = await made.exchange.ring("twilio")
        assert (busy.status, busy.ticket, "busy" in busy.text) == (200, "", True)
        url, sent = answered.opens
        late.open(url)
        late.phone.dial(sent)
        await time.advance(10)
        assert late.closed is not None
        assert late.closed[0] > 4000
        assert made.sessions == 1
        made.bots[0].say(1000)
        await time.advance(2000)
        assert abs(line.phone.heard).max() > 10_000
        assert not leaving.done()
        line.hang_up()
        await time.advance(500)
        await leaving


# calls that began here, and calls that go on elsewhere


@VENDORS
@in_virtual_time
async def test_of_a_call_that_began_here_who_is_called_is_the_user(
    time: VirtualTime, vendor: str
) -> None:
    async with board(time) as made:
        await made.taken(vendor, query="outgoing=1&bot=b")
        facts = made.bots[0].session.facts
        assert (facts.user, facts.bot) == ("tel:+15550199", "b")
        assert facts.phone is not None
        assert facts.phone.outgoing
        assert "outgoing" not in facts.phone.parameters


@pytest.mark.parametrize(
    ("direction", "user"),
    [
        ("incoming", "tel:+15550100"),
        ("outbound-dial", "tel:+15550199"),
        ("outbound-api", "tel:+15550199"),
    ],
)
@in_virtual_time
async def test_exotel_says_itself_that_a_call_began_here(
    time: VirtualTime, direction: str, user: str
) -> None:
    async with board(time) as made:
        answered = await made.exchange.ring("exotel", query=f"bot=b&Direction={direction}")
        url, sent = answered.opens
        line = made.exchange.line("exotel", answered.call_id)
        line.open(url)
        line.phone.dial(sent)
        await time.advance(100)
        facts = made.bots[0].session.facts
        assert facts.phone is not None
        assert (facts.user, facts.phone.outgoing) == (user, direction != "incoming")


@in_virtual_time
async def test_a_bot_puts_a_call_through_where_it_may_and_nowhere_else(time: VirtualTime) -> None:
    async with board(time) as made:
        line = await made.exchange.call("twilio")
        await time.advance(100)
        call = line.live.facts.phone
        assert call is not None
        assert call.transfer is not None
        with pytest.raises(VoxwireError) as caught:
            await call.transfer("+15550100")
        assert caught.value.code is ErrorCode.FORBIDDEN
        assert made.exchange.rest.asked == []
        await call.transfer("+4930123456")
        [order] = made.exchange.rest.asked
        assert order.url.endswith(f"/Calls/{call.call_id}.json")
        assert made.sessions == 1  # until the vendor ends the stream
        line.hang_up()
        await time.advance(100)
        assert made.sessions == 0


@in_virtual_time
async def test_plivo_asks_to_whom_and_is_told_that_for_nobody_else(time: VirtualTime) -> None:
    async with board(time) as made:
        answered = await made.exchange.ring("plivo", query="transfer=%2B4930123456")
        assert answered.status == 200
        assert "<Dial><Number>+4930123456</Number></Dial>" in answered.text
        answered = await made.exchange.ring("plivo", query="transfer=%2B15550100")
        assert (answered.status, "Dial" in answered.text) == (403, False)
        webhook = made.exchange.announced("plivo", query="bot=a")
        webhook.query = "transfer=%2B4930123456"  # another URL than was signed
        assert (await made.exchange.request("/phone/plivo", webhook)).status == 403
        for vendor in set(FAR_ENDS) - {"plivo"}:
            answered = await made.exchange.ring(vendor, query="bot=a&transfer=%2B4930123456")
            assert "+4930123456" not in answered.text


# bad frames


@in_virtual_time
async def test_a_flood_is_held_back_and_ends_nothing(time: VirtualTime) -> None:
    async with board(time) as made:
        line = await made.exchange.call()
        await time.advance(500)
        for _ in range(10_000):
            line.say('{"event": "x"}')
        line.phone.press("5")
        await time.advance(5000)
        assert made.bots[0].digits == ""  # TCP holds the vendor back
        await time.advance(10_000)
        assert (made.bots[0].digits, made.sessions) == ("5", 1)


@in_virtual_time
async def test_bytes_are_no_message_of_twilios(time: VirtualTime) -> None:
    async with board(time) as made:
        line = await made.exchange.call()
        await time.advance(500)
        made.bots[0].voice.clear()
        for _ in range(50):
            line.say(b"\x00" * 160)  # the loudest there is
        await time.advance(1000)
        assert (made.sessions, line.closed) == (1, None)
        heard = np.frombuffer(bytes(made.bots[0].voice), "<i2").astype(int)
        assert np.abs(heard).max(initial=0) < 100


@VENDORS
@in_virtual_time
async def test_no_message_ends_a_call(time: VirtualTime, vendor: str) -> None:
    """2000 of each vendor that a seeded mutator makes of real ones: left out, or what they say."""
    async with board(time) as made:
        line = await made.exchange.call(vendor)
        phone, far = line.phone, line.phone.far
        chance = random.Random(17)
        good: list[str | bytes] = [
            far.voice(np.arange(160), 3, phone.stream),
            far.key("5", phone.stream),
            far.played("0.1", phone.stream),
            '{"event": "connected", "protocol": "Call", "version": "1.0.0"}',
            *far.begins(phone.call_id, phone.stream, {"ticket": "T"}),
        ]
        for number in range(2000):
            line.say(other_bytes(chance.choice(good), chance))
            if number % 50 == 0:
                await time.advance(1000)
        assert made.sessions == 1
        made.bots[0].say(1000)
        await time.advance(2000)
        assert abs(phone.heard).max() > 10_000
