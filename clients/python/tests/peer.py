"""A scripted server for tests: the real wire format on a real socket, and nothing else.

::

    async with serving(script) as url: ...

where `script(peer)` is a coroutine that says what the server does on one connection. In virtual
time the socket is one in memory, and `connect` is what reaches it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

import voxwire
from voxwire._websocket import WebSocket
from voxwire.testing import Environment, Network, SocketClosed, VirtualTime, running_clock
from voxwire.testing.network import End
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel
from voxwire_protocol.timeline import TimedWord, encode_words

RATE = 24_000
UNIT_S = 1.0
"""Every deadline of these tests is a multiple of it."""

Script = Callable[["Peer"], Awaitable[None]]


def now_ms() -> int:
    return int(running_clock().now_ms())


def now_s() -> float:
    """The same clock, seconds."""
    return running_clock().now_ms() / 1000


_networks: dict[str, Network] = {}
"""In virtual time: where each server is reached, by host."""


async def _dial(url: str, *, timeout_ms: int) -> WebSocket:
    return await _networks[urlsplit(url).netloc].dial(url, timeout_ms=timeout_ms)


def connect(url: str, **options: Any) -> voxwire.Connection:
    """`voxwire.connect` to a server of this module, whichever time it is."""
    if isinstance(clock := running_clock(), VirtualTime):
        options["environment"] = Environment(
            dial=_dial, clock=clock, jitter=lambda: 0.5, webrtc=False
        )
    return voxwire.connect(url, **options)


class MemorySocket:
    """The server's end of a socket in memory, with the verbs of `websockets`' connection."""

    def __init__(self, end: End, path: str) -> None:
        self._end = end
        self.request = type("Request", (), {"path": path})
        self.transport = self
        self._gone = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        end.on_closed = lambda _: self._gone.set()

    async def send(self, data: bytes | str) -> None:
        if not self._end.open:
            raise ConnectionClosedError(None, None)
        self._end.write(data)  # type: ignore[arg-type]
        await asyncio.sleep(0)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with contextlib.suppress(SocketClosed):
            while True:
                data = await self._end.receive()
                await self._reading.wait()
                yield data

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self._end.shut(code, reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(UNIT_S / 2):
                await self._gone.wait()
        self._end.abort()

    async def wait_closed(self) -> None:
        await self._gone.wait()

    def abort(self) -> None:
        self._end.abort()  # what was written before it arrives

    def is_closing(self) -> bool:
        return not self._end.open

    def pause_reading(self) -> None:
        self._reading.clear()


class Peer:
    """One connection, as the server sees it."""

    def __init__(self, socket: Any) -> None:
        self.socket: ServerConnection = socket
        self.channel = Channel(allowed=wire.CLIENT_PAYLOADS)
        self.received: list[wire.Envelope] = []
        self.reports: list[tuple[int, wire.PlayoutReport]] = []
        self.path_id = 0
        self.sent_samples = 0
        self.arrived = asyncio.Event()
        self.quiet: Callable[[], bool] = lambda: False  # True = answers nothing of itself

    async def read(self) -> None:
        """Collects what the client says and answers pings."""
        with contextlib.suppress(ConnectionClosed):
            async for data in self.socket:
                assert isinstance(data, bytes)
                for envelope in self.channel.receive(data, now_ms()):
                    await self._take(envelope)
                if not self.quiet():
                    for reply in self.channel.outgoing(now_ms()):
                        await self.socket.send(reply)

    async def _take(self, envelope: wire.Envelope) -> None:
        self.received.append(envelope)
        match envelope.WhichOneof("payload"):
            case "path_open":
                self.path_id = envelope.path_open.path_id
            case "playout_report":
                self.reports.append((now_ms(), envelope.playout_report))
            case "ping" if not self.quiet():
                pong = wire.Pong(number=envelope.ping.number, t0_us=envelope.ping.t0_us)
                await self.say(pong=pong)
            case _:
                pass
        self.arrived.set()

    async def say(self, **payload: object) -> None:
        """Sends one payload, for instance ``say(flush=wire.Flush())``."""
        envelope = wire.Envelope(**payload)  # type: ignore[arg-type]
        for data in self.channel.send(envelope, now_ms()):
            await self.socket.send(data)

    async def heard(self, payload: str, *, count: int = 1) -> wire.Envelope:
        """Waits until the client has sent a payload `count` times; returns the last of them."""
        async with asyncio.timeout(10 * UNIT_S):
            while True:
                found = [m for m in self.received if m.WhichOneof("payload") == payload]
                if len(found) >= count:
                    return found[count - 1]
                self.arrived.clear()
                await self.arrived.wait()

    async def reported(self, media_ms: int) -> None:
        """Waits until the client reports that position or a later one."""
        async with asyncio.timeout(10 * UNIT_S):
            while not any(report.media_ms >= media_ms for _, report in self.reports):
                self.arrived.clear()
                await self.arrived.wait()

    async def flushed(self, flush_id: int) -> wire.PlayoutReport:
        """Waits for the report that answers a flush; it is the only one."""
        async with asyncio.timeout(10 * UNIT_S):
            while not (found := [r for _, r in self.reports if r.flush_id == flush_id]):
                self.arrived.clear()
                await self.arrived.wait()
        assert len(found) == 1
        return found[0]

    async def welcome(self) -> None:
        await self.heard("hello")
        await self.say(
            welcome=wire.Welcome(
                protocol_version=1,
                session_id="test.session",
                bot="scripted",
                heartbeat_ms=1000,
                max_message_bytes=65536,
                server="peer",
            )
        )

    async def answer(self) -> None:
        await self.heard("path_open")
        pcm = wire.Codec.CODEC_PCM_S16LE
        await self.say(
            path_answer=wire.PathAnswer(
                path_id=self.path_id,
                capture=wire.AudioFormat(
                    codec=pcm, sample_rate=16_000, num_channels=1, block_ms=20
                ),
                playout=wire.AudioFormat(codec=pcm, sample_rate=RATE, num_channels=1, block_ms=20),
            )
        )

    async def ready(self) -> None:
        """Does what a server does until the session is up."""
        await self.welcome()
        await self.answer()
        await self.say(path_ready=wire.PathReady(path_id=self.path_id))

    async def audio(self, media_ms: int, samples: np.ndarray) -> None:
        """Sends audio in 20 ms chunks from a position on, all at once."""
        block = RATE * 20 // 1000
        for start in range(0, len(samples), block):
            chunk = wire.AudioChunk(
                path_id=self.path_id,
                sample_index=media_ms * RATE // 1000 + start,
                data=samples[start : start + block].astype("<i2").tobytes(),
            )
            await self.say(audio=chunk)

    async def utterance(self, utterance_id: str, media_ms: int, *, words: int, word_ms: int) -> str:
        """Announces an utterance and its words; returns its text."""
        await self.say(
            utterance_started=wire.UtteranceStarted(
                utterance_id=utterance_id,
                media_ms=media_ms,
                source=wire.TimingSource.TIMING_SOURCE_PROVIDER_WORD,
            )
        )
        names = [f"word{index}" for index in range(words)]
        text = " ".join(names)
        timed: list[TimedWord] = []
        for index, name in enumerate(names):
            start = text.index(name)
            timed.append(
                TimedWord(
                    utterance_id=utterance_id,
                    index=index,
                    text=name,
                    char_start=start,
                    char_end=start + len(name),
                    start_ms=media_ms + index * word_ms,
                    end_ms=media_ms + (index + 1) * word_ms,
                    end_estimated=False,
                    source=wire.TimingSource.TIMING_SOURCE_PROVIDER_WORD,
                )
            )
        await self.say(utterance_words=encode_words(timed, text))
        return text

    async def end_utterance(self, utterance_id: str, media_ms: int, *, text: str) -> None:
        await self.say(
            utterance_ended=wire.UtteranceEnded(
                utterance_id=utterance_id,
                end=wire.UtteranceEnd.UTTERANCE_END_COMPLETED,
                heard_media_ms=media_ms,
                heard_char_end=len(text),
                heard_words=len(text.split()),
                heard_source=wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT,
            )
        )

    async def state(self, bot: str, *, user: str = "SILENT", media_ms: int = 0) -> None:
        await self.say(
            state_changed=wire.StateChanged(
                bot=wire.BotState.Value(f"BOT_STATE_{bot}"),
                user=wire.UserState.Value(f"USER_STATE_{user}"),
                media_ms=media_ms,
            )
        )

    async def goodbye(self) -> None:
        """Ends the session as a bot that has said all it had to say."""
        await self.say(
            session_ended=wire.SessionEnded(reason=wire.EndReason.END_REASON_BOT, duration_ms=1234)
        )

    async def until_bye(self) -> None:
        """Waits for Bye and answers it."""
        await self.heard("bye")
        await self.say(
            session_ended=wire.SessionEnded(
                reason=wire.EndReason.END_REASON_CLIENT, duration_ms=1234
            )
        )


def tone(duration_ms: int, *, amplitude: int = 8000, hz: int = 400) -> np.ndarray:
    """A sine, int16 mono at the playout rate."""
    t = np.arange(duration_ms * RATE // 1000) / RATE
    return (np.sin(2 * np.pi * hz * t) * amplitude).astype(np.int16)


@contextlib.asynccontextmanager
async def serving(script: Script, *, subprotocol: bool = True) -> AsyncIterator[str]:
    """Serves the script on a free loopback port; an error in it fails the test."""
    failures: list[BaseException] = []

    async def handle(socket: Any) -> None:
        peer = Peer(socket)
        reader = asyncio.create_task(peer.read())
        try:
            await script(peer)
        except ConnectionClosed:
            pass
        except Exception as error:
            failures.append(error)
        finally:
            await socket.close()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    if isinstance(running_clock(), VirtualTime):
        async with _in_memory(handle) as url:
            yield url
    else:
        async with _on_loopback(handle, subprotocol) as url:
            yield url
    if failures:
        raise failures[0]


@contextlib.asynccontextmanager
async def _in_memory(handle: Callable[[Any], Awaitable[None]]) -> AsyncIterator[str]:
    host = f"peer{len(_networks)}.test"
    tasks: list[asyncio.Task[None]] = []

    def accept(end: End) -> None:
        path = urlsplit(network.dialled[-1]).path
        tasks.append(asyncio.ensure_future(handle(MemorySocket(end, path))))  # type: ignore[arg-type]

    network = _networks[host] = Network(accept)
    try:
        yield f"ws://{host}"
    finally:
        del _networks[host]
        for end in tuple(network.ends):
            end.shut(1001)
        if tasks:
            await asyncio.wait(tasks, timeout=60)


@contextlib.asynccontextmanager
async def _on_loopback(
    handle: Callable[[Any], Awaitable[None]], subprotocol: bool
) -> AsyncIterator[str]:
    server = await serve(
        handle,
        "127.0.0.1",
        0,
        subprotocols=[wire.SUBPROTOCOL] if subprotocol else None,  # type: ignore[list-item]
        compression=None,
        close_timeout=UNIT_S / 2,
        ping_interval=None,
    )
    try:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
