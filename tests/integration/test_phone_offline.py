"""Whole calls on real sockets: the offline bot, and callers who speak, interrupt, press keys."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor

from tests.support.espeak import render_pcm
from tests.support.noted_keys import NotedKeys
from tests.support.phone_line import KNOWN
from tests.support.phone_socket import PUBLIC, dialled
from tests.support.waiting import PATIENT, until
from voxwire._phone.telephone import Telephone
from voxwire_protocol.events import BotWord, UserTranscript
from voxwire_server import BotSession
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import running_server

KEY = "k" * 40
_TRIES = 4
_PAUSE_S = 0.3
"""Longest pause of the bot's voice; what is longer is a machine that stood still."""


@dataclass
class Inside:
    """What the bot knows."""

    keys: list[str] = field(default_factory=list[str])
    context: LLMContext = field(default_factory=LLMContext)
    session: BotSession | None = None

    def said(self, role: str) -> list[str]:
        """What stands in its context of one side."""
        messages: list[Any] = list(self.context.get_messages())
        return [str(m["content"]) for m in messages if m["role"] == role and m.get("content")]

    @property
    def asked(self) -> list[str]:
        """What it has understood, as words: the ears write "What time is it?" as well."""
        return [" ".join(re.findall(r"[\w']+", text.lower())) for text in self.said("user")]


class _Watched(BotSession):
    """The offline bot's session; its pipeline has a probe, its context is shown."""

    inside: Inside

    def aggregators(self, context: LLMContext, **user_params: Any) -> Any:
        self.inside.context = context
        return super().aggregators(context, **user_params)

    async def run(self, processors: Sequence[FrameProcessor], **options: Any) -> None:
        first, *rest = processors
        await super().run([first, NotedKeys(self.inside.keys), *rest], **options)


def watched(inside: Inside) -> LoadedBot:
    """The offline bot, looked into."""

    async def bot(session: BotSession) -> None:
        call = session.phone  # None: its client is a program
        if call is not None:
            print(f"{call.caller or 'somebody'} calls {call.called}")
        session.__class__ = _Watched
        vars(session)["inside"] = inside
        inside.session = session
        listening = asyncio.ensure_future(listen(session))
        await offline.bot(session)
        await listening

    return LoadedBot(name="offline", run=bot, warm=offline.warm, close=offline.close)


async def listen(session: BotSession) -> None:
    """Print what is heard on both sides, as docs/telephone.md does."""
    async for event in session.events(BotWord, UserTranscript):
        who = "bot" if isinstance(event, BotWord) else "caller"
        print(f"{who}: {event.text}")


async def spoken(text: str, rate: int) -> np.ndarray[Any, Any]:
    """A sentence over the telephone."""
    pcm, _ = await render_pcm(text, sample_rate=rate)
    return np.frombuffer(pcm, "<i2")


async def asked(phone: Telephone, inside: Inside, text: str) -> None:
    """The caller says it until it is understood: a machine that stands still loses some of it."""
    voice = await spoken(text, phone.far.rate)
    for _ in range(_TRIES):
        before = len(inside.asked)
        phone.speak(voice)
        await until(lambda: len(inside.asked) > before)  # noqa: B023 - called here
        if inside.asked[-1] == text:
            return
    raise AssertionError(inside.asked)


async def conversation(vendor: str, delay_ms: int) -> float:
    """A whole call: question, barge-in, keys, an end from the bot.

    Returns:
        How long a word took that the model remembers of the story that was cut, seconds.
    """
    inside = Inside()
    settings: dict[str, Any] = {"key": KEY, "public_url": PUBLIC, **KNOWN, **PATIENT}
    network = {"delay_ms": delay_ms, "jitter_ms": 20}
    async with running_server(watched(inside), **settings) as server:
        async with dialled(server.port, vendor=vendor, **network) as phone:
            rate = phone.far.rate
            await until(lambda: np.abs(phone.heard).max(initial=0) > 1000)
            session = inside.session
            assert session is not None
            call = session.phone
            assert call is not None
            assert (call.vendor, call.caller, call.called) == (vendor, "+15550100", "+15550199")

            await asked(phone, inside, "tell me a long story")  # into the greeting
            assert phone.cleared
            assert 0 < len(inside.said("assistant")[0].split()) < 30

            begin, cuts = len(phone.heard), len(phone.cleared)
            await until(lambda: len(phone.heard) > begin + 5 * rate)
            await asked(phone, inside, "what time is it")  # into the story
            assert len(phone.cleared) > cuts
            # not of each: at a moment when the machine stood still, nothing was on its way
            assert max(cut.dropped for cut in phone.cleared) > 0
            end, before = phone.cleared[cuts].at, inside.asked.index("tell me a long story")
            loud = np.flatnonzero(np.abs(phone.heard[begin:end].astype(int)) > 200)
            heard_s = np.minimum(np.diff(loud), _PAUSE_S * rate).sum() / rate
            remembered = inside.said("assistant")[before + 1].split()
            assert remembered[:2] == ["Once", "upon"]

            phone.press("4#")
            await until(lambda: inside.keys == ["4", "#"])
            await until(lambda: re.search(r"\d|o'clock", inside.said("assistant")[-1]))
            await call.hang_up()
            await until(lambda: not len(server.registry))
    return heard_s / len(remembered)


async def test_a_caller_asks_interrupts_and_presses_keys() -> None:
    print(f"{await conversation('twilio', 40):.2f} s a word")
