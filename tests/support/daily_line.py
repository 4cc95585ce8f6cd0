"""A client and a server with a Daily room between them, in memory and in virtual time.

Both are the real ones: `voxwire.connect`, the server's control route with real sessions behind it,
its rooms and its REST client. Between them is a WebSocket in memory, and :class:`FakeDaily`.
"""

import asyncio
from typing import Any

from tests.support.daily_rest import KEY, DailyRestServer
from tests.support.fake_room import FakeDaily
from tests.support.front_door import NOW_S, House, Process
from voxwire._environment import Environment
from voxwire._remembered import CarrierMemory
from voxwire.testing.network import End, Network
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime
from voxwire_server.daily.rest import DailyRest
from voxwire_server.daily.rooms import DailyRooms
from voxwire_server.gate import Gate
from voxwire_server.routes.control import ControlRoute
from voxwire_server.routes.entrance import Entrance
from voxwire_server.routes.refusals import Refusals
from voxwire_server.routes.sockets import EXTENSION, PendingSockets, SocketControl

__all__ = ["URL", "DailyLine"]

URL = "ws://127.0.0.1:7860"


class DailyLine:
    """A server with rooms, and what its clients find around them.

    Args:
        time: The virtual time that it runs in.
        house: The bots.
        delay_ms: One way, of the control channel and through a room.
        ahead: Rooms that are kept ready.
        wobble_ms: By how much a jitter buffer stretches sound.
        settings: Of the server.

    Attributes:
        daily: The rooms' sound.
        rest: The account.
        rooms: What the server makes of it.
        process: The server.
        network: Of the control channels.
    """

    def __init__(
        self,
        time: VirtualTime,
        *,
        house: House,
        delay_ms: float = 0.0,
        ahead: int = 0,
        wobble_ms: float = 0.0,
        **settings: Any,
    ) -> None:
        self.time = time
        began_ms = time.now_ms()
        self.rest = DailyRestServer(now_s=self._now_s)
        self._began_ms = began_ms
        self.daily = FakeDaily(time, self.rest, delay_ms=delay_ms, wobble_ms=wobble_ms)
        self.rooms = DailyRooms(
            DailyRest(KEY, send=self.rest.send),
            life_s=3600,
            ahead=ahead,
            make=self.daily.make,
            now_s=self._now_s,
        )
        self.process = Process(house=house, clock=time, rooms=self.rooms, **settings)
        self.network = Network(self._accept, clock=time, latency_ms=delay_ms)
        self._route = ControlRoute(
            self.process.directory,
            Entrance(
                Gate(loopback=True, has_key=True),
                refusals=Refusals(),
                pending=PendingSockets(per_address=8, total=64),
                begin=lambda: None,
            ),
            hello_timeout_ms=5000,
            server="voxwire-server test",
        )
        self._served: set[asyncio.Task[None]] = set()

    def _now_s(self) -> float:
        return NOW_S + (self.time.now_ms() - self._began_ms) / 1000

    @property
    def environment(self) -> Environment:
        """What a client of it finds around it."""
        return Environment(
            dial=self.network.dial,
            clock=self.time,
            jitter=lambda: 0.5,
            webrtc=False,
            carriers=CarrierMemory(),
            make_room=self.daily.make,
        )

    def _accept(self, end: End) -> None:
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        events.put_nowait({"type": "websocket.connect"})

        def came(data: bytes) -> None:
            events.put_nowait({"type": "websocket.receive", "bytes": data})

        def closed(code: int) -> None:
            events.put_nowait({"type": "websocket.disconnect", "code": code})

        async def send(event: dict[str, Any]) -> None:
            if event["type"] == "websocket.send":
                end.write(event["bytes"])
            elif event["type"] == "websocket.close":
                end.shut(event["code"], event.get("reason", ""))

        end.on_message, end.on_closed = came, closed
        scope = {
            "type": "websocket",
            "path": "/v1/session",
            "raw_path": b"/v1/session",
            "root_path": "",
            "query_string": b"",
            "scheme": "ws",
            "headers": [(b"host", b"127.0.0.1:7860")],
            "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 7860),
            "subprotocols": [wire.SUBPROTOCOL],
            "extensions": {EXTENSION: SocketControl(abort=end.abort, ping=lambda _: None)},
        }
        task = asyncio.ensure_future(self._route(scope, events.get, send))  # type: ignore[arg-type]
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def close(self) -> None:
        """Everybody has left: nothing may be left, not in the account either."""
        if self._served:
            await asyncio.wait(self._served, timeout=10)
        await self.process.close()
        await self.rooms.close()
        assert not self.rest.rooms, "a room was not deleted"
        assert not self.rest.complaints, self.rest.complaints
        assert not [side for side in self.daily.sides if side.url], "somebody is still in a room"
        assert all(side.most_inside <= 2 for side in self.daily.sides)
