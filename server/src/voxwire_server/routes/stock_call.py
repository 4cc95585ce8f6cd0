"""A stock client over WebRTC: one session, over connections that follow each other."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from voxwire_protocol import rtvi, wire
from voxwire_protocol.clocks import Clock
from voxwire_server.control.link import MAX_EVENT_BYTES
from voxwire_server.control.rtvi import RtviChannel, leave
from voxwire_server.lifecycle import Event
from voxwire_server.ports import ControlChannel, PathError, PathSink, Report
from voxwire_server.routes.stock_peer import surroundings
from voxwire_server.routes.stock_uploads import TakeUpload
from voxwire_server.session.listening import carrier_settings
from voxwire_server.session.session import Session

if TYPE_CHECKING:
    from voxwire_server.media.peer import Reachable
    from voxwire_server.media.stock_rtc import StockConnection

__all__ = ["AWAY_MS", "StockCall"]

AWAY_MS: Final = 15_000
"""How long a client that is gone may take to come back: the stock one tries for about 10 s."""
_OWED_MS: Final = 2000
"""A client that sends more than so far ahead of its rate is not read: nothing holds it back."""
_PEER_LEFT: Final = rtvi.write_chat(rtvi.PeerLeft())


class _ChatWire:
    """The data channel of one connection (``control.rtvi_wire.RtviWire``).

    Args:
        connection: The connection.
        hang_up: Closes it.
    """

    answers_pings = True  # by its own, every second, and by its sound
    max_bytes = rtvi.MAX_MESSAGE_BYTES

    def __init__(
        self, connection: "StockConnection", hang_up: Callable[["StockConnection"], None]
    ) -> None:
        self.connection = connection
        self._hang_up = hang_up
        self.free_at_ms = 0.0
        self._sent: deque[str] = deque()

    @property
    def overflowing(self) -> bool:
        """Whether the client has stopped reading."""
        return self.connection.waiting_bytes > MAX_EVENT_BYTES

    def send(self, text: str) -> None:
        """Send a message."""
        if not self.connection.send(text):
            return
        self._sent.append(text)
        while len(self._sent) > self.connection.unconfirmed:
            self._sent.popleft()

    def undelivered(self) -> list[str]:
        """What the client has not confirmed: it is lost with the connection, most likely."""
        number = min(len(self._sent), self.connection.unconfirmed)
        return list(self._sent)[len(self._sent) - number :]

    def over(self) -> None:
        """Say that the bot has left."""
        self.connection.send(_PEER_LEFT)

    def ping(self) -> None:
        """Nothing: the client pings."""

    def close(self, code: int, reason: str) -> None:
        """Nothing: the connection is the path's."""

    def give_up(self, code: int, reason: str) -> None:
        """Close the connection, too: a client that is there after all sees it, and comes back."""
        self._hang_up(self.connection)


class _Ear:
    """Where a path's audio goes; the client is there as long as some comes.

    Args:
        sink: The session's.
        alive: Called with every block.
    """

    def __init__(self, sink: PathSink, alive: Callable[[], None]) -> None:
        self._sink = sink
        self._alive = alive

    def audio(self, pcm: bytes, timestamp: int | None = None) -> None:
        """The user's voice."""
        self._alive()
        self._sink.audio(pcm, timestamp)

    def report(self, report: Report) -> None:
        """What the listener says of its playout."""
        self._sink.report(report)

    def keys(self, digits: str) -> None:
        """The user pressed keys."""
        self._sink.keys(digits)

    def gone(self, error: PathError) -> None:
        """The path is gone."""
        self._sink.gone(error)


class StockCall:
    """What arrives at the front door with a connection, and comes again with another one.

    Args:
        connection: The connection, which is up.
        reachable: Where this server can be reached.
        about: What ``bot-ready`` says of this server.
        take_upload: Hands on a file that this client has uploaded.

    Attributes:
        session: The session, once there is one.
    """

    def __init__(
        self,
        connection: "StockConnection",
        reachable: "Reachable",
        *,
        about: dict[str, Any],
        take_upload: TakeUpload,
    ) -> None:
        self.session: Session | None = None
        self._wire = _ChatWire(connection, self._hang_up)
        self._reachable = reachable
        self._about = about
        self._take_upload = take_upload
        self._channel: RtviChannel | None = None
        self._paths = 0

    @property
    def over(self) -> bool:
        """Whether it had a session, which is over."""
        return self.session is not None and self.session.over

    # the front door's side (ticket.Arrival)

    def channel(self, features: frozenset["wire.Feature"], clock: Clock) -> ControlChannel:
        """A channel that outlives its connection."""
        self._channel = RtviChannel(self._wire, features=features, about=self._about, clock=clock)
        return self._channel

    def bind(self, session: Session) -> None:
        """The session speaks and hears by this connection."""
        self.session = session
        if self._channel is not None:
            self._channel.follow(surroundings(session, lambda _: None, self._take_upload))
        self._carry(self._wire, session)

    def coming(self, session: Session) -> Event | None:
        """It comes back by its connection, never by the door."""

    def leave(self, session: Session) -> None:
        """Nobody waited for the session."""
        leave(session)

    # again

    def again(self, connection: "StockConnection") -> None:
        """Go on over another connection of the same client.

        Raises:
            ChannelError: The session is over. Nothing has changed then.
        """
        if self.session is not None and self._channel is not None:
            newer = _ChatWire(connection, self._hang_up)
            self._channel.rebind(newer)
            self._wire = newer
            self._carry(newer, self.session)

    def _carry(self, chat: _ChatWire, session: Session) -> None:
        from voxwire_server.media.webrtc import WebRtcPath

        settings = carrier_settings(session.settings)
        self._paths += 1
        path = WebRtcPath(
            self._paths,
            sink=_Ear(session.path_sink(self._paths), self._alive),
            playout=session.voice.playout,
            listener=session.voice,
            port=session,
            formats=settings.formats(wire.Codec.CODEC_OPUS),
            reachable=self._reachable,
            dead_after_ms=settings.dead_after_ms,
            connect=chat.connection,
        )

        async def open_path() -> None:
            try:
                await path.connected()
                session.path_opened(path)
            except (PathError, LookupError):
                await path.close()

        session.spawn(open_path())
        chat.connection.listen(lambda message: self._message(chat, message))
        chat.connection.when_gone(lambda: self._gone(chat))

    def _hang_up(self, connection: "StockConnection") -> None:
        if self.session is not None:
            self.session.spawn(connection.close())

    def _alive(self) -> None:
        if self._channel is not None:
            self._channel.alive()

    # the data channel

    def _message(self, chat: _ChatWire, message: str | bytes) -> None:
        channel, session = self._channel, self.session
        if channel is None or session is None or chat is not self._wire:
            return
        now_ms = session.now_ms()
        if chat.free_at_ms - now_ms > _OWED_MS:
            channel.intake.dropped.messages += 1
            return
        chat.free_at_ms = now_ms + channel.receive(message, lambda text: self._read(text, session))

    @staticmethod
    def _read(text: str | bytes, session: Session) -> rtvi.RtviMessage | None:
        said = rtvi.read_chat(text)
        if isinstance(said, rtvi.TrackStatus) and said.receiver_index == 0:
            session.message(wire.Envelope(mute=wire.Mute(muted=not said.enabled)))
        return said if isinstance(said, rtvi.RtviMessage) else None

    def _gone(self, chat: _ChatWire) -> None:
        channel, session = self._channel, self.session
        if channel is None or session is None:
            return
        channel.lost(chat)

        def look() -> None:
            if not channel.attached and chat is self._wire:
                leave(session)

        session.clock.call_later(AWAY_MS, look)
