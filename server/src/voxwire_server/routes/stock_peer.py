"""A stock client on a WebSocket: what arrives at the front door, and what carries its session."""

from collections.abc import Callable
from typing import Any, cast

from voxwire_protocol import rtvi, wire
from voxwire_protocol.clocks import Clock
from voxwire_protocol.files import media_type_of
from voxwire_server.control.link import MAX_EVENT_BYTES, ControlLink
from voxwire_server.control.rtvi import RtviChannel
from voxwire_server.control.rtvi_wire import Surroundings
from voxwire_server.lifecycle import Event
from voxwire_server.media.stock_frames import (
    FrameError,
    audio_frame,
    interruption_frame,
    message_frame,
    read_frame,
)
from voxwire_server.media.stock_socket import PLAYOUT_RATE, StockSocketPath
from voxwire_server.ports import ControlChannel
from voxwire_server.routes.entrance import Send
from voxwire_server.routes.sockets import SocketControl
from voxwire_server.routes.stock_uploads import TakeUpload, Upload
from voxwire_server.sent_files import FileRefusal, SentFile
from voxwire_server.session.session import Session
from voxwire_server.strict_json import load_json

__all__ = ["StockSocket", "client_of", "message_to", "surroundings", "wants_silence"]

_PATH_ID = 1
_MAX_NAME_CHARS = 128


def message_to(text: str, *, as_text: bool) -> dict[str, str | bytes]:
    """An RTVI message as part of an ASGI event."""
    return {"text": text} if as_text else {"bytes": message_frame(text)}


class StockSocket:
    """A client that came by a WebSocket of its own kind; the session ends with the socket.

    Args:
        send: ASGI ``send`` of the accepted socket.
        socket: What else can be done to it.
        as_text: The client reads RTVI as JSON text and no audio; else frames.
        silent: The bot speaks nothing at all.
        about: What ``bot-ready`` says of this server.
        take_upload: Hands on a file that this client has uploaded.

    Attributes:
        link: What writes to it.
    """

    def __init__(
        self,
        send: Send,
        socket: SocketControl,
        *,
        as_text: bool,
        silent: bool,
        about: dict[str, Any],
        take_upload: TakeUpload,
    ) -> None:
        async def send_text(event: dict[str, Any]) -> None:
            data: bytes | None = event.pop("bytes", None)
            await send(event if data is None else {**event, "text": data.decode()})

        self.link = ControlLink(send_text if as_text else send, abort=socket.abort)
        self._socket = socket
        self._as_text = as_text
        self._silent = silent
        self._about = about
        self._take_upload = take_upload
        self._channel: RtviChannel | None = None
        self._path: StockSocketPath | None = None

    # the front door's side (ticket.Arrival)

    def channel(self, features: frozenset["wire.Feature"], clock: Clock) -> ControlChannel:
        """A channel that ends with this socket."""
        self._channel = RtviChannel(
            self,
            features=features,
            about=self._about,
            evals=self._as_text,
            silent=self._silent,
            clock=clock,
        )
        return self._channel

    def bind(self, session: Session) -> None:
        """The session speaks and hears by this socket."""
        path = self._path = StockSocketPath(
            _PATH_ID,
            session.path_sink(_PATH_ID),
            session.path_sound(_PATH_ID, PLAYOUT_RATE),
            link=self.link,
            capture_rate=session.settings.audio_in_sample_rate,
            clock=session.clock,
            voice=None if self._as_text else _voice,
            interrupted=b"" if self._as_text else interruption_frame(),
        )
        session.path_opened(path)
        if self._channel is not None:
            self._channel.follow(surroundings(session, path.hear, self._take_upload))

    def coming(self, session: Session) -> Event | None:
        """It never comes back."""

    def leave(self, session: Session) -> None:
        """The socket was lost before anybody served it."""
        self.gone(left=True)

    # what carries the messages (control.rtvi.RtviWire)

    @property
    def answers_pings(self) -> bool:
        """Whether the server under this one can send a WebSocket ping."""
        return self._socket.ping is not None

    @property
    def overflowing(self) -> bool:
        """Whether the client has stopped reading."""
        return self.link.overflowing

    max_bytes = MAX_EVENT_BYTES

    def over(self) -> None:
        """Nothing but the close says so."""

    def send(self, text: str) -> None:
        """Send the JSON text of one message."""
        self.link.send_event(text.encode() if self._as_text else message_frame(text))

    def undelivered(self) -> list[str]:
        """Nothing: no client of these comes back."""
        return []

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self._socket.ping is not None:
            self._socket.ping(self._alive)

    def close(self, code: int, reason: str) -> None:
        """Close the socket behind what was sent."""
        self.link.close(code, reason)

    def give_up(self, code: int, reason: str) -> None:
        """Close the socket of a client that is gone."""
        self.link.give_up(code, reason)

    # what comes

    def receive(self, data: str | bytes) -> float:
        """Take one message of the socket. Never raises.

        Returns:
            How long the reader should wait before the next one, milliseconds.
        """
        channel, path = self._channel, self._path
        if channel is None or path is None:
            return 0.0
        path.alive()
        if isinstance(data, str):
            return channel.receive(data)
        try:
            content = read_frame(data)
        except FrameError as error:
            if error.code == wire.ErrorCode.ERROR_CODE_MALFORMED:
                return channel.garbage(error.reason, len(data))
            return channel.refuse(error.code, error.reason, len(data))
        if isinstance(content, str):
            return channel.receive(content)
        if content is not None:
            path.hear(content)
        return channel.heard(len(data))

    def gone(self, *, left: bool) -> None:
        """The socket is gone.

        Args:
            left: The client has closed it in order.
        """
        if self._channel is not None:
            (self._channel.left if left else self._channel.lost)(self)

    def _alive(self) -> None:
        if self._channel is not None and self._path is not None:
            self._channel.alive()
            self._path.alive()


def surroundings(
    session: Session, hear: Callable[[rtvi.RawAudio], None], take_upload: TakeUpload
) -> Surroundings:
    """What a stock client's channel needs of its session.

    Args:
        session: The session.
        hear: Takes the user's audio that comes as messages.
        take_upload: Hands on a file that its client has uploaded.
    """

    def send_file(said: rtvi.SendFile) -> FileRefusal | None:
        if said.data is not None:
            return session.files.give(_file_of(said, said.name, said.data))

        def give(upload: Upload) -> FileRefusal | None:
            return session.files.give(_file_of(said, said.name or upload.name, upload.data))

        return take_upload(said.url, give)

    return Surroundings(
        when_heard=session.voice.when_heard,
        answers=session.requests.answers,
        hear=hear,
        busy=lambda: session.state.busy,
        client_tools=lambda: session.tools.declared,
        accepts=session.facts.accepts,
        send_file=send_file,
    )


def _file_of(said: rtvi.SendFile, name: str, data: bytes) -> SentFile:
    return SentFile(
        name=name,
        media_type=media_type_of(said.media_type),
        data=data,
        text=said.text,
        run_immediately=said.run_immediately,
        audio_response=said.audio_response,
        image_size=(said.width, said.height),
        custom_options=said.custom_options or None,
    )


def _voice(pcm: bytes) -> bytes:
    return audio_frame(pcm, PLAYOUT_RATE)


def client_of(first: str | bytes) -> wire.ClientInfo:
    """What the client says of itself, if that is the first thing that it says."""
    ready = _said(first)
    about: object = ready.about if isinstance(ready, rtvi.ClientReady) else None
    said = cast("dict[str, Any]", about) if isinstance(about, dict) else {}
    names = ("library", "library_version", "platform", "platform_version")
    known = {name: str(said.get(name) or "")[:_MAX_NAME_CHARS] for name in names}
    return wire.ClientInfo(**known)


def wants_silence(first: str | bytes) -> bool:
    """Whether it is Pipecat's evaluation harness, and wants text alone (``eval-connect``)."""
    said = _said(first) if isinstance(first, str) else None
    if not isinstance(said, wire.Envelope) or said.app_message.type != "eval-connect":
        return False
    flags = load_json(said.app_message.data_json)
    return isinstance(flags, dict) and cast("dict[str, Any]", flags).get("skip_tts") is True


def _said(first: str | bytes) -> rtvi.Said | None:
    try:
        text = first if isinstance(first, str) else read_frame(first)
        return rtvi.StockClient().read(rtvi.decode(text)).said if isinstance(text, str) else None
    except (FrameError, rtvi.RtviError):
        return None
