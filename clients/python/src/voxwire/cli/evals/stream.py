"""The bot's output as the events of the format, in order, for whoever waits for them.

The rules are those of Pipecat's harness: what the bot made before the user's last turn is no answer
to it, and an interruption voids what was on its way.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

__all__ = ["BotEndedError", "EventStream", "Seen", "SessionLostError"]

_CUTS: Final = ("user_started_speaking", "bot_interrupted")
"""After these the bot's answer is a new one."""


class BotEndedError(Exception):
    """The session is over: what is waited for cannot come any more."""


class SessionLostError(BotEndedError):
    """It is over by a failure: what would have come is not known."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An event of the format.

    Attributes:
        kind: Its name.
        text: What was said, if the event is about that.
        name: Of the tool.
        args: Its arguments, or how the call ended.
    """

    kind: str
    text: str = ""
    name: str | None = None
    args: dict[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        """In short."""
        if self.kind == "function_call":
            shown = ", ".join(f"{name}={value}" for name, value in self.args.items())
            return f"{self.name or '?'}({shown})"
        return self.text


class _Waiting(NamedTuple):
    """An event that nobody has taken, and when it came."""

    at: float
    seen: Seen


class EventStream:
    """A queue of events and what has to be known of the conversation to fill it.

    Times are the event loop's, seconds.
    """

    def __init__(self, trace: Callable[[str], None]) -> None:
        """Starts empty.

        Args:
            trace: Takes a line for what happens.
        """
        self._trace = trace
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._more = asyncio.Event()
        self._changed = asyncio.Event()
        self._popped: list[Seen] = []
        self._claimed: set[int] = set()
        self.last_at: dict[str, float] = {}
        """When each kind of event came last."""
        self._text: list[str] = []
        self._answer_awaited = False
        self._observing = False
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._told = asyncio.Event()
        self._told.set()
        self._open: set[str] = set()
        self._ended = ""
        self._lost = False

    @property
    def bot_speaks(self) -> bool:
        """Whether the bot is speaking."""
        return not self._quiet.is_set()

    @property
    def is_told(self) -> bool:
        """Whether no utterance is open: all that was said is known."""
        return self._told.is_set()

    @property
    def ended(self) -> str:
        """Why the session is over; empty while it is not."""
        return self._ended

    # what happens

    def append(self, seen: Seen) -> None:
        """Takes an event."""
        if seen.kind in _CUTS:
            self._interrupted()
        self.last_at[seen.kind] = self._loop.time()
        shown = str(seen) or seen.name or ""
        self._trace(f"event: {seen.kind}{f'  {shown!r}' if shown else ''}")
        self._queue.append(_Waiting(self._loop.time(), seen))
        self._more.set()
        self._wake()

    def answer_started(self) -> None:
        """The model begins a response."""
        self._answer_awaited = False
        self._text = []
        self.append(Seen("llm_started"))

    def answer_text(self, text: str) -> None:
        """The model goes on."""
        if not self._answer_awaited:
            self._text.append(text)

    def answer_ended(self) -> None:
        """The response is complete, or was cut."""
        if self._answer_awaited:
            self._text = []
            return
        self.append(Seen("llm_response", "".join(self._text)))

    def bot_spoke(self, speaks: bool) -> None:
        """The bot began or stopped to speak."""
        if not speaks:
            self._quiet.set()
            self.append(Seen("bot_stopped_speaking"))
            return
        self._quiet.clear()
        if self._observing:
            self._observing = self._answer_awaited = False
        self.append(Seen("bot_started_speaking"))

    def utterance_started(self, name: str) -> None:
        """The bot is going to say something."""
        self._open.add(name)
        self._told.clear()

    def utterance_ended(self, name: str, text: str, *, stale: bool) -> None:
        """An utterance is over.

        Args:
            name: Of the utterance.
            text: What was heard of it.
            stale: Whether it began before the user's last turn, which talked over it.
        """
        self._open.discard(name)
        if not self._open:
            self._told.set()
        if not text:
            return
        if stale or self._answer_awaited:
            self._trace(f"void: said before the answer: {text!r}")
            return
        self.append(Seen("response", text))

    def end(self, why: str, *, lost: bool = False) -> None:
        """The session is over.

        Args:
            why: One sentence.
            lost: Whether it failed, and nobody ended it.
        """
        self._ended, self._lost = why, lost
        self._open.clear()
        self._told.set()
        self._quiet.set()
        self._more.set()
        self._wake()

    def _wake(self) -> None:
        """Wakes whoever waits for anything."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _interrupted(self) -> None:
        self.drop_pending("at an interruption")
        self._answer_awaited = True
        self._quiet.set()

    # the user's turns

    def drop_pending(self, why: str) -> None:
        """Drops what waits, so that a later turn cannot take it; what the user said stays."""
        self._text = []
        kept = [one for one in self._queue if one.seen.kind == "user_transcription"]
        dropped = len(self._queue) - len(kept)
        self._queue = deque(kept)
        if not kept and not self._ended:
            self._more.clear()
        if dropped:
            self._trace(f"void: {dropped} events {why}")

    def sent(self) -> None:
        """The user's turn was sent: the answer is what comes from here on."""
        self._answer_awaited = True
        self._observing = False

    def observing(self) -> None:
        """A turn begins that sends nothing: what the bot says next is its own."""
        self.sent()
        self._observing = True

    # waiting

    def begin_turn(self) -> None:
        """Forgets the events of the turn before."""
        self._popped = []
        self._claimed = set()

    @property
    def position(self) -> int:
        """How many events this turn has taken."""
        return len(self._popped)

    def unclaimed(self, since: int) -> list[Seen]:
        """Events taken from a position on that no expectation has."""
        return [
            seen
            for number, seen in enumerate(self._popped)
            if number >= since and number not in self._claimed
        ]

    async def next(
        self,
        kind: str,
        until: float,
        *,
        since: int | None = None,
        accept: Callable[[Seen], bool] = lambda _: True,
    ) -> Seen:
        """The next event of a kind that no expectation has yet. Cancel-safe.

        Args:
            kind: Which.
            until: When to give up.
            since: Position to look back to; None = what comes from here on.
            accept: What else must hold of it.

        Raises:
            TimeoutError: None came.
            BotEndedError: None can come any more.
        """
        for number in range(len(self._popped) if since is None else since, len(self._popped)):
            seen = self._popped[number]
            if number not in self._claimed and seen.kind == kind and accept(seen):
                self._claimed.add(number)
                return seen
        while True:
            seen = await self._pop(until)
            self._popped.append(seen)
            if seen.kind == kind and accept(seen):
                self._claimed.add(len(self._popped) - 1)
                return seen

    async def _pop(self, until: float) -> Seen:
        """The next event that came before a time, however late it is asked for."""
        if self._queue:
            if self._queue[0].at >= until:
                raise TimeoutError
            return self._take()
        if self._ended:
            raise self._over()
        left = until - self._loop.time()
        if left <= 0:
            raise TimeoutError
        async with asyncio.timeout(left):
            await self._more.wait()
        if not self._queue:
            raise self._over()
        return self._take()

    def _over(self) -> BotEndedError:
        return SessionLostError(self._ended) if self._lost else BotEndedError(self._ended)

    def _take(self) -> Seen:
        _, seen = self._queue.popleft()
        if not self._queue and not self._ended:
            self._more.clear()
        return seen

    async def wait_quiet(self, timeout_s: float) -> bool:
        """Waits until the bot does not speak; false = it still does."""
        return await _holds(self._quiet, timeout_s)

    async def wait_told(self, timeout_s: float) -> bool:
        """Waits until no utterance is open; false = one still is."""
        return await _holds(self._told, timeout_s)

    async def wait_seen(self, kind: str, timeout_s: float) -> float:
        """Waits until an event of a kind has come, earlier in the run or now; when that was.

        Raises:
            TimeoutError: None came.
            BotEndedError: None can come any more.
        """
        async with asyncio.timeout(timeout_s):
            while kind not in self.last_at:
                if self._ended:
                    raise self._over()
                await self._changed.wait()
        return self.last_at[kind]


async def _holds(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
