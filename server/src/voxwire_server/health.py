"""``voxwire-server health``: asks the server of this machine whether it is alive."""

import http.client
import socket
from typing import Final

from voxwire_server.config import Settings
from voxwire_server.proxies import is_unix, unix_path

__all__ = ["HealthError", "ask"]

_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""What stands for every address, and the one of them that is always there."""


class HealthError(Exception):
    """The server does not answer, or says no; the text is one line."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(settings: Settings, path: str = "/livez", *, timeout_ms: int = 3000) -> None:
    """Ask where a server with these settings listens.

    Args:
        settings: Those of the server.
        path: ``/livez``, ``/readyz`` or ``/startupz``.
        timeout_ms: Longest wait for each part of the answer, milliseconds.

    Raises:
        HealthError: There is no server, or its answer is not 200.
    """
    where = settings.host if is_unix(settings.host) else f"{settings.host}:{settings.port}"
    connection = _connection(settings, timeout_ms / 1000)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise HealthError(f"no answer from {where}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if status != 200:
        raise HealthError(f"{where} answers {path} with {status}")


def _connection(settings: Settings, timeout_s: float) -> http.client.HTTPConnection:
    if is_unix(settings.host):
        return _UnixConnection(unix_path(settings.host), timeout_s)
    host = _ANY.get(settings.host, settings.host)
    return http.client.HTTPConnection(host, settings.port, timeout=timeout_s)
