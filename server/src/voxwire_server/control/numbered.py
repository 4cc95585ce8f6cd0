"""A session's numbered messages, and whichever socket carries them now."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.channel import Channel, ChannelError
from voxwire_server.control.link import ControlLink
from voxwire_server.control.resume import ResumeTokens

__all__ = ["ATTACH_MS", "Control"]

ATTACH_MS: Final = 60_000
"""How long the same ``attach_nonce`` means the same attach, milliseconds."""

_SUPERSEDED: Final = 4000 + wire.ErrorCode.ERROR_CODE_SUPERSEDED
_MAX_ATTACHES: Final = 16

_MIN_MESSAGE_BYTES: Final = 4096
_SPARE_BYTES: Final = 256
"""What is added to a Welcome after it was measured: token, numbers, envelope."""
_MIN_SNAPSHOT_BYTES: Final = 1024

Snapshot = Callable[[int], wire.Snapshot]
"""Makes a snapshot of at most so many bytes."""


@dataclass(slots=True)
class _Attach:
    """An attach whose Welcome may be asked for again. Its token is plain for a minute only."""

    welcome: wire.Welcome
    at_ms: float


class Control:
    """The control channel of one session: sockets come and go below it, the numbers stay.

    The last attach wins: a socket that was taken over from is closed with ``SUPERSEDED``, and
    what still comes on it is ignored; its sender repeats it on the new one.
    """

    def __init__(self, *, max_send_bytes: int = 0) -> None:
        limit = max_send_bytes or wire.DEFAULT_MAX_MESSAGE_BYTES
        self.channel = Channel(allowed=wire.CLIENT_PAYLOADS, max_send_bytes=limit)
        self.link: ControlLink | None = None
        self.epoch = 0
        self.last_received_ms = self._now()
        """When the client was last heard of, monotonic milliseconds."""
        self._numbering_epoch = 1
        self._tokens = ResumeTokens()
        self._attaches: dict[bytes, _Attach] = {}
        self._confirmed = True

    @staticmethod
    def _now() -> float:
        return time.monotonic() * 1000

    def send(self, envelope: wire.Envelope) -> None:
        """Number, keep and send a message; without a socket it waits for the next one."""
        for data in self.channel.send(envelope, int(self._now())):
            if self.link is not None:
                self.link.send_event(data)

    def send_due_acks(self) -> None:
        """Send the acknowledgement that is due."""
        for data in self.channel.outgoing(int(self._now())):
            if self.link is not None:
                self.link.send_event(data)

    def receive(self, data: bytes) -> list[wire.Envelope]:
        """Take one message of the current socket.

        Raises:
            ChannelError: It cannot be taken.
        """
        self.last_received_ms = self._now()
        messages = self.channel.receive(data, int(self.last_received_ms))
        if not self._confirmed:  # the client has the newest token; those before are void
            self._confirmed = True
            self._tokens.confirm()
        return messages

    def may_resume(self, token: bytes) -> bool:
        """True when ``token`` is this session's."""
        return self._tokens.check(token)

    def knows(self, attach_nonce: bytes) -> bool:
        """True when this attach was answered within the last minute."""
        attach = self._attaches.get(attach_nonce)
        return attach is not None and self._now() - attach.at_ms < ATTACH_MS

    def attach(
        self, link: ControlLink, hello: wire.Hello, welcome: wire.Welcome, snapshot: Snapshot
    ) -> bool:
        """Put the session on a new socket: Welcome, then what the client has not received.

        Args:
            link: The new socket.
            hello: What the client said on it.
            welcome: What every Welcome of this session says; the rest is filled in here.
            snapshot: Makes the state to go on from when messages are lost; as large as fits.

        Returns:
            False when messages were lost and the client got a Snapshot.

        Raises:
            ChannelError: ``last_seq`` was never sent, another attach came since this one
                (SUPERSEDED), or the client takes no Welcome of this size (TOO_LARGE). Nothing
                has changed then.
        """
        now, limit = self._now(), self._limit_of(hello)
        replay, again = self._replay(hello, now)
        if again is None and replay and max(map(len, replay)) > limit:
            replay = None  # kept in pieces that this client does not take
        room = _make_fit(again or welcome, limit, snapshot=again is None and replay is None)
        self.channel.max_send_bytes = limit
        if again is not None:
            welcome = again
        else:
            self.epoch += 1
            welcome.epoch = self.epoch
            welcome.resume_token = self._tokens.issue()
            welcome.resumed = bool(hello.session_id) and replay is not None
            if replay is None:
                welcome.snapshot.CopyFrom(snapshot(room))
                self.channel.restart()
                self._numbering_epoch = self.epoch
            self._remember(hello.attach_nonce, _Attach(welcome, now))
        self.channel.on_lost(int(now))
        welcome.last_seq = self.channel.last_received
        old, self.link = self.link, link
        self._confirmed = False
        self.last_received_ms = now
        if old is not None:
            old.close(_SUPERSEDED, "a newer attach took the session over")
        for data in self.channel.send(wire.Envelope(welcome=welcome), int(now)):
            link.send_event(data)
        for data in replay or []:
            link.send_event(data)
        return replay is not None

    def _limit_of(self, hello: wire.Hello) -> int:
        """Largest envelope that the client takes, bytes."""
        asked = hello.max_message_bytes
        if not asked:
            return self.channel.max_send_bytes
        return max(_MIN_MESSAGE_BYTES, min(asked, 1 << 20))

    def _replay(
        self, hello: wire.Hello, now: float
    ) -> tuple[list[bytes] | None, wire.Welcome | None]:
        """What the client misses (None = it is gone), and the Welcome if it had been given."""
        known = self._attaches.get(hello.attach_nonce)
        if known is not None and now - known.at_ms < ATTACH_MS:
            if known.welcome.epoch != self.epoch:
                reason = "a newer attach took the session over"
                raise ChannelError(wire.ErrorCode.ERROR_CODE_SUPERSEDED, reason)
            first = hello.last_seq if known.welcome.resumed else 0
            replay = self.channel.resume(first, int(now))
            if replay is not None:
                return replay, known.welcome
        if hello.session_id and hello.epoch and hello.epoch < self._numbering_epoch:
            return None, None  # its numbers are those before a loss that it has not heard of
        last_seq = hello.last_seq if hello.session_id else 0
        return self.channel.resume(last_seq, int(now)), None

    def _remember(self, nonce: bytes, attach: _Attach) -> None:
        for old in [n for n, a in self._attaches.items() if attach.at_ms - a.at_ms >= ATTACH_MS]:
            del self._attaches[old]
        self._attaches[nonce] = attach
        while len(self._attaches) > _MAX_ATTACHES:
            del self._attaches[next(iter(self._attaches))]

    def lost(self, link: ControlLink) -> bool:
        """The socket is gone.

        Returns:
            True when it was the current one.
        """
        if self.link is not link:
            return False
        self.link = None
        self.channel.on_lost(int(self._now()))
        return True


def _make_fit(welcome: wire.Welcome, limit: int, *, snapshot: bool) -> int:
    """Leave out what a Welcome need not say when the client takes only small messages.

    Returns:
        Bytes that are left for a snapshot.

    Raises:
        ChannelError: TOO_LARGE.
    """
    need = min(_SPARE_BYTES + (_MIN_SNAPSHOT_BYTES if snapshot else 0), limit // 2)
    if welcome.ByteSize() + need > limit:
        del welcome.examples[:]
    if welcome.ByteSize() + need > limit:
        reason = "the Welcome is above max_message_bytes of the client"
        raise ChannelError(wire.ErrorCode.ERROR_CODE_TOO_LARGE, reason)
    return max(0, limit - welcome.ByteSize() - _SPARE_BYTES)
