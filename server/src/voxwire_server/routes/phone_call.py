"""A telephone call: what arrives at the front door with a vendor's WebSocket, and carries it."""

import logging
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_server.control.link import ControlLink
from voxwire_server.control.none import NoChannel
from voxwire_server.lifecycle import Event
from voxwire_server.media.phone import PhonePath
from voxwire_server.phone.order import Order
from voxwire_server.phone.vendor import Audio, Dialect, Keys, Mark, Said, Stopped, WireError
from voxwire_server.ports import ControlChannel
from voxwire_server.routes.carrying import LOST, carry, read
from voxwire_server.routes.entrance import Receive, Send
from voxwire_server.routes.sockets import SocketControl
from voxwire_server.session.session import Session

__all__ = ["PhoneArrival", "serve"]

_log = logging.getLogger("voxwire.phone")

_PATH_ID: Final = 1
_LOOK_MS: Final = 1000
"""How often the vendor is looked after: is anything coming, and how far is it?"""
_ENDED: Final = (1000, 1001, 1005)
"""Codes that a vendor closes with when a call is over (RFC 6455 §7.4.1); not all say so before."""
_SILENT: Final = 4000 + wire.ErrorCode.ERROR_CODE_TIMEOUT


class PhoneArrival:
    """A caller; the session ends with his call.

    Args:
        send: ASGI ``send`` of the accepted socket.
        socket: What else can be done to it.
        dialect: How the vendor writes; the stream has begun.
        dead_after_ms: A vendor from whom nothing comes for so long is gone.

    Attributes:
        link: What writes to the vendor.
    """

    def __init__(
        self, send: Send, socket: SocketControl, dialect: Dialect, *, dead_after_ms: int
    ) -> None:
        self.link = ControlLink(send, abort=socket.abort)
        self._ping = socket.ping
        self._dialect = dialect
        self._dead_after_ms = dead_after_ms
        self._session: Session | None = None
        self._path: PhonePath | None = None
        self._alive_at_ms = 0.0
        self._pinged_at_ms: float | None = None
        self._order = Order()

    # the front door's side (ticket.Arrival)

    def channel(self, features: frozenset["wire.Feature"], clock: Clock) -> ControlChannel:
        """None that anybody reads; when the session is over, the call is."""
        return NoChannel(clock=clock, hang_up=self.link.close)

    def bind(self, session: Session) -> None:
        """The session speaks and hears by this call."""
        rate = self._dialect.encoding.sample_rate
        path = self._path = PhonePath(
            _PATH_ID,
            session.path_sink(_PATH_ID),
            session.path_sound(_PATH_ID, rate),
            dialect=self._dialect,
            link=self.link,
            clock=session.clock,
        )
        self._session = session
        self._alive_at_ms = session.now_ms()
        session.path_opened(path)
        path.begin()
        self._look()

    def coming(self, session: Session) -> Event | None:
        """It never comes back."""

    def leave(self, session: Session) -> None:
        """The call was lost before anybody served it."""
        self.gone()

    # the vendor's messages

    def receive(self, message: str | bytes) -> float:
        """Take one message. Never raises: one that is none of the vendor's is left out.

        Returns:
            How long to wait before the next one is read, milliseconds.
        """
        session, path = self._session, self._path
        if session is None or path is None:
            return 0.0
        self._alive_at_ms = session.now_ms()
        intake = session.intake
        try:
            self._take(self._dialect.decode(message), session, path)
        except WireError as error:
            intake.dropped.bad += 1
            if intake.dropped.bad == 1:
                _log.warning("a message is left out: %s", error, extra={"session": session.id})
        return intake.hold_back(len(message), self._alive_at_ms, reliable=False)

    def _take(self, said: Said | None, session: Session, path: PhonePath) -> None:
        match said:
            case Audio(data, number):
                for piece in self._order.take(data, number):
                    path.hear(piece)
            case Mark(name):
                path.marked(name)
            case Keys(digits):
                path.press(digits)
            case Stopped():
                session.end(wire.EndReason.END_REASON_CLIENT)
            case _:
                path.alive()

    def gone(self, code: int = LOST) -> None:
        """The socket is gone: the vendor has closed it as a call ends, or was lost."""
        session = self._session
        if session is None or session.over:
            return
        if code in _ENDED:
            session.end(wire.EndReason.END_REASON_CLIENT)
        else:
            session.lost(self._alive_at_ms)

    def _look(self) -> None:
        session, path = self._session, self._path
        if session is None or path is None or session.over:
            return
        now_ms = session.now_ms()
        if now_ms - self._alive_at_ms > self._dead_after_ms:
            self.link.give_up(_SILENT, "nothing has come for too long")
            self.gone()
            return
        if self._ping is not None and self._pinged_at_ms is None:
            self._pinged_at_ms = now_ms
            self._ping(self._ponged)
        session.clock.call_later(_LOOK_MS, self._look)

    def _ponged(self) -> None:
        session, path = self._session, self._path
        if session is None or path is None or self._pinged_at_ms is None:
            return
        self._alive_at_ms = session.now_ms()
        path.marks.pinged(self._alive_at_ms - self._pinged_at_ms)
        self._pinged_at_ms = None
        path.alive()


async def serve(session: Session, call: PhoneArrival, receive: Receive) -> None:
    """Carry the session until the socket is gone."""
    await carry(session.id, call.link, read(receive, call.receive), call.gone)
