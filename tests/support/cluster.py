"""Calls at a service of several processes, at length: who speaks, what was heard, who has it."""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

import voxwire
from tests.support.following import Following, following
from tests.support.replicas import token

__all__ = [
    "LONG",
    "Call",
    "Ear",
    "bot_file",
    "calls",
    "children",
    "cpu_s",
    "name_of",
    "opens",
    "opens_nothing",
    "percentile",
    "show",
    "words_of",
]

_BOT: Final = """
import os
from voxwire_server.bots.offline.bot import bot as offline, close, warm

async def bot(session):
    make = session.aggregators
    seen = []

    def noted(context, **params):
        session.on_request("context", lambda _: context.get_messages())
        return make(context, **params)

    def count(number):
        seen.append(number)
        return [os.getpid(), number, seen.count(number)]

    session.aggregators = noted
    session.on_request("count", count)
    await offline(session)
"""

_QUIET: Final = 50
"""What a codec makes of silence, of 32768."""
_WORDS_MS: Final = 250
"""The bot is not silent for so long between two words."""
LONG: Final = voxwire.Timeouts(connect_ms=60_000, wait_ms=60_000)


def bot_file(folder: Path) -> str:
    """The offline bot, which says what its context is (``context``) and counts (``count``)."""
    path = folder / "counting.py"
    path.write_text(_BOT)
    return str(path)


class Ear:
    """A speaker that notes the silences between the bot's words.

    Attributes:
        sounded_s: When there was sound last, seconds of the machine's monotonic clock; 0 = never.
        silences: When each of them ended, on the same clock, and how long it was, milliseconds. One
            that goes on is not among them.
        stood_ms: How much of it was neither the bot's nor silence between what the bot says, ms.
    """

    def __init__(self) -> None:
        self.sounded_s = 0.0
        self.silences: list[tuple[float, float]] = []
        self.stood_ms = 0.0
        self._sample_rate = 0

    def open(self, sample_rate: int) -> None:
        """Know how long a block is."""
        self._sample_rate = sample_rate

    def write(self, block: voxwire.Block, at: float) -> None:
        """Look for silence between sounds."""
        stood = sum(span.length for span in block.spans if not span.kind.moves)
        self.stood_ms += 1000 * stood / self._sample_rate
        if np.abs(block.samples.astype(np.int32)).max(initial=0) <= _QUIET:
            return
        now_s = time.monotonic()
        if self.sounded_s:
            self.silences.append((now_s, (now_s - self.sounded_s) * 1000))
        self.sounded_s = now_s

    def close(self) -> None:
        """Nothing to do."""

    def between(
        self, since_s: float, until_s: float, more_than_ms: float = _WORDS_MS
    ) -> list[float]:
        """The silences, of more than a word's, that ended between two moments, milliseconds."""
        found = (ms for at_s, ms in self.silences if since_s < at_s <= until_s)
        return [ms for ms in found if ms > more_than_ms]

    @property
    def silent_ms(self) -> float:
        """How long it has been silent by now, milliseconds."""
        return (time.monotonic() - self.sounded_s) * 1000


class Call:
    """One of them.

    Attributes:
        session: The client's.
        heard: Its events.
        ear: What it plays to.
    """

    def __init__(self, session: voxwire.Session, heard: Following, ear: Ear) -> None:
        self.session = session
        self.heard = heard
        self.ear = ear

    async def ask(self, text: str, answer: str) -> None:
        """Ask in writing until it is answered in writing."""
        since = len(self.heard.events)
        await self.session.send_text(text, speak=False)
        await self.heard.until(lambda: answer in self.written(since))

    def written(self, since: int = 0) -> str:
        """What the bot has written since."""
        return "".join(it.text for it in self.heard.of(voxwire.BotResponseText, since=since))

    async def tell_a_story(self, words: int) -> None:
        """Have the bot tell its long story, until so many words of it were heard."""
        since = len(self.heard.events)
        await self.session.send_text("tell me a long story")
        await self.heard.until(lambda: len(self.heard.of(voxwire.BotWord, since=since)) >= words)

    def until_s(self, at_s: float) -> list[voxwire.Event]:
        """What had come by a moment of the machine's monotonic clock, seconds."""
        pairs = zip(self.heard.events, self.heard.at_s, strict=True)
        return [event for event, came_s in pairs if came_s <= at_s]

    @property
    def underruns(self) -> int:
        """How often its audio came too late to be played without a break."""
        player = self.session._runtime.player
        return player.buffer.underruns if player else 0

    @property
    def connections_s(self) -> list[float]:
        """When it was connected again, each time, seconds of the machine's monotonic clock."""
        pairs = zip(self.heard.events, self.heard.at_s, strict=True)
        return [
            at_s
            for event, at_s in pairs
            if isinstance(event, voxwire.ConnectionChanged) and event.state == "connected"
        ]

    async def connected_s(self, since_s: float) -> float:
        """When it was connected again behind a moment; it waits until it is."""

        def found() -> list[float]:
            return [at_s for at_s in self.connections_s if at_s > since_s]

        await self.heard.until(found)
        return found()[0]

    async def speaks_on(self, since_s: float, words: int) -> None:
        """Wait until so many words came behind a moment, and sound behind the last of them."""

        def spoken() -> bool:
            pairs = zip(self.heard.events, self.heard.at_s, strict=True)
            came_s = [at for it, at in pairs if at > since_s and isinstance(it, voxwire.BotWord)]
            return len(came_s) >= words and self.ear.sounded_s > came_s[words - 1]

        await self.heard.until(spoken)


@contextlib.asynccontextmanager
async def calls(
    url: str, num: int, *, webrtc: int = 0, user: str = "user", at_once: int = 5
) -> AsyncIterator[list[Call]]:
    """So many calls, the first ones over WebRTC, each of a user of its own, until the block ends.

    Args:
        url: Where they come to.
        num: How many.
        webrtc: How many of them come over WebRTC.
        user: What the names of their users begin with.
        at_once: How many connect at a time.
    """
    room = asyncio.Semaphore(at_once)
    stacks = [contextlib.AsyncExitStack() for _ in range(num)]

    async def begin(number: int) -> Call:
        ear = Ear()
        async with room:
            connection = voxwire.connect(
                url,
                transport="webrtc" if number < webrtc else "websocket",
                token=token(f"{user}-{number}", max_sessions=1),
                speaker=ear,
                timeouts=LONG,
            )
            session = await stacks[number].enter_async_context(connection)
        heard = await stacks[number].enter_async_context(following(session))
        return Call(session, heard, ear)

    try:
        yield list(await asyncio.gather(*map(begin, range(num))))
    finally:
        await asyncio.gather(*(stack.aclose() for stack in stacks))


async def opens(url: str, used: str) -> None:
    """Begin a session with a token, and end it."""
    async with voxwire.connect(url, token=used, timeouts=LONG):
        pass


async def opens_nothing(url: str, used: str) -> bool:
    """Whether a token is refused since it was used."""
    try:
        await opens(url, used)
    except voxwire.VoxwireError as error:
        return str(error) == "UNAUTHORIZED: the token was used already"
    return False


def cpu_s(pid: int) -> float:
    """What a process has used of a core, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Processes that a process has started and that run."""
    return [int(it) for it in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def name_of(pid: int) -> str:
    """What a process is called."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def words_of(text: str) -> list[str]:
    """Its words, without what stands between them."""
    return re.findall(r"[\w']+", text.lower())


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def show(what: str, values: Sequence[float], unit: str = "ms") -> None:
    """Print how they are spread."""
    if not values:
        print(f"{what}: none")
        return
    p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
    print(f"{what}: p50 {p50:.1f}, p95 {p95:.1f}, max {max(values):.1f} {unit} (n = {len(values)})")
