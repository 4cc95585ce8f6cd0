"""The bot of :mod:`tests.support.clicks` for a browser: ``click_server.py [PORT] [FOLDER]``.

The real server, and under ``/bench`` the files of FOLDER on the same origin, with the strictest
Content-Security-Policy that a page of ours has to live with. Prints ``listening PORT``.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from tests.support.clicks import make_bot
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.logs import configure_logging
from voxwire_server.serving import bind, make_server, run_server

POLICY = "default-src 'self'; script-src 'self'"


class StrictFiles:
    """Static files that allow a page nothing but its own origin, or what a policy says."""

    def __init__(self, folder: Path, policy: str | None = None) -> None:
        self._policy = (policy or POLICY).encode()
        self._files = StaticFiles(directory=folder, html=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"content-security-policy", self._policy))
                message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        await self._files(scope, receive, strictly)


def main(port: int = 0, folder: Path | None = None) -> None:
    settings = Settings(host="127.0.0.1", port=port)
    configure_logging("WARNING")
    listener = bind(settings)
    port = listener.getsockname()[1]
    server = make_server(settings, LoadedBot(name="clicks", run=make_bot()), port=port)
    if folder is not None:
        application: Any = server.config.app
        application.router.routes.insert(0, Mount("/bench", app=StrictFiles(folder)))
    print("listening", port, flush=True)
    run_server(server, listener)


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 0,
        Path(sys.argv[2]) if len(sys.argv) > 2 else None,
    )
