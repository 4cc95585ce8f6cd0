"""Calls that need the user's word, and tools that only seem to run."""

import asyncio
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire.testing import FakeServer, FakeSession, ToolAnswer

ran: list[Any] = []


@voxwire.tool
async def pay(amount: int) -> str:
    """Pay an amount."""
    ran.append(amount)
    return f"paid {amount}"


@voxwire.tool
def look(call: voxwire.ToolCall, what: str) -> str:
    """Look at something."""
    ran.append(call.name)
    return "seen"


async def asked(tools: Any, *calls: tuple[str, dict[str, Any]], **options: Any) -> list[ToolAnswer]:
    """What a bot is answered that has tools called, one after the other."""
    answers: list[ToolAnswer] = []

    async def bot(session: FakeSession) -> None:
        for name, arguments in calls:
            answers.append(await session.call_tool(name, arguments))

    ran.clear()
    options["timeouts"] = voxwire.Timeouts(wait_ms=60_000)
    async with FakeServer(bot) as server, session_of(server, tools=tools, **options) as session:
        await session.wait_for(voxwire.SessionEnded)
    return answers


@virtual
async def test_a_call_that_is_not_allowed_does_not_run() -> None:
    seen: list[tuple[str, dict[str, Any], int]] = []

    async def approve(call: voxwire.ToolCall) -> bool:
        seen.append((call.name, dict(call.arguments), call.remaining_ms))
        await asyncio.sleep(0.5)
        return call.name == "look" or call.arguments["amount"] < 10

    calls = [("pay", {"amount": 5}), ("pay", {"amount": 50}), ("look", {"what": "here"})]
    small, large, look_answer = await asked([pay, look], *calls, approve=approve)
    assert (small.outcome, small.value) == ("done", "paid 5")
    assert (large.outcome, large.code) == ("failed", voxwire.ErrorCode.FORBIDDEN)
    assert look_answer.value == "seen"
    assert ran == [5, "look"]
    assert [it[:2] for it in seen] == calls
    assert all(left_ms > 1000 for _, _, left_ms in seen)


@pytest.mark.parametrize("says", [None, 1, "yes", False])
@virtual
async def test_only_true_allows(says: Any) -> None:
    (answer,) = await asked([pay], ("pay", {"amount": 1}), approve=lambda _: says)
    assert (answer.outcome, ran) == ("failed", [])


@virtual
async def test_who_does_not_decide_in_time_has_not_allowed_it() -> None:
    async def hesitates(call: voxwire.ToolCall) -> bool:
        await asyncio.sleep(3600)
        return True

    def breaks(call: voxwire.ToolCall) -> bool:
        raise LookupError

    (late,) = await asked([pay], ("pay", {"amount": 1}), approve=hesitates)
    assert (late.outcome, ran) == (voxwire.ToolOutcome.TIMED_OUT, [])
    (broken,) = await asked([pay], ("pay", {"amount": 1}), approve=breaks)
    assert (broken.outcome, broken.code, ran) == ("failed", voxwire.ErrorCode.TOOL_FAILED, [])


@virtual
async def test_a_mocked_tool_gives_what_it_is_told_to() -> None:
    calls = [("pay", {"amount": 5}), ("look", {"what": "here"}), ("pay", {"amount": "much"})]
    mocks = {"pay": {"paid": True}, "look": lambda what: f"a mock of {what}"}
    paid, looked, wrong = await asked([pay, look], *calls, mock_tools=mocks)
    assert (paid.value, looked.value, ran) == ({"paid": True}, "a mock of here", [])
    assert wrong.outcome == "failed"  # its arguments are checked all the same
    (real,) = await asked([pay, look], ("pay", {"amount": 7}), mock_tools={"look": 1})
    assert (real.value, ran) == ("paid 7", [7])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"approve": True}, "approve must be a function, not bool"),
        ({"mock_tools": ["pay"]}, "a dict, not list"),
        ({"mock_tools": {"pay": 1, "play": 2}}, "no tool: play"),
    ],
)
def test_what_cannot_be_used_is_said_at_once(options: dict[str, Any], says: str) -> None:
    with pytest.raises(voxwire.UsageError, match=says):
        voxwire.connect("ws://127.0.0.1:7860", tools=[pay], **options)
