"""Ours: `voxwire.v1` envelopes on `/v1/session`; WebRTC is negotiated on the same socket."""

import asyncio
import os
import time
from typing import Final
from urllib.parse import urlsplit

from tests.bench.dialects import Dialect, RtcDialect
from tests.bench.websocket_wire import WebSocketWire
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel

PATH: Final = "/v1/session"
PATH_ID: Final = 1
SAMPLE_RATE: Final = 16000
AUDIO_TAG: Final = 0x1A
"""First byte of an envelope that is nothing but audio."""
CONNECT_S: Final = 15.0


class Control:
    """The least that a client of ours must say: hello, acknowledgements, pongs.

    It reports no playout, so the server paces by its own clock.
    """

    def __init__(self) -> None:
        self._channel = Channel(allowed=wire.SERVER_PAYLOADS)
        self._due: list[bytes] = []
        self.ready = False
        self.answer: wire.PathAnswer | None = None

    def open(self, *, carrier: wire.Carrier.ValueType, sdp_offer: str = "") -> list[bytes]:
        """What to send first."""
        hello = wire.Hello(
            protocol_version=wire.PROTOCOL_VERSION,
            attach_nonce=os.urandom(16),
            features=[
                wire.Feature.FEATURE_SEQUENCE,
                wire.Feature.FEATURE_WEBSOCKET_AUDIO,
                wire.Feature.FEATURE_WEBRTC,
            ],
        )
        path_open = wire.PathOpen(path_id=PATH_ID, carrier=carrier, sdp_offer=sdp_offer)
        return [
            *self._encode(wire.Envelope(hello=hello)),
            *self._encode(wire.Envelope(path_open=path_open)),
        ]

    def receive(self, message: bytes) -> None:
        """Takes anything but audio.

        Raises:
            ConnectionError: The server refused.
        """
        for envelope in self._channel.receive(message, now_ms()):
            match envelope.WhichOneof("payload"):
                case "ping":
                    pong = wire.Pong(number=envelope.ping.number)
                    self._due += self._encode(wire.Envelope(pong=pong))
                case "path_answer":
                    self.answer = envelope.path_answer
                case "path_ready":
                    self.ready = True
                case "path_close":
                    raise ConnectionError(f"no path: {envelope.path_close.reason}")
                case "error":
                    raise ConnectionError(f"refused: {envelope.error.reason}")
                case _:
                    pass

    def replies(self, now: int) -> list[bytes]:
        """Pongs and acknowledgements that are due."""
        due, self._due = self._due, []
        return due + self._channel.outgoing(now)

    def _encode(self, envelope: wire.Envelope) -> list[bytes]:
        return self._channel.send(envelope, now_ms())


def now_ms() -> int:
    """Monotonic clock, milliseconds."""
    return int(time.monotonic() * 1000)


class VoxwireWs(Dialect):
    """Latency profile: blocks of 20 ms, an `AudioChunk` each."""

    path = PATH
    subprotocol = wire.SUBPROTOCOL
    block_ms = 20

    def __init__(self) -> None:
        self._control = Control()
        self._envelope = wire.Envelope()
        self._envelope.audio.path_id = PATH_ID
        self._block_samples = SAMPLE_RATE * self.block_ms // 1000

    @property
    def ready(self) -> bool:
        return self._control.ready

    def connect(self) -> list[bytes]:
        return self._control.open(carrier=wire.Carrier.CARRIER_WEBSOCKET)

    def encode_block(self, seq: int, pcm: bytes) -> bytes:
        audio = self._envelope.audio
        audio.sample_index = seq * self._block_samples
        audio.data = pcm
        return self._envelope.SerializeToString()

    def decode(self, message: bytes) -> list[bytes]:
        if message[0] == AUDIO_TAG:
            return [wire.Envelope.FromString(message).audio.data]
        self._control.receive(message)
        return []

    def replies(self, now_ms: int) -> list[bytes]:
        return self._control.replies(now_ms)


class VoxwireWsThroughput(VoxwireWs):
    """Throughput profile: blocks of 60 ms."""

    block_ms = 60


class VoxwireRtc(RtcDialect):
    """The offer goes over a control socket, which stays open for the session."""

    packet_ms = 20

    def __init__(self) -> None:
        self._control = Control()
        self._changed = asyncio.Event()
        self._failure: Exception | None = None
        self._wire: WebSocketWire | None = None

    async def connect(self, url: str, offer_sdp: str) -> str:
        place = urlsplit(url)
        wire_ = WebSocketWire(
            host=place.netloc, path=PATH, subprotocol=wire.SUBPROTOCOL, on_message=self._on_message
        )
        self._wire = wire_
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: wire_, place.hostname, place.port)
        async with asyncio.timeout(CONNECT_S):
            await wire_.opened
            opening = self._control.open(carrier=wire.Carrier.CARRIER_WEBRTC, sdp_offer=offer_sdp)
            for message in opening:
                wire_.send(message)
            while self._control.answer is None:
                await self._changed.wait()
                self._changed.clear()
                if self._failure is not None:
                    raise self._failure
        return self._control.answer.sdp_answer

    async def close(self) -> None:
        if self._wire is not None:
            self._wire.close()

    def _on_message(self, message: bytes) -> None:
        try:
            self._control.receive(message)
        except ConnectionError as error:
            self._failure = error
        self._changed.set()
        assert self._wire is not None
        for reply in self._control.replies(now_ms()):
            self._wire.send(reply)


class VoxwireRtcThroughput(VoxwireRtc):
    """Throughput profile: Opus packets of 60 ms."""

    packet_ms = 60
