"""A worker: one server process of several, which is handed its connections by a supervisor.

``python -m voxwire_server.workers.worker FD``: the number of its end of the pair; what it serves
comes as one line of JSON on stdin (:class:`Assignment`).
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import uvicorn

from voxwire_server.bots.house import Bots
from voxwire_server.cluster import why_no_engine
from voxwire_server.config import Settings
from voxwire_server.listeners import bind
from voxwire_server.proxies import is_unix
from voxwire_server.serving import (
    NotStartedError,
    lines_of,
    open_server,
    registry_of,
    run_server,
)
from voxwire_server.start_up import log_as
from voxwire_server.workers.handing import Load, Ready, connection_of, send_report

__all__ = ["Assignment", "HandedConnections", "main"]

_REPORTS_S: Final = 0.1
_AT_ONCE: Final = 64
"""Connections that are taken before anybody else in the loop has a turn."""


class Assignment(NamedTuple):
    """What a worker serves.

    Attributes:
        settings: Its settings, by name; its ``peer_url`` is where it listens for the others.
        port: The port that the supervisor listens on; 0 = a Unix socket.
    """

    settings: dict[str, Any]
    port: int


class HandedConnections:
    """Connections that come from a supervisor. It is told how much there is to do.

    Args:
        supervisor: This worker's end of the pair.
        bots: Its bots.
    """

    def __init__(self, supervisor: socket.socket, bots: Bots) -> None:
        self._supervisor = supervisor
        self._ready = Ready(list(bots.names), lines_of(bots))
        self._taken = 0
        self._begun: set[asyncio.Task[Any]] = set()
        self._reporting: asyncio.Task[None] | None = None

    def open(self, server: uvicorn.Server) -> None:
        """Take them for a server that has started."""
        self._reporting = asyncio.get_running_loop().create_task(self._report(server))

    async def _report(self, server: uvicorn.Server) -> None:
        application: Any = server.config.app
        await application.state.life.warmed()
        asyncio.get_running_loop().add_reader(self._supervisor, self._take, server)
        send_report(self._supervisor, self._ready)
        while True:
            self._say(server)
            await asyncio.sleep(_REPORTS_S)

    def _say(self, server: uvicorn.Server) -> None:
        busy = max(len(registry_of(server)), len(server.server_state.connections))
        send_report(self._supervisor, Load(busy, self._taken))

    def _take(self, server: uvicorn.Server) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_AT_ONCE):
            try:
                connection = connection_of(self._supervisor)
            except BlockingIOError:
                break
            except OSError:
                connection = None
            if connection is None:  # whoever started it is no more: neither is it
                loop.remove_reader(self._supervisor)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            self._taken += 1
            task = loop.create_task(self._serve(server, connection))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)

    async def _serve(self, server: uvicorn.Server, connection: socket.socket) -> None:
        config, loop = server.config, asyncio.get_running_loop()
        protocol: Any = config.http_protocol_class

        def make() -> asyncio.Protocol:
            return protocol(
                config=config,
                server_state=server.server_state,
                app_state=server.lifespan.state,
                _loop=loop,
            )

        try:
            await loop.connect_accepted_socket(make, connection)
        except OSError:  # it is gone already
            connection.close()


def _place_of(peer_url: str) -> dict[str, Any]:
    """Where a worker listens for the others, as settings."""
    if is_unix(peer_url):
        return {"host": peer_url}
    parts = urlsplit(peer_url)
    return {"host": parts.hostname, "port": parts.port}


def main(argv: Sequence[str]) -> int:
    """Serve until told to end.

    Args:
        argv: Number of the descriptor of its end of the pair.

    Returns:
        0 after a normal end, 1 when it does not start; why is on stderr.
    """
    given = Assignment(**json.loads(sys.stdin.readline()))
    settings = Settings(**given.settings)
    supervisor = socket.socket(fileno=int(argv[0]))
    supervisor.setblocking(False)
    try:
        log_as(settings)
        if why := asyncio.run(why_no_engine(settings)):
            raise NotStartedError(why)
        with closing(bind(settings.model_copy(update=_place_of(settings.peer_url)))) as listener:
            server, bots = open_server(settings, port=given.port)
            server.when_started(HandedConnections(supervisor, bots).open)
            run_server(server, listener)
    except (NotStartedError, OSError) as error:
        print(f"voxwire-server: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
