"""What the client says, as calls of the parts of the session that it is meant for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from voxwire_protocol import wire
from voxwire_protocol.clock import ClockSync
from voxwire_server.logs import trace
from voxwire_server.ports import Report, SessionPort

__all__ = ["CHANNEL_PAYLOADS", "Doors", "Router", "Take"]

CHANNEL_PAYLOADS = frozenset({"ack_only", "chunk", "hello"})
"""What a client says to the control channel itself; it never comes here."""

Take = Callable[[wire.Envelope], object]
"""Takes a message of one kind."""


class _Voice(Protocol):
    def report(self, path_id: int, report: Report) -> None: ...


class _Paths(Protocol):
    def open(self, request: wire.PathOpen) -> None: ...

    def close(self, path_id: int) -> None: ...


class _Capture(Protocol):
    def chunk(self, audio: wire.AudioChunk) -> None: ...

    def mute(self, *, muted: bool) -> None: ...


class _Lane(Protocol):
    def soon(self, act: Callable[[], None]) -> None: ...


class _Texts(Protocol):
    def take(self, message: wire.SendText) -> None: ...


class _Files(Protocol):
    def take(self, message: wire.Envelope) -> None: ...


class _Requests(Protocol):
    def take(self, message: wire.AppMessage) -> None: ...

    def refused(self, error: wire.Error) -> None: ...


class _Tools(Protocol):
    def on_message(self, message: wire.Envelope) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where messages of the client go.

    Attributes:
        voice: The bot's voice: what the listener reports of it.
        paths: The media paths.
        capture: The user's audio.
        lane: Keeps in order what the client asks of the pipeline.
        texts: What the user types.
        files: The files that the user sends.
        requests: Messages of the application.
        tools: The tool calls.
        interrupt: The client cuts the bot off.
        used: Somebody uses the session just now.
        candidate: A candidate of the client's for WebRTC.
        clock_sync: Takes the time with the client.
    """

    voice: _Voice
    paths: _Paths
    capture: _Capture
    lane: _Lane
    texts: _Texts
    files: _Files
    requests: _Requests
    tools: _Tools
    interrupt: Callable[[], object]
    used: Callable[[], object]
    candidate: Callable[[wire.IceCandidate], object]
    clock_sync: ClockSync


class Router:
    """Takes the messages that a control channel delivers; each kind has one handler.

    Args:
        port: The session.
        doors: Where they go.
        session_id: For the trace.

    Attributes:
        handlers: Every payload that a client may send, but for :data:`CHANNEL_PAYLOADS`.
    """

    def __init__(self, port: SessionPort, doors: Doors, *, session_id: str) -> None:
        self._port = port
        self._doors = doors
        self._session_id = session_id
        to = doors
        self.handlers: Mapping[str, Take] = MappingProxyType(
            {
                "audio": lambda m: to.capture.chunk(m.audio),
                "playout_report": lambda m: self._playout_report(m.playout_report),
                "ping": lambda m: self._ping(m.ping),
                "pong": lambda m: to.clock_sync.receive(m.pong, self._now_us()),
                "path_open": lambda m: to.paths.open(m.path_open),
                "path_close": lambda m: to.paths.close(m.path_close.path_id),
                "ice_candidate": lambda m: to.candidate(m.ice_candidate),
                "send_text": lambda m: self._text(m.send_text),
                "file_begin": self._file,
                "file_piece": self._file,
                "file_cancel": self._file,
                "app_message": lambda m: to.requests.take(m.app_message),
                "error": lambda m: to.requests.refused(m.error),
                "interrupt": lambda _: to.interrupt(),
                "user_activity": lambda _: to.used(),
                "mute": lambda m: to.capture.mute(muted=m.mute.muted),
                "tool_accepted": self._tool,
                "tool_progress": self._tool,
                "tool_result": self._tool,
                "tool_cancel": self._tool,
                "bye": lambda _: port.end(wire.EndReason.END_REASON_CLIENT),
            }
        )

    def take(self, message: wire.Envelope) -> None:
        """Act on one message."""
        trace("received", message, self._session_id)
        self.handlers[str(message.WhichOneof("payload"))](message)

    def _now_us(self) -> int:
        return int(self._port.clock.now_ms() * 1000)

    def _ping(self, ping: wire.Ping) -> None:
        received_us = self._now_us()
        self._port.emit(pong=self._doors.clock_sync.pong(ping, received_us, self._now_us()))

    def _text(self, text: wire.SendText) -> None:
        self._doors.used()
        self._doors.texts.take(text)

    def _file(self, message: wire.Envelope) -> None:
        self._doors.used()
        self._doors.files.take(message)

    def _playout_report(self, report: wire.PlayoutReport) -> None:
        if report.track_id:
            return
        self._doors.voice.report(
            report.path_id,
            Report(
                media_ms=float(report.media_ms),
                playing=report.playing,
                flush_id=report.flush_id,
                suspended=report.suspended,
                concealed_ms=report.concealed_ms,
            ),
        )

    def _tool(self, message: wire.Envelope) -> None:
        # a result that came behind a text is not seen before it
        self._doors.lane.soon(lambda: self._doors.tools.on_message(message))
