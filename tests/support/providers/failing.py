"""A23: what a user hears when providers fail, in one session for each part, fault and reach.

    python -m tests.support.providers.failing

prints the table. Each session has two providers for the part that fails, and one for each other
part. It holds a good turn first, then one in which the first provider fails, or both, and a third
one when all are well again.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.espeak import render_pcm
from tests.support.providers.all_peers import AllPeers, all_peers
from tests.support.providers.faults import Fault
from tests.support.waiting import LONG, PATIENT, until
from voxwire_server import BotSession
from voxwire_server.bots.cascade.table import preset
from voxwire_server.bots.offline.voice import shared_voice
from voxwire_server.pipeline.failover import Candidate, HearingRelay, MindRelay, VoiceRelay
from voxwire_server.testing import RunningServer, running_server

__all__ = ["CELLS", "HEAD", "Cell", "Outcome", "outcomes"]

PROVIDERS: Final = {
    "stt": ("deepgram", "openai"),
    "llm": ("openai", "anthropic"),
    "tts": ("cartesia", "elevenlabs"),
}
FAULTS: Final = tuple(fault for fault in Fault if fault is not Fault.NONE)
SILENT: Final = (Fault.HANGS, Fault.DRIBBLES, Fault.SLOW, Fault.GARBAGE)
"""Nothing says that they have failed; the others are errors."""
QUESTION: Final = "how is it"
ANSWER: Final = "All is well."
SLOW_S: Final = 20.0
COLUMNS: Final = ("part", "fault", "fails", "heard after s", "bound s", "next turn", "left")
HEAD: Final = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


@dataclass(frozen=True)
class Cell:
    """One session.

    Attributes:
        part: Whose providers fail.
        fault: How.
        both: Whether the second one does, too.
    """

    part: str
    fault: Fault
    both: bool

    @property
    def bound_s(self) -> float:
        """How soon something is heard (row A23)."""
        return 6.0 if self.fault in SILENT else 2.0

    def __str__(self) -> str:
        """What the table and the tests call it."""
        return f"{self.part} {self.fault.value} {'both' if self.both else 'first'}"


CELLS: Final = [
    Cell(part, fault, both) for part in PROVIDERS for fault in FAULTS for both in (False, True)
]


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        cell: Which session.
        heard_s: From the end of the question to the first word at the ear; None = none.
        answered: Whether the turn after the fault was answered.
        left: What still ran of it when it was over.
        trouble: Errors that ended the session.
    """

    cell: Cell
    heard_s: float | None = None
    answered: bool = False
    left: dict[str, int] = field(default_factory=dict[str, int])
    trouble: str = ""

    @property
    def survived(self) -> bool:
        """Whether something was heard, the session went on, and nothing is left of it."""
        return self.heard_s is not None and self.answered and not self.left and not self.trouble

    @property
    def good(self) -> bool:
        """Whether it was heard in time, too."""
        return self.survived and (self.heard_s or 0.0) <= self.cell.bound_s

    @property
    def row(self) -> str:
        """The table's line."""
        cell, after = self.cell, "–" if self.heard_s is None else f"{self.heard_s:.1f}"
        ended = self.trouble or ("answered" if self.answered else "not answered")
        reach = "both" if cell.both else "first"
        left = ", ".join(f"{name}: {count}" for name, count in self.left.items()) or "0"
        parts = [cell.part, cell.fault.value, reach, after, f"{cell.bound_s:g}", ended, left]
        return "| " + " | ".join(parts) + " |"


def _candidates(part: str, names: Sequence[str], peers: AllPeers) -> list[Candidate]:
    found: list[Candidate] = []
    for name in names:
        made = preset(part, name)
        assert made is not None
        found.append(Candidate(name, partial(made.make, "", peers.environ)))
    return found


def _bot(cell: Cell, peers: AllPeers) -> Any:
    def names(part: str) -> Sequence[str]:
        return PROVIDERS[part] if part == cell.part else PROVIDERS[part][:1]

    async def bot(session: BotSession) -> None:
        user, assistant = session.aggregators(LLMContext())
        last = [preset("tts", "offline")] if cell.part == "tts" else []
        voices = _candidates("tts", names("tts"), peers)
        voices += [Candidate("offline", each.make) for each in last if each is not None]
        await session.run(
            [
                session.input(),
                HearingRelay(_candidates("stt", names("stt"), peers)),
                user,
                MindRelay(_candidates("llm", names("llm"), peers)),
                VoiceRelay(voices),
                session.output(),
                assistant,
            ]
        )

    return bot


class _Turns:
    """One client's turns."""

    def __init__(self, cell: Cell, session: voxwire.Session, say: Any) -> None:
        self._cell, self._session, self._say = cell, session, say
        self.words: list[str] = []
        self.heard_s: list[float] = []
        self.over = 0

    async def follow(self) -> None:
        """Note what is heard."""
        async for event in self._session:
            match event:
                case voxwire.BotWord(text=text):
                    self.words.append(text.strip())
                    self.heard_s.append(asyncio.get_running_loop().time())
                case voxwire.StateChanged(bot=voxwire.BotState.LISTENING):
                    self.over += 1
                case _:
                    pass

    async def ask(self) -> float:
        """Ask, aloud where it is about ears; when the question was over."""
        if self._cell.part == "stt":
            await self._say()
        else:
            await self._session.send_text(QUESTION, interrupt=True)
        return asyncio.get_running_loop().time()

    async def first_word(self, since_s: float) -> float | None:
        """How long after a moment a word was heard; None = none was, in 20 s."""
        with contextlib.suppress(TimeoutError):
            await until(lambda: any(at > since_s for at in self.heard_s), timeout_s=SLOW_S)
        return next((at - since_s for at in self.heard_s if at > since_s), None)

    async def answered(self, count: int) -> bool:
        """Whether the whole answer is heard after so many words."""
        with contextlib.suppress(TimeoutError):
            await until(lambda: ANSWER in " ".join(self.words[count:]), timeout_s=SLOW_S)
        return ANSWER in " ".join(self.words[count:])


async def _hold(cell: Cell, peers: AllPeers, server: RunningServer, pcm: Any) -> Outcome:
    outcome = Outcome(cell)
    microphone = voxwire.ClipMicrophone()

    async def say() -> None:
        microphone.play(pcm)
        await asyncio.sleep(len(pcm) / 16_000)  # real time: pace

    async with voxwire.connect(
        server.url, bot=str(cell), microphone=microphone, transport="websocket", timeouts=LONG
    ) as session:
        turns = _Turns(cell, session, say)
        following = asyncio.create_task(turns.follow())
        try:
            await asyncio.sleep(1.0)  # real time: pace
            await turns.ask()
            if not await turns.answered(0):
                outcome.trouble = "not answered before the fault"
                return outcome
            failing = [peers[cell.part, name] for name in PROVIDERS[cell.part]]
            for peer in failing if cell.both else failing[:1]:
                peer.fault = cell.fault
            outcome.heard_s = await turns.first_word(await turns.ask())
            await asyncio.sleep(3.0)  # real time: slow
            for peer in failing:
                peer.fault = Fault.NONE
            count = len(turns.words)
            await turns.ask()
            outcome.answered = await turns.answered(count)
        finally:
            if following.done():
                outcome.trouble = "the session ended"
            following.cancel()
            await asyncio.wait({following})
    return outcome


@contextlib.asynccontextmanager
async def _served(cell: Cell) -> AsyncGenerator[tuple[AllPeers, RunningServer]]:
    async with all_peers(hears=lambda _: QUESTION) as peers:
        async with running_server({str(cell): _bot(cell, peers)}, **PATIENT) as server:
            yield peers, server
            await until(lambda: not len(server.registry))


async def outcome_of(cell: Cell, pcm: Any) -> Outcome:
    """Hold one session."""
    async with _served(cell) as (peers, server):
        outcome = await _hold(cell, peers, server, pcm)
        with contextlib.suppress(TimeoutError):
            await until(lambda: not peers.busy, timeout_s=10)
        outcome.left = peers.busy
    return outcome


async def outcomes(cells: Sequence[Cell], *, at_once: int = 9) -> list[Outcome]:
    """Hold the sessions, some at a time."""
    pcm, _ = await render_pcm(QUESTION, sample_rate=16_000)
    samples = np.frombuffer(pcm, np.int16)
    gate = asyncio.Semaphore(at_once)
    await shared_voice().start()  # as `Cascade.warm` does

    async def one(cell: Cell) -> Outcome:
        async with gate:
            return await outcome_of(cell, samples)

    try:
        return list(await asyncio.gather(*(one(cell) for cell in cells)))
    finally:
        await shared_voice().aclose()


async def main() -> int:
    """Print the table; 1 where a bound is not kept."""
    held = await outcomes(CELLS)
    print(HEAD, *(outcome.row for outcome in held), sep="\n")
    red = [str(outcome.cell) for outcome in held if not outcome.good]
    print(f"\n{len(held) - len(red)} of {len(held)} within their bounds", *red, sep="\n- ")
    return 1 if red else 0


if __name__ == "__main__":
    from loguru import logger

    logger.remove()
    raise SystemExit(asyncio.run(main()))
