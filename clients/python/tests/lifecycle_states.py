"""The states of a session that a program can tell apart, and how it gets there."""

import asyncio
from collections.abc import Awaitable, Callable

from lifecycle import LATENCY_MS, Bench

from voxwire.testing import FakeSession, NetworkState
from voxwire_protocol import wire

WEBSOCKET = wire.Carrier.CARRIER_WEBSOCKET


async def _new(bench: Bench) -> None:
    """Connected to nothing yet."""


async def _token(bench: Bench) -> None:
    async def slow() -> str:
        await bench.time.advance(100)
        return "good"

    bench.token = slow
    bench.begin()
    await bench.time.advance(1)


async def _dialling(bench: Bench) -> None:
    bench.begin()
    await bench.time.advance(LATENCY_MS / 2)
    assert bench.network.dialled and not bench.server.hellos


async def _hello(bench: Bench) -> None:
    bench.begin()
    await bench.time.advance(LATENCY_MS * 1.5)
    assert bench.network.ends and not bench.server.hellos


async def _media(bench: Bench) -> None:
    bench.server.deaf_to.add(WEBSOCKET)
    bench.begin()
    await bench.time.advance(LATENCY_MS * 6)
    assert bench.server.sessions and bench.session is None
    bench.server.deaf_to.clear()  # what is asked for from now on is answered


async def _ready(bench: Bench) -> None:
    bench.begin()
    await bench.time.advance(LATENCY_MS * 6)
    assert bench.session is not None


async def _user(bench: Bench) -> None:
    async def bot(session: FakeSession) -> None:
        await session.listen("hello")
        await asyncio.Event().wait()

    bench.script = bot
    await _ready(bench)
    bench.mic.speak(2000)
    await bench.time.advance(100)


async def _thinking(bench: Bench) -> None:
    await _ready(bench)
    state = wire.StateChanged(bot=wire.BotState.BOT_STATE_THINKING)
    bench.fake.send(state_changed=state)
    await bench.time.advance(2 * LATENCY_MS)


async def _speaking(bench: Bench) -> None:
    async def bot(session: FakeSession) -> None:
        while True:
            await session.say("one two three four five six seven eight")

    bench.script = bot
    await _ready(bench)
    await bench.time.advance(500)


async def _tool(bench: Bench) -> None:
    begun = asyncio.Event()

    async def tool() -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    async def bot(session: FakeSession) -> None:
        await session.call_tool("act")
        await asyncio.Event().wait()

    bench.tool, bench.script = tool, bot
    await _ready(bench)
    await begun.wait()


async def _file(bench: Bench) -> None:
    await _ready(bench)
    assert bench.session is not None
    bench.session.simulate.slow(100_000)
    sending = bench.session.send_file("a.txt", "text/plain", bytes(500_000))
    bench.do("the file", sending, limit_ms=None)
    await bench.time.advance(4 * LATENCY_MS)
    assert bench.fake.files.open


async def _request(bench: Bench) -> None:
    await _ready(bench)
    assert bench.session is not None
    bench.do("the request", bench.session.call("nobody"), limit_ms=None)
    await bench.time.advance(LATENCY_MS)


async def _reconnecting(bench: Bench) -> None:
    await _ready(bench)
    bench.network.state = NetworkState.REFUSED
    bench.network.cut()
    await bench.time.advance(10)
    assert bench.session is not None and bench.session.connection == "reconnecting"
    bench.network.state = NetworkState.UP


async def _resuming(bench: Bench) -> None:
    await _ready(bench)
    bench.network.cut()
    await bench.time.advance(LATENCY_MS * 1.5)  # dialled, and Hello is on its way
    assert bench.session is not None and bench.session.connection == "reconnecting"
    assert bench.network.ends and len(bench.server.hellos) == 1


async def _replaced(bench: Bench) -> None:
    await _ready(bench)
    bench.fake.close_path()
    await bench.time.advance(LATENCY_MS * 1.5)  # the next one is asked for


async def _closing(bench: Bench) -> None:
    await _ready(bench)
    bench.network.state = NetworkState.DARK
    bench.leave.set()
    await bench.time.advance(100)


async def _closed(bench: Bench) -> None:
    await _ready(bench)
    bench.leave.set()
    assert bench.program is not None
    await bench.time.until(bench.program.task)


async def _failed(bench: Bench) -> None:
    from voxwire_protocol.errors import ErrorCode

    await _ready(bench)
    bench.fake.fail(ErrorCode.BOT_FAILED)
    await bench.time.advance(200)


CONNECTING: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "new": _new,
    "awaiting the token": _token,
    "dialling": _dialling,
    "hello sent": _hello,
    "path opening": _media,
}
"""There is no session yet."""

SESSION: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "ready": _ready,
    "user speaking": _user,
    "thinking": _thinking,
    "bot speaking": _speaking,
    "tool running": _tool,
    "file being sent": _file,
    "request awaited": _request,
    "reconnecting": _reconnecting,
    "resuming": _resuming,
    "path being replaced": _replaced,
}

OVER: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "closing": _closing,
    "closed": _closed,
    "failed": _failed,
}

STATES = CONNECTING | SESSION | OVER
