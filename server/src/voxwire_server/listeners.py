"""The sockets that a server listens on."""

import errno
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from voxwire_server.config import Settings
from voxwire_server.gate import MissingKeyError, is_loopback, missing_key_message
from voxwire_server.proxies import is_unix, unix_path

__all__ = ["AdminAddressError", "bind", "bind_admin", "forget", "port_of"]

_SOCKET_BUFFER_BYTES: Final = 65_536
_PROBE_S: Final = 1.0
_UNIX_MODE: Final = 0o660
"""The server's user and its group, which the proxy is in, may connect."""


class AdminAddressError(OSError):
    """``VOXWIRE_ADMIN_ADDRESS`` is taken or not ours."""


def port_of(listener: socket.socket) -> int:
    """The port that is listened on; 0 = it is a Unix socket."""
    return 0 if listener.family == socket.AF_UNIX else listener.getsockname()[1]


def bind(settings: Settings) -> socket.socket:
    """Open the listening socket.

    Raises:
        MissingKeyError: Beyond loopback without a key.
        OSError: The address is taken or not ours.
    """
    if not is_loopback(settings.host) and not settings.has_key:
        raise MissingKeyError(missing_key_message(settings.host))
    if is_unix(settings.host):
        return _bind_unix(Path(unix_path(settings.host)))
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is spelt out; with it on, every
    # second small event waits 40 ms for the peer's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # accepted sockets inherit these too: what waits for a slow peer, or comes in a flood, is little
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        # A peer that is gone, or that never reads, leaves bytes that no close() gets rid of;
        # accepted sockets inherit this (RFC 5482).
        gone_ms = settings.dead_after_ms + settings.end_timeout_ms
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, gone_ms)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _bind_unix(path: Path) -> socket.socket:
    """A Unix socket for the server's user and group; one that nobody listens on any more is taken
    away first.

    Raises:
        OSError: It cannot be, or somebody listens there.
    """
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as other, suppress(ConnectionRefusedError):
            other.settimeout(_PROBE_S)
            with suppress(TimeoutError, BlockingIOError):  # it listens, and takes nobody
                other.connect(str(path))
            raise OSError(errno.EADDRINUSE, "somebody listens there")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(_UNIX_MODE)  # nobody gets in before listen()
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def forget(listener: socket.socket) -> None:
    """Take away what a Unix socket that is still open leaves in the file system. Idempotent."""
    if listener.family == socket.AF_UNIX and listener.fileno() != -1:
        Path(listener.getsockname()).unlink(missing_ok=True)


def bind_admin(settings: Settings) -> socket.socket | None:
    """Open the socket of the operator's own address; None = it is the server's.

    Raises:
        AdminAddressError: The address is taken or not ours.
    """
    if not settings.admin_address:
        return None
    host, _, port = settings.admin_address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
        listener.listen(128)
    except OSError as error:
        listener.close()
        why = f"VOXWIRE_ADMIN_ADDRESS: cannot listen on {settings.admin_address}: {error.strerror}"
        raise AdminAddressError(error.errno, why) from error
    listener.setblocking(False)
    return listener
