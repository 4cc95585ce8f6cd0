"""A bot's voice without a session: paths, a user and a pipeline that are played by a test."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_server.playout.voice import Voice, VoiceLimits
from voxwire_server.ports import (
    Block,
    Cut,
    Format,
    Formats,
    Opened,
    PathError,
    PathSink,
    Report,
    Sound,
)

RATE = 8000
WEBSOCKET, WEBRTC = wire.Carrier.CARRIER_WEBSOCKET, wire.Carrier.CARRIER_WEBRTC
CONNECTION_LOST = wire.ErrorCode.ERROR_CODE_CONNECTION_LOST
FEATURES = frozenset(
    {
        wire.Feature.FEATURE_FLUSH,
        wire.Feature.FEATURE_PLAYOUT_REPORTS,
        wire.Feature.FEATURE_RESUME,
    }
)
AHEAD_MS = 300


def formats(sample_rate: int = RATE) -> Formats:
    one = Format(wire.Codec.CODEC_PCM_S16LE, sample_rate, 20)
    return Formats(capture=one, playout=one)


class FakePath:
    """A path that takes what waits, at most 300 ms ahead of the listener, whenever it is woken."""

    def __init__(self, path_id: int, sink: PathSink, sound: Sound) -> None:
        self.path_id = path_id
        self.formats = formats(sound.sample_rate)
        self.sink = sink
        self.sound = sound
        self.blocks: list[Block] = []
        self.cuts: list[Cut] = []
        self.on_void: Callable[[Cut], None] | None = None
        self.drops_from_ms: float | None = None
        self.closed = False
        self.closing: Coroutine[Any, Any, Any] | None = None

    def wake(self) -> None:
        while self.sound.pending and self.sound.ahead_ms < AHEAD_MS:
            block = self.sound.take(self.sound.sample_rate // 50)
            if block is None:
                return
            self.blocks.append(block)

    def void(self, cut: Cut) -> float | None:
        self.cuts.append(cut)
        if self.on_void is not None:
            self.on_void(cut)
        return self.drops_from_ms

    async def close(self) -> None:
        if self.closing is not None:
            closing, self.closing = self.closing, None
            await closing
        self.closed = True

    @property
    def pcm(self) -> bytes:
        return b"".join(block.pcm for block in self.blocks)


class FakeUser:
    """Notes what becomes of the user's audio."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.taken: list[tuple[int, bytes, int | None]] = []

    def ready(
        self,
        path_id: int,
        *,
        numbered: bool,
        sample_rate: int | None = None,
        opus: bool = False,
    ) -> wire.PathReady:
        self.told.append(f"ready {path_id}{' numbered' if numbered else f' at {sample_rate}'}")
        return wire.PathReady(path_id=path_id)

    def take(self, path_id: int, pcm: bytes, timestamp: int | None = None) -> None:
        self.taken.append((path_id, pcm, timestamp))

    def closed(self, path_id: int) -> None:
        self.told.append(f"closed {path_id}")

    async def hush(self) -> None:
        self.told.append("hush")


class Stage:
    """A voice, and all that it meets.

    Attributes:
        cuts: What was heard, ms, of each cut that the voice asked for.
        paths: The paths that were opened, by number.
    """

    def __init__(
        self,
        *,
        features: frozenset[wire.Feature] = FEATURES,
        voice_gap_ms: int = 2000,
        suspended_ms: int = 60_000,
        rate: int = RATE,
        path_rate: int = RATE,
    ) -> None:
        self.port = FakePort()
        self.user = FakeUser()
        self.cuts: list[float] = []
        self.pressed: list[str] = []
        self.reports: list[Report] = []
        self.moves = 0
        self.is_attached = True
        self.cut_takes_s = 0.0
        self.runs = asyncio.Event()
        self.runs.set()
        self.paths: dict[int, FakePath] = {}
        self.refuses: PathError | None = None
        self.connects: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._rate = rate
        self._path_rate = path_rate
        limits = VoiceLimits(
            sample_rate=rate,
            voice_gap_ms=voice_gap_ms,
            suspended_ms=suspended_ms,
            close_timeout_ms=1000,
        )
        self.voice = Voice(
            self.port,
            limits,
            features=features,
            carriers=lambda _: {WEBSOCKET: self._on_channel, WEBRTC: self._on_its_own},
            user=self.user,
            listener=self,
            session_id="s",
        )

    # who is told about the voice (VoiceListener)

    def attached(self) -> bool:
        return self.is_attached

    async def started(self) -> None:
        await self.runs.wait()

    async def cut(self) -> None:
        if self.cut_takes_s:
            await asyncio.sleep(self.cut_takes_s)  # real time: slow
        heard = await self.voice.flush("u1")
        if heard is not None:
            self.cuts.append(heard[0])

    def reported(self, report: Report) -> None:
        self.reports.append(report)

    def heard(self) -> None:
        self.moves += 1

    def keys(self, digits: str) -> None:
        self.pressed.append(digits)

    def way_ms(self) -> float:
        return 0.0

    # carriers

    async def _on_channel(
        self, request: wire.PathOpen, sink: PathSink, sound: Callable[[int], Sound], /
    ) -> Opened:
        return Opened(path=self._make(request, sink, sound), on_channel=True)

    async def _on_its_own(
        self, request: wire.PathOpen, sink: PathSink, sound: Callable[[int], Sound], /
    ) -> Opened:
        if self.refuses is not None:
            raise self.refuses
        path = self._make(request, sink, sound)
        return Opened(path=path, sdp_answer="answer", connected=self.connects)

    def _make(
        self, request: wire.PathOpen, sink: PathSink, sound: Callable[[int], Sound]
    ) -> FakePath:
        path = FakePath(request.path_id, sink, sound(self._path_rate))
        self.paths[path.path_id] = path
        return path

    # what a test does

    async def open(self, path_id: int, carrier: wire.Carrier = WEBSOCKET) -> FakePath:
        """Open a path and wait until it is in use, or is not to be."""
        self.voice.paths.open(wire.PathOpen(path_id=path_id, carrier=carrier))
        await self.port.settle()
        return self.paths[path_id]

    def say(self, length_ms: int, *, new_stretch: bool = True) -> int:
        """Place a sound whose samples say nothing."""
        return self.voice.place(bytes(length_ms * self._rate // 500), new_stretch=new_stretch)

    def report(self, media_ms: float, *, path_id: int = 1, **fields: Any) -> None:
        """The client reports on its control channel."""
        self.voice.alive()
        self.voice.report(path_id, Report(media_ms=media_ms, **fields))

    @property
    def closes(self) -> list[tuple[int, wire.ErrorCode]]:
        """The PathClose messages that the client was sent."""
        return [(close.path_id, close.code) for close in self.port.of("path_close")]
