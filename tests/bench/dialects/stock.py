"""Stock Pipecat: protobuf frames on `/ws`, an SDP offer posted to `/api/offer`."""

import asyncio
import json
import urllib.request

from pipecat.frames.protobufs import frames_pb2

from tests.bench.dialects import Dialect, RtcDialect


class StockWs(Dialect):
    """One `Frame{audio}` a message, 20 ms, as the JavaScript client sends it."""

    block_ms = 20

    def encode_block(self, seq: int, pcm: bytes) -> bytes:
        frame = frames_pb2.Frame()
        frame.audio.audio = pcm
        frame.audio.sample_rate = 16000
        frame.audio.num_channels = 1
        return frame.SerializeToString()

    def decode(self, message: bytes) -> list[bytes]:
        frame = frames_pb2.Frame.FromString(message)
        return [frame.audio.audio] if frame.WhichOneof("frame") == "audio" else []


class StockRtc(RtcDialect):
    """SmallWebRTC's request handler."""

    async def connect(self, url: str, offer_sdp: str) -> str:
        body = json.dumps({"sdp": offer_sdp, "type": "offer"}).encode()
        request = urllib.request.Request(
            f"{url}/api/offer", data=body, headers={"Content-Type": "application/json"}
        )

        def post() -> str:
            with urllib.request.urlopen(request, timeout=10) as response:
                return json.load(response)["sdp"]

        return await asyncio.to_thread(post)
