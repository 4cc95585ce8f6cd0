"""Whole calls on real sockets: the offline bot, and callers who speak, interrupt, press keys."""

import asyncio
import re
from typing import Any

import numpy as np

from tests.support.espeak import render_pcm
from tests.support.phone_line import KNOWN
from tests.support.phone_socket import PUBLIC, dialled
from tests.support.waiting import PATIENT, once_more, until
from tests.support.watched_bot import Inside, run_offline
from voxwire._phone.telephone import Telephone
from voxwire_protocol.events import BotWord, UserTranscript
from voxwire_server import BotSession
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import running_server

KEY = "k" * 40
_PAUSE_S = 0.3
"""Longest pause of the bot's voice; what is longer is a machine that stood still."""


def watched(inside: Inside) -> LoadedBot:
    """The offline bot, looked into."""

    async def bot(session: BotSession) -> None:
        call = session.phone  # None: its client is a program
        if call is not None:
            print(f"{call.caller or 'somebody'} calls {call.called}")
        listening = asyncio.ensure_future(listen(session))
        await run_offline(session, inside)
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
    before = len(inside.asked)

    async def speak() -> None:
        phone.speak(voice)

    await once_more(speak, lambda: text in inside.asked[before:])


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
            end = phone.cleared[cuts].at
            loud = np.flatnonzero(np.abs(phone.heard[begin:end].astype(int)) > 200)
            heard_s = np.minimum(np.diff(loud), _PAUSE_S * rate).sum() / rate
            stories = [s for s in inside.said("assistant") if s.startswith("Once upon")]
            remembered = stories[-1].split()

            phone.press("4#")
            await until(lambda: inside.keys == ["4", "#"])
            await until(lambda: re.search(r"\d|o'clock", inside.said("assistant")[-1]))
            await call.hang_up()
            await until(lambda: not len(server.registry))
    return heard_s / len(remembered)


async def test_a_caller_asks_interrupts_and_presses_keys() -> None:
    print(f"{await conversation('twilio', 40):.2f} s a word")
