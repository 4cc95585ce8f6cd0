"""Who may open the stream of a call: a ticket, once. In virtual time."""

import pytest

from tests.support.phone_board import (
    FORBIDDEN,
    STREAM,
    TIMEOUT,
    VENDORS,
    board,
    ringing,
    turned_away,
)
from tests.support.phone_line import Line
from tests.support.phone_vendors import twilio_signature
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time


@in_virtual_time
async def test_a_stream_that_is_not_signed_is_not_even_accepted(time: VirtualTime) -> None:
    async with board(time) as made:
        for headers in ({}, {"x-twilio-signature": twilio_signature("another", STREAM)}):
            line, answered = await ringing(made)
            assert answered.opens[0] == STREAM
            line.open(STREAM, headers)
            await time.advance(10)
            assert (line.status, line.closed, made.sessions) == (403, None, 0)


@pytest.mark.parametrize("vendor", ["twilio", "exotel", "vonage"])
@in_virtual_time
async def test_who_has_read_a_ticket_and_cannot_sign_opens_nothing(
    time: VirtualTime, vendor: str
) -> None:
    async with board(time) as made:
        line, answered = await ringing(made, vendor)
        line.open(answered.opens[0], {})
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
async def test_strangers_are_counted_where_a_stream_is_not_signed(time: VirtualTime) -> None:
    async with board(time, strangers="3/minute") as made:
        codes: list[int] = []
        for _ in range(4):
            line, answered = await ringing(made, "telnyx")
            url, sent = answered.opens
            line.open(url)
            line.phone.dial(sent | {"ticket": "A" * 180})
            codes.append(await turned_away(line, time))
        assert codes == [*[FORBIDDEN] * 3, 4000 + wire.ErrorCode.ERROR_CODE_RATE_LIMITED]
        await made.exchange.call("telnyx")


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
            line.ours = False
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
