"""Whole calls on real sockets: the offline bot, and callers who speak, interrupt, press keys."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import Frame, InputDTMFFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from tests.support.phone_line import KNOWN
from tests.support.phone_socket import PUBLIC, dialled
from tests.support.waiting import PATIENT, until
from voxwire_server import BotSession
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.offline.phrases import render_pcm
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import running_server

KEY = "k" * 40


class _Ears(FrameProcessor):
    """Stands behind the input of a pipeline and notes the keys."""

    def __init__(self, keys: list[str]) -> None:
        super().__init__()
        self._keys = keys

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputDTMFFrame):
            self._keys.append(frame.button.value)
        await self.push_frame(frame, direction)


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


class _Watched(BotSession):
    """The offline bot's session; its pipeline has a probe, its context is shown."""

    inside: Inside

    def aggregators(self, context: LLMContext, **user_params: Any) -> Any:
        self.inside.context = context
        return super().aggregators(context, **user_params)

    async def run(self, processors: Sequence[FrameProcessor], **options: Any) -> None:
        first, *rest = processors
        await super().run([first, _Ears(self.inside.keys), *rest], **options)


def watched(inside: Inside) -> LoadedBot:
    """The offline bot, looked into."""

    async def bot(session: BotSession) -> None:
        call = session.phone  # None: its client is a program
        if call is not None:
            print(f"{call.caller or 'somebody'} calls {call.called}")
        session.__class__ = _Watched
        vars(session)["inside"] = inside
        inside.session = session
        await offline.bot(session)

    return LoadedBot(name="offline", run=bot, warm=offline.warm, close=offline.close)


async def spoken(text: str, rate: int) -> np.ndarray[Any, Any]:
    """A sentence over the telephone."""
    pcm, _ = await render_pcm(text, sample_rate=rate)
    return np.frombuffer(pcm, "<i2")


@pytest.mark.parametrize(
    ("vendor", "delay_ms"),
    [
        *(("twilio", 10), ("twilio", 40), ("twilio", 120)),
        *(("telnyx", 40), ("plivo", 40), ("exotel", 40), ("vonage", 40)),
    ],
)
async def test_a_caller_asks_interrupts_and_presses_keys(vendor: str, delay_ms: int) -> None:
    inside = Inside()
    settings = {"key": KEY, "public_url": PUBLIC, **KNOWN, **PATIENT}
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

            phone.speak(await spoken("tell me a long story", rate))  # into the greeting
            await until(lambda: phone.cleared)
            await until(lambda: inside.said("user") == ["tell me a long story"])
            [cut] = phone.cleared
            assert cut.dropped > 0
            greeting = inside.said("assistant")[0].split()
            assert 0 < len(greeting) < 30

            await until(lambda: len(phone.heard) > cut.at + 4 * rate)
            phone.speak(await spoken("what time is it", rate))  # into the story
            await until(lambda: len(phone.cleared) == 2)
            await until(lambda: "what time is it" in inside.said("user"))
            story = phone.heard[cut.at : phone.cleared[1].at]
            loud = np.flatnonzero(np.abs(story.astype(int)) > 200)
            heard_s = (loud[-1] - loud[0]) / rate
            remembered = inside.said("assistant")[1].split()
            print(f"{len(remembered)} words in {heard_s:.2f} s")
            assert 0.2 < heard_s / len(remembered) < 0.5

            phone.press("4#")
            await until(lambda: inside.keys == ["4", "#"])
            await until(lambda: re.search(r"\d|o'clock", inside.said("assistant")[-1]))
            await call.hang_up()
            await until(lambda: not server_sessions(server))
        assert not server_sessions(server)


def server_sessions(server: Any) -> int:
    """How many sessions there are."""
    return len(server.registry)
