"""What a supervisor and a worker say to each other, over a pair of Unix sockets that keep messages
apart (``SOCK_SEQPACKET``): the worker's settings, connections, and how much it has to do.
"""

import contextlib
import json
import socket
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

__all__ = ["Load", "Ready", "connection_of", "hand_over", "pair", "read_report", "send_report"]

_MAX_BYTES: Final = 65_536
_CONNECTION: Final = b"c"


class Load(NamedTuple):
    """How much a worker has to do.

    Attributes:
        busy: Its sessions, or its connections if those are more.
        taken: How many connections it has been handed since it began.
    """

    busy: int
    taken: int


class Ready(NamedTuple):
    """A worker takes connections.

    Attributes:
        names: Those of its bots.
        lines: What people are told of them.
    """

    names: Sequence[str]
    lines: Sequence[str]


def pair() -> tuple[socket.socket, socket.socket]:
    """The supervisor's end, which does not block, and the worker's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs


def hand_over(to: socket.socket, connection: socket.socket) -> None:
    """Give a connection to a worker; whoever gives it closes its own end.

    Raises:
        OSError: The worker is gone, or has too many before it (``BlockingIOError``).
    """
    socket.send_fds(to, [_CONNECTION], [connection.fileno()])


def connection_of(of: socket.socket) -> socket.socket | None:
    """The next connection that a supervisor has given; None = the supervisor is no more.

    Raises:
        BlockingIOError: There is none yet.
    """
    data, descriptors, _, _ = socket.recv_fds(of, 16, 1)
    if not data or not descriptors:
        return None
    connection = socket.socket(fileno=descriptors[0])
    connection.setblocking(False)
    return connection


def send_report(to: socket.socket, report: Load | Ready) -> None:
    """Tell the supervisor. One that reads no more is not waited for."""
    said = {"is": type(report).__name__, **report._asdict()}
    with contextlib.suppress(OSError):
        to.send(json.dumps(said).encode(), socket.MSG_DONTWAIT)


def read_report(of: socket.socket) -> Load | Ready | None:
    """What a worker says next; None = it is no more.

    Raises:
        BlockingIOError: Nothing yet.
    """
    data = of.recv(_MAX_BYTES)
    if not data:
        return None
    said: dict[str, Any] = json.loads(data)
    kind = said.pop("is")
    return Load(**said) if kind == "Load" else Ready(**said)
