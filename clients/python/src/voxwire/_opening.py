"""The ladder of media paths: one after the other is asked for, until one is ready."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from voxwire._ice import IceChoice
from voxwire._options import path_name
from voxwire._path import MediaPath
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, TransportError, VoxwireError

__all__ = ["Opened", "Opening"]

RUNG_MS: Final = 3000
"""How long a path may take while there is another one to try."""


AGAIN_MS: Final = 700
"""The same once the session is up: the bot's voice waits for 2 s, whatever carries it then."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A path that carries audio both ways, and the rate of the bot's audio, Hz.

    Attributes:
        ready: What the server said when it was ready.
    """

    path_id: int
    path: MediaPath
    sample_rate: int
    ready: wire.PathReady


class Opening:
    """Asks for media paths, one after the other, until one is ready. One climb at a time."""

    def __init__(
        self,
        *,
        make: Callable[[wire.Carrier.ValueType, int], MediaPath],
        send: Callable[[wire.Envelope], bool],
        ice: IceChoice,
        awaited: str,
    ) -> None:
        """Prepares; nothing is sent yet.

        Args:
            make: Makes the path of a carrier and a number.
            send: Sends a message.
            ice: Which STUN and TURN servers the paths use.
            awaited: What did not happen when there is no Welcome: half a sentence.
        """
        self._make = make
        self._send = send
        self._ice = ice
        self._welcomed = asyncio.Event()
        self._path: MediaPath | None = None
        self._path_id = 0
        self._ready = wire.PathReady()
        self.given_up: wire.PathClose | None = None
        """The server's word that it gave the path up which was tried last, ready or not."""
        self.stage = awaited

    @property
    def path_id(self) -> int:
        """Number of the path that is being tried, or was tried last; 0 = none yet."""
        return self._path_id

    @property
    def trying(self) -> bool:
        """True while a path is being tried."""
        return self._path is not None

    def welcome(self, ice_servers: Iterable[wire.IceServer]) -> None:
        """Notes that Welcome came, and which STUN and TURN servers it names."""
        self.update_ice(ice_servers)
        self._welcomed.set()

    def update_ice(self, ice_servers: Iterable[wire.IceServer]) -> None:
        """Takes fresh STUN and TURN servers for the paths that are opened from here on."""
        self._ice.learn(ice_servers)

    def timed_out(self, timeout_ms: int) -> VoxwireError:
        """The error for a session that did not open in time.

        It names what is known to be wrong, else what was waited for.
        """
        path = self._path
        trouble = path.trouble if path is not None else None
        reason = f"{self.stage} within {timeout_ms / 1000:g} s"
        return trouble or TransportError(ErrorCode.TIMEOUT, reason, retryable=True)

    def receive(self, envelope: wire.Envelope, path_id: int) -> None:
        """Takes a message about a path; one about another path than the current is ignored."""
        if self._path is not None and path_id == self._path_id:
            self._path.receive(envelope)
            if envelope.HasField("path_ready"):
                self._ready = envelope.path_ready
            if envelope.HasField("path_close"):
                self.given_up = envelope.path_close

    def refuse(self, error: wire.Error) -> None:
        """Takes an error that came before the path was ready and does not end the session."""
        close = wire.PathClose(path_id=self._path_id, code=error.code, reason=error.reason)
        if error.subject_id in ("", str(self._path_id)):
            self.receive(wire.Envelope(path_close=close), self._path_id)

    async def climb(
        self, carriers: tuple[wire.Carrier.ValueType, ...], *, last_ms: int | None
    ) -> Opened:
        """Returns the first path that becomes ready; it is the caller's then.

        Cancelled or failed, what was tried is given up, and the server is told.

        Args:
            carriers: What to try, in order.
            last_ms: How long the last of them may take; None = the session opens, and the caller
                has a deadline.

        Raises:
            VoxwireError: No path can be had.
            TimeoutError: The last one took too long.
        """
        for number, carrier in enumerate(carriers, 1):
            last = number == len(carriers)
            limit_ms = last_ms if last else RUNG_MS if last_ms is None else AGAIN_MS
            try:
                async with asyncio.timeout(None if limit_ms is None else limit_ms / 1000):
                    opened = await self._try(carrier, self._path_id + 1)
                self._path = None
                return opened
            except (VoxwireError, TimeoutError):
                await self.close()
                if last:
                    raise
            except BaseException:
                await self.close()
                raise
        raise AssertionError("a ladder has at least one rung")

    async def close(self) -> None:
        """Gives up the path that was being tried."""
        if self._path is not None:
            path, self._path = self._path, None
            try:
                self._send(wire.Envelope(path_close=wire.PathClose(path_id=self._path_id)))
            except VoxwireError:
                pass  # the server has more to read than it takes; it drops the path in the end
            finally:
                await path.close()

    async def _try(self, carrier: wire.Carrier.ValueType, path_id: int) -> Opened:
        path = self._make(carrier, path_id)
        self._path, self._path_id, self.given_up = path, path_id, None
        self._send(wire.Envelope(path_open=await path.offer()))
        await self._welcomed.wait()
        self.stage = f"the {path_name(carrier)} media path did not become ready"
        return Opened(path_id, path, await path.wait_ready(), self._ready)
