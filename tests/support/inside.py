"""What tests know of the inside of a server's sessions: all of it, so that moves touch one place.

A test asks for what it needs here, never for an attribute of a session.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from voxwire_protocol import wire
from voxwire_server.control.attaches import Attaches
from voxwire_server.control.link import ControlLink
from voxwire_server.control.numbered import NumberedChannel
from voxwire_server.playout import flushes
from voxwire_server.sent_files import FileRoom
from voxwire_server.session.outlet import Outlet
from voxwire_server.session.router import Router
from voxwire_server.session.session import Session
from voxwire_server.testing import RunningServer

__all__ = [
    "bot_is_idle",
    "channel_messages",
    "counters",
    "delivered_messages",
    "emitted_messages",
    "end_reason",
    "epoch",
    "every_resume_loses",
    "file_bytes",
    "file_room",
    "is_attached",
    "is_held",
    "last_received",
    "last_sent",
    "listener_suspended",
    "live_backlog_samples",
    "lose",
    "muted",
    "only_session",
    "path_id",
    "patient",
    "pipeline",
    "placed_ms",
    "receive",
    "session_named",
    "sessions",
    "utterances_open",
    "voice",
]

Take = Callable[[str, wire.Envelope], None]
"""Takes the id of a session and a message."""


# which session


def sessions(server: RunningServer) -> list[Session]:
    """All that the server holds."""
    return list(server.registry._sessions.values())


def only_session(server: RunningServer) -> Any:
    """The one session of the server."""
    [session] = sessions(server)
    return session


def session_named(server: RunningServer, session_id: str) -> Session:
    return server.registry._sessions[session_id]


def is_held(server: RunningServer, session: Session) -> bool:
    """Whether anything of it is left."""
    return session.id in server.registry._sessions


# its state


def voice(session: Session) -> str:
    """Of the table "voice" in protocol/spec/session.md."""
    return session.voice.state


def path_id(session: Session) -> int:
    """Number of the path in use; 0 = none."""
    return 0 if session.path is None else session.path.path_id


def end_reason(session: Session) -> str:
    """Why it is over; empty while it is not."""
    if not session._ending.done():
        return "BOT" if session.over else ""
    return wire.EndReason.Name(session._ending.result()[0]).removeprefix("END_REASON_")


def is_attached(session: Session) -> bool:
    """Whether a socket carries its control channel."""
    return session.link is not None


def muted(session: Session) -> bool:
    """Whether the user's microphone is."""
    return session.capture.muted


def bot_is_idle(session: Session) -> bool:
    return session.state.bot == wire.BotState.BOT_STATE_IDLE


def listener_suspended(session: Session) -> bool:
    """Whether the listener says that it cannot play."""
    return session.playout.heard.suspended


def counters(session: Session) -> dict[str, int]:
    """What it dropped of what the client sent."""
    return {**session.intake.counters(), **session.capture.counters()}


# its channel


def channel(session: Session) -> NumberedChannel:
    """That of one of our own clients."""
    assert session.numbered is not None
    return session.numbered


def epoch(session: Session) -> int:
    return channel(session).epoch


def last_received(session: Session) -> int:
    """Number of the client's last message."""
    return channel(session).last_received


def last_sent(session: Session) -> int:
    return channel(session).last_sent


def receive(session: Session, data: bytes, link: ControlLink | None = None) -> float:
    """A message comes on a socket, by default on the one in use; what it has to wait for then."""
    link = link or session.link
    assert link is not None
    return channel(session).receive(data, link)


def lose(session: Session, link: ControlLink) -> None:
    """A socket is gone."""
    channel(session).lost(link)


def every_resume_loses() -> AbstractContextManager[Any]:
    """Nothing that a client has missed is kept any more: it is given a snapshot."""
    return mock.patch.object(Attaches, "_missing", return_value=None)


# its files


def file_bytes(server: RunningServer) -> int:
    """Memory that files of its sessions hold."""
    return sum(session.files._held_bytes for session in sessions(server))


def file_room(session: Session) -> FileRoom:
    """The memory that files of its server hold, of sessions and of uploads."""
    return session.files._room


# its voice and its bot


def placed_ms(session: Session) -> float:
    """End of what was placed on the media clock."""
    return session.playout.end_ms


def live_backlog_samples(session: Session) -> int:
    """Live sound that was placed and not sent yet."""
    return session.playout.live_backlog_samples()


def pipeline(session: Session) -> Any:
    """The bot's."""
    assert session.port is not None
    return session.port


def utterances_open(session: Session) -> bool:
    return bool(pipeline(session)._utterances.open)


def patient() -> AbstractContextManager[Any]:
    """Sessions wait for the report that answers a flush for as long as a busy machine takes, and
    not only for 150 ms: then what was heard is exact, however slow the client.
    """
    return mock.patch.object(flushes, "_REPORT_MS", 60_000)


# listening in, while a `with` block lasts


def emitted_messages(take: Take) -> AbstractContextManager[Any]:
    """What sessions send, before it is numbered."""
    emit = Outlet.send

    def send(outlet: Outlet, envelope: wire.Envelope) -> None:
        take(outlet.session_id, envelope)
        emit(outlet, envelope)

    return mock.patch.object(Outlet, "send", send)


def channel_messages(take: Callable[[wire.Envelope], None]) -> AbstractContextManager[Any]:
    """What is handed to control channels, errors of the channel's own included."""
    send = NumberedChannel.send

    def record(channel: NumberedChannel, envelope: wire.Envelope) -> None:
        take(envelope)
        send(channel, envelope)

    return mock.patch.object(NumberedChannel, "send", record)


def delivered_messages(take: Take) -> AbstractContextManager[Any]:
    """What sessions got of their clients' messages, in order, once."""
    dispatch = Router.take

    def record(router: Router, message: wire.Envelope) -> None:
        take(router._session_id, message)
        dispatch(router, message)

    return mock.patch.object(Router, "take", record)
