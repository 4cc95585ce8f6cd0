"""The cascade: who hears, thinks and speaks, one after the other where one fails."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pipecat.frames.frames import LLMRunFrame
from pipecat.processors.aggregators.llm_context import LLMContext

from voxwire_server.bots.cascade.local import share_models
from voxwire_server.bots.cascade.presets import Preset
from voxwire_server.bots.cascade.table import LAST_VOICE, preset, presets_of
from voxwire_server.bots.conversing import EXAMPLES, GREET, INSTRUCTION, tools_of
from voxwire_server.bots.loaded_bot import BotNotFoundError, LoadedBot
from voxwire_server.bots.needs import NotConfiguredError
from voxwire_server.bots.offline.voice import shared_voice
from voxwire_server.bots.providers import HEARING, MIND, VOICE, Providers
from voxwire_server.pipeline.failover import Candidate, HearingRelay, MindRelay, VoiceRelay

if TYPE_CHECKING:
    from pipecat.pipeline.worker import PipelineWorker

    from voxwire_server.pipeline.bot import BotSession

__all__ = ["Cascade", "Services"]


class Services(NamedTuple):
    """The three parts of one session; each stands in a pipeline where a Pipecat service would.

    Attributes:
        stt: Hears; behind ``session.input()``.
        llm: Thinks; behind the user's aggregator.
        tts: Speaks; before ``session.output()``.
    """

    stt: HearingRelay
    llm: MindRelay
    tts: VoiceRelay


class Cascade:
    """Who hears, thinks and speaks, in the order in which they are asked.

    What is known of a provider that fails is known to all sessions of a cascade.

    Args:
        stt: Providers that hear, separated by commas: ``deepgram,openai``.
        llm: Providers that think.
        tts: Providers that speak. Behind them stands the offline bot's voice, where it is
            installed: it says that nobody else can.
        instruction: What the model is told to be.

    Raises:
        NotConfiguredError: None is named, one is not known, or lacks something; says what to do.
    """

    def __init__(self, *, stt: str, llm: str, tts: str, instruction: str = INSTRUCTION) -> None:
        self._hearing = _presets(HEARING, stt)
        self._mind = _presets(MIND, llm)
        self._voice = _presets(VOICE, tts)
        last = preset(VOICE, LAST_VOICE)
        if last is not None and last not in self._voice and _is_there(last):
            self._voice.append(last)
        for each in (*self._hearing, *self._voice):
            share_models(each.service.partition(":")[0])
        self._candidates = {
            part: [Candidate(each.name, partial(each.make, instruction)) for each in presets]
            for part, presets in (
                (HEARING, self._hearing),
                (MIND, self._mind),
                (VOICE, self._voice),
            )
        }

    @property
    def names(self) -> dict[str, list[str]]:
        """Who is asked for each part (``stt``, ``llm``, ``tts``), in order."""
        return {part: [each.name for each in them] for part, them in self._candidates.items()}

    @property
    def untested(self) -> list[str]:
        """Who of them was never asked by a test, not even in the shape of a local peer."""
        them = (*self._hearing, *self._mind, *self._voice)
        return [each.name for each in them if not each.tested]

    def services(self) -> Services:
        """The three parts of one session, anew."""
        return Services(
            HearingRelay(self._candidates[HEARING]),
            MindRelay(self._candidates[MIND]),
            VoiceRelay(self._candidates[VOICE]),
        )

    async def bot(self, session: "BotSession") -> None:
        """Hold a conversation with one user; the bot speaks first.

        Args:
            session: The session to serve; returns when it ends.
        """
        context = LLMContext(tools=[*tools_of(session)])
        context.add_message({"role": "developer", "content": GREET})
        user, assistant = session.aggregators(context)
        stt, llm, tts = self.services()
        await session.run(
            [session.input(), stt, user, llm, tts, session.output(), assistant], on_ready=_greet
        )

    async def warm(self) -> None:
        """Load libraries, and models that run here, which the first session would wait for."""
        for each in (*self._hearing, *self._mind, *self._voice):
            await asyncio.to_thread(each.load)
        if self._speaks_here:
            await shared_voice().start()

    async def close(self) -> None:
        """End what was begun here."""
        if self._speaks_here:
            await shared_voice().aclose()

    @property
    def _speaks_here(self) -> bool:
        return any(each.name == LAST_VOICE for each in self._voice)


def load(name: str, providers: Providers) -> LoadedBot:
    """The built-in bot ``cascade``, or ``local``, whose providers run here unless others are named.

    Raises:
        BotNotFoundError: Something is missing; says what to do.
    """
    if name == "local":
        providers = Providers(
            providers.stt or "whisper", providers.llm or "ollama", providers.tts or "kokoro"
        )
    try:
        cascade = Cascade(stt=providers.stt, llm=providers.llm, tts=providers.tts)
    except NotConfiguredError as error:
        raise BotNotFoundError(str(error)) from error
    order = ", ".join(f"{part}: {' then '.join(who)}" for part, who in cascade.names.items())
    untested = [f"{who} is offered untested" for who in cascade.untested]
    return LoadedBot(
        name=name,
        run=cascade.bot,
        warm=cascade.warm,
        close=cascade.close,
        examples=EXAMPLES,
        notes=(order, *untested),
    )


async def _greet(worker: "PipelineWorker") -> None:
    await worker.queue_frames([LLMRunFrame()])


def _presets(part: str, names: str) -> list[Preset]:
    asked = [name.strip() for name in names.split(",") if name.strip()]
    there = ", ".join(each.name for each in presets_of(part))
    if not asked:
        raise NotConfiguredError(
            f"a cascade needs --{part} (or VOXWIRE_{part.upper()}): one or several of {there},"
            " separated by commas, in the order in which they are asked"
        )
    found: list[Preset] = []
    for name in dict.fromkeys(asked):
        each = preset(part, name)
        if each is None:
            raise NotConfiguredError(f"--{part}: there is no provider {name!r}: one of {there}")
        each.check()
        found.append(each)
    return found


def _is_there(one: Preset) -> bool:
    try:
        one.check()
    except NotConfiguredError:
        return False
    return True
