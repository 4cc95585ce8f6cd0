"""A bot's voice over a WebSocket whose network is a model, in virtual time.

The server's path and link and the client's path and player are the real ones; what lies between
them is a TCP connection: in order, at most so fast, and each packet late as the model wants.
"""

import asyncio
import random
import wave
from collections import deque
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from tests.support.session_port import FakePort
from voxwire import Recording
from voxwire._codec import CodecChoice
from voxwire._player import Player
from voxwire._user import UserAudio
from voxwire._websocket_path import WebSocketPath as ClientPath
from voxwire.playout import Samples, SpanKind
from voxwire_protocol import wire
from voxwire_protocol.capture import Piece
from voxwire_server.capture.capture import Capture
from voxwire_server.control.link import ControlLink
from voxwire_server.media.websocket import WebSocketPath as ServerPath
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import Format, Formats

RATE = 24_000
_BUFFER_BYTES = 65_536
_HEADER_BYTES = {False: 2, True: 4}
QUESTION = Path(__file__).parents[2] / "examples" / "question.wav"


@cache
def speech(sample_rate: int, length_ms: int) -> Samples:
    """Someone who asks the same question all the time: int16 mono."""
    with wave.open(str(QUESTION)) as file:
        given = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        samples = soxr.resample(given.astype(np.float32), file.getframerate(), sample_rate)
    wanted = length_ms * sample_rate // 1000
    return np.resize(np.clip(samples, -32768, 32767).astype(np.int16), wanted)


@dataclass
class Network:
    """One direction of a TCP connection.

    Attributes:
        one_way_ms: Delay of every packet.
        late_share: Share of the packets that are late.
        late_ms: By how much those are.
        bits_per_s: Speed; 0 = any.
        seed: Of what is late.
    """

    one_way_ms: float = 20
    late_share: float = 0
    late_ms: float = 0
    bits_per_s: int = 0
    seed: int = 12
    num_bytes: int = 0
    num_packets: int = 0
    _flying: deque[bytes] = field(default_factory=deque[bytes])
    _free_ms: float = 0
    _last_ms: float = 0
    _draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)

    async def send(self, data: bytes, deliver: Callable[[bytes], object]) -> None:
        """Takes one message of a WebSocket; waits while the socket's buffer is full."""
        loop = asyncio.get_running_loop()
        size = len(data) + _HEADER_BYTES[len(data) > 125]
        self.num_bytes += size
        self.num_packets += 1
        now_ms = loop.time() * 1000
        self._free_ms = max(self._free_ms, now_ms)
        if self.bits_per_s:
            self._free_ms += size * 8000 / self.bits_per_s
        late_ms = self.late_ms if self._draw.random() < self.late_share else 0
        self._last_ms = max(self._last_ms, self._free_ms + self.one_way_ms + late_ms)
        self._flying.append(data)
        loop.call_at(self._last_ms / 1000, lambda: deliver(self._flying.popleft()))
        if self.bits_per_s:
            full_ms = self._free_ms - now_ms - _BUFFER_BYTES * 8000 / self.bits_per_s
            await asyncio.sleep(max(0.0, full_ms) / 1000)


class _Nobody:
    """A user who is not heard."""

    def carried(self, send: Callable[[Piece], bool]) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass
class Heard:
    """What became of the voice.

    Attributes:
        concealed_ms: Sound that was made up.
        silent_ms: Silence where the voice should have been, from its first sound to its last.
        lasted_ms: From its first sound to its last.
        underruns: How often audio came too late.
        num_bytes: Of all messages with audio.
        samples: The media timeline.
    """

    concealed_ms: int
    silent_ms: float
    lasted_ms: float
    underruns: int
    num_bytes: int
    samples: Samples


class _Ear(Recording):
    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[tuple[SpanKind, int]] = []

    def write(self, block: Any, at: float) -> None:
        self.kinds.extend((span.kind, span.length) for span in block.spans)
        super().write(block, at)


async def listen(voice: Samples, network: Network, *, opus: bool, until_ms: float) -> Heard:
    """Plays a voice to its end, at most so long, over that network; reports take 20 ms back."""
    port, playout, choice = FakePort(), Playout(sample_rate=RATE), CodecChoice()
    choice.opus = opus
    ear = _Ear()
    client = ClientPath(1, capture=_Nobody(), send=lambda _: True, codec=choice)  # type: ignore[arg-type]
    asked = await client.offer()
    form = Format(asked.playout.codec, RATE, 20)

    def deliver(data: bytes) -> None:
        client.receive(wire.Envelope.FromString(data))

    async def send(message: dict[str, Any]) -> None:
        await network.send(message["bytes"], deliver)

    link = ControlLink(send)
    server = ServerPath(
        1,
        link,
        playout=playout,
        formats=Formats(capture=form, playout=form),
        port=port,
        on_codec_failed=lambda: None,
    )

    def reported(report: wire.PlayoutReport) -> None:
        def arrive() -> None:
            now_ms = port.clock.now_ms()
            playout.heard.report(report.media_ms, now_ms, playing=report.playing)
            playout.concealed_ms = report.concealed_ms
            server.wake()

        asyncio.get_running_loop().call_later(0.02, arrive)

    client.receive(wire.Envelope(path_answer=wire.PathAnswer(path_id=1, playout=asked.playout)))
    player = Player(
        ear,
        sample_rate=RATE,
        target_ms=40,
        continuous=False,
        make_up=client.make_up,
        emit=lambda _: None,
        report=reported,
        clock=port.clock,
    )
    tasks = [
        asyncio.create_task(work)
        for work in (link.write(), client.run(player), player.run())  # type: ignore[arg-type]
    ]
    now_ms = port.clock.now_ms()
    playout.attach(now_ms, reports=True)
    playout.place(voice.astype("<i2").tobytes(), now_ms, new_stretch=True)
    server.wake()
    end_ms = now_ms + until_ms
    while player.buffer.position < len(voice) and port.clock.now_ms() < end_ms:
        await asyncio.sleep(0.02)
    await server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    kinds = ear.kinds
    sounding = [at for at, (kind, _) in enumerate(kinds) if kind is SpanKind.PLAYED]
    spoken = kinds[sounding[0] : sounding[-1] + 1]
    return Heard(
        concealed_ms=player.buffer.concealed_ms,
        silent_ms=sum(n for kind, n in spoken if kind is SpanKind.SILENT) * 1000 / RATE,
        lasted_ms=sum(n for _, n in spoken) * 1000 / RATE,
        underruns=player.buffer.underruns,
        num_bytes=network.num_bytes,
        samples=ear.samples,
    )


async def upload(user: Samples, *, opus: bool) -> int:
    """Bytes of the messages in which a client sends a user's audio (16 kHz)."""
    sent: list[bytes] = []

    def send(envelope: wire.Envelope) -> bool:
        sent.append(envelope.SerializeToString())
        return True

    class Speaking:
        @contextmanager
        def carried(self, give: Callable[[Piece], bool]) -> Generator[None]:
            for at in range(0, len(user), 320):
                assert give(Piece(at, user[at : at + 320].astype("<i2").tobytes()))
            yield

    choice = CodecChoice()
    choice.opus = opus
    client = ClientPath(1, capture=Speaking(), send=send, codec=choice)  # type: ignore[arg-type]
    asked = await client.offer()
    answer = wire.PathAnswer(path_id=1, capture=asked.capture, playout=asked.playout)
    client.receive(wire.Envelope(path_answer=answer))
    running = asyncio.create_task(client.run(None))  # type: ignore[arg-type]
    await asyncio.sleep(0.1)
    running.cancel()
    masked = 4
    return sum(len(data) + _HEADER_BYTES[len(data) > 125] + masked for data in sent)


class Upward:
    """A client's path in use: what it sends is with the server 20 ms later, or never."""

    def __init__(self, path_id: int, user: UserAudio, capture: Capture) -> None:
        self.swallows = False
        self._path_id = path_id
        self._user = user
        self._capture = capture
        choice = CodecChoice()
        choice.opus = True
        self._path = ClientPath(path_id, capture=user, send=self._send, codec=choice)
        self._running: asyncio.Task[None] | None = None
        self._flying: deque[wire.AudioChunk] = deque()

    def _send(self, envelope: wire.Envelope) -> bool:
        self._flying.append(envelope.audio)
        asyncio.get_running_loop().call_later(0.02, self._arrive)
        return True

    def _arrive(self) -> None:
        chunk = self._flying.popleft()
        if not self.swallows:
            self._capture.chunk(chunk)

    async def begin(self) -> None:
        """The server takes what it brings, and the client goes on from what the server has."""
        asked = await self._path.offer()
        answer = wire.PathAnswer(
            path_id=self._path_id, capture=asked.capture, playout=asked.playout
        )
        self._path.receive(wire.Envelope(path_answer=answer))
        ready = self._capture.ready(self._path_id, numbered=True, opus=True)
        self._user.resume(ready)
        self._running = asyncio.create_task(self._path.run(None))  # type: ignore[arg-type]

    async def end(self) -> None:
        """The client knows that it is gone."""
        assert self._running is not None
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
