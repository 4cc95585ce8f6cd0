"""A Gemini Live API on loopback, for tests: speaks, hears, calls tools, and fails on demand.

The unmodified google-genai client and Pipecat's `GeminiLiveLLMService` talk to it:

    async with running_peer() as peer:
        os.environ.update(peer.env)   # GOOGLE_API_KEY, GOOGLE_GEMINI_BASE_URL, SSL_CERT_FILE

google-genai makes `wss` of every base URL, so the peer has a certificate of its own, which
`SSL_CERT_FILE` names. As a program it prints these variables:

    python -m tests.support.gemini_live_peer --port 0
"""

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator
from copy import deepcopy
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.support import gemini_wire as wire
from tests.support.espeak import EspeakClient
from tests.support.gemini_brain import Brain
from tests.support.gemini_ears import Decoders
from tests.support.gemini_records import Fault, PeerSettings, Received, SpokenTurn
from tests.support.gemini_session import LiveSession, PeerClosed
from tests.support.gemini_tls import make_certificate, server_context

__all__ = ["Fault", "GeminiPeer", "PeerSettings", "Received", "SpokenTurn", "running_peer"]

_MAX_MESSAGE_BYTES = 16 * 2**20


class GeminiPeer:
    """The peer's state: all connections that there were, and what shall happen next."""

    def __init__(self, settings: PeerSettings, certificate: Path) -> None:
        self.settings = settings
        self.certificate = certificate
        self.espeak = EspeakClient()
        self.decoders = Decoders()
        self.faults: list[Fault] = []
        self.received: list[Received] = []
        self.open: list[LiveSession] = []
        self.port = 0
        self._kept: dict[str, tuple[str, list[dict[str, Any]]]] = {}

    @property
    def url(self) -> str:
        """The base URL, as google-genai takes it."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """What a process needs to talk to the peer instead of Google."""
        return {
            "GOOGLE_API_KEY": self.settings.key,
            "GOOGLE_GEMINI_BASE_URL": self.url,
            "SSL_CERT_FILE": str(self.certificate),
        }

    @property
    def spoken(self) -> list[SpokenTurn]:
        """All turns of all connections, in order."""
        return [turn for record in self.received for turn in record.spoken]

    @property
    def heard(self) -> list[str]:
        """All that users said, in order."""
        return [text for record in self.received for text in record.heard]

    @property
    def tool_responses(self) -> list[dict[str, Any]]:
        """What came back from tools, in order."""
        return [item for record in self.received for item in record.tool_responses]

    def keep(self, session_id: str, history: list[dict[str, Any]]) -> str:
        """Keep a session's context under a new handle."""
        handle = f"handle-{uuid4().hex}"
        self._kept[handle] = (session_id, deepcopy(history))
        return handle

    def fault(self, at: str, sent_ms: int = 0) -> Fault | None:
        """The fault that is due at a point, used up by this."""
        for fault in self.faults:
            due = fault.at == at and fault.times != 0
            if due and (at != "turn" or sent_ms >= fault.after_ms):
                fault.times -= 1
                return fault
        return None

    async def end_sessions(self, *, time_left_s: float = 1.0) -> None:
        """End every open connection as Google does: goAway, then, a while later, a close."""
        ending = list(self.open)
        for session in ending:
            await session.go_away(time_left_s)
        await asyncio.sleep(time_left_s)  # real time: slow
        for session in ending:
            await session.close(self.settings.end_close)

    # connections

    async def handle(self, socket: ServerConnection) -> None:
        """Serve one connection."""
        assert socket.request is not None
        query = parse_qs(urlsplit(socket.request.path).query)
        key = socket.request.headers.get("x-goog-api-key") or query.get("key", [""])[0]
        record = Received(socket.request.path, key, asyncio.get_running_loop().time())
        self.received.append(record)
        try:
            await self._serve(socket, record)
        except PeerClosed as end:
            await socket.close(*end.close)
        except ConnectionClosed:
            pass
        code = socket.close_code
        record.closed = None if code is None else (code, socket.close_reason or "")

    async def _serve(self, socket: ServerConnection, record: Received) -> None:
        try:
            setup = wire.decode(await socket.recv()).get("setup")
        except ValueError as error:
            raise PeerClosed((1007, "Invalid JSON payload received.")) from error
        if not record.key:
            raise PeerClosed(wire.CLOSE_NO_KEY)
        if record.key != self.settings.key:
            raise PeerClosed(wire.CLOSE_KEY)
        if setup is None:
            raise PeerClosed(wire.CLOSE_SETUP)
        record.setup = setup
        session = LiveSession(self, socket, record, self._brain(record))
        fault = self.fault("setup")
        if fault is not None:
            await session.fail(fault)
            await socket.wait_closed()
            return
        await socket.send(wire.encode({"setupComplete": {"sessionId": record.session_id}}))
        record.note_sent({"setupComplete": {}})
        self.open.append(session)
        timer = asyncio.get_running_loop().create_task(self._time_out(session))
        try:
            await session.run()
        finally:
            timer.cancel()
            self.open.remove(session)

    def _brain(self, record: Received) -> Brain:
        handle = (record.setup.get("sessionResumption") or {}).get("handle") or ""
        record.resumed_from = handle
        if not handle:
            record.session_id = uuid4().hex
            return Brain.of_setup(record.setup, [])
        if handle not in self._kept:
            raise PeerClosed(wire.CLOSE_NO_SESSION)
        record.session_id, history = self._kept[handle]
        before = [s for s in self.open if s.record.session_id == record.session_id]
        if before and self.settings.exclusive_resume:
            raise PeerClosed(wire.CLOSE_RESUME_BUSY)
        return Brain.of_setup(record.setup, history)

    async def _time_out(self, session: LiveSession) -> None:
        if self.settings.end_after_s <= 0:
            return
        notice_s = min(self.settings.go_away_s, self.settings.end_after_s)
        await asyncio.sleep(self.settings.end_after_s - notice_s)  # real time: slow
        if notice_s > 0:
            await session.go_away(notice_s)
            await asyncio.sleep(notice_s)  # real time: slow
        await session.close(self.settings.end_close)


def _route(_: ServerConnection, request: Request) -> Response | None:
    """Refuse what is no path of the API."""
    if wire.PATH.fullmatch(request.path):
        return None
    from websockets.datastructures import Headers

    return Response(HTTPStatus.NOT_FOUND.value, "Not Found", Headers(), b"")


@contextlib.asynccontextmanager
async def running_peer(
    *, port: int = 0, host: str = "127.0.0.1", **settings: Any
) -> AsyncGenerator[GeminiPeer]:
    """Run a peer until the block ends.

    Args:
        port: 0 = any free one.
        host: An address of loopback.
        **settings: Fields of :class:`PeerSettings`.
    """
    with tempfile.TemporaryDirectory(prefix="gemini-peer-") as folder:
        certificate = Path(folder) / "peer.pem"
        make_certificate(certificate)
        peer = GeminiPeer(PeerSettings(**settings), certificate)
        await peer.espeak.warm()
        server: Server
        async with serve(
            peer.handle,
            host,
            port,
            ssl=server_context(certificate),
            process_request=_route,
            max_size=_MAX_MESSAGE_BYTES,
            ping_interval=None,
            close_timeout=2,
            compression=None,
        ) as server:
            peer.port = next(iter(server.sockets)).getsockname()[1]
            try:
                yield peer
            finally:
                await peer.espeak.aclose()


async def _main() -> None:
    arguments = argparse.ArgumentParser(description="A Gemini Live API on loopback, for tests.")
    arguments.add_argument("--port", type=int, default=0, help="0 = any free one")
    arguments.add_argument("--end-after", type=float, default=0, metavar="S")
    given = arguments.parse_args()
    async with running_peer(port=given.port, end_after_s=given.end_after) as peer:
        for name, value in peer.env.items():
            print(f"export {name}={value}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
