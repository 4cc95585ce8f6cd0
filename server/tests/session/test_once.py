"""A tool that is to run once does, though its process is killed as it is called, or only stalls.

The bots are real ones: what the second one knows of the first one's call is what it finds in its
model's context, and by that alone it decides whether to call.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat.frames.frames import (
    FunctionCallFromLLM,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies

from tests.support.clicks import RATE, ClickTTS, ScriptedLLM
from tests.support.front_door import Caller, House, Process, SlowStore, token_of
from tests.support.stage import FakePath
from voxwire_protocol.virtual_time import VirtualTime
from voxwire_server.app import wires_of
from voxwire_server.pipeline.bot import BotSession, run_bot
from voxwire_server.pipeline.kept_context import LOST
from voxwire_server.session.keeper import KEEPS_MS
from voxwire_server.session.session import Session
from voxwire_server.session.store import StoreUnreachableError
from voxwire_server.session.ticket import Here

SEEDS = 100
LISTENED_MS = 8000


class Model(ScriptedLLM):
    """Charges the card when it was asked to, and not when its context says that it has called."""

    async def _answer(self, context: LLMContext) -> None:
        messages: list[Any] = context.get_messages()
        if not any(it.get("role") == "user" for it in messages):
            return
        if any(it.get("tool_calls") for it in messages):
            await self._say("that is all.")
            return
        await self._say("one moment please while I charge your card.")
        call = FunctionCallFromLLM(
            function_name="charge_card", tool_call_id="call-1", arguments={}, context=context
        )
        await self.run_function_calls([call])

    async def _say(self, text: str) -> None:
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(text))
        await self.push_frame(LLMFullResponseEndFrame())


class Ear(FakePath):
    """Takes all that is placed at once; it is heard as time goes by."""

    def wake(self) -> None:
        while self.sound.take(self.sound.sample_rate) is not None:
            pass


class Way:
    """The way of one process to the store.

    Attributes:
        cut: Set it when the process is killed: nothing goes or comes on it any more.
    """

    def __init__(self, store: SlowStore) -> None:
        self._store = store
        self.cut = False

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        work = getattr(self._store, verb)

        async def ask(*args: Any, **how: Any) -> Any:
            if self.cut:
                raise StoreUnreachableError
            answer = await work(*args, **how)
            if self.cut:
                raise StoreUnreachableError
            return answer

        return ask


class Shop:
    """A process with a bot that charges cards.

    Attributes:
        context: Of its bot.
        charged: How often it has, before it was killed.
    """

    def __init__(self, store: SlowStore, time: VirtualTime) -> None:
        self.way: Any = Way(store)
        self.context = LLMContext()
        self.charged = 0
        self.process = Process(self.way, clock=time, keeps=True, house=House(self._run))

    async def _run(self, session: Session) -> None:
        session.path_opened(Ear(1, session.path_sink(1), session.path_sound(1, RATE)))
        await run_bot(self._bot, BotSession(wires_of(session)))

    async def _bot(self, session: BotSession) -> None:
        async def charge_card() -> dict[str, bool]:
            """Charge the user's card."""
            self.charged += not self.way.cut
            return {"charged": True}

        async def go_on(worker: Any) -> None:
            await worker.queue_frame(LLMRunFrame())

        self.context = LLMContext(tools=[session.tool(charge_card, once=True)])
        turns = ExternalUserTurnStrategies()
        user, assistant = session.aggregators(
            self.context, vad_analyzer=None, user_turn_strategies=turns
        )
        await session.run(
            [session.input(), user, Model(), ClickTTS(), session.output(), assistant],
            on_restored=go_on,
        )

    @property
    def messages(self) -> list[Any]:
        """What its model is told."""
        return self.context.get_messages()

    async def leave(self) -> None:
        """It is not heard of any more."""
        leases = self.process.directory.leases
        leases.stop()
        await self.way.beat(leases.me, gone=True)


async def ask(session: Session) -> None:
    """The user types."""
    await session.pipeline_ready.wait()
    assert session.port is not None
    await session.port.text(
        "charge my card", run_immediately=True, audio_response=True, is_void=lambda: False
    )


async def ordeal(time: VirtualTime, seed: int) -> tuple[int, int, str]:
    """The user asks one process, which dies at any moment, and goes on in another one.

    Returns:
        How often each has charged, and what the second one was told of the first one's call;
        empty = that there was none.
    """
    rng, store = random.Random(seed), SlowStore(seed)
    first, second = Shop(store, time), Shop(store, time)
    caller = Caller(token_of(max_sessions=1))
    answer = await caller.come(first.process)
    assert isinstance(answer, Here)
    await answer.session.pipeline_ready.wait()
    await time.advance(KEEPS_MS + 100)
    asking = answer.session.spawn(ask(answer.session))
    await asyncio.sleep(rng.choice((2, 10, 40, 300, 6000)) * rng.random() / 1000)
    await first.leave()
    first.way.cut = rng.random() < 0.7  # else it only stalls, and does not know
    answer = await Caller(back=caller.welcome).come(second.process)
    assert isinstance(answer, Here)
    await answer.session.pipeline_ready.wait()
    told = [it["content"] for it in second.messages if it.get("role") == "tool"]
    if not any(it.get("role") == "user" for it in second.messages):
        answer.session.spawn(ask(answer.session))  # he is not answered: he asks again
    await time.advance(LISTENED_MS)
    first.way.cut = False
    for shop in (first, second):
        await shop.process.directory.close(5000)
    assert asking is not None and asking.done()
    assert len(told) <= 1
    return first.charged, second.charged, "".join(told)


def test_a_tool_that_runs_once_is_run_by_one_process() -> None:
    seen = Counter[tuple[int, int, str]]()
    for seed in range(SEEDS):
        time = VirtualTime()
        outcome = time.run(ordeal(time, seed))
        assert outcome[0] + outcome[1] <= 1, seed
        seen[outcome] += 1
    # of each kind there is one: called and lost before or after it ran, run and told, not called
    assert {(0, 0, LOST), (1, 0, LOST), (1, 0, '{"charged": true}'), (0, 1, "")} <= seen.keys()
