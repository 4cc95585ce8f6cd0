"""The numbered channel of a `FakeSession`: sockets come and go, messages arrive once."""

from collections.abc import Callable
from typing import Any

from voxwire.testing.network import End
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel, ChannelError
from voxwire_protocol.clocks import Clock, Timer

__all__ = ["Line"]


class Line:
    """What carries the messages of one session."""

    def __init__(
        self,
        *,
        clock: Clock,
        take: Callable[[wire.Envelope], object],
        lost: Callable[[], object],
        bad: Callable[[ChannelError], object],
    ) -> None:
        """Creates it without a socket.

        Args:
            clock: What acknowledgements are timed by.
            take: Is given every message, in order, once.
            lost: Called when its socket is gone.
            bad: Is given what was wrong with a message.
        """
        self.channel = Channel(allowed=wire.CLIENT_PAYLOADS)
        self.end: End | None = None
        self._clock = clock
        self._take = take
        self._lost = lost
        self._bad = bad
        self._ack: Timer | None = None

    def send(self, payload: dict[str, Any]) -> None:
        """Sends one payload, or keeps it until a socket is there; lossy ones are dropped then."""
        for data in self.channel.send(wire.Envelope(**payload), self._now_ms()):
            if self.end is not None:
                self.end.write(data)

    def missing(self, last_seq: int) -> list[bytes] | None:
        """What the client has not received; None = that is not kept any more.

        Raises:
            ChannelError: That was never sent.
        """
        self.channel.on_lost(self._now_ms())
        return self.channel.resume(last_seq, self._now_ms())

    def attach(self, end: End, first: list[bytes]) -> None:
        """Goes on over that socket; the one before is closed as superseded.

        Args:
            end: The server's end of it.
            first: What is sent before everything else.
        """
        before, self.end = self.end, end
        for data in first:
            end.write(data)
        end.on_message = lambda data: self._receive(end, data)
        end.on_closed = lambda _: self._closed(end)
        if before is not None and before is not end:
            before.on_closed = None
            before.shut(4000 + wire.ErrorCode.ERROR_CODE_SUPERSEDED, "superseded")

    def close(self, code: int) -> None:
        """Closes the socket behind everything that was sent, and is no more."""
        if self._ack is not None:
            self._ack.cancel()
        end, self.end = self.end, None
        if end is not None:
            end.on_closed = None
            end.shut(code)

    def _receive(self, end: End, data: bytes) -> None:
        if end is not self.end:
            return  # superseded: said again on the newer one
        try:
            messages = self.channel.receive(data, self._now_ms())
        except ChannelError as error:
            messages = list(error.delivered)
            self._bad(error)
        for message in messages:
            self._take(message)
        self._plan_ack()

    def _plan_ack(self) -> None:
        if self._ack is not None:
            self._ack.cancel()
            self._ack = None
        due_ms = self.channel.next_due_ms
        if due_ms is not None and self.end is not None:
            self._ack = self._clock.call_later(due_ms - self._now_ms(), self._acknowledge)

    def _acknowledge(self) -> None:
        for data in self.channel.outgoing(self._now_ms()):
            if self.end is not None:
                self.end.write(data)
        self._plan_ack()

    def _closed(self, end: End) -> None:
        if end is self.end:
            self.end = None
            self._lost()

    def _now_ms(self) -> int:
        return int(self._clock.now_ms())
