"""A client tool whose connection is cut: the effect once, the result once, and spoken."""

import asyncio
import random
from collections import Counter
from typing import Any

from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.calling import make_bot, settled
from voxwire_server import BotSession
from voxwire_server.testing import RunningServer, running_server

SEED = 12


def allowed(session: BotSession) -> list[Any]:
    return session.client_tools(("pay",))


async def one(server: RunningServer, contexts: dict[str, LLMContext], moments: list[float]) -> None:
    """Hold a session in which the control channel is cut at these moments of one call, seconds."""
    paid: Counter[str] = Counter()

    @voxwire.tool
    async def pay(what: str) -> str:
        """Pay for something."""
        paid[what] += 1
        await asyncio.sleep(0.8)  # real time: slow
        return "paid"

    ends: list[voxwire.ToolCallEnded] = []
    connection = voxwire.connect(server.url, transport="websocket", tools=[pay])
    async with connection as session, asyncio.timeout(60):
        await session.send_text('call pay {"what": "tea"}')
        for moment in moments:
            await asyncio.sleep(moment)  # real time: moment
            session.simulate.drop_control()
        async for event in session:
            if isinstance(event, voxwire.ToolCallEnded):
                ends.append(event)
            elif isinstance(event, voxwire.BotWord):
                assert event.text == "done."
                break
        came = await settled(contexts[session.id])
    assert [end.outcome for end in ends] == ["done"]
    assert paid == {"tea": 1}
    assert came == [{"result": "paid"}]


async def test_a_call_survives_cuts_at_any_moment() -> None:
    """Before the request is read, while the tool runs, before its result is read, and all of it."""
    moments = random.Random(SEED)
    schedules = [[0.0], [0.01], [0.4], [0.79], [0.81], [0.01, 0.2, 0.2, 0.2, 0.2]]
    schedules += [[moments.uniform(0, 1)] for _ in range(6)]
    contexts: dict[str, LLMContext] = {}
    async with running_server(make_bot(allowed, contexts)) as server:
        await asyncio.gather(*(one(server, contexts, schedule) for schedule in schedules))
