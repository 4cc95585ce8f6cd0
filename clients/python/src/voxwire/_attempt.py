"""A media path that is asked for and not ready yet."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from voxwire._fallback import LATE_MS, Fallback, Tried, why
from voxwire._path import MediaPath
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, TransportError, VoxwireError

__all__ = ["Attempt"]

_numbers = itertools.count(1)


class Attempt:
    """One path on its way to be ready.

    Attributes:
        ready: What the server said when it was.
        ready_number: Counts the paths that the server put in use, in its order; 0 = not yet.
        given_up: The server's word that it gave the path up, ready or not.
        asked_ms: Since when the server could have answered; None = there is no session yet.
    """

    def __init__(self, path: MediaPath, path_id: int) -> None:
        """Prepares; `begin` asks for it."""
        self.path = path
        self.path_id = path_id
        self.ready = wire.PathReady()
        self.ready_number = 0
        self.given_up: wire.PathClose | None = None
        self.asked_ms: float | None = None
        self._answered_ms: float | None = None
        self._task: asyncio.Task[int] | None = None

    @property
    def carrier(self) -> wire.Carrier.ValueType:
        """What it would be carried by."""
        return self.path.carrier

    @property
    def tried(self) -> Tried | None:
        """How far it has come; None = the session is not welcomed yet."""
        if self.asked_ms is None:
            return None
        return Tried(self.asked_ms, self._answered_ms, self.path.progress)

    @property
    def done(self) -> bool:
        """True when it is ready, or has failed."""
        return self._task is not None and self._task.done()

    def begin(self, ask: Callable[["Attempt"], Awaitable[int]], done: Callable[[], None]) -> None:
        """Asks for it.

        Args:
            ask: Asks, and waits until it is ready; returns the playout rate, Hz.
            done: Is called when that is over.
        """
        task = asyncio.ensure_future(ask(self))
        task.add_done_callback(lambda _: done())
        self._task = task

    def receive(self, envelope: wire.Envelope, now_ms: float) -> None:
        """Takes what the server says about it."""
        self.path.receive(envelope)
        if envelope.HasField("path_answer"):
            self._answered_ms = now_ms
        if envelope.HasField("path_ready"):
            self.ready = envelope.path_ready
            self.ready_number = next(_numbers)
        if envelope.HasField("path_close"):
            self.given_up = envelope.path_close

    def outcome(self) -> int:
        """The playout rate of one that is done, Hz.

        Raises:
            VoxwireError: It failed.
        """
        assert self._task is not None, "it is done"
        return self._task.result()

    def late(self, now_ms: float) -> VoxwireError | None:
        """The error of one that has been tried for too long; None = it has not."""
        if self.asked_ms is None or now_ms < self.asked_ms + LATE_MS:
            return None
        reason = "no media path became ready in time"
        return self.path.trouble or TransportError(ErrorCode.TIMEOUT, reason, retryable=True)

    def why_not(self, error: VoxwireError | None) -> Fallback:
        """Why it does not carry the audio: it failed so, or (None) takes long."""
        return why(error or self.path.trouble, self.path.progress, told=self.given_up is not None)

    async def close(self) -> None:
        """Gives the path up; bounded."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.path.close()
