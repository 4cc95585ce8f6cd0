"""The control channel of our own clients: numbered messages over sockets that come and go."""

import logging
from collections.abc import Iterable
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.channel import Channel, ChannelError
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock, Timer
from voxwire_server.control.attaches import NOTHING_BEFORE, REFUSALS, Attaches, Before
from voxwire_server.control.bad_messages import BadMessages
from voxwire_server.control.intake import Intake
from voxwire_server.control.link import ControlLink
from voxwire_server.lifecycle import Answer, Event
from voxwire_server.logs import trace
from voxwire_server.ports import Inbox

__all__ = ["NumberedChannel"]

_log = logging.getLogger("voxwire.session")

_BASE_FEATURES: Final = frozenset({wire.Feature.FEATURE_SEQUENCE})
"""What every client of this channel does, whether its Hello says so or not."""
_SUPERSEDED: Final = 4000 + wire.ErrorCode.ERROR_CODE_SUPERSEDED
_TOO_LARGE: Final = wire.ErrorCode.ERROR_CODE_TOO_LARGE
_UNEXPECTED: Final = wire.ErrorCode.ERROR_CODE_UNEXPECTED_MESSAGE


class NumberedChannel:
    """A :class:`~voxwire_server.ports.ControlChannel` that sockets carry one after the other.

    Whoever accepts a socket and has read its Hello calls :meth:`rebind`, then :meth:`receive`
    with all that comes on it, and :meth:`lost` when it is gone. The last socket wins: the one
    before is closed with ``SUPERSEDED``, and what still comes on it is ignored; its sender
    repeats it on the new one.

    Args:
        features: What both sides can do.
        clock: The clock to run by.
        before: The attaches of the process that had the session before.

    Attributes:
        intake: What the client may send, and what was dropped of it.
        link: The socket that carries the channel; None while there is none.
    """

    def __init__(
        self,
        features: Iterable["wire.Feature"] = (),
        *,
        clock: Clock = SYSTEM_CLOCK,
        before: Before = NOTHING_BEFORE,
    ) -> None:
        self.intake = Intake()
        self.link: ControlLink | None = None
        self._features = frozenset(features) | _BASE_FEATURES
        self._clock = clock
        self._channel = Channel(allowed=wire.CLIENT_PAYLOADS)
        self._attaches = Attaches(self._channel, before)
        self._confirmed = True
        self._last_sign_ms = clock.now_ms()
        self._inbox: Inbox | None = None
        self._bad: BadMessages | None = None
        self._ack_timer: Timer | None = None
        self._over = False

    # the door

    @property
    def features(self) -> frozenset["wire.Feature"]:
        """What both sides can do; it is numbered in any case."""
        return self._features

    @property
    def last_sign_ms(self) -> float:
        """When the client was last heard of, whatever it said."""
        return self._last_sign_ms

    @property
    def attached(self) -> bool:
        """Whether a socket carries it."""
        return self.link is not None

    @property
    def overflowing(self) -> bool:
        """Whether the client has stopped reading what is sent to it."""
        return self.link is not None and self.link.overflowing

    def begin(self, inbox: Inbox) -> None:
        """The session is there; from here on sockets can be bound, and it is told what comes.

        Raises:
            RuntimeError: It began before.
        """
        if self._inbox is not None:
            raise RuntimeError("a control channel begins once")
        self._inbox = inbox
        self._bad = BadMessages(self.intake, inbox)

    def send(self, envelope: wire.Envelope) -> None:
        """Number, keep and send a message; without a socket it waits for the next one.

        Raises:
            ChannelError: It is too large; nothing is sent.
        """
        now_ms, link = self._clock.now_ms(), self.link
        for data in self._channel.send(envelope, int(now_ms)):
            if link is not None:
                link.send_event(data)
        if link is not None and envelope.HasField("ping"):
            link.pinged(now_ms)

    def close(self, code: int, reason: str, *, gone: bool = False) -> None:
        """Close the socket, behind everything that was sent.

        Args:
            code: WebSocket close code.
            reason: For people, at most 120 bytes.
            gone: The client is taken for gone: the session is told that the channel is lost, and
                no closing handshake is waited for. Otherwise the session is over.
        """
        link = self.link
        if not gone:
            self._over = True
            if self._ack_timer is not None:
                self._ack_timer.cancel()
            if link is not None:
                link.close(code, reason)
        elif link is not None:
            link.give_up(code, reason)
            self._lost(link, silent=True)

    # whose it is

    @property
    def epoch(self) -> int:
        """Number of the newest attach, from 1; 0 = none yet."""
        return self._attaches.epoch

    @property
    def so_far(self) -> Before:
        """What another process needs to take the client back."""
        return self._attaches.so_far

    @property
    def last_received(self) -> int:
        """Number of the client's newest message; 0 = none."""
        return self._channel.last_received

    @property
    def last_sent(self) -> int:
        """Number of the newest message to the client; 0 = none."""
        return self._channel.last_sent

    def may_resume(self, token: bytes) -> bool:
        """True when ``token`` is this session's."""
        return self._attaches.may_resume(token)

    def knows(self, attach_nonce: bytes) -> bool:
        """True when this attach was answered within the last minute."""
        return self._attaches.knows(attach_nonce, self._clock.now_ms())

    # sockets

    def coming(self, hello: wire.Hello) -> Event | None:
        """What it is that this client comes (back); None = it opens the session."""
        return self._attaches.classify(hello, self._clock.now_ms()).event

    def rebind(self, link: ControlLink, hello: wire.Hello, welcome: wire.Welcome) -> None:
        """Go on over a new socket: Welcome, then what the client has not received.

        Args:
            link: The new socket.
            hello: What the client said on it.
            welcome: What every Welcome of this session says; the rest is filled in here.

        Raises:
            ChannelError: The client's numbers cannot be, another attach came since this one
                (SUPERSEDED), or the client takes no Welcome of this size (TOO_LARGE). Nothing
                has changed then.
            RuntimeError: No session has begun it.
        """
        inbox, bad = self._begun()
        now_ms, since_ms, first = self._clock.now_ms(), self._last_sign_ms, not self.epoch
        coming = self._attaches.classify(hello, now_ms)
        answer = Answer.RESUMED if coming.event is None else inbox.life.would(coming.event)
        if coming.event is not None and answer in REFUSALS:
            inbox.life.on(coming.event)
        greeting = self._attaches.answer(hello, welcome, coming, answer, inbox.snapshot, now_ms)
        if coming.event is not None:
            inbox.life.on(coming.event)
        if greeting.replay is None:
            _log.info("resumed with a loss", extra={"session": welcome.session_id})
        old, self.link = self.link, link
        self._confirmed = False
        self._sign(now_ms)
        bad.in_a_row = 0
        if old is not None:
            old.close(_SUPERSEDED, "a newer attach took the session over")
        for data in self._channel.send(wire.Envelope(welcome=greeting.welcome), int(now_ms)):
            link.send_event(data)
        for data in greeting.replay or []:
            link.send_event(data)
        trace("attached", wire.Envelope(welcome=welcome), welcome.session_id)
        if not first:
            inbox.back(since_ms if old is not None else None)

    def lost(self, link: ControlLink) -> None:
        """A socket is gone; the session is told when it was the one in use."""
        self._lost(link, silent=False)

    def _lost(self, link: ControlLink, *, silent: bool) -> None:
        if self.link is not link:
            return
        self.link = None
        self._channel.on_lost(int(self._clock.now_ms()))
        if self._inbox is not None:
            self._inbox.lost(self._last_sign_ms, silent=silent)

    def receive(self, data: bytes, link: ControlLink) -> float:
        """Take one message of a socket. Never raises; bad input is answered or counted.

        Returns:
            How long the reader should wait before the next one, milliseconds.
        """
        inbox, bad = self._begun()
        if link is not self.link:
            inbox.life.on(Event.STALE_SPEAKS)
            return 0.0
        now_ms = self._clock.now_ms()
        self._sign(now_ms)
        inbox.alive()
        verdict = self.intake.admit(data, now_ms)
        if verdict.wait_ms:
            link.held_back(now_ms)
        if verdict.accepted:
            self._receive(data, now_ms, inbox, bad)
        elif verdict.overrun:
            inbox.overrun()
        return verdict.wait_ms

    def _receive(self, data: bytes, now_ms: float, inbox: Inbox, bad: BadMessages) -> None:
        try:
            messages = self._channel.receive(data, int(now_ms))
        except ChannelError as error:
            bad.take(error, now_ms)
            messages = error.delivered
        else:
            bad.in_a_row = 0
            if not self._confirmed:
                self._confirmed = True
                self._attaches.confirm()
        for message in messages:
            if not self.intake.fits(message):
                bad.answer(_TOO_LARGE, "too large for its kind", now_ms)
            elif message.HasField("hello"):
                bad.answer(_UNEXPECTED, "Hello came twice on one socket", now_ms)
            else:
                if message.HasField("pong") and self.link is not None:
                    self.link.answered()
                inbox.message(message)
        self._schedule_ack(now_ms)

    def _sign(self, now_ms: float) -> None:
        self._last_sign_ms = now_ms

    def _begun(self) -> tuple[Inbox, BadMessages]:
        if self._inbox is None or self._bad is None:
            raise RuntimeError("the control channel has no session yet")
        return self._inbox, self._bad

    # acknowledgements

    def _schedule_ack(self, now_ms: float) -> None:
        due_ms = self._channel.next_due_ms
        if due_ms is None or self._ack_timer is not None or self._over or self._inbox is None:
            return
        delay_ms = max(0.0, due_ms - now_ms)
        self._ack_timer = self._inbox.clock.call_later(delay_ms, self._send_acks)

    def _send_acks(self) -> None:
        self._ack_timer = None
        now_ms = self._clock.now_ms()
        for data in self._channel.outgoing(int(now_ms)):
            if self.link is not None:
                self.link.send_event(data)
        self._schedule_ack(now_ms)
