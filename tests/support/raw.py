"""A client that does by hand what a test tells it: every message in order of arrival."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import websockets

from voxwire_protocol import wire
from voxwire_protocol.channel import Channel

__all__ = ["FEATURES", "RawClient", "dial"]

FEATURES = (
    wire.Feature.FEATURE_PLAYOUT_REPORTS,
    wire.Feature.FEATURE_FLUSH,
    wire.Feature.FEATURE_WORDS,
    wire.Feature.FEATURE_SEQUENCE,
    wire.Feature.FEATURE_RESUME,
    wire.Feature.FEATURE_CHUNKS,
    wire.Feature.FEATURE_WEBSOCKET_AUDIO,
)


def _now_ms() -> int:
    return int(time.monotonic() * 1000)


class RawClient:
    """One session's client side, on sockets that the test opens and breaks.

    It acknowledges and answers pings unless ``quiet``; with ``hears`` it reports what it got as
    heard, 100 ms at a time.
    """

    def __init__(self, url: str, *, origin: str | None = None) -> None:
        self.url = url
        self.origin = origin
        self.channel = Channel(allowed=wire.SERVER_PAYLOADS)
        self.socket: websockets.ClientConnection | None = None
        self.welcomes: list[wire.Welcome] = []
        self.events: list[wire.Envelope] = []
        """Reliable messages in the order in which the channel delivered them."""
        self.audio: list[wire.AudioChunk] = []
        self.quiet = False
        self.hears = True
        self.path_id = 0
        self.heard_ms = 0
        self.close_code: int | None = None
        self.changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    @property
    def welcome(self) -> wire.Welcome:
        """The newest Welcome."""
        return self.welcomes[-1]

    @property
    def seqs(self) -> list[int]:
        """Numbers of the delivered messages."""
        return [event.seq for event in self.events]

    def hello(self, *, nonce: bytes | None = None, **fields: Any) -> wire.Hello:
        """A Hello for a new session, or for the one that this client has."""
        hello = wire.Hello(
            protocol_version=wire.PROTOCOL_VERSION,
            attach_nonce=nonce or os.urandom(16),
            features=FEATURES,
            max_message_bytes=wire.DEFAULT_MAX_MESSAGE_BYTES,
        )
        if self.welcomes:
            hello.session_id = self.welcome.session_id
            hello.resume_token = self.welcome.resume_token
            hello.last_seq = self.channel.last_received
            hello.epoch = self.welcome.epoch
        hello.MergeFrom(wire.Hello(**fields))
        return hello

    async def open_socket(self) -> None:
        """Dial; what was open before stays open elsewhere."""
        options: dict[str, Any] = {"proxy": None, "ping_interval": None, "compression": None}
        if self.origin is not None:
            options["origin"] = self.origin
        self.socket = await websockets.connect(
            self.url + "/v1/session", subprotocols=[wire.SUBPROTOCOL], **options
        )

    async def attach(self, hello: wire.Hello | None = None) -> None:
        """Open a socket and say Hello; reads from then on."""
        await self.stop_reading()
        await self.open_socket()
        await self.send_raw(wire.Envelope(hello=hello or self.hello()).SerializeToString())
        self.start_reading()

    def start_reading(self) -> None:
        """Read the current socket in the background."""
        self._reader = asyncio.create_task(self._read(self.socket))

    async def stop_reading(self) -> None:
        """Leave the current socket unread."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            self._reader = None

    async def send_raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        assert self.socket is not None
        await self.socket.send(data)

    async def send(self, **payload: Any) -> None:
        """Send one payload."""
        for data in self.channel.send(wire.Envelope(**payload), _now_ms()):
            await self.send_raw(data)

    async def open_path(self, path_id: int) -> None:
        """Ask for audio on the control channel and wait until it is ready."""
        self.path_id = path_id
        await self.send(
            path_open=wire.PathOpen(
                path_id=path_id, carrier=wire.Carrier.CARRIER_WEBSOCKET, capture=_pcm(16_000)
            )
        )
        await self.until(lambda: any(e.path_ready.path_id == path_id for e in self.events))

    async def drop(self) -> None:
        """Break the socket without a word."""
        assert self.socket is not None
        await self.stop_reading()
        self.socket.transport.abort()
        self.channel.on_lost(_now_ms())

    async def until(self, condition: Callable[[], bool], timeout_s: float = 60) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def of(self, kind: str) -> list[Any]:
        """Every delivered payload of one kind, in order."""
        return [getattr(e, kind) for e in self.events if e.WhichOneof("payload") == kind]

    async def _read(self, socket: Any) -> None:
        reporter = asyncio.create_task(self._report(socket))
        try:
            async for data in socket:
                await self._take(data)
                self.changed.set()
        except websockets.ConnectionClosed:
            pass
        finally:
            reporter.cancel()
        self.close_code = socket.close_code
        self.changed.set()

    async def _take(self, data: bytes) -> None:
        for envelope in self.channel.receive(data, _now_ms()):
            kind = envelope.WhichOneof("payload")
            if kind == "welcome":
                await self._welcomed(envelope.welcome)
            elif kind == "audio":
                self.audio.append(envelope.audio)
            elif kind == "ping" and not self.quiet:
                pong = wire.Pong(number=envelope.ping.number, t0_us=envelope.ping.t0_us)
                await self.send(pong=pong)
            elif envelope.seq:
                self.events.append(envelope)
        if not self.quiet:
            for ack in self.channel.outgoing(_now_ms()):
                await self.send_raw(ack)

    async def _welcomed(self, welcome: wire.Welcome) -> None:
        self.welcomes.append(welcome)
        if welcome.HasField("snapshot"):
            self.channel.restart()
            return
        for data in self.channel.resume(welcome.last_seq, _now_ms()) or []:
            await self.send_raw(data)

    async def _report(self, socket: Any) -> None:
        while True:
            await asyncio.sleep(0.1)  # real time: pace
            end_ms = max((_end_ms(chunk) for chunk in self.audio), default=0)
            if not self.hears or self.quiet or socket is not self.socket or not end_ms:
                continue
            playing = self.heard_ms < end_ms
            self.heard_ms = min(end_ms, self.heard_ms + 100)
            report = wire.PlayoutReport(
                path_id=self.path_id, media_ms=self.heard_ms, playing=playing
            )
            await self.send(playout_report=report)


def _end_ms(chunk: wire.AudioChunk) -> int:
    return (chunk.sample_index + len(chunk.data) // 2) // 24


def _pcm(rate: int) -> wire.AudioFormat:
    return wire.AudioFormat(codec=wire.Codec.CODEC_PCM_S16LE, sample_rate=rate, num_channels=1)


@asynccontextmanager
async def dial(url: str, **options: Any) -> AsyncIterator[RawClient]:
    """A client with an open session and no media path."""
    client = RawClient(url, **options)
    await client.attach()
    await client.until(lambda: bool(client.welcomes))
    try:
        yield client
    finally:
        await client.stop_reading()
        if client.socket is not None:
            client.socket.transport.abort()
