"""Rooms of a page server: what stands for Daily's network is WebRTC between the two.

The page's stub of daily-js (clients/js/test/browser/e2e/page/fake-daily.ts) offers a connection
below /page-room/; from there on sound goes as Opus, through the browser's own jitter buffer.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.support.daily_rest import KEY, DailyRestServer
from voxwire_protocol.daily import OTHER_LEFT, RoomStats
from voxwire_protocol.errors import ErrorCode, make_error
from voxwire_protocol.rtc import Here, Peer
from voxwire_server.daily.rest import DailyRest
from voxwire_server.daily.rooms import DailyRooms

__all__ = ["RtcRooms"]

NOW_S = 1_800_000_000.0


class RtcRooms:
    """An account, and the rooms of the server that has it."""

    def __init__(self) -> None:
        self.rest = DailyRestServer(now_s=lambda: NOW_S)
        self._sides: dict[str, _Side] = {}

    def rooms(self) -> DailyRooms:
        """For the server."""
        rest = DailyRest(KEY, send=self.rest.send)
        return DailyRooms(rest, life_s=3600, make=self._make, now_s=lambda: NOW_S)

    def route(self) -> Route:
        """Where pages offer."""
        return Route("/page-room/{name}", self._offer, methods=["POST"])

    def _make(self, *, send_rate: int, receive_rate: int, user_name: str) -> "_Side":
        return _Side(self, send_rate, receive_rate)

    def enter(self, url: str, token: str, side: "_Side") -> None:
        """The bot enters."""
        if self.rest.lets_in(url, token) is None:
            raise make_error(ErrorCode.UNREACHABLE, "the room cannot be entered")
        self._sides[url.rpartition("/")[2]] = side

    async def _offer(self, request: Request) -> Response:
        asked = await request.json()
        name = request.path_params["name"]
        room = self.rest.rooms.get(name)
        if room is None or asked["token"] not in room.tokens:
            return PlainTextResponse("no such room", 403)
        while name not in self._sides:
            await asyncio.sleep(0.02)  # real time: poll
        return PlainTextResponse(await self._sides[name].answer(asked["sdp"]))


class _Side:
    """The bot's side of a room: a block leaves whenever the track asks for one."""

    def __init__(self, rooms: RtcRooms, send_rate: int, receive_rate: int) -> None:
        self._rooms = rooms
        self._blocks: deque[tuple[bytes, Callable[[], object]]] = deque()
        self._over = False
        self._hear: Callable[[bytes], object] = lambda _: None
        self._told_joined: Callable[[], object] = bool
        self._told_left: Callable[[str], object] = lambda _: None
        self._peer = Peer(
            pull=self._pull,
            on_audio=self._heard,
            send_rate=send_rate,
            receive_rate=receive_rate,
            here=Here(addresses=("127.0.0.1",)),
            on_closed=lambda: self._told_left(OTHER_LEFT),
        )
        self._connecting: asyncio.Task[None] | None = None

    def on_audio(self, hear: Callable[[bytes], object]) -> None:
        self._hear = hear

    def on_joined(self, call: Callable[[], object]) -> None:
        self._told_joined = call

    def on_left(self, call: Callable[[str], object]) -> None:
        self._told_left = call

    def on_message(self, take: Callable[[Any], object]) -> None:
        pass

    async def join(self, url: str, token: str) -> None:
        self._rooms.enter(url, token, self)

    async def answer(self, sdp: str) -> str:
        """The page offers."""
        answer = await self._peer.answer(sdp)
        self._connecting = asyncio.ensure_future(self._connect())
        return answer

    async def _connect(self) -> None:
        await self._peer.connected()
        if not self._over:
            self._told_joined()

    def _pull(self, first_sample: int, num_samples: int) -> bytes | None:
        if not self._blocks:
            return None
        pcm, left = self._blocks.popleft()
        asyncio.get_running_loop().call_soon(left)
        return pcm

    def _heard(self, samples: Any, timestamp: int) -> None:
        if not self._over:
            self._hear(np.asarray(samples, "<i2").tobytes())

    def write(self, pcm: bytes, left: Callable[[], object]) -> None:
        if not self._over:
            self._blocks.append((pcm, left))

    def say(self, message: Any) -> None:
        pass

    def stats(self) -> RoomStats:
        return RoomStats()

    async def leave(self) -> None:
        self._over = True
        if self._connecting is not None:
            self._connecting.cancel()
        await self._peer.close()
