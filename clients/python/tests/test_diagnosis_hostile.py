"""A diagnosis of what behaves badly: it ends in time, and what is wrong stands where it belongs."""

import asyncio
from typing import Any

import pytest
from virtual import virtual

import voxwire
from voxwire._diagnosis import run
from voxwire._diagnosis.line import Line
from voxwire._diagnosis.verdict import PathTried
from voxwire._simulate import Gate
from voxwire._socket import Socket
from voxwire.testing import FakeServer, FakeSession, VirtualTime
from voxwire_protocol import wire

CODE = voxwire.ErrorCode


async def found(
    time: VirtualTime, server: FakeServer, dial: Any = None, **options: Any
) -> dict[str, tuple[str, str]]:
    environment = voxwire.testing.Environment(
        dial=dial or server.environment.dial, clock=server.clock, webrtc=False
    )
    began = time.now_ms()
    checked = await voxwire.diagnose(server.url, environment=environment, **options)
    assert time.now_ms() - began <= 12_000
    return {check.name: (check.state, check.detail) for check in checked.checks}


@pytest.mark.parametrize("how", ["drop", "close_socket", "hang"])
@virtual
async def test_a_server_that_goes_away_is_found_out_in_time(time: VirtualTime, how: str) -> None:
    async with FakeServer() as server:
        server.network.latency_ms = 40

        class Socket:
            """Behaves until the Welcome was read."""

            def __init__(self, end: Any) -> None:
                self._end = end
                self.send, self.close, self.abort = end.send, end.close, end.abort

            async def receive(self) -> bytes:
                data = await self._end.receive()
                if wire.Envelope.FromString(data).HasField("welcome"):
                    getattr(server.session, how)()
                return data

        async def dial(url: str, *, timeout_ms: int) -> Any:
            return Socket(await server.environment.dial(url, timeout_ms=timeout_ms))

        states = await found(time, server, dial)
    assert states["token"][0] == "ok"
    assert states["rtt"][0] == "failed"


@virtual
async def test_junk_is_no_answer(time: VirtualTime) -> None:
    async with FakeServer() as server:

        class Socket:
            def __init__(self, end: Any) -> None:
                self._end = end
                self.send, self.close, self.abort = end.send, end.close, end.abort

            async def receive(self) -> Any:
                data = await self._end.receive()
                kind = wire.Envelope.FromString(data).WhichOneof("payload")
                return data if kind == "welcome" else b"\xff\xff\xff"

        async def dial(url: str, *, timeout_ms: int) -> Any:
            return Socket(await server.environment.dial(url, timeout_ms=timeout_ms))

        states = await found(time, server, dial)
    assert states["rtt"] == ("failed", "it took longer than 5 s")


async def _hangs(request: Any) -> str:
    await asyncio.Event().wait()
    return ""


def _raises(request: Any) -> str:
    raise LookupError("CANARY")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (_raises, "the token source gave no token, it raised LookupError"),
        (lambda _: 5, "token must be a str, not int"),
        (_hangs, "it took longer than 5 s"),
        ("a b", "token must be printable ASCII without spaces, as the server gave it"),
    ],
)
@virtual
async def test_a_token_that_is_not_to_be_had_is_no_fault_of_the_server(
    time: VirtualTime, source: Any, says: str
) -> None:
    async with FakeServer() as server:
        states = await found(time, server, token=source)
        assert states["server"][0] == "ok"
        assert states["token"] == ("failed", says)
        assert states["rtt"] == ("skipped", "needs token")
        assert server.hellos == []


@virtual
async def test_what_nobody_expects_is_a_check_that_failed(time: VirtualTime) -> None:
    async def dial(url: str, *, timeout_ms: int) -> Any:
        raise LookupError("CANARY")

    async with FakeServer() as server:
        states = await found(time, server, dial)
    assert states["server"] == ("failed", "it failed with LookupError")


@virtual
async def test_a_diagnosis_that_is_given_up_leaves_no_session(time: VirtualTime) -> None:
    async def bot(session: FakeSession) -> None:
        await asyncio.Event().wait()

    async with FakeServer(bot) as server:
        server.network.latency_ms = 500
        looking = asyncio.create_task(voxwire.diagnose(server.url, environment=server.environment))
        await time.advance(2200)
        assert server.sessions
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        await time.advance(2000)
        assert server.session.over


@virtual
async def test_leaving_takes_2_s_though_neither_path_nor_server_lets_go(time: VirtualTime) -> None:
    class Path:
        closed = False

        async def close(self) -> None:
            self.closed = True
            await asyncio.sleep(3)

    class Stuck:
        """Takes no byte, and does not answer the closing handshake."""

        aborted = False

        async def send(self, data: bytes) -> None:
            await asyncio.Event().wait()

        async def receive(self) -> bytes:
            await asyncio.Event().wait()
            return b""

        async def close(self) -> None:
            await asyncio.Event().wait()

        def abort(self) -> None:
            self.aborted = True

    async with FakeServer() as server:
        end, path = Stuck(), Path()
        socket = Socket(end, Gate(server.clock), server.clock, url=server.url)
        line = await Line(socket, wire.Welcome(), server.environment).__aenter__()
        monkey: Any = line
        monkey._path = path
        began = time.now_ms()
        await line.__aexit__()
        assert time.now_ms() - began <= 2000
    assert path.closed
    assert end.aborted


@virtual
async def test_what_loading_webrtc_takes_is_no_time_of_the_paths(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load() -> None:
        await asyncio.sleep(4)

    async def open_path(line: Line, url: str, servers: object) -> PathTried:
        await asyncio.sleep(4.4)
        return PathTried("absent", "it came to its end")

    monkeypatch.setattr(run, "load", load)
    monkeypatch.setattr(run, "webrtc_is_here", lambda _: True)
    monkeypatch.setattr(Line, "open_path", open_path)
    async with FakeServer() as server:
        states = await found(time, server)
    assert states["webrtc"] == ("skipped", "it came to its end")
