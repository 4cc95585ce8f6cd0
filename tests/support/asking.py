"""Plain HTTP requests, and an application on a stock uvicorn."""

import asyncio
import contextlib
import json
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import uvicorn

__all__ = ["Answer", "ask", "stock_uvicorn"]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


async def ask(url: str, *, method: str = "GET", **headers: str) -> Answer:
    """One request; redirects are followed."""

    def send() -> Answer:
        data = b"" if method == "POST" else None
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return Answer(answer.status, _lower(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, _lower(error.headers), error.read())

    return await asyncio.to_thread(send)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@contextlib.asynccontextmanager
async def stock_uvicorn(app: Any, **config: Any) -> AsyncGenerator[int]:
    """Serve an application as ``uvicorn main:app`` does, on a free port of loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, **config))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=60)
        listener.close()
