"""A stock SmallWebRTC client by hand: its requests, its connection, its data channel ``chat``."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np

from tests.support.waiting import DEADLINE_S
from voxwire_protocol import rtvi
from voxwire_protocol.rtc import Here, Peer

__all__ = ["StockRtcClient", "stock_client"]

RATE = 16_000


class StockRtcClient:
    """What ``@pipecat-ai/small-webrtc-transport`` does, step by step.

    Attributes:
        http: For requests to the server.
        peer: The connection in use.
        pc_id: As the server named it.
        endpoint: Where offers go.
        messages: RTVI that came, oldest first.
        signals: Signaling that came.
        audio: Samples of the bot's voice that came.
        pings: Whether it says every second that it is there.
        address: Its own.
    """

    def __init__(
        self, http: httpx.AsyncClient, *, address: str = "127.0.0.1", **headers: str
    ) -> None:
        self.http = http
        self.address = address
        self.headers = headers
        self.peer: Peer | None = None
        self.pc_id = ""
        self.endpoint = "/api/offer"
        self.messages: list[dict[str, Any]] = []
        self.signals: list[str] = []
        self.audio: list[np.ndarray] = []
        self.pings = True
        self._mouth = np.zeros(0, "<i2")
        self._ids = 0
        self._changed = asyncio.Event()
        self._open = asyncio.Event()
        self._pinging: asyncio.Task[None] | None = None

    async def start(self, **body: Any) -> dict[str, Any]:
        """``POST /start``; offers go to its session from then on."""
        answer = await self.http.post("/start", json=body, headers=self.headers)
        assert answer.status_code == 200, answer.text
        started: dict[str, Any] = answer.json()
        if "sessionId" in started:
            self.endpoint = f"/sessions/{started['sessionId']}/api/offer"
        return started

    async def connect(self, **body: Any) -> None:
        """Offer, take the answer, and wait for the data channel."""
        answer = await self.offer(**body)
        assert answer.status_code == 200, answer.text
        await self.take(answer)

    async def offer(self, **body: Any) -> httpx.Response:
        """Make a new connection and offer it."""
        self.peer = Peer(
            pull=self._pull,
            on_audio=lambda pcm, _: self._hear(pcm),
            send_rate=RATE,
            receive_rate=RATE,
            here=Here(addresses=(self.address,)),
            data_label=rtvi.CHAT_LABEL,
        )
        self._open.clear()
        sdp = await self.peer.offer()
        assert self.peer.data is not None
        self.peer.data.on_message = self._take
        self.peer.data.on_open = self._open.set
        asked = {"sdp": sdp, "type": "offer", **body}
        return await self.http.post(self.endpoint, json=asked, headers=self.headers)

    async def take(self, answer: httpx.Response) -> None:
        """Take an answer, and wait until the channel is open."""
        assert self.peer is not None
        said = answer.json()
        assert said["type"] == "answer"
        self.pc_id = said["pc_id"]
        async with asyncio.timeout(DEADLINE_S):
            await self.peer.accept(said["sdp"])
            await self.peer.connected()
            await self._open.wait()
        if self._pinging is None:
            self._pinging = asyncio.create_task(self._ping())
        for index, enabled in ((0, True), (1, False), (2, False)):
            self.signal(rtvi.TrackStatus(index, enabled))

    async def restart(self) -> httpx.Response:
        """Give the connection up, and offer another one in its place."""
        assert self.peer is not None
        await self.peer.close()
        return await self.offer(pc_id=self.pc_id, restart_pc=True)

    def signal(self, said: rtvi.ChatText) -> None:
        """Say something that is not RTVI."""
        self.send(rtvi.write_chat(said))

    def send(self, text: str) -> None:
        """Say a text on the channel, whatever it is."""
        assert self.peer is not None and self.peer.data is not None
        self.peer.data.send(text)

    def say(self, kind: str, data: object = None) -> str:
        """Send an RTVI message; its id."""
        self._ids += 1
        message = {"label": "rtvi-ai", "type": kind, "id": f"m{self._ids}", "data": data}
        self.send(json.dumps(message))
        return str(message["id"])

    async def ready(self) -> None:
        """Say so, and wait for the bot."""
        number = len(self.of("bot-ready"))
        self.say("client-ready", {"version": "2.1.0", "about": {"library": "client-js"}})
        await self.until(lambda: len(self.of("bot-ready")) > number)

    def speak(self, pcm: bytes) -> None:
        """Have the microphone bring that, int16 PCM at 16 kHz."""
        self._mouth = np.concatenate([self._mouth, np.frombuffer(pcm, "<i2")])

    def _pull(self, _: int, count: int) -> bytes | None:
        pcm, self._mouth = self._mouth[:count], self._mouth[count:]
        return pcm.tobytes().ljust(2 * count, b"\0")

    def _hear(self, pcm: np.ndarray) -> None:
        self.audio.append(pcm)
        self._changed.set()

    @property
    def heard_s(self) -> float:
        """How long the bot was heard, silence left out, seconds."""
        loud = sum(int(np.abs(pcm.astype(int)).max() > 500) * len(pcm) for pcm in self.audio)
        return loud / RATE

    async def _ping(self) -> None:
        while True:
            data = self.peer.data if self.peer is not None else None
            if self.pings and data is not None and data.is_open:
                self.signal(rtvi.Ping(int(time.time() * 1000)))
            await asyncio.sleep(1)  # real time: pace

    def _take(self, text: str | bytes) -> None:
        message = json.loads(text)
        if message.get("type") == "signalling":
            self.signals.append(message["message"]["type"])
        else:
            self.messages.append(message)
        self._changed.set()

    def of(self, kind: str) -> list[Any]:
        """The data of every message of one type."""
        return [m.get("data") for m in self.messages if m["type"] == kind]

    @property
    def spoken(self) -> str:
        """The words that were told as they sounded."""
        return " ".join(data["text"] for data in self.of("bot-tts-text"))

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    async def close(self) -> None:
        """Go away."""
        if self._pinging is not None:
            self._pinging.cancel()
            await asyncio.gather(self._pinging, return_exceptions=True)
        if self.peer is not None:
            await self.peer.close()


@asynccontextmanager
async def stock_client(port: int, **headers: str) -> AsyncIterator[StockRtcClient]:
    """A client of the server on that port of loopback, which has done nothing yet."""
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        client = StockRtcClient(http, **headers)
        try:
            yield client
        finally:
            await client.close()
