"""Watches the socket in use, and gets another one in its place while it stands."""

import asyncio
from collections.abc import Callable
from typing import Final

from voxwire._addresses import moving_window_ms
from voxwire._attach import Greeting, lost
from voxwire._dial import Attached, Dialler, end_unused
from voxwire._environment import Environment
from voxwire._patience import Patience
from voxwire._peer import Handler
from voxwire._socket import Lost, Socket
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.errors import ErrorCode, VoxwireError

__all__ = ["Watch"]

HEARTBEAT_MS: Final = 5000
"""Ping interval when the server names none."""

SILENT_MS: Final = 5000
"""A server that says nothing for this long, or for three heartbeats, is gone."""

WATCH_S: Final = 0.1


class Watch:
    """Pings; notices a silent server; dials a second socket when messages get stuck, and when the
    server leaves and says where the session goes on.

    Attributes:
        clock: The server's.
        over: True = no second socket is wanted any more.
    """

    def __init__(
        self,
        greeting: Greeting,
        channel: Channel,
        dialler: Dialler,
        *,
        environment: Environment,
        send: Callable[[wire.Envelope], object],
    ) -> None:
        """Prepares.

        Args:
            greeting: Knows whether the session may be had back.
            channel: Knows what waits for the server.
            dialler: Gets the second socket.
            environment: Time.
            send: Sends a message.
        """
        self.clock = ClockSync()
        self.over = False
        self._greeting = greeting
        self._channel = channel
        self._dialler = dialler
        self._time = environment.clock
        self._jitter = environment.jitter
        self._send = send
        self._patience = Patience()
        self._silent_ms = SILENT_MS
        self._ping_ms = HEARTBEAT_MS
        self._window_ms: tuple[int, int] | None = None
        self._second: asyncio.Task[Attached] | None = None
        self._moves = False  # that is what the second one is for
        self._condemned = False

    def attached(self, welcome: wire.Welcome) -> None:
        """Another socket is in use: nobody moves away from it, and it has its own heartbeat."""
        heartbeat_ms = min(max(welcome.heartbeat_ms or HEARTBEAT_MS, 500), 30_000)
        self._silent_ms = min(3 * heartbeat_ms, SILENT_MS)
        self._ping_ms = min(heartbeat_ms, self._silent_ms // 3)
        self._window_ms = None

    def lost(self) -> None:
        """The socket was lost: the next one is waited for as the first was."""
        self._patience.reset()

    def plan_move(self, time_left_ms: int) -> None:
        """The server leaves in so long, and the session goes on elsewhere."""
        now_ms = self._now_ms()
        earliest_ms, latest_ms = moving_window_ms(time_left_ms, self._jitter())
        self._window_ms = (now_ms + earliest_ms, now_ms + latest_ms)

    def stay(self) -> None:
        """Nobody moves by himself."""
        self._window_ms = None

    async def run(self, socket: Socket, handler: Handler) -> Attached:
        """Watches until another socket is welcomed.

        Raises:
            Lost: The server has been silent for too long.
        """
        ping_at_ms = looked_ms = 0
        self._condemned = False
        try:
            while True:
                now = self._now_ms()
                # After a stall of this program what the server said may be there, unread.
                stalled = now - looked_ms > 5 * WATCH_S * 1000
                looked_ms = now
                if not stalled:
                    self._check_silence(socket, now)
                if now >= min(self.clock.next_ping_ms(now), ping_at_ms):
                    ping_at_ms = now + self._ping_ms
                    ping = self.clock.ping(int(self._time.now_ms() * 1000))
                    self._send(wire.Envelope(ping=ping))
                stuck = self._is_stuck(socket, now)
                if self._second is None:
                    if not stalled:
                        self._begin_second(stuck=stuck, moves=self._moves_now(now, handler))
                elif self._second.done():
                    if (attached := self._take_second(self._second)) is not None:
                        return attached
                elif not (stuck or self._moves or self._greeting.unanswered):
                    self._second.cancel()  # later its Hello is out: the server may have moved over
                await _pause(self._second)
        finally:
            second, self._second = self._second, None
            if second is not None:
                await end_unused([second])

    def has_caused(self, error: VoxwireError) -> bool:
        """True for a loss that our own Hello on a second socket has caused.

        Its Welcome is on its way: `run` returns with it, or raises.
        """
        ours = error.code == ErrorCode.SUPERSEDED and self._greeting.unanswered
        self._condemned = ours and self._second is not None
        return self._condemned

    def _begin_second(self, *, stuck: bool, moves: bool) -> None:
        self._moves = moves
        if stuck or moves:
            self._second = asyncio.create_task(self._dialler.round(), name="voxwire-second")

    def _take_second(self, second: asyncio.Task[Attached]) -> Attached | None:
        """The second socket; None = it was not to be had.

        Raises:
            Lost: It was not, and the first one is gone.
        """
        self._second = None
        if not self._moves:
            self._patience.grow()
        if not second.cancelled() and second.exception() is None:
            return second.result()
        if self._condemned:
            raise Lost(lost("the server has closed this socket for another one, which is lost"))
        return None

    def _now_ms(self) -> int:
        return int(self._time.now_ms())

    def _check_silence(self, socket: Socket, now: int) -> None:
        silent_ms = now - socket.last_received_ms
        if silent_ms > self._silent_ms:
            raise Lost(lost(f"the server has been silent for {silent_ms / 1000:.0f} s"))

    def _is_stuck(self, socket: Socket, now: int) -> bool:
        """True when something waits and the server has acknowledged nothing for too long."""
        since_ms = self._channel.waiting_since_ms
        if since_ms is None or not self._greeting.resumable or self.over:
            return False
        return self._patience.is_over(
            now,
            since_ms=max(since_ms, socket.opened_ms),
            acknowledged=self._channel.last_sent - self._channel.unacknowledged,
            rtt_us=self.clock.rtt_us,
        )

    def _moves_now(self, now: int, handler: Handler) -> bool:
        """True once, when it is time to leave a server that has said where to."""
        if self._window_ms is None or self.over:
            return False
        earliest_ms, latest_ms = self._window_ms
        if now < earliest_ms or (now < latest_ms and not handler.quiet):
            return False
        self._window_ms = None
        return True


async def _pause(second: asyncio.Task[Attached] | None) -> None:
    """Sleeps until the next look, or until the second socket is there."""
    if second is None:
        await asyncio.sleep(WATCH_S)
    else:
        await asyncio.wait({second}, timeout=WATCH_S)
