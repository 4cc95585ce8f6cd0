"""The ladder of media paths: WebRTC first, and WebSocket audio beside it when that takes long."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from voxwire._attempt import Attempt
from voxwire._fallback import LATE_MS, Fallback, next_due_ms
from voxwire._ice import IceChoice
from voxwire._options import path_name
from voxwire._path import MediaPath
from voxwire._remembered import Remembered
from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_protocol.errors import ErrorCode, TransportError, VoxwireError

__all__ = ["Opened", "Opening"]

_WEBRTC: Final = wire.Carrier.CARRIER_WEBRTC


@dataclass(frozen=True, slots=True)
class Opened:
    """A path that carries audio both ways, and the rate of the bot's audio, Hz.

    Attributes:
        ready: What the server said when it was ready.
        fallback: Why it is not WebRTC, where that was to be tried.
    """

    path_id: int
    path: MediaPath
    sample_rate: int
    ready: wire.PathReady
    fallback: Fallback | None = None


class Opening:
    """Asks for media paths: the best carrier first, and the next one beside it when that takes
    long. One climb at a time.
    """

    def __init__(
        self,
        *,
        make: Callable[[wire.Carrier.ValueType, int], MediaPath],
        send: Callable[[wire.Envelope], bool],
        ice: IceChoice,
        awaited: str,
        remembered: Remembered,
        clock: Clock,
    ) -> None:
        """Prepares; nothing is sent yet.

        Args:
            make: Makes the path of a carrier and a number.
            send: Sends a message.
            ice: Which STUN and TURN servers the paths use.
            awaited: What did not happen when there is no Welcome: half a sentence.
            remembered: Whether WebRTC came about to this server before.
            clock: Tells how long a path takes.
        """
        self._make = make
        self._send = send
        self._ice = ice
        self._clock = clock
        self._remembered = remembered
        self._welcomed = asyncio.Event()
        self._attempts: list[Attempt] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._path_id = 0
        self.given_up: wire.PathClose | None = None
        """The server's word that it gave up the path that a climb returned."""
        self.stage = awaited

    @property
    def path_id(self) -> int:
        """Number of the path that was asked for last; 0 = none yet."""
        return self._path_id

    @property
    def late(self) -> bool:
        """True while WebRTC is being tried behind a path that was ready before it."""
        return any(attempt.carrier == _WEBRTC for attempt in self._attempts)

    def welcome(self, ice_servers: Iterable[wire.IceServer]) -> None:
        """Notes that Welcome came, and which STUN and TURN servers it names."""
        self.update_ice(ice_servers)
        self._welcomed.set()
        for attempt in self._attempts:
            attempt.asked_ms = attempt.asked_ms or self._clock.now_ms()
        self._changed.set()

    def update_ice(self, ice_servers: Iterable[wire.IceServer]) -> None:
        """Takes fresh STUN and TURN servers for the paths that are opened from here on."""
        self._ice.learn(ice_servers)

    def timed_out(self, timeout_ms: int) -> VoxwireError:
        """The error for a session that did not open in time.

        It names what is known to be wrong, else what was waited for.
        """
        troubles = [attempt.path.trouble for attempt in self._attempts]
        reason = f"{self.stage} within {timeout_ms / 1000:g} s"
        known = next((trouble for trouble in troubles if trouble is not None), None)
        return known or TransportError(ErrorCode.TIMEOUT, reason, retryable=True)

    def receive(self, envelope: wire.Envelope, path_id: int) -> bool:
        """Takes a message about a path; False when none of that number is being tried."""
        for attempt in self._attempts:
            if attempt.path_id == path_id:
                attempt.receive(envelope, self._clock.now_ms())
                self._changed.set()
                return True
        return False

    def refuse(self, error: wire.Error) -> None:
        """Takes an error that came before the path was ready and does not end the session."""
        subject = error.subject_id or str(self._path_id)
        if subject.isdecimal():
            path_id = int(subject)
            close = wire.PathClose(path_id=path_id, code=error.code, reason=error.reason)
            self.receive(wire.Envelope(path_close=close), path_id)

    async def climb(self, carriers: tuple[wire.Carrier.ValueType, ...], *, first: bool) -> Opened:
        """Returns the first path that becomes ready; it is the caller's then.

        WebRTC that is not ready by then is tried on: another climb for it returns it. Cancelled or
        failed, everything that was tried is given up, and the server is told.

        Args:
            carriers: What to try, best first.
            first: True when the session opens: the caller has a deadline for the last of them.

        Raises:
            VoxwireError: No path can be had.
        """
        why, lowest = self._remembered.failure, carriers[-1]
        order = carriers
        if why is not None and len(carriers) > 1:
            order = carriers[::-1]
            why = Fallback(why.reason, f"not tried first, since it failed lately: {why.detail}")
        *_, last = order
        under_way = [attempt.carrier for attempt in self._attempts]
        waiting = [carrier for carrier in order if carrier not in under_way]
        failures: dict[wire.Carrier.ValueType, VoxwireError] = {}
        try:
            while True:
                self._changed.clear()
                for attempt, error in self._failed(endless=last if first else None):
                    failures[attempt.carrier] = error
                    if attempt.carrier == _WEBRTC:
                        why = attempt.why_not(error)
                        self._remembered.failed(why)
                    self._drop(attempt)
                if (won := self._newest()) is not None and won.done:
                    return self._take(won, carriers, why)
                due_ms = self._due_ms(again=not first)
                if waiting and (due_ms is not None and due_ms <= self._clock.now_ms()):
                    self._begin(waiting.pop(0))
                elif not self._attempts:
                    raise failures[lowest]
                else:
                    await self._wait(due_ms if waiting else None)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Gives up the paths that are being tried; bounded."""
        for attempt in tuple(self._attempts):
            self._drop(attempt)
        if self._closing:
            await asyncio.wait(self._closing)

    def _failed(
        self, *, endless: wire.Carrier.ValueType | None
    ) -> list[tuple[Attempt, VoxwireError]]:
        """The attempts that came to nothing. The `endless` one is never late."""
        found: list[tuple[Attempt, VoxwireError]] = []
        for attempt in self._attempts:
            error = None if attempt.carrier == endless else attempt.late(self._clock.now_ms())
            if attempt.done:
                try:
                    attempt.outcome()
                    continue
                except VoxwireError as failure:
                    error = failure
            if error is not None:
                found.append((attempt, error))
        return found

    def _newest(self) -> Attempt | None:
        """The one that the server put in use last: it has replaced those before it."""
        ready = [attempt for attempt in self._attempts if attempt.done or attempt.ready_number]
        return max(ready, key=lambda attempt: attempt.ready_number, default=None)

    def _take(
        self, won: Attempt, carriers: tuple[wire.Carrier.ValueType, ...], why: Fallback | None
    ) -> Opened:
        """The path that is ready first; WebRTC that may still be is tried on."""
        self._attempts.remove(won)
        self.given_up = won.given_up
        if won.carrier == _WEBRTC:
            self._remembered.worked()
            why = None
        for other in tuple(self._attempts):
            if other.carrier == _WEBRTC and not other.ready_number:
                why = other.why_not(None)
                self._remembered.failed(why)
            else:
                self._drop(other)
        fallback = why if _WEBRTC in carriers else None
        return Opened(won.path_id, won.path, won.outcome(), won.ready, fallback)

    def _due_ms(self, *, again: bool) -> float | None:
        """When the next carrier is to be asked for; None = not before something happens."""
        if not self._attempts:
            return 0.0
        tried = self._attempts[-1].tried
        return None if tried is None else next_due_ms(tried, again=again)

    async def _wait(self, due_ms: float | None) -> None:
        """Waits until something has changed, another carrier is due, or an attempt is late."""
        asked = [it.asked_ms for it in self._attempts if it.asked_ms is not None]
        now_ms = self._clock.now_ms()
        late_ms = [asked_ms + LATE_MS for asked_ms in asked if asked_ms + LATE_MS > now_ms]
        moments = late_ms if due_ms is None else [*late_ms, due_ms]
        wait_s = (min(moments) - now_ms) / 1000 if moments else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._changed.wait()

    def _begin(self, carrier: wire.Carrier.ValueType) -> None:
        self._path_id += 1
        attempt = Attempt(self._make(carrier, self._path_id), self._path_id)
        if self._welcomed.is_set():
            attempt.asked_ms = self._clock.now_ms()
        self._attempts.append(attempt)
        attempt.begin(self._ask, self._changed.set)

    async def _ask(self, attempt: Attempt) -> int:
        """Asks for a path and waits until it is ready; returns the playout rate, Hz."""
        self._send(wire.Envelope(path_open=await attempt.path.offer()))
        await self._welcomed.wait()
        self.stage = f"the {path_name(attempt.carrier)} media path did not become ready"
        return await attempt.path.wait_ready()

    def _drop(self, attempt: Attempt) -> None:
        """Gives a path up; nobody waits for its closing."""
        self._attempts.remove(attempt)
        with contextlib.suppress(VoxwireError):  # the server has more to read than it takes
            self._send(wire.Envelope(path_close=wire.PathClose(path_id=attempt.path_id)))
        closing = asyncio.create_task(attempt.close(), name="voxwire-path-close")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
