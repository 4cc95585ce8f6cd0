"""WebRTC in virtual time: a connection in memory, over a network that the test describes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxwire.testing import FakeServer, FakeSession
from voxwire_protocol import wire
from voxwire_protocol.rtc import PeerStats, TurnError

BLOCK_S = 0.02


@dataclass
class Udp:
    """What UDP does between client and server, milliseconds since the server's answer.

    Attributes:
        answers: Whether the server answers a path at all.
        reached_ms: When the first packet has gone there and back; None = never.
        connected_ms: When the handshake is over; None = never.
        failed_ms: When the connection is known to fail; None = never.
        pipeline_ms: How much later the server says that it is ready.
        dead: Carries nothing any more.
        peers: Every connection that was tried.
    """

    answers: bool = True
    reached_ms: float | None = 20
    connected_ms: float | None = 60
    failed_ms: float | None = None
    pipeline_ms: float = 0
    dead: bool = False
    peers: list["FakePeer"] = field(default_factory=list)

    def block(self) -> None:
        """From now on no packet comes through."""
        self.reached_ms = self.connected_ms = None
        self.dead = True

    def heal(self) -> None:
        """From now on everything does."""
        self.reached_ms, self.connected_ms, self.dead = 20, 60, False

    def serve(self, server: FakeServer) -> None:
        """Has that server do WebRTC over this network."""

        def opened(session: FakeSession, asked: wire.PathOpen) -> None:
            peer = self.peers[int(asked.sdp_offer)]
            peer.ready = lambda: session.path_ready(asked.path_id)
            if self.answers:
                session.path_answer(asked.path_id, "an answer")

        server.webrtc = opened


class FakePeer:
    """Stands where `voxwire_protocol.rtc.Peer` does."""

    udp: Udp

    def __init__(
        self,
        *,
        pull: Callable[[int, int], object],
        on_audio: Callable[[Any, int], object],
        on_closed: Callable[[], object],
        **_: object,
    ) -> None:
        self.ready: Callable[[], object] = lambda: None
        self.reached = False
        self.closed = False
        self._pull, self._on_audio, self._on_closed = pull, on_audio, on_closed
        self._settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []

    async def offer(self, *, relay_follows: bool) -> str:
        self.udp.peers.append(self)
        return str(len(self.udp.peers) - 1)

    async def accept(self, answer: str) -> None:
        udp = self.udp
        self._tasks = [
            asyncio.create_task(self._reach(udp.reached_ms)),
            asyncio.create_task(self._fail(udp.failed_ms)),
            asyncio.create_task(self._connect(udp.connected_ms)),
        ]

    async def relay(self, servers: object) -> str | None:
        raise TurnError("there is no TURN server")

    async def connected(self) -> None:
        await asyncio.shield(self._settled)

    def rtp_timestamp(self, sample: int) -> int | None:
        return sample * 3

    def stats(self) -> PeerStats:
        return PeerStats(inbound=None, skipped_blocks=0, pull_errors=0)

    def drop(self) -> None:
        self.udp.dead = True

    def settle(self) -> None:
        """The handshake is over."""
        self._settled.set_result(None)

    async def close(self) -> None:
        self.closed = True
        self._settled.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _reach(self, after_ms: float | None) -> None:
        if after_ms is not None:
            await asyncio.sleep(after_ms / 1000)
            self.reached = True

    async def _fail(self, after_ms: float | None) -> None:
        if after_ms is not None:
            await asyncio.sleep(after_ms / 1000)
            self._settled.set_exception(ConnectionError("it failed"))

    async def _connect(self, after_ms: float | None) -> None:
        if after_ms is None:
            return
        await asyncio.sleep(after_ms / 1000)
        self._settled.set_result(None)
        await asyncio.sleep(self.udp.pipeline_ms / 1000)
        self.ready()
        for number in range(1 << 30):
            await asyncio.sleep(BLOCK_S)
            if not self.udp.dead:
                self._pull(320 * number, 320)
                self._on_audio(np.zeros(480, np.int16), 960 * number)
