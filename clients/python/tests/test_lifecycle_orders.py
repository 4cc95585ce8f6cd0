"""Troubles, verbs and a bot at work, in orders that hypothesis thinks of."""

import asyncio
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from lifecycle import Bench
from lifecycle_acts import ENDINGS, VERBS
from lifecycle_matrix import ACTS
from lifecycle_states import SESSION
from lifecycle_troubles import TROUBLES, heal

from voxwire_protocol.virtual_time import VirtualTime

MOST_STEPS = 12

troubles = st.sampled_from([f"trouble: {it}" for it, kind in TROUBLES.items() if not kind.rtc])
verbs = st.sampled_from([f"verb: {it}" for it in VERBS])
cancels = st.sampled_from([f"cancel: {it}" for it in VERBS])
waits = st.sampled_from([f"wait: {it}" for it in (0, 1, 19, 20, 21, 60, 150, 400)])
BOT = {
    "says": lambda it: it.say("one two three four"),
    "calls a tool": lambda it: it.call_tool("act", timeout_ms=200),
    "asks": lambda it: it.request("ask"),
    "asks again": lambda it: it.request("method"),
}
"""What a bot may do at any moment."""

bots = st.sampled_from([f"bot: {it}" for it in BOT])
steps = st.lists(
    st.one_of(verbs, troubles, waits, cancels, bots, st.just("heal")), max_size=MOST_STEPS
)


async def play(time: VirtualTime, state: str, order: list[str], ending: str) -> list[str]:
    """Does one thing after the other; what is wrong with how it all ended."""
    live = any("device" in it for it in order)
    bench = Bench(time, live=live)
    bench.told = False
    await SESSION[state](bench)
    acting: list[asyncio.Future[Any]] = []
    for number, step in enumerate(order):
        kind, _, what = step.partition(": ")
        if kind == "trouble":
            TROUBLES[what].happen(bench)
        elif kind == "heal":
            heal(bench)
        elif kind == "bot":
            acting.append(asyncio.ensure_future(BOT[what](bench.fake)))
        elif kind == "wait":
            await time.advance(float(what))
        elif bench.session is not None and kind == "verb":
            verb = VERBS[what]
            bench.do(f"{number} {what}", verb.run(bench.session), limit_ms=verb.limit_ms)
        for name, one in bench.running.items():
            if kind == "cancel" and name.endswith(f" {what}"):
                bench.cancel(one)
    if bench.program is not None:
        await (ACTS if bench.session is not None else ENDINGS)[ending](bench)
    return await bench.end(beside=acting)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Bugs of the program are logged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("voxwire._dispatcher._log.disabled", True)
        yield


def check(state: str, order: list[str], ending: str) -> None:
    time = VirtualTime()
    found = time.run(play(time, state, order, ending))
    assert not found, "\n".join([f"{state}, then {order}, then {ending}:", *found])


@pytest.mark.timeout(900)  # it computes all the time: a busy machine has little of that for it
@hypothesis.settings(max_examples=400)
@hypothesis.given(st.sampled_from(list(SESSION)), steps, st.sampled_from(list(ENDINGS)))
def test_any_order_ends_in_time_and_leaves_nothing(
    state: str, order: list[str], ending: str
) -> None:
    check(state, order, ending)


@pytest.mark.soak
@hypothesis.settings(max_examples=3_000)
@hypothesis.given(st.sampled_from(list(SESSION)), steps, st.sampled_from(list(ENDINGS)))
def test_many_more_orders(state: str, order: list[str], ending: str) -> None:
    check(state, order, ending)
