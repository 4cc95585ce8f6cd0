"""The application in somebody's FastAPI app, behind a prefix, and in a loop that runs already."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import websockets
from fastapi import FastAPI

import voxwire
from tests.support.asking import ask, stock_uvicorn
from tests.support.clicks import make_bot
from tests.support.waiting import LONG
from voxwire_protocol import wire
from voxwire_server import BotSession, Settings, create_app, lifespan, serve_async
from voxwire_server.gate import MissingKeyError

EVIL = "https://evil.example"
SUBPROTOCOLS: Any = [wire.SUBPROTOCOL]


def mounted(**settings: Any) -> FastAPI:
    """Somebody's app with the voice below ``/voice`` and nothing else done for it."""
    outer = FastAPI()
    outer.mount("/voice", create_app(Settings(**settings), make_bot()))
    return outer


async def becomes_ready(url: str) -> None:
    async with asyncio.timeout(60):
        while (await ask(url)).status != 200:
            await asyncio.sleep(0.05)


async def talks(url: str, transport: str) -> None:
    async with asyncio.timeout(60), voxwire.connect(url, transport=transport) as session:
        await session.send_text("say 2")
        words = [(await session.wait_for(voxwire.BotWord)).text for _ in range(2)]
    assert words == ["w0", "w1."]


async def test_a_mounted_app_gets_ready_by_itself_and_is_talked_to_by_its_prefix(
    transport: str,
) -> None:
    async with stock_uvicorn(mounted()) as port:
        await becomes_ready(f"http://127.0.0.1:{port}/voice/readyz")
        for url in ("/voice", "/voice/", "/voice/v1/session"):
            await talks(f"ws://127.0.0.1:{port}{url}", transport)


async def test_a_session_is_the_first_request_of_a_mounted_app() -> None:
    async with stock_uvicorn(mounted()) as port:
        await talks(f"ws://127.0.0.1:{port}/voice", "websocket")
        await becomes_ready(f"http://127.0.0.1:{port}/voice/readyz")


async def test_host_origin_and_their_reasons_hold_in_a_mounted_app() -> None:
    async with stock_uvicorn(mounted()) as port:
        url = f"http://127.0.0.1:{port}/voice"
        await becomes_ready(f"{url}/readyz")
        for headers in ({"Origin": EVIL}, {"Host": "evil.example"}, {"Forwarded": "for=1.2.3.4"}):
            told = await ask(f"{url}/v1/session", method="POST", **headers)
            assert told.status == 403
            assert told.json()["reason"]
            assert (await ask(f"{url}/healthz", **headers)).status == 403
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(
                f"ws://127.0.0.1:{port}/voice/v1/session",
                subprotocols=SUBPROTOCOLS,
                additional_headers={"Origin": EVIL},
                proxy=None,
            )
        assert b"VOXWIRE_ALLOWED_ORIGINS" in refused.value.response.body
        async with websockets.connect(
            f"ws://127.0.0.1:{port}/voice/v1/session",
            subprotocols=SUBPROTOCOLS,
            additional_headers={"Origin": f"http://127.0.0.1:{port}"},
            proxy=None,
        ) as socket:
            assert socket.subprotocol == wire.SUBPROTOCOL


async def test_sockets_without_a_hello_are_few_in_a_mounted_app_too() -> None:
    async with stock_uvicorn(mounted(max_pending=2)) as port:
        await becomes_ready(f"http://127.0.0.1:{port}/voice/readyz")
        url = f"ws://127.0.0.1:{port}/voice"
        options: dict[str, Any] = {"subprotocols": SUBPROTOCOLS, "proxy": None}
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(websockets.connect(f"{url}/v1/session", **options))
            with pytest.raises(voxwire.SessionError) as refused:
                waits = voxwire.Timeouts(connect_ms=3000)
                async with voxwire.connect(url, transport="websocket", timeouts=waits):
                    pass
            assert refused.value.code == voxwire.ErrorCode.RATE_LIMITED
            assert "Hello" in refused.value.reason
        async with asyncio.timeout(60):
            for _ in range(3):  # those that have said it do not count, nor do those that are gone
                await stack.enter_async_context(voxwire.connect(url, transport="websocket"))
        async with asyncio.timeout(60):
            await stack.aclose()


async def test_the_page_of_a_mounted_app_names_its_files_and_routes_from_where_it_is() -> None:
    async with stock_uvicorn(mounted()) as port:
        await becomes_ready(f"http://127.0.0.1:{port}/voice/readyz")
        page = await ask(f"http://127.0.0.1:{port}/voice")  # redirected to /voice/
    assert page.status == 200
    for absolute in (b'src="/', b'href="/'):
        assert absolute not in page.body


async def test_with_our_lifespan_it_is_ready_unasked_and_its_bots_end_with_the_server() -> None:
    ended: list[str] = []

    async def bot(session: BotSession) -> None:
        await make_bot()(session)
        ended.append(session.id)

    voice = create_app(Settings(), bot)
    outer = FastAPI(lifespan=lifespan(voice))
    outer.mount("/voice", voice)
    async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
        async with stock_uvicorn(outer, timeout_graceful_shutdown=1) as port:
            while not voice.state.life.ready:
                await asyncio.sleep(0.02)
            url = f"ws://127.0.0.1:{port}/voice"
            connection = voxwire.connect(url, transport="websocket", resume=False)
            session = await stack.enter_async_context(connection)
        assert ended == [session.id]
        assert len(voice.state.registry) == 0
        with pytest.raises(voxwire.TransportError):
            await stack.aclose()


async def test_a_root_path_is_respected() -> None:
    """``uvicorn --root-path /voice`` behind a proxy that takes the prefix away."""
    async with stock_uvicorn(create_app(Settings(), make_bot()), root_path="/voice") as port:
        await becomes_ready(f"http://127.0.0.1:{port}/readyz")
        await talks(f"ws://127.0.0.1:{port}", "websocket")
        assert (await ask(f"http://127.0.0.1:{port}/v1/session")).status == 200


def test_beyond_loopback_a_mounted_app_needs_a_key_as_well() -> None:
    with pytest.raises(MissingKeyError, match="VOXWIRE_KEY"):
        create_app(Settings(host="0.0.0.0"), make_bot())


@contextlib.asynccontextmanager
async def served(**settings: Any) -> AsyncGenerator[str]:
    """``serve_async`` in this loop; its URL. It is cancelled at the end."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    chosen = Settings(port=0, **settings)
    task = asyncio.create_task(serve_async(make_bot(), chosen, on_ready=url.set_result))
    try:
        yield await asyncio.wait_for(url, 60)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_in_a_loop_that_runs_the_server_is_a_task_that_can_be_cancelled() -> None:
    ended: list[voxwire.SessionEnded] = []

    async def listen(url: str, up: asyncio.Event) -> None:
        async with voxwire.connect(url, transport="websocket") as session:
            up.set()
            ended.extend([e async for e in session if isinstance(e, voxwire.SessionEnded)])

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        async with served() as url:
            up = asyncio.Event()
            group.create_task(listen(url, up))
            await up.wait()
    assert [event.reason for event in ended] == [voxwire.EndReason.SERVER]
    with pytest.raises(voxwire.TransportError):
        async with voxwire.connect(url, transport="websocket", timeouts=LONG):
            pass


async def test_it_prints_how_to_talk_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    task = asyncio.create_task(
        serve_async({"ann": make_bot(), "bob": make_bot()}, Settings(port=0))
    )
    async with asyncio.timeout(60):
        said = ""
        while "voxwire talk" not in said:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "ws://127.0.0.1:" in said
    assert said.strip().endswith('--bot ann --text "hello"')


EMBEDDER = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, format="std %(message)s", stream=sys.stdout)
from loguru import logger
if sys.argv[1] == "own":
    logger.remove()
    logger.add(sys.stdout, format="own {message}")
from voxwire_server import Settings, create_app
async def bot(session): ...
create_app(Settings(), bot)
logger.debug("what somebody said")
logger.warning("a service failed")
"""


@pytest.mark.parametrize(
    ("loguru", "lines"),
    [
        ("untouched", ["std a service failed"]),
        ("own", ["own what somebody said", "own a service failed"]),
    ],
)
def test_pipecat_s_log_goes_the_program_s_way(loguru: str, lines: list[str]) -> None:
    command = [sys.executable, "-c", EMBEDDER, loguru]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    said = [line for line in result.stdout.splitlines() if line.startswith(("std a", "own "))]
    assert said == lines
    assert "what somebody said" not in result.stderr
    assert "a service failed" not in result.stderr
