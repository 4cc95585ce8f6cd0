"""What the gateway carries its calls to: a webhook and a stream of Twilio's, held by a test."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import quoteattr

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.support.asking import stock_uvicorn
from tests.support.phone_vendors import twilio_signature
from tests.support.waiting import until

__all__ = ["FarServer", "Stream", "far_server"]

_TICKET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass
class Stream:
    """The WebSocket of one call.

    Attributes:
        came: What came, and when (monotonic seconds).
        code: What it was closed with; 0 = it is open.
    """

    socket: WebSocket
    came: list[tuple[float, dict[str, Any]]] = field(
        default_factory=list[tuple[float, dict[str, Any]]]
    )
    code: int = 0

    def all(self, event: str) -> list[dict[str, Any]]:
        """What came of an event."""
        return [said[event] for _, said in self.came if said["event"] == event]

    @property
    def heard(self) -> bytes:
        """The caller's sound."""
        return b"".join(base64.b64decode(each["payload"]) for each in self.all("media"))

    @property
    def marks(self) -> dict[str, float]:
        """When each mark came back; the newest at the end."""
        return {said["mark"]["name"]: at for at, said in self.came if said["event"] == "mark"}

    async def say(self, sound: bytes, *marks: str) -> None:
        """The bot says something, with marks behind it."""
        if sound:
            payload = base64.b64encode(sound).decode()
            await self._send("media", media={"payload": payload})
        for name in marks:
            await self._send("mark", mark={"name": name})

    async def clear(self) -> None:
        """What waits is not to be played."""
        await self._send("clear")

    async def _send(self, event: str, **members: Any) -> None:
        sid = self.all("start")[0]["streamSid"]
        await self.socket.send_json({"event": event, "streamSid": sid, **members})


@dataclass
class FarServer:
    """A server of calls.

    Attributes:
        token: What it is signed with.
        url: Public URL.
        calls: The forms of the webhooks that were signed.
        streams: Those that were signed.
        forged: What was not.
        full: Whether calls are turned away.
        delay_s: How long the webhook takes.
    """

    token: str
    url: str = ""
    calls: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    streams: list[Stream] = field(default_factory=list[Stream])
    forged: list[str] = field(default_factory=list[str])
    full: bool = False
    delay_s: float = 0.0

    @property
    def websocket(self) -> str:
        """Where streams go."""
        return f"{self.url.replace('http', 'ws', 1)}/phone/twilio/media"

    async def webhook(self, request: Request) -> Response:
        """A call is announced."""
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        url = f"{self.url}/phone/twilio?{request.url.query}"
        if request.headers.get("x-twilio-signature") != twilio_signature(self.token, url, form):
            self.forged.append("webhook")
            return Response("{}", 403)
        self.calls.append({**form, "query": request.url.query})
        await asyncio.sleep(self.delay_s)  # real time: moment: something else happens meanwhile
        inside = '<Reject reason="busy"/>'
        if not self.full:
            ticket = f'<Parameter name="ticket" value={quoteattr(_TICKET)}/>'
            inside = f"<Connect><Stream url={quoteattr(self.websocket)}>{ticket}</Stream></Connect>"
        head = '<?xml version="1.0" encoding="UTF-8"?>'
        return Response(f"{head}<Response>{inside}</Response>", media_type="application/xml")

    async def talk(self, socket: WebSocket) -> None:
        """A stream is opened."""
        signed = twilio_signature(self.token, self.websocket)
        if socket.headers.get("x-twilio-signature") != signed:
            self.forged.append("stream")
            await socket.close()
            return
        await socket.accept()
        stream = Stream(socket)
        try:
            while True:
                said = await socket.receive_json()
                stream.came.append((time.monotonic(), said))
                if said["event"] == "start":
                    assert said["start"]["customParameters"]["ticket"] == _TICKET
                    self.streams.append(stream)
        except WebSocketDisconnect as error:
            stream.code = error.code

    async def stream(self, number: int = 0) -> Stream:
        """The stream of the so-many-th call."""
        await until(lambda: len(self.streams) > number)
        return self.streams[number]


@contextlib.asynccontextmanager
async def far_server(token: str) -> AsyncIterator[FarServer]:
    """Serve until the block ends."""
    server = FarServer(token)
    app = Starlette(
        routes=[
            Route("/phone/twilio", server.webhook, methods=["POST"]),
            WebSocketRoute("/phone/twilio/media", server.talk),
        ]
    )
    async with stock_uvicorn(app) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server
