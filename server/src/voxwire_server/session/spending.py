"""What sessions spend, counted in the store with what others of the same user and bot spend."""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, Protocol

from voxwire_protocol import wire
from voxwire_protocol.clocks import Timer
from voxwire_server.caps import NOTHING, Amounts, Caps, Payer
from voxwire_server.ports import SessionPort
from voxwire_server.session.cap_watch import CapWatch
from voxwire_server.session.limits import Over
from voxwire_server.session.store import StoreUnreachableError
from voxwire_server.session.told import NOBODY, Told

__all__ = ["Spawn", "Spend", "Spending"]

_log = logging.getLogger("voxwire.session")

_LOOK_MS: Final = 1000
_SAY_MS: Final = 5000
"""So long at most is what a session spends kept to itself."""
_AGAIN_S: Final = (1, 2, 4, 8, 16, 32)
"""When the store is asked again that could not be reached when the session was over."""
_GREETING: Final = "t0"
_NOTED: Final = "n"
_MAX_TURNS: Final = 16
"""Of so many it is remembered that they were counted; what is told late is about the last ones."""
_TOKENS: Final = (
    wire.MetricKind.METRIC_KIND_PROMPT_TOKENS,
    wire.MetricKind.METRIC_KIND_COMPLETION_TOKENS,
)

Spend = Callable[..., Awaitable[Amounts]]
"""``SessionStore.spend``, or what asks it."""
Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Owner(SessionPort, Protocol):
    """What is asked of the session."""

    @property
    def age_ms(self) -> float:
        """How long it has been there, milliseconds."""
        ...

    def end(self, reason: wire.EndReason, error: wire.Error | None = None) -> None:
        """End it."""
        ...


class Spending:
    """What one session spends: read from what it tells its client, and its age.

    Args:
        caps: Who pays, and what they may spend a day.
        spend: Adds to what a payer has spent; returns the day's total.
        spawn: Runs it; the session's end does not end that.
        wall_s: The wall clock, seconds since the epoch.
        told: Is told what is spent.
    """

    def __init__(
        self,
        caps: Mapping[Payer, Caps],
        spend: Spend,
        *,
        spawn: Spawn,
        wall_s: Callable[[], float],
        told: Told = NOBODY,
        own: Amounts = NOTHING,
    ) -> None:
        self.caps = dict(caps)
        """Who pays, and what he may spend."""
        self._watch = CapWatch(caps)
        self._spend_with_others = spend
        self._spawn = spawn
        self._wall_s = wall_s
        self._told = told
        self.own = own
        """What this session has spent."""
        self._turn_ids = deque([""], maxlen=_MAX_TURNS)
        self._session: Owner | None = None
        self._busy: Callable[[], bool] = bool
        self._next_look: Timer | None = None
        self._saying: asyncio.Task[None] | None = None
        self._said_ms = 0.0
        self._owes = False

    def begin(self, session: Owner, busy: Callable[[], bool]) -> None:
        """Look after a session until :meth:`stop`.

        Args:
            session: It.
            busy: Whether anybody speaks, or an answer is owed or on its way.
        """
        if self._watch.payers:
            self._session, self._busy = session, busy
            self._said_ms = session.clock.now_ms()
            self._look_in(_LOOK_MS)

    def stop(self) -> None:
        """It ends. Idempotent."""
        if self._next_look is not None:
            self._next_look.cancel()
        self._session = None

    async def settle(self, age_ms: float) -> None:
        """Count what the session has spent in the end; a second that has begun counts.

        A store that cannot be reached is told again, for a minute.
        """
        self._spend(self._time(-(-age_ms // 1000)))
        for wait_s in (0, *_AGAIN_S):
            if not self._watch.payers or (wait_s and not self._watch.unsaid()):
                return
            if wait_s:
                await asyncio.sleep(wait_s)
            self._say()
            if self._saying is not None:
                await self._saying

    # what is spent

    def note(self, envelope: wire.Envelope) -> None:
        """The session tells its client something."""
        match envelope.WhichOneof("payload"):
            case "transcript" if envelope.transcript.final:
                self._turn(envelope.transcript.turn_id)
            case "response_started":
                self._turn(envelope.response_started.turn_id)
            case "utterance_started":
                self._turn(envelope.utterance_started.turn_id)
            case "service_metrics":
                self._measured(envelope.service_metrics)
            case _:
                return

    def _turn(self, turn_id: str) -> None:
        """What is told of a turn; the greeting is in none, nor is a text that asks for nothing."""
        greeting = turn_id.partition(".")[0] == _GREETING  # of whichever process
        if turn_id not in self._turn_ids and not greeting and not turn_id.startswith(_NOTED):
            self._turn_ids.append(turn_id)
            self._spend(Amounts(turns=1))

    def _measured(self, measured: wire.ServiceMetrics) -> None:
        tokens = characters = 0
        for metric in measured.metrics:
            if metric.kind in _TOKENS:
                tokens += _number(metric.value)
            elif metric.kind == wire.MetricKind.METRIC_KIND_TTS_CHARACTERS:
                characters += _number(metric.value)
        self._spend(Amounts(llm_tokens=tokens, tts_characters=characters))

    def _spend(self, amounts: Amounts) -> None:
        if amounts == NOTHING:
            return
        self.own = self.own.plus(amounts)
        self._told.spent(amounts)
        self._watch.spend(amounts)
        if amounts.seconds == 0:
            self._owes = True
            self._look_in(0)

    def _time(self, seconds: float) -> Amounts:
        return Amounts(seconds=max(0, int(seconds) - self.own.seconds))

    # caps

    def _look_in(self, wait_ms: float) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
        if self._session is not None:
            self._next_look = self._session.clock.call_later(wait_ms, self._look)

    def _look(self) -> None:
        session = self._session
        if session is None:
            return
        now_ms = session.clock.now_ms()
        self._spend(self._time(session.age_ms // 1000))
        say_ms = _LOOK_MS if self._watch.near else _SAY_MS
        if self._owes or now_ms - self._said_ms >= say_ms:
            self._say()
        due = self._watch.watch(now_ms, wall_s=self._wall_s(), busy=self._busy())
        if isinstance(due, Over):
            self.stop()
            self._told.capped(self._watch.ended_by, at_start=False)
            session.end(due.reason, due.error)
            return
        if due is not None:
            session.emit(go_away=due)
        self._look_in(_LOOK_MS)

    # the store

    def _say(self) -> None:
        self._owes = False
        if self._session is not None:
            self._said_ms = self._session.clock.now_ms()
        if self._saying is None or self._saying.done():
            self._saying = self._spawn(self._say_all())

    async def _say_all(self) -> None:
        """Tell the store what was spent; what it may not have heard is told again later."""
        try:
            while unsaid := self._watch.unsaid():
                for payer, amounts in unsaid.items():
                    wall_s = self._wall_s()
                    totals = await self._spend_with_others(payer, amounts, now_s=wall_s)
                    self._watch.told(payer, amounts, totals, wall_s=wall_s)
                self._look_in(0)
        except StoreUnreachableError:
            _log.warning("what a session spends could not be counted")


def _number(value: float) -> int:
    """What a service reports; what is no number is nothing."""
    return max(0, round(value)) if math.isfinite(value) else 0
