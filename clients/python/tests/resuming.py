"""A scripted server whose session outlives its sockets; `peer.py` has the single connection.

::

    async def script(session: ResumeSession) -> None:
        peer = await session.first()       # welcomed, path ready
        session.cut()                      # the network breaks
        peer = await session.again()       # the client is back: welcomed, replayed

    async with keeping(script) as url: ...
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from peer import UNIT_S, Peer, now_ms, serving

from voxwire_protocol import wire
from voxwire_protocol.channel import Channel

FEATURES = [wire.Feature.FEATURE_RESUME, wire.Feature.FEATURE_SEQUENCE]


class ResumeSession:
    """One session on the server's side: its channel lives on, connections come and go."""

    def __init__(self, *, grace_ms: int = 10_000, heartbeat_ms: int = 1000) -> None:
        self.channel = Channel(allowed=wire.CLIENT_PAYLOADS)
        self.grace_ms = grace_ms
        self.heartbeat_ms = heartbeat_ms
        self.epoch = 0
        self.nonce = b""
        self.hellos: list[wire.Hello] = []
        self.received: list[wire.Envelope] = []  # by all connections, in order, each once
        self.reports: list[tuple[int, wire.PlayoutReport]] = []
        self.peers: list[Peer] = []
        self.dialled: asyncio.Queue[Peer] = asyncio.Queue()
        self.quiet = False  # True: nothing is acknowledged and no ping answered

    @property
    def texts(self) -> list[str]:
        """What the user has written, as delivered."""
        return [m.send_text.text for m in self.received if m.HasField("send_text")]

    def adopt(self, peer: Peer) -> None:
        """Lets a connection speak for this session."""
        peer.channel = self.channel
        peer.received = self.received
        peer.reports = self.reports
        peer.quiet = lambda: self.quiet
        self.peers.append(peer)
        self.dialled.put_nowait(peer)

    async def dial(self) -> Peer:
        """Waits for the next connection that has said Hello."""
        async with asyncio.timeout(10 * UNIT_S):
            peer = await self.dialled.get()
            self.hellos.append((await self._hello(len(self.hellos) + 1)).hello)
        return peer

    async def _hello(self, count: int) -> wire.Envelope:
        while True:
            found = [m for m in self.received if m.HasField("hello")]
            if len(found) >= count:
                return found[count - 1]
            await asyncio.sleep(0.005)  # real time: poll

    def welcome(self, *, resumed: bool, **more: object) -> wire.Welcome:
        """The answer to the newest Hello: the same one for the same nonce."""
        hello = self.hellos[-1]
        if hello.attach_nonce != self.nonce:
            self.nonce = hello.attach_nonce
            self.epoch += 1
        return wire.Welcome(
            protocol_version=1,
            session_id="test.session",
            bot="scripted",
            epoch=self.epoch,
            resumed=resumed,
            resume_token=self.epoch.to_bytes(16, "big"),
            last_seq=self.channel.last_received if resumed else 0,
            grace_ms=self.grace_ms,
            heartbeat_ms=self.heartbeat_ms,
            features=FEATURES,
            **more,  # type: ignore[arg-type]
        )

    async def first(self) -> Peer:
        """Opens the session with its first path, as a server does."""
        peer = await self.dial()
        await peer.say(welcome=self.welcome(resumed=False))
        await self.ready(peer, path_id=1)
        return peer

    async def ready(self, peer: Peer, *, path_id: int) -> None:
        """Answers the path of that number."""
        await self.opened(peer, path_id)
        await peer.answer()
        await peer.say(path_ready=wire.PathReady(path_id=path_id))

    async def opened(self, peer: Peer, path_id: int) -> None:
        """Waits until the client asks for that path."""
        async with asyncio.timeout(10 * UNIT_S):
            while True:
                asked = [m.path_open for m in self.received if m.HasField("path_open")]
                if any(it.path_id == path_id for it in asked):
                    break
                await asyncio.sleep(0.005)  # real time: poll
        peer.path_id = path_id

    def cut(self) -> None:
        """The network breaks the newest connection."""
        self.channel.on_lost(now_ms())
        self.peers[-1].socket.transport.abort()

    async def replay(self, peer: Peer) -> None:
        """Welcomes a client that comes back and sends what it has missed."""
        last_seq = self.hellos[-1].last_seq
        await peer.say(welcome=self.welcome(resumed=True))
        for data in self.channel.resume(last_seq, now_ms()) or []:
            await peer.socket.send(data)

    async def again(self, *, path_id: int = 0) -> Peer:
        """The client is back; with `path_id` its new path is made ready, too."""
        peer = await self.dial()
        await self.replay(peer)
        if path_id:
            await self.ready(peer, path_id=path_id)
        return peer

    async def refuse(self, peer: Peer, code: str, *, close: bool = True, **more: object) -> None:
        """Answers Hello with an error."""
        number = wire.ErrorCode.Value(f"ERROR_CODE_{code}")
        error = wire.Error(code=number, reason="no", fatal=True, **more)  # type: ignore[arg-type]
        await peer.socket.send(wire.Envelope(error=error, seq=1).SerializeToString())
        if close:
            await peer.socket.close(4000 + number)


@contextlib.asynccontextmanager
async def keeping(
    script: Callable[[ResumeSession], Awaitable[None]],
    *,
    session: ResumeSession | None = None,
    wait: bool = True,
) -> AsyncIterator[str]:
    """Serves one session to whoever dials; an error in the script fails the test.

    Args:
        script: What the server does.
        session: What it does it on.
        wait: False = the script is over when the test is.
    """
    session = session or ResumeSession()
    over = asyncio.Event()

    async def run() -> None:
        try:
            await script(session)
        finally:
            over.set()

    async def connection(peer: Peer) -> None:
        session.adopt(peer)
        await over.wait()

    task = asyncio.create_task(run())
    async with serving(connection) as url:
        try:
            yield url
            if wait:
                async with asyncio.timeout(10 * UNIT_S):
                    await task
        except BaseException as error:
            if task.done() and not task.cancelled() and (cause := task.exception()):
                raise cause from error  # the script failed first
            raise
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
