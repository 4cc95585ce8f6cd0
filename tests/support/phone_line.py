"""A telephone line in memory: the vendor's far end, a network, and the server's door to calls.

The door is the real one, with real sessions behind it; a webhook is a request and a stream is a
WebSocket of ASGI, without a socket. It runs by the clock that it is given, virtual time too.
"""

import asyncio
import re
from collections.abc import Sequence
from html import unescape
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette

from tests.support.front_door import House, Process
from tests.support.phone_peer import SPELLINGS, Network, Phone, twilio_signature
from voxwire_protocol.clocks import Clock
from voxwire_server.gate import Gate
from voxwire_server.phone.tickets import Tickets
from voxwire_server.phone.twilio import Twilio
from voxwire_server.phone.vendor import Vendor
from voxwire_server.proxies import PublicUrl
from voxwire_server.routes.entrance import Entrance
from voxwire_server.routes.phone import PhoneDoor
from voxwire_server.routes.refusals import Refusals
from voxwire_server.routes.sockets import EXTENSION, PendingSockets, SocketControl
from voxwire_server.session.session import Session
from voxwire_server.session.start_rates import StartRates

__all__ = ["NOW_S", "PUBLIC", "TOKEN", "Answered", "Exchange", "Line"]

NOW_S: Final = 1_800_000_000.0
TOKEN: Final = "an auth token"
PUBLIC: Final = "https://bot.example/voice"
WSS: Final = "wss://bot.example/voice"


class Answered:
    """What a webhook was answered."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text

    @property
    def stream_url(self) -> str:
        """Where the stream is to be opened."""
        return unescape(re.findall(r'url="([^"]+)"', self.text)[0])

    @property
    def parameters(self) -> dict[str, str]:
        """What is to be sent along."""
        found = re.findall(r'<Parameter name="([^"]*)" value="([^"]*)"/>', self.text)
        return {unescape(name): unescape(value) for name, value in found}


class Exchange:
    """A server that takes calls.

    Args:
        clock: The clock to run by.
        house: The bots.
        vendors: Who brings calls.
        settings: Of the server.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        house: House | None = None,
        vendors: Sequence[Vendor] = (),
        **settings: Any,
    ) -> None:
        self.clock = clock
        self.now_s = NOW_S
        self.process = Process(house=house, clock=clock, **settings)
        self.refusals: list[int] = []
        public = PublicUrl.parse(PUBLIC)
        self.entrance = Entrance(
            Gate(loopback=False, has_key=True, public=public),
            refusals=Refusals(),
            pending=PendingSockets(per_address=8, total=64),
            begin=lambda: None,
        )
        self.door = PhoneDoor(
            vendors or [Twilio([TOKEN])],
            self.process.directory,
            self.entrance,
            public=public,
            tickets=Tickets(b"a secret of all processes"),
            starts=StartRates(now_ms=clock.now_ms),
            start_timeout_ms=5000,
            dead_after_ms=5000,
            now_s=lambda: self.now_s,
        )
        self.app = Starlette(routes=self.door.routes())
        self.lines: list[Line] = []
        self._calls = 0

    async def ring(
        self,
        vendor: str = "twilio",
        *,
        query: str = "bot=a",
        headers: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> Answered:
        """A vendor announces a call, signed unless headers are given."""
        form = self.form() if form is None else form
        path = f"/phone/{vendor}"
        if headers is None:
            url = f"{PUBLIC}{path}?{query}" if query else f"{PUBLIC}{path}"
            headers = {"x-twilio-signature": twilio_signature(TOKEN, url, form)}
        return await self.request("POST", path, query, headers, urlencode(form).encode())

    def form(self) -> dict[str, str]:
        """What Twilio says of one more call."""
        self._calls += 1
        call_id = f"CA{self._calls:032x}"
        return {"CallSid": call_id, "From": "+15550100", "To": "+15550199", "AccountSid": "AC0"}

    async def request(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes = b""
    ) -> Answered:
        """A request as it arrives."""
        given = {"host": "bot.example", "content-length": str(len(body)), **headers}
        if method == "POST":
            given.setdefault("content-type", "application/x-www-form-urlencoded")
        scope = self._scope("http", path, query, given) | {"method": method, "scheme": "https"}
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        await self.app(scope, receive, send)
        text = b"".join(event.get("body", b"") for event in sent).decode()
        return Answered(sent[0]["status"], text)

    @staticmethod
    def _scope(kind: str, path: str, query: str, headers: dict[str, str]) -> dict[str, Any]:
        return {
            "type": kind,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.7", 5060),
            "server": ("bot.example", 443),
        }

    def line(self, vendor: str = "twilio", **network: Any) -> "Line":
        """A line of a vendor's, which nobody has opened yet."""
        line = Line(self, vendor, **network)
        self.lines.append(line)
        return line

    async def call(self, vendor: str = "twilio", **network: Any) -> "Line":
        """A call that is answered."""
        form = self.form()
        answered = await self.ring(vendor, form=form)
        line = self.line(vendor, **network)
        line.phone.call_id = form["CallSid"]
        line.open(answered.stream_url)
        before = set(self.process.sessions)
        line.phone.dial(**answered.parameters)
        while not (new := set(self.process.sessions) - before):
            await asyncio.sleep(0.01)
            assert line.closed is None, line.closed
        [line.session] = new
        return line

    async def close(self) -> None:
        """Hang up on everybody; nothing may be left."""
        for line in self.lines:
            line.cut()
        await asyncio.gather(*(line.served for line in self.lines if line.served is not None))
        await self.process.close()


class Line:
    """The WebSocket of a call, through a network.

    Args:
        exchange: Where it leads.
        vendor: Whose it is.
        network: Arguments of both directions.

    Attributes:
        phone: The far end.
        session: The session that it began; None = none yet, or by another door.
        closed: Code and reason, once the server has closed it.
        status: HTTP status of the refusal, if it was refused.
        aborted: Whether the server has reset it.
        pongs: Whether the vendor answers pings.
    """

    def __init__(self, exchange: Exchange, vendor: str, **network: Any) -> None:
        self.exchange = exchange
        clock = exchange.clock
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        seed = network.pop("seed", 0)
        self._up = Network(clock, self._arrives, seed=seed, **network)
        self._down = Network(clock, self._comes, seed=seed + 1, **network)
        self.phone = Phone(SPELLINGS[vendor], clock, self._up.send)
        self.closed: tuple[int, str] | None = None
        self.status: int | None = None
        self.session: Session | None = None
        self.served: asyncio.Task[None] | None = None
        self.aborted, self.pongs = False, True
        self.vendor = vendor

    def open(self, url: str, headers: dict[str, str] | None = None) -> None:
        """The vendor opens it, signed unless headers are given."""
        if headers is None:
            headers = {"x-twilio-signature": twilio_signature(TOKEN, url)}
        parts = urlsplit(url)
        path = parts.path.removeprefix("/voice")
        given = {"host": "bot.example", **headers}
        scope = self.exchange._scope("websocket", path, parts.query, given)
        scope["scheme"] = "wss"
        scope["extensions"] = {
            "websocket.http.response": {},
            EXTENSION: SocketControl(abort=self._abort, ping=self._ping),
        }
        self._events.put_nowait({"type": "websocket.connect"})
        work = self.exchange.app(scope, self._events.get, self._send)
        self.served = asyncio.ensure_future(work)

    async def _send(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "websocket.send":
                text = event.get("text")
                self._down.send(event["bytes"] if text is None else text)
            case "websocket.close":
                self.closed = event["code"], event.get("reason", "")
                self.phone.stop()
                self._events.put_nowait({"type": "websocket.disconnect", "code": event["code"]})
            case "websocket.http.response.start":
                self.status = event["status"]
            case _:
                pass

    def _arrives(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        self._events.put_nowait({"type": "websocket.receive", kind: message})

    def _comes(self, item: Any) -> None:
        if callable(item):  # a pong, half way
            self._up.send(item)
        elif self.closed is None:
            self.phone.take(item)

    def _ping(self, ponged: Any) -> None:
        if not self.pongs:
            return
        clock, network = self.exchange.clock, vars(self._down)
        clock.call_later(2 * network["_delay_ms"] + network["_jitter_ms"], ponged)

    def _abort(self) -> None:
        self.aborted = True
        self.cut()

    def cut(self) -> None:
        """The connection is lost."""
        self.phone.stop()
        self._up.close()
        self._down.close()
        self._events.put_nowait({"type": "websocket.disconnect", "code": 1006})
