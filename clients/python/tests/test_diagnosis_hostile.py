"""A diagnosis of what behaves badly: it ends in time, and what is wrong stands where it belongs."""

import asyncio
from typing import Any

import pytest
from virtual import virtual

import voxwire
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
