"""Who may bring a call: signatures and tickets, once each; and how calls end. In virtual time."""

import asyncio
import base64
import gc
import json
import random
import string
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import numpy as np
import pytest

from tests.support.front_door import House
from tests.support.phone_clicks import ClickingBot
from tests.support.phone_line import WSS, Answered, Exchange, Line
from tests.support.phone_vendors import FAR_ENDS, Announced, Vonage, twilio_signature
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError
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

VENDORS = pytest.mark.parametrize("vendor", FAR_ENDS)


def unsigned(webhook: Announced, made: Board) -> None:
    webhook.headers = {k: v for k, v in webhook.headers.items() if k == "content-type"}


def of_another_call(webhook: Announced, made: Board) -> None:
    webhook.body = webhook.body.replace(b"15550100", b"15550101")


def for_another_url(webhook: Announced, made: Board) -> None:
    webhook.query = webhook.query.replace("bot=a", "bot=b")


def too_old(webhook: Announced, made: Board) -> None:
    made.exchange.now_s += 301


def of_the_future(webhook: Announced, made: Board) -> None:
    made.exchange.now_s -= 301


FORGERIES: dict[Callable[[Announced, Board], None], set[str]] = {
    unsigned: set(FAR_ENDS),
    of_another_call: set(FAR_ENDS) - {"exotel"},  # which signs nothing
    for_another_url: {"twilio", "plivo"},  # the others do not sign it
    too_old: {"telnyx", "vonage"},
    of_the_future: {"telnyx", "vonage"},
}


@pytest.mark.parametrize(
    ("vendor", "forge"), [(v, f) for f, vendors in FORGERIES.items() for v in sorted(vendors)]
)
@in_virtual_time
async def test_a_webhook_that_is_not_the_vendors_opens_nothing(
    time: VirtualTime, vendor: str, forge: Callable[[Announced, Board], None]
) -> None:
    async with board(time) as made:
        webhook = made.exchange.announced(vendor)
        forge(webhook, made)
        answered = await made.exchange.request(f"/phone/{vendor}", webhook)
        assert (answered.status, "ticket" in answered.text) == (403, False)
        assert (await made.exchange.ring(vendor)).ticket


@in_virtual_time
async def test_those_who_are_no_vendor_are_counted_and_told_nothing(time: VirtualTime) -> None:
    async with board(time) as made:
        for _ in range(20):
            answered = await made.exchange.ring("twilio", headers={})
            assert answered.status == 403
            assert "signed" not in answered.text


@in_virtual_time
async def test_a_host_that_a_proxy_or_a_liar_names_is_not_what_is_signed(time: VirtualTime) -> None:
    async with board(time) as made:
        webhook = made.exchange.announced("twilio")
        webhook.headers["host"] = "10.0.0.1:7860"
        assert (await made.exchange.request("/phone/twilio", webhook)).status == 200


@VENDORS
@in_virtual_time
async def test_a_webhook_counts_once(time: VirtualTime, vendor: str) -> None:
    async with board(time) as made:
        webhook = made.exchange.announced(vendor)
        assert (await made.exchange.request(f"/phone/{vendor}", webhook)).status == 200
        await time.advance(200_000)
        assert (await made.exchange.request(f"/phone/{vendor}", webhook)).status == 403
        assert (await made.exchange.ring(vendor)).status == 200


@in_virtual_time
async def test_a_signature_that_is_written_otherwise_does_not_count_again(
    time: VirtualTime,
) -> None:
    async with board(time) as made:
        webhook = made.exchange.announced("telnyx")
        assert (await made.exchange.request("/phone/telnyx", webhook)).status == 200
        given = webhook.headers["telnyx-signature-ed25519"]  # four bits of its end say nothing
        letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
        other = f"{given[:-3]}{letters[letters.index(given[-3]) ^ 1]}=="
        assert other != given
        assert base64.b64decode(other) == base64.b64decode(given)
        webhook.headers["telnyx-signature-ed25519"] = other
        assert (await made.exchange.request("/phone/telnyx", webhook)).status == 403


@in_virtual_time
async def test_a_body_is_a_form_of_32_kb_at_most(time: VirtualTime) -> None:
    async with board(time) as made:
        assert (await made.exchange.ring("twilio", body=b"a=" + b"x" * 33_000)).status == 413
        headers = {"content-type": "application/json"}
        assert (await made.exchange.ring("twilio", headers=headers, body=b"{}")).status == 415
        assert (await made.exchange.ring("twilio", method="GET")).status == 405


@VENDORS
@in_virtual_time
async def test_a_full_server_and_a_bot_that_is_not_there_are_busy(
    time: VirtualTime, vendor: str
) -> None:
    async with board(time, max_sessions=1) as made:
        await made.exchange.call(vendor)
        answered = await made.exchange.ring(vendor)
        assert (answered.status, answered.ticket) == (200, "")
    async with board(time) as made:
        answered = await made.exchange.ring(vendor, query="bot=nobody")
        assert (answered.status, answered.ticket) == (200, "")
        assert "nobody" not in answered.text


@in_virtual_time
async def test_vonage_may_ask_by_get_as_well(time: VirtualTime) -> None:
    async with board(time) as made:
        query = "bot=b&shop=12&from=%2B15550100&to=%2B15550199&uuid=C-7&conversation_uuid=CON-7"
        said = json.dumps(dict(parse_qsl(query)), separators=(",", ":")).encode()
        token = Vonage.signed(said, "C-7", made.exchange.now_s)
        webhook = Announced("GET", query, {"authorization": f"Bearer {token}"})
        answered = await made.exchange.request("/phone/vonage", webhook)
        answered.vendor = "vonage"
        assert answered.status == 200
        _, sent = answered.opens
        assert sent.keys() == {"ticket", "shop", "call"}
        assert (sent["shop"], sent["call"]) == ("12", "C-7")
        assert (await made.exchange.request("/phone/vonage", webhook)).status == 403


# streams


async def ringing(made: Board, vendor: str = "twilio") -> tuple[Line, Answered]:
    """A line of a call that was announced, and what its webhook was answered."""
    answered = await made.exchange.ring(vendor)
    return made.exchange.line(vendor, answered.call_id), answered


@in_virtual_time
async def test_a_stream_that_is_not_signed_is_not_even_accepted(time: VirtualTime) -> None:
    async with board(time) as made:
        for headers in ({}, {"x-twilio-signature": twilio_signature("another", STREAM)}):
            line, answered = await ringing(made)
            assert answered.opens[0] == STREAM
            line.open(STREAM, headers)
            await time.advance(10)
            assert (line.status, line.closed, made.sessions) == (403, None, 0)


@VENDORS
@in_virtual_time
async def test_a_ticket_opens_one_stream(time: VirtualTime, vendor: str) -> None:
    async with board(time) as made:
        line, answered = await ringing(made, vendor)
        url, sent = answered.opens
        line.open(url)
        line.phone.dial(sent)
        await time.advance(10)
        assert made.sessions == 1
        again = made.exchange.line(vendor, answered.call_id)
        again.open(url)
        again.phone.dial(sent)
        await time.advance(10)
        assert again.closed is not None
        assert (again.closed[0], made.sessions) == (FORBIDDEN, 1)


@VENDORS
@pytest.mark.parametrize("how", ["another call's", "none", "changed", "old"])
@in_virtual_time
async def test_another_ticket_opens_none(time: VirtualTime, vendor: str, how: str) -> None:
    async with board(time) as made:
        line, answered = await ringing(made, vendor)
        url, sent = answered.opens
        ticket = answered.ticket
        if how == "another call's":
            sent["ticket"] = (await made.exchange.ring(vendor)).ticket
        elif how == "none":
            del sent["ticket"]
        elif how == "changed":
            sent["ticket"] = ("A" if ticket[0] == "B" else "B") + ticket[1:]
        else:
            made.exchange.now_s += 61
        line.open(url.partition("?")[0])
        line.phone.dial(sent)
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
            line.say(message)
            assert await turned_away(line, time) == FORBIDDEN
        line, _ = await ringing(made)
        line.open(STREAM)
        for _ in range(8):
            line.say('{"event": "connected"}')
        assert await turned_away(line, time) == FORBIDDEN


@in_virtual_time
async def test_of_a_burst_from_one_address_eight_are_waited_for_at_a_time(
    time: VirtualTime,
) -> None:
    async with board(time) as made:
        lines: list[tuple[Line, dict[str, str]]] = []
        for _ in range(9):
            line, answered = await ringing(made)
            url, sent = answered.opens
            line.open(url)
            lines.append((line, sent))
        await time.advance(10)
        assert [line.status for line, _ in lines] == [*[None] * 8, 429]
        for line, sent in lines[:8]:
            line.phone.dial(sent)
        await time.advance(10)
        assert made.sessions == 8
        await made.exchange.call("twilio")
        assert made.sessions == 9


# calls


@VENDORS
@in_virtual_time
async def test_the_bot_knows_who_calls_and_what_was_sent_along(
    time: VirtualTime, vendor: str
) -> None:
    async with board(time) as made:
        answered = await made.exchange.ring(vendor, query="bot=b&shop=12&ticket=x")
        url, sent = answered.opens
        line = made.exchange.line(vendor, answered.call_id)
        line.open(url)
        line.phone.dial(sent)
        await time.advance(100)
        facts = made.bots[0].session.facts
        assert (facts.bot, facts.user) == ("b", "tel:+15550100")
        call = facts.phone
        assert call is not None
        assert (call.vendor, call.call_id) == (vendor, answered.call_id)
        assert (call.caller, call.called) == ("+15550100", "+15550199")
        assert call.parameters["shop"] == "12"
        assert "ticket" not in call.parameters


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


# calls that began here, and calls that go on elsewhere


@VENDORS
@in_virtual_time
async def test_of_a_call_that_began_here_who_is_called_is_the_user(
    time: VirtualTime, vendor: str
) -> None:
    async with board(time) as made:
        answered = await made.exchange.ring(vendor, query="outgoing=1&bot=b")
        url, sent = answered.opens
        line = made.exchange.line(vendor, answered.call_id)
        line.open(url)
        line.phone.dial(sent)
        await time.advance(100)
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
            line.say(bytes(data) if number % 10 == 0 else text)
            if number % 50 == 0:
                await time.advance(1000)
        assert made.sessions == 1
        made.bots[0].say(1000)
        await time.advance(2000)
        assert abs(phone.heard).max() > 10_000
