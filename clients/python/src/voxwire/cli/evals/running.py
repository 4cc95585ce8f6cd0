"""One scenario, held against a bot."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxwire._connect import connect
from voxwire.cli.evals.driving import Driver, Progress
from voxwire.cli.evals.hearing import Ear, Hearing
from voxwire.cli.evals.judging import Ask, Judge
from voxwire.cli.evals.results import Failure, Result, TurnResult
from voxwire.cli.evals.scenario import Scenario, Turn
from voxwire.cli.evals.stream import EventStream
from voxwire.cli.evals.voice import Voice
from voxwire.cli.script_microphone import ScriptMicrophone
from voxwire.session import Session
from voxwire_protocol.errors import VoxwireError

__all__ = ["How", "run_scenario"]

NO_JUDGE = "needs a judge for 'eval': name one with --judge MODULE:FUNCTION"


@dataclass(frozen=True, slots=True)
class How:
    """How scenarios are run.

    Attributes:
        url: The server.
        options: Of `voxwire.connect`: transport, token, bot.
        voice: Speaks for users who speak.
        ask: Who judges; None = nobody.
        timeout_ms: For expectations without ``within_ms``.
    """

    url: str
    options: dict[str, Any]
    voice: Voice
    ask: Ask | None
    timeout_ms: int


async def run_scenario(scenario: Scenario, how: How, progress: Progress) -> Result:
    """Holds a scenario against a bot, in a session of its own. Cancel-safe.

    Raises:
        UsageError: It cannot be run as it was asked for: no voice, an extra that is missing.
    """
    result = Result(scenario.name, str(scenario.path))
    result.turns = [TurnResult(turn.sends) for turn in scenario.turns]
    result.not_run = scenario.not_run
    if result.not_run is None and scenario.is_judged and how.ask is None:
        result.not_run = NO_JUDGE
    if result.not_run is not None:
        return result
    wavs = await _wavs(scenario, how.voice) if scenario.user_audio else {}
    began = time.monotonic()
    try:
        await _hold(scenario, how, result, wavs, progress)
    except VoxwireError as error:
        lost = any(turn.status != "not_run" for turn in result.turns)
        kind = "error" if lost else "connect_failed"
        result.failures.append(Failure("", kind, " ".join(str(error).split())))
        progress.missed(result.failures[-1])
    result.duration_ms = round((time.monotonic() - began) * 1000)
    return result


async def _wavs(scenario: Scenario, voice: Voice) -> dict[int, Path]:
    """What the user says, before a clock runs: the WAV of each turn that is spoken."""
    return {
        number: await voice.wav_of(turn, scenario.speech)
        for number, turn in enumerate(scenario.turns)
        if turn.user is not None
    }


async def _hold(
    scenario: Scenario, how: How, result: Result, wavs: dict[int, Path], progress: Progress
) -> None:
    ear, microphone = Ear(), ScriptMicrophone()
    stream = EventStream(result.trace.append)
    hearing = Hearing(stream, ear)
    connection = connect(
        how.url,
        microphone=microphone if scenario.user_audio else None,
        speaker=ear,
        audio_response=scenario.bot_audio,
        **how.options,
    )
    async with (
        connection as session,
        _Listening(session, hearing),
        _User(session, microphone, wavs) as user,
    ):
        driver = Driver(
            scenario,
            result,
            hearing=hearing,
            send=user.does,
            judge=None if how.ask is None else Judge(how.ask, scenario.judge),
            timeout_ms=how.timeout_ms,
            progress=progress,
        )
        await driver.run()


class _Listening:
    """Hands the session's events on while it is entered."""

    def __init__(self, session: Session, hearing: Hearing) -> None:
        self._session = session
        self._hearing = hearing
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="voxwire-eval-listening")

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        stream = self._hearing.stream
        try:
            async for event in self._session:
                self._hearing.take(event)
        except VoxwireError as error:
            stream.end(f"the session was lost ({' '.join(str(error).split())})", lost=True)
        else:
            stream.end("the bot ended the session")


class _User:
    """Types, presses keys and speaks; what is spoken goes on while the answer is waited for."""

    def __init__(
        self, session: Session, microphone: ScriptMicrophone, wavs: dict[int, Path]
    ) -> None:
        self._session = session
        self._microphone = microphone
        self._wavs = wavs
        self._speaking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "_User":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)

    async def does(self, number: int, turn: Turn) -> None:
        """Does what the turn says."""
        if turn.dtmf is not None:
            await self._session.send_message("dtmf", {"digits": turn.dtmf})
        elif number not in self._wavs:
            await self._session.send_text(turn.user or "")
        else:
            if self._speaking is not None:
                await self._speaking  # one mouth
            play = self._microphone.play(str(self._wavs[number]), lambda _: None)
            self._speaking = asyncio.create_task(play, name="voxwire-eval-speaking")
