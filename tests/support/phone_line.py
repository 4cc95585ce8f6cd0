"""A telephone line in memory: the vendor's far end, a network, and the server's door to calls.

The door is the real one, with real sessions behind it; a webhook is a request and a stream is a
WebSocket of ASGI, without a socket. It runs by the clock that it is given, virtual time too.
"""

import asyncio
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.applications import Starlette

from tests.support.front_door import House, Process
from tests.support.phone_rest import Rest
from tests.support.phone_vendors import FAR_ENDS, PASSWORD, SECRET, TELNYX_KEY, TOKEN, Announced
from voxwire._phone.network import Network
from voxwire._phone.telephone import Telephone
from voxwire_protocol.clocks import Clock
from voxwire_server.config import Settings
from voxwire_server.gate import Gate
from voxwire_server.phone.tickets import Tickets
from voxwire_server.phone.vendors import vendors_of
from voxwire_server.proxies import PublicUrl
from voxwire_server.routes.entrance import Entrance
from voxwire_server.routes.phone import PhoneDoor
from voxwire_server.routes.refusals import Refusals
from voxwire_server.routes.sockets import EXTENSION, PendingSockets, SocketControl
from voxwire_server.session.session import Session
from voxwire_server.session.start_rates import StartRates

__all__ = ["KNOWN", "NOW_S", "PUBLIC", "WSS", "Answered", "Exchange", "Line"]

NOW_S: Final = 1_800_000_000.0
PUBLIC: Final = "https://bot.example/voice"
WSS: Final = "wss://bot.example/voice"
KNOWN: Final = {
    "phone_twilio_token": TOKEN,
    "phone_telnyx_key": TELNYX_KEY,
    "phone_plivo_token": TOKEN,
    "phone_exotel": PASSWORD,
    "phone_vonage_secret": SECRET,
}
"""Settings by which every vendor is known."""


class Answered:
    """What a webhook was answered.

    Attributes:
        status: HTTP status.
        text: The body.
        vendor: Who reads it.
        call_id: The call.
    """

    def __init__(self, status: int, text: str, vendor: str, call_id: str) -> None:
        self.status, self.text, self.vendor, self.call_id = status, text, vendor, call_id

    @property
    def opens(self) -> tuple[str, dict[str, str]]:
        """Where the stream is to be opened, and what is to be sent along."""
        return FAR_ENDS[self.vendor].opened(self.text)

    @property
    def ticket(self) -> str:
        """What lets the stream in; empty = nothing does."""
        return self.opens[1]["ticket"] if self.status == 200 and "ticket" in self.text else ""


class Exchange:
    """A server that takes calls of every vendor.

    Args:
        clock: The clock to run by.
        house: The bots.
        strangers: How many of one address may be no vendor: ``5/minute``; empty = any number.
        settings: Of the process and its server.

    Attributes:
        now_s: The wall clock.
        rest: What is asked of the vendors.
    """

    def __init__(
        self, clock: Clock, *, house: House | None = None, strangers: str = "", **settings: Any
    ) -> None:
        self.clock = clock
        self.now_s = NOW_S
        self.rest = Rest()
        self.process = Process(house=house, clock=clock, **settings)
        public = PublicUrl.parse(PUBLIC)
        entrance = Entrance(
            Gate(loopback=False, has_key=True, public=public),
            refusals=Refusals(),
            pending=PendingSockets(per_address=8, total=64),
            begin=lambda: None,
        )
        door = PhoneDoor(
            vendors_of(Settings(public_url=PUBLIC, **KNOWN)),
            self.process.directory,
            entrance,
            public=public,
            tickets=Tickets(b"a secret of all processes"),
            exchange=self.rest.exchange(clock, lambda: self.now_s),
            starts=StartRates(per_address=strangers, now_ms=clock.now_ms),
            start_timeout_ms=5000,
            dead_after_ms=5000,
            now_s=lambda: self.now_s,
        )
        self.app = Starlette(routes=door.routes())
        self.lines: list[Line] = []
        self._calls = 0

    # webhooks

    def announced(self, vendor: str, *, query: str = "bot=a", call_id: str = "") -> Announced:
        """The webhook of one more call, as the vendor sends it."""
        return FAR_ENDS[vendor].announce(
            f"{PUBLIC}/phone/{vendor}?{query}", call_id or self.call_id(), self.now_s
        )

    def call_id(self) -> str:
        """A name of a call that no other one has."""
        self._calls += 1
        return f"CA{self._calls:032x}"

    async def ring(self, vendor: str, *, query: str = "bot=a", **changes: Any) -> Answered:
        """A vendor announces one more call.

        Args:
            vendor: Who.
            query: Of the URL that it was told.
            changes: What is other than it sent: attributes of the webhook.
        """
        call_id = self.call_id()
        webhook = self.announced(vendor, query=query, call_id=call_id)
        for name, value in changes.items():
            setattr(webhook, name, value)
        answered = await self.request(f"/phone/{vendor}", webhook)
        answered.vendor, answered.call_id = vendor, call_id
        return answered

    async def request(self, path: str, webhook: Announced) -> Answered:
        """A request as it arrives."""
        headers = {"host": "bot.example", "content-length": str(len(webhook.body))}
        if webhook.method == "POST":
            headers["content-type"] = "application/x-www-form-urlencoded"
        headers |= webhook.headers
        scope = self.scope("http", path, webhook.query, headers)
        scope |= {"method": webhook.method, "scheme": "https"}
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": webhook.body, "more_body": False}

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        await self.app(scope, receive, send)  # type: ignore[arg-type]
        text = b"".join(event.get("body", b"") for event in sent).decode()
        return Answered(sent[0]["status"], text, "", "")

    @staticmethod
    def scope(kind: str, path: str, query: str, headers: dict[str, str]) -> dict[str, Any]:
        """An ASGI scope."""
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

    # streams

    def line(self, vendor: str, call_id: str = "", **network: Any) -> "Line":
        """A line of a vendor's, which nobody has opened yet."""
        line = Line(self, vendor, **network)
        line.phone.call_id = call_id
        self.lines.append(line)
        return line

    async def call(self, vendor: str = "twilio", **network: Any) -> "Line":
        """A call that is answered."""
        answered = await self.ring(vendor)
        url, sent = answered.opens
        line = self.line(vendor, answered.call_id, **network)
        line.open(url)
        before = set(self.process.sessions)
        line.phone.dial(sent)
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
        exchange: Where it leads.
        phone: The far end.
        session: The session that it began; None = none yet, or by another door.
        closed: Code and reason, once the server has closed it.
        status: HTTP status of the refusal, if it was refused.
        aborted: Whether the server has reset it.
        pongs: Whether the vendor answers pings.
        ours: Whether the HTTP server is ours, which counts sockets itself; else the door does.
    """

    def __init__(self, exchange: Exchange, vendor: str, **network: Any) -> None:
        self.exchange = exchange
        clock = exchange.clock
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        seed = network.pop("seed", 0)
        self._up = Network(clock, self._arrives, seed=seed, **network)
        self._down = Network(clock, self._comes, seed=seed + 1, **network)
        self.phone = Telephone(FAR_ENDS[vendor], clock, self._up.send)
        self.session: Session | None = None
        self.closed: tuple[int, str] | None = None
        self.status: int | None = None
        self.served: asyncio.Task[None] | None = None
        self.aborted, self.pongs, self.ours = False, True, True

    @property
    def live(self) -> Session:
        """Its session."""
        assert self.session is not None
        return self.session

    def open(self, url: str, headers: dict[str, str] | None = None) -> None:
        """The vendor opens it, signed unless headers are given."""
        if headers is None:
            headers = self.phone.far.head(url, self.exchange.now_s)
        parts = urlsplit(url)
        given = {"host": "bot.example", **headers}
        path = parts.path.removeprefix("/voice")
        scope = self.exchange.scope("websocket", path, parts.query, given)
        scope["scheme"] = "wss"
        scope["extensions"] = {"websocket.http.response": {}}
        if self.ours:
            scope["extensions"][EXTENSION] = SocketControl(abort=self._abort, ping=self._ping)
        self._events.put_nowait({"type": "websocket.connect"})
        work: Any = self.exchange.app(scope, self._events.get, self._send)  # type: ignore[arg-type]
        self.served = asyncio.ensure_future(work)

    def say(self, message: str | bytes) -> None:
        """The vendor says anything."""
        self._up.send(message)

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

    def _arrives(self, message: Any) -> None:
        if callable(message):  # a pong
            message()
        elif isinstance(message, dict):
            self._events.put_nowait(message)
        else:
            kind = "text" if isinstance(message, str) else "bytes"
            self._events.put_nowait({"type": "websocket.receive", kind: message})

    def _comes(self, item: Any) -> None:
        if callable(item):  # a ping
            if self.pongs:
                self._up.send(item)
        elif self.closed is None:
            self.phone.take(item)

    def _ping(self, ponged: Any) -> None:
        self._down.send(ponged)

    def _abort(self) -> None:
        self.aborted = True
        self.cut()

    def hang_up(self) -> None:
        """The caller hangs up: the vendor says so, or closes the stream."""
        phone = self.phone
        if phone.far.stops:
            phone.say(phone.far.stop(phone.call_id, phone.stream))
            phone.stop()
        else:
            self.close(1000)

    def close(self, code: int) -> None:
        """The vendor closes the stream."""
        self._up.send({"type": "websocket.disconnect", "code": code})
        self.phone.stop()

    def cut(self) -> None:
        """The connection is lost."""
        self.phone.stop()
        self._up.close()
        self._down.close()
        self._events.put_nowait({"type": "websocket.disconnect", "code": 1006})
