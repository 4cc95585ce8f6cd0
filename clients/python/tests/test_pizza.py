"""A sample app against `FakeServer`: a tool, a refusal, a cut, a lost connection, in no time."""

import time
from collections.abc import Callable

import pytest
from pizza import Order, order_pizza

import voxwire
from voxwire.testing import FakeServer, FakeSession, Heard, in_virtual_time
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.event_enums import ToolOutcome

OFFER = "One with ham and mushrooms comes to eleven euros and fifty cents."


async def pizzeria(session: FakeSession) -> None:
    """Asks for the address, says the price and shows it."""
    wish = await session.text()
    where = await session.call_tool("get_address")
    if where.outcome is not ToolOutcome.DONE:
        await session.say("Where does it go?")
        return
    await session.say(f"{wish}, for {where.value}.")
    await session.request("show", "11.50")
    heard: Heard = await session.say(OFFER)
    if heard.interrupted:
        await session.say("Never mind.")


@in_virtual_time
async def test_it_orders_for_the_address_of_its_user() -> None:
    async with FakeServer(pizzeria) as server:
        order = await order_pizza(
            server.url, "A Regina", address="Elm Street 5", environment=server.environment
        )
    said = f"A Regina, for Elm Street 5. {OFFER}"
    assert order == Order(said.split(), screen=["11.50"], end="bot")


@in_virtual_time
async def test_without_an_address_it_is_asked_for_one() -> None:
    async with FakeServer(pizzeria) as server:
        order = await order_pizza(server.url, "A Regina", environment=server.environment)
    assert order.answer == "Where does it go?"
    assert order.screen == []


@in_virtual_time
async def test_the_user_may_cut_a_long_offer_off() -> None:
    async with FakeServer(pizzeria) as server:
        order = await order_pizza(
            server.url,
            "A Regina",
            address="Elm Street 5",
            enough="mushrooms",
            environment=server.environment,
        )
    assert order.answer.endswith("One with ham and mushrooms Never mind.")


@in_virtual_time
async def test_a_lost_connection_loses_no_word() -> None:
    async def unlucky(session: FakeSession) -> None:
        server.clock.call_later(1500, session.drop)  # in the middle of the offer
        await pizzeria(session)

    async with FakeServer(unlucky) as server:
        order = await order_pizza(
            server.url, "A Regina", address="Elm Street 5", environment=server.environment
        )
    assert order.screen == ["11.50", "reconnecting", "connected"]
    assert order.answer == f"A Regina, for Elm Street 5. {OFFER}"
    assert len(server.sessions) == 1


@in_virtual_time
async def test_a_pizzeria_that_is_closed_says_so() -> None:
    async with FakeServer(pizzeria) as server:
        server.refuse_with(ErrorCode.FORBIDDEN, "we open at six")
        with pytest.raises(voxwire.VoxwireError, match="we open at six"):
            await order_pizza(server.url, "A Regina", environment=server.environment)


TESTS: list[Callable[[], None]] = [
    test_it_orders_for_the_address_of_its_user,
    test_without_an_address_it_is_asked_for_one,
    test_the_user_may_cut_a_long_offer_off,
    test_a_lost_connection_loses_no_word,
    test_a_pizzeria_that_is_closed_says_so,
]


def test_the_tests_of_the_app_take_less_than_a_second_together(
    capsys: pytest.CaptureFixture[str],
) -> None:
    took_ms = {}
    for test in TESTS:
        began = time.process_time()
        test()
        took_ms[test.__name__] = (time.process_time() - began) * 1000
    with capsys.disabled():
        lines = [f"  {ms:5.0f} ms  {name}" for name, ms in took_ms.items()]
        print(f"\nsample app: {sum(took_ms.values()):.0f} ms of a processor", *lines, sep="\n")
    assert sum(took_ms.values()) < 1000  # real time: processor
