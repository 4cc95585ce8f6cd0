"""Opus over WebSocket at the client: who decides, what waits, what is bridged."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from virtual import session_of, virtual

import voxwire
from voxwire._codec import CodecChoice
from voxwire._websocket_path import MAX_UNREADABLE, WebSocketPath
from voxwire.playout import PlayoutBuffer, Samples, SpanKind
from voxwire.testing import FakeServer, VirtualTime
from voxwire_protocol import opus, wire
from voxwire_protocol.capture import Piece
from voxwire_protocol.opus import ChunkDecoder, ChunkEncoder, opus_ready

RATE, BLOCK = 16_000, 320
LOOKAHEAD = RATE * 13 // 2000

needs_opus = pytest.mark.skipif(not opus_ready(RATE), reason="no libopus here")


def without_opus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "opus_ready", lambda _: False)


# who decides


@needs_opus
@pytest.mark.parametrize(
    ("wanted", "loopback", "opus"),
    [
        ("auto", False, True),
        ("auto", True, False),
        ("opus", True, True),
        ("opus", False, True),
        ("pcm", False, False),
    ],
)
def test_opus_is_for_servers_elsewhere_unless_one_is_asked_for(
    wanted: str, loopback: bool, opus: bool
) -> None:
    assert CodecChoice(wanted, loopback=loopback).opus is opus


def test_without_libopus_it_is_pcm_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_opus(monkeypatch)
    choice = CodecChoice("auto")
    assert not choice.opus
    assert "pip install 'voxwire[opus]'" in choice.reason


def test_pcm_loads_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(_: int) -> bool:
        raise AssertionError("libopus was looked for")

    monkeypatch.setattr(opus, "opus_ready", loaded)
    CodecChoice("pcm")
    CodecChoice("auto", loopback=True)
    voxwire.connect("ws://localhost:1", codec="auto")


def test_what_cannot_be_had_is_said_by_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(voxwire.UsageError, match="auto, opus, pcm") as error:
        voxwire.connect("ws://localhost:1", codec="mp3")
    assert error.value.code == voxwire.ErrorCode.INVALID_ARGUMENT
    without_opus(monkeypatch)
    with pytest.raises(voxwire.UsageError, match=r"pip install 'voxwire\[opus\]'") as error:
        voxwire.connect("ws://localhost:1", codec="opus")
    assert error.value.code == voxwire.ErrorCode.MISSING_EXTRA


@needs_opus
@virtual
async def test_a_server_that_knows_pcm_alone_is_heard_as_before(time: VirtualTime) -> None:
    async def bot(talk: Any) -> None:
        await talk.say("one two three")

    async with FakeServer(bot) as server, session_of(server, codec="opus") as session:
        await session.wait_for(voxwire.UtteranceEnded)
        media = session.report()["media"]
    assert (media["codec"], media["codec_reason"]) == ("pcm", "the server carries PCM")


# the path


class Line:
    """A path in use, what it sends, and where the bot's audio goes."""

    def __init__(self, *, opus: bool = True) -> None:
        self.takes = True
        self.sent: list[wire.AudioChunk] = []
        self.pushed: list[tuple[int, Samples]] = []
        self.choice = CodecChoice()
        self.choice.opus = opus
        self.path = WebSocketPath(1, capture=self, send=self._send, codec=self.choice)  # type: ignore[arg-type]
        self.give: Callable[[Piece], bool] = lambda _: False
        self.running: asyncio.Task[None] | None = None

    def _send(self, envelope: wire.Envelope) -> bool:
        if self.takes:
            self.sent.append(envelope.audio)
        return self.takes

    @contextmanager
    def carried(self, give: Callable[[Piece], bool]) -> Generator[None]:
        self.give = give
        yield

    def push(self, sample_index: int, samples: Samples) -> None:
        self.pushed.append((sample_index, samples))

    async def begin(self) -> None:
        asked = await self.path.offer()
        answer = wire.PathAnswer(path_id=1, capture=asked.capture, playout=asked.playout)
        self.path.receive(wire.Envelope(path_answer=answer))
        self.path.receive(wire.Envelope(path_ready=wire.PathReady(path_id=1)))
        await self.path.wait_ready()
        self.running = asyncio.create_task(self.path.run(self))  # type: ignore[arg-type]
        await asyncio.sleep(0)

    def speak(self, first: int, count: int = BLOCK) -> bool:
        samples = 6000 * np.sin(np.arange(first, first + count) / 7)
        return self.give(Piece(first, samples.astype("<i2").tobytes()))

    @property
    def spans(self) -> list[tuple[int, int]]:
        decoder = ChunkDecoder(RATE)
        return [
            (chunk.sample_index, chunk.sample_index + len(decoder.decode(chunk)))
            for chunk in self.sent
        ]

    async def end(self) -> None:
        assert self.running is not None
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


@needs_opus
@virtual
async def test_what_the_socket_does_not_take_now_is_sent_later_and_once(time: VirtualTime) -> None:
    line = Line()
    await line.begin()
    line.speak(0)
    line.takes = False
    assert line.speak(BLOCK)  # one is held
    assert not line.speak(2 * BLOCK)  # the next one stays with the microphone
    assert not line.speak(2 * BLOCK)
    line.takes = True
    assert line.speak(2 * BLOCK)
    samples = [at for first, end in line.spans for at in range(first, end)]
    assert samples == list(range(3 * BLOCK - LOOKAHEAD))
    await line.end()


@needs_opus
@virtual
async def test_the_end_of_what_was_said_before_a_mute_is_not_sent_behind_it(
    time: VirtualTime,
) -> None:
    line = Line()
    await line.begin()
    line.speak(0)
    line.speak(10 * BLOCK)
    assert line.spans == [(0, BLOCK - LOOKAHEAD), (10 * BLOCK, 11 * BLOCK - LOOKAHEAD)]
    assert [chunk.restarts for chunk in line.sent] == [True, True]
    await line.end()


@needs_opus
@virtual
async def test_the_bot_is_placed_where_its_chunks_say(time: VirtualTime) -> None:
    line = Line()
    await line.begin()
    sender = ChunkEncoder(24_000, path_id=1, block_ms=20)
    for chunk in sender.push(5000, bytes(4 * 960)) + sender.finish():
        line.path.receive(wire.Envelope(audio=chunk))
    samples = [at + i for at, piece in line.pushed for i in range(len(piece))]
    assert samples == list(range(5000, 5000 + 4 * 480))
    await line.end()


@needs_opus
@virtual
async def test_rubbish_in_a_row_is_the_end_of_the_path_and_the_next_one_is_pcm(
    time: VirtualTime,
) -> None:
    line = Line()
    await line.begin()
    good = ChunkEncoder(24_000, path_id=1, block_ms=20).push(0, bytes(960))[0]
    for _ in range(5):
        for _ in range(MAX_UNREADABLE - 1):
            line.path.receive(wire.Envelope(audio=wire.AudioChunk(path_id=1, data=b"\x0b")))
        line.path.receive(wire.Envelope(audio=good))
    await asyncio.sleep(0)
    assert line.running is not None
    assert not line.running.done()
    for _ in range(MAX_UNREADABLE):
        line.path.receive(wire.Envelope(audio=wire.AudioChunk(path_id=1, data=b"\x0b")))
    with pytest.raises(voxwire.TransportError, match="could not be decoded") as error:
        await line.running
    assert error.value.code == voxwire.ErrorCode.UNSUPPORTED_FORMAT
    assert not line.choice.opus


@needs_opus
@virtual
async def test_an_encoder_that_fails_is_the_end_of_the_path(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[wire.AudioChunk]:
        raise RuntimeError("opus_encode failed (-3)")

    line = Line()
    await line.begin()
    monkeypatch.setattr(ChunkEncoder, "push", broken)
    assert not line.speak(0)  # the microphone keeps it for the next path
    assert line.running is not None
    with pytest.raises(voxwire.TransportError, match="could not be encoded"):
        await line.running
    assert not line.choice.opus


@pytest.mark.parametrize("opus", [False, True])
@virtual
async def test_opus_that_was_not_asked_for_or_has_no_such_rate_is_refused(
    time: VirtualTime, opus: bool
) -> None:
    line = Line(opus=opus)
    form = wire.AudioFormat(
        codec=wire.Codec.CODEC_OPUS, sample_rate=44_100 if opus else 24_000, num_channels=1
    )
    answer = wire.PathAnswer(path_id=1, capture=form, playout=form)
    line.path.receive(wire.Envelope(path_answer=answer))
    line.path.receive(wire.Envelope(path_ready=wire.PathReady(path_id=1)))
    with pytest.raises(voxwire.MediaError) as error:
        await line.path.wait_ready()
    assert error.value.code == voxwire.ErrorCode.UNSUPPORTED_FORMAT


# the bridge

MS = 24


def bridged(late_ms: int) -> tuple[PlayoutBuffer, list[tuple[SpanKind, int]]]:
    """100 ms of sound, 200 ms more that are late, pulled by the millisecond."""
    buffer = PlayoutBuffer(sample_rate=24_000, make_up=lambda count: np.full(count, 1000, np.int16))
    voice = np.full(200 * MS, 2000, np.int16)
    buffer.push(0, voice[: 100 * MS])
    spans: list[tuple[SpanKind, int]] = []
    for now_ms in range(500):
        if now_ms == 100 + late_ms:
            buffer.push(100 * MS, voice)
        for span in buffer.pull(MS).spans:
            if spans and spans[-1][0] is span.kind:
                spans[-1] = (span.kind, spans[-1][1] + span.length)
            else:
                spans.append((span.kind, span.length))
    return buffer, [(kind, length // MS) for kind, length in spans]


@pytest.mark.parametrize(
    ("late_ms", "made_up_ms", "silent_ms"), [(20, 20, 0), (60, 60, 0), (90, 60, 30)]
)
def test_the_codec_bridges_a_wait_for_60_ms_and_no_longer_than_it_lasts(
    late_ms: int, made_up_ms: int, silent_ms: int
) -> None:
    buffer, spans = bridged(late_ms)
    expected = [(SpanKind.PLAYED, 100), (SpanKind.CONCEALED, made_up_ms)]
    expected += [(SpanKind.SILENT, silent_ms)] if silent_ms else []
    assert spans[: len(expected) + 1] == [*expected, (SpanKind.PLAYED, 200)]
    assert (buffer.concealed_ms, buffer.underruns) == (made_up_ms, 1)
    assert buffer.position == 300 * MS


def test_the_end_of_a_voice_counts_as_nothing_made_up() -> None:
    buffer, _ = bridged(1000)
    assert (buffer.concealed_ms, buffer.underruns) == (0, 0)


def test_a_flush_is_not_bridged() -> None:
    buffer = PlayoutBuffer(sample_rate=24_000, make_up=lambda count: np.ones(count, np.int16))
    buffer.push(0, np.full(200 * MS, 2000, np.int16))
    buffer.pull(100 * MS)
    buffer.flush(200 * MS)
    kinds = {span.kind for span in buffer.pull(100 * MS).spans}
    assert kinds == {SpanKind.PLAYED, SpanKind.SILENT}
