"""The media paths of a session: one in use, and what comes in its place when it breaks."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from voxwire._fallback import is_of_the_network
from voxwire._opening import Opened, Opening
from voxwire._path import Sink
from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_protocol.errors import ErrorCode, TransportError, VoxwireError

__all__ = ["Paths"]

RETRY_S: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Waits before the ladder is climbed again; when it fails once more the session does."""

UPGRADE_S: Final = 15.0
"""After this long on WebSocket audio WebRTC is tried again; then after twice as long, ..."""

MAX_UPGRADE_S: Final = 120.0

_OVERTAKEN: Final = "the server went over to a path that was given up"
_WEBRTC: Final = wire.Carrier.CARRIER_WEBRTC
_WEBSOCKET: Final = wire.Carrier.CARRIER_WEBSOCKET


class Paths:
    """Keeps a path for a session. `run` is the owner of all of them."""

    def __init__(
        self,
        opening: Opening,
        carriers: tuple[wire.Carrier.ValueType, ...],
        *,
        use: Callable[[Opened], Sink],
        broke: Callable[[], object],
        send: Callable[[wire.Envelope], object],
        keep: bool,
        clock: Clock,
    ) -> None:
        """Prepares; nothing is sent yet.

        Args:
            opening: Asks for paths.
            carriers: What may carry the audio, best first.
            use: Called when another path is in use from now on; returns where its audio goes.
            broke: Called when the path in use carries nothing more, and there is no other yet.
            send: Sends a message.
            keep: True = another path is opened when one breaks; False = that is the end.
            clock: Tells when WebRTC is to be tried again.
        """
        self.opened: Opened | None = None
        """The path in use, or the last one while there is none."""
        self._opening = opening
        self._carriers = carriers
        self._use = use
        self._broke = broke
        self._send = send
        self._keep = keep
        self._clock = clock
        self._attached = True  # the first path is asked for together with the session
        self._broken: VoxwireError | None = None
        self._carrying: asyncio.Task[None] | None = None
        self._scope: asyncio.Timeout | None = None
        self._wake = asyncio.Event()
        self._known = False  # the server knows that the path in use is no more
        self._overtaken = False
        self._upgrading = False
        self._had_webrtc = False
        self._failures = 0
        self._upgrade_s = UPGRADE_S
        self._upgrade_at_ms: float | None = None

    @property
    def broken(self) -> bool:
        """True while no path carries audio."""
        return self.opened is None or self._broken is not None

    def receive(self, envelope: wire.Envelope, path_id: int) -> None:
        """Takes a message about a path; one about a path that is gone is ignored."""
        opened = self.opened
        if opened is None or path_id != opened.path_id:
            tried = self._opening.receive(envelope, path_id)
            if opened is not None and envelope.HasField("path_ready"):
                self._overtaken = True  # to the server it has replaced the one in use
                if not tried:
                    self._break(_lost(_OVERTAKEN), known=True)
        elif not envelope.HasField("path_close"):
            opened.path.receive(envelope)
        else:
            self._give_up(envelope.path_close)

    def detached(self) -> None:
        """The control channel is gone, and with it audio over WebSocket and what was asked for."""
        self._attached = False
        if self.opened is not None and self.opened.path.carrier == _WEBSOCKET:
            reason = "the control channel that carried the audio was lost"
            self._break(_lost(reason), known=True)
        elif self.opened is not None:
            self.opened.path.doubt()
        self._abandon()

    def attached(self, *, anew: bool) -> None:
        """The control channel is there. `anew` = positions may have been lost: open a new path."""
        self._attached = True
        if anew and self.opened is not None:
            self._break(_lost("the session went on from a snapshot"))
        self._wake.set()

    def drop(self) -> bool:
        """Lets the path in use fall silent without telling anybody; False if it cannot."""
        opened = self.opened
        if opened is None or opened.path.carrier == _WEBSOCKET:
            return False
        opened.path.drop()
        return True

    async def run(self) -> None:
        """Keeps a path until cancelled.

        Raises:
            VoxwireError: None is to be had.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                carriers = self._wanted()
                if carriers and self._attached:
                    await self._climb(carriers, group)
                else:
                    await self._wait()

    async def close(self) -> None:
        """Gives up what is left after `run`; bounded."""
        try:
            await self._opening.close()
        finally:
            if self.opened is not None:
                await self.opened.path.close()

    def _wanted(self) -> tuple[wire.Carrier.ValueType, ...]:
        """What is to be tried now; nothing while all is well."""
        if self._broken is not None and not self._keep:
            raise self._broken
        if self.broken:
            return self._carriers
        if self._opening.late:
            return (_WEBRTC,)
        due_ms = self._upgrade_at_ms
        if due_ms is not None and self._clock.now_ms() >= due_ms:
            return (_WEBRTC,)
        return ()

    async def _climb(
        self, carriers: tuple[wire.Carrier.ValueType, ...], group: asyncio.TaskGroup
    ) -> None:
        """Tries for a path, unless the control channel is lost meanwhile."""
        first = self.opened is None
        self._upgrading = not self.broken
        scope = self._scope = asyncio.timeout(None)
        try:
            async with scope:
                await asyncio.sleep(RETRY_S[self._failures])
                opened = await self._opening.climb(carriers, first=first)
                self._take(opened, group)
                if self._opening.given_up is not None:  # right behind PathReady
                    self._give_up(self._opening.given_up)
        except TimeoutError:
            assert scope.expired(), "nothing else has a deadline here"
        except VoxwireError as error:
            if first:
                raise
            self._scope, self._upgrading = None, False
            self._fail(error)
        finally:
            self._scope, self._upgrading = None, False

    def _take(self, opened: Opened, group: asyncio.TaskGroup) -> None:
        """Puts a path in use; the one before is given up."""
        before, carrying = self.opened, self._carrying
        known = self._known
        if before is not None and before.sample_rate != opened.sample_rate:
            group.create_task(opened.path.close())
            raise _lost(f"the audio has changed to {opened.sample_rate} Hz")
        self.opened, self._broken, self._known, self._failures = opened, None, False, 0
        self._overtaken = False
        sink = self._use(opened)
        self._plan_upgrade(opened)
        self._carrying = group.create_task(self._carry(opened, sink))
        if carrying is not None:
            carrying.cancel()
        if before is not None:
            if not known:
                with contextlib.suppress(VoxwireError):
                    self._send(wire.Envelope(path_close=wire.PathClose(path_id=before.path_id)))
            group.create_task(before.path.close())

    def _plan_upgrade(self, opened: Opened) -> None:
        """WebRTC that was had and lost, or that the network kept away, is tried again later."""
        self._upgrade_at_ms = None
        if opened.path.carrier == _WEBRTC:
            self._upgrade_s = UPGRADE_S
            self._had_webrtc = True
            return
        fallback = opened.fallback
        blocked = fallback is not None and is_of_the_network(fallback.reason)
        wanted = _WEBRTC in self._carriers and (self._had_webrtc or blocked)
        if wanted and not self._opening.late:  # that one is being tried already
            self._upgrade_at_ms = self._clock.now_ms() + self._upgrade_s * 1000
            self._upgrade_s = min(2 * self._upgrade_s, MAX_UPGRADE_S)

    async def _carry(self, opened: Opened, sink: Sink) -> None:
        """Carries audio until the path breaks."""
        try:
            await opened.path.run(sink)
        except VoxwireError as error:
            if self.opened is opened:
                self._break(error)

    def _break(self, error: VoxwireError, *, known: bool = False) -> None:
        """Notes that the path in use is to be replaced; WebRTC carries on while it can."""
        self._broken = self._broken or error
        self._known = self._known or known
        opened = self.opened
        if self._carrying is not None and opened and opened.path.carrier == _WEBSOCKET:
            self._carrying.cancel()
        self._wake.set()
        self._upgrade_at_ms = None
        if self._upgrading:
            self._abandon()
        if self._keep:
            self._broke()

    def _give_up(self, close: wire.PathClose) -> None:
        """The server gave the path in use up."""
        self._break(_lost(close.reason or "the server gave the media path up"), known=True)

    def _abandon(self) -> None:
        """Ends the climb that is going on."""
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    def _fail(self, error: VoxwireError) -> None:
        """Notes that the ladder led nowhere.

        Raises:
            VoxwireError: It did so too often.
        """
        if not self.broken:  # only the way back to WebRTC failed
            assert self.opened is not None
            if self._overtaken:  # and the server had taken it
                self._break(_lost(_OVERTAKEN), known=True)
            else:
                self._plan_upgrade(self.opened)
            return
        self._failures += 1
        if self._failures == len(RETRY_S):
            raise error

    async def _wait(self) -> None:
        """Waits until something has changed, or WebRTC is to be tried again."""
        self._wake.clear()
        due_ms = self._upgrade_at_ms if self._attached else None
        wait_s = None if due_ms is None else (due_ms - self._clock.now_ms()) / 1000
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return


def _lost(reason: str) -> TransportError:
    return TransportError(ErrorCode.CONNECTION_LOST, reason, retryable=True)
