"""Carries a session over a WebSocket that was let in, until that is gone."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, Final

from voxwire_server.control.link import ControlLink
from voxwire_server.routes.entrance import Receive

__all__ = ["LOST", "carry", "data_of", "read"]

_log = logging.getLogger("voxwire.control")

LOST: Final = 1006
"""Code of a socket that was not closed (RFC 6455 §7.4.1)."""
_MESSAGES_A_TURN: Final = 64
_CLOSE_SECS: Final = 2.0


async def carry(
    session_id: str,
    link: ControlLink,
    reading: Coroutine[Any, Any, int],
    gone: Callable[[int], None],
) -> None:
    """Write and read until the socket is gone, or another one has taken its session over.

    Args:
        session_id: For the log.
        link: What writes to it.
        reading: What reads from it (:func:`read`).
        gone: Is told the code that the other side closed it with, or :data:`LOST`.
    """
    loop = asyncio.get_running_loop()
    code = loop.create_task(reading)
    tasks: set[asyncio.Task[Any]] = {
        loop.create_task(link.write()),
        code,
        loop.create_task(_closed(link)),
    }
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        was_read = code.done() and not code.cancelled() and code.exception() is None
        gone(code.result() if was_read else LOST)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
                _log.warning("socket failed", exc_info=outcome, extra={"session": session_id})
        link.release()


async def read(receive: Receive, take: Callable[[str | bytes], float]) -> int:
    """Read until the socket is gone.

    Args:
        receive: ASGI ``receive`` of the socket.
        take: Takes a message; returns how long to wait before the next one is read, ms.

    Returns:
        The code that the other side closed it with.
    """
    # what a socket has at hand comes without a turn of the loop: a flood would stop the others
    for number in count(1):
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return int(event.get("code") or LOST)
        wait_ms = take(data_of(event))
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        elif number % _MESSAGES_A_TURN == 0:
            await asyncio.sleep(0)
    return LOST


async def _closed(link: ControlLink) -> None:
    """Return when the other side had its time to take a close and did not."""
    await link.closing.wait()
    await asyncio.sleep(_CLOSE_SECS)


def data_of(event: dict[str, Any]) -> str | bytes:
    """What an ASGI event brings."""
    data = event.get("bytes")
    return data if data is not None else event.get("text") or b""
