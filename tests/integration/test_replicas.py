"""Two processes of one service behind a door without affinity, and a real Redis between them."""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

import voxwire
from tests.support.engines import MISSING, engine
from tests.support.following import Following, following
from tests.support.replicas import service, token
from tests.support.stock_rtc import stock_client
from tests.support.stock_socket import dialled

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(240),
]


def written(heard: Following, since: int) -> str:
    """What the bot has written since."""
    return "".join(event.text for event in heard.of(voxwire.BotResponseText, since=since))


async def ask(session: voxwire.Session, heard: Following, text: str, answer: str) -> None:
    """Ask in writing until it is answered in writing."""
    at = len(heard.events)
    await session.send_text(text, speak=False)
    await heard.until(lambda: answer in written(heard, at))


async def test_a_client_that_comes_back_by_any_door_is_on_its_session(tmp_path: Path) -> None:
    with engine() as redis:
        async with service(redis, tmp_path) as house:
            connection = voxwire.connect(house.door.url, token=token(max_sessions=1))
            async with connection as session, following(session) as heard:
                session_id = session.id
                await ask(session, heard, "my name is Alice", "Alice")
                for resumed in range(1, 5):
                    house.door.cut()
                    await heard.until(
                        lambda num=resumed: len(heard.of(voxwire.ConnectionChanged)) >= 2 * num
                    )
                    await ask(session, heard, "what is my name", "Alice")
                assert session.id == session_id
            assert len({*house.door.went}) == 2  # every second time it was the wrong process


async def test_a_session_whose_process_is_killed_goes_on_in_the_other_one(tmp_path: Path) -> None:
    with engine() as redis:
        async with service(redis, tmp_path) as house:
            connection = voxwire.connect(house.door.url, token=token(max_sessions=1))
            async with connection as session, following(session) as heard:
                session_id = session.id
                await ask(session, heard, "my name is Alice", "Alice")
                await asyncio.sleep(3)  # real time: slow
                await house.home(session.id).kill()
                await heard.until(lambda: heard.of(voxwire.EventsSkipped))
                await ask(session, heard, "what is my name", "Alice")
                assert session.id == session_id


async def test_a_process_that_is_told_to_stop_hands_its_session_over(tmp_path: Path) -> None:
    with engine() as redis:
        async with service(redis, tmp_path) as house:
            connection = voxwire.connect(house.door.url, token=token(max_sessions=1))
            async with connection as session, following(session) as heard:
                session_id = session.id
                await ask(session, heard, "my name is Alice", "Alice")
                leaving = house.home(session.id)
                leaving.send(signal.SIGTERM)
                assert await leaving.ended() == 0
                await ask(session, heard, "what is my name", "Alice")
                assert session.id == session_id


async def test_what_a_bot_has_kept_is_there_in_the_next_process(tmp_path: Path) -> None:
    bot = str(ROOT / "examples/order/bot.py")
    with engine() as redis:
        async with service(redis, tmp_path, bot=bot) as house:
            connection = voxwire.connect(house.door.url, token=token(max_sessions=1))
            async with connection as session, following(session) as heard:
                assert await session.call("add", "pizza") == {"pizza": 1}
                house.home(session.id).send(signal.SIGTERM)
                await heard.until(lambda: heard.of(voxwire.EventsSkipped))
                assert await session.call("add", "pizza") == {"pizza": 2}


async def test_a_stock_client_is_answered_by_the_process_that_knows_it(tmp_path: Path) -> None:
    """Each of its requests goes by a connection of its own, so by turns to either process."""
    pytest.importorskip("aiortc")
    with engine() as redis:
        async with service(redis, tmp_path) as house:
            port = int(house.door.url.rpartition(":")[2])
            async with stock_client(port, Connection="close") as client:
                await client.start(transport="webrtc")
                await client.connect()
                await client.ready()
                await client.until(lambda: "Hello" in client.spoken)
                before = client.pc_id
                await client.take(await client.restart())
                assert client.pc_id != before
            async with httpx.AsyncClient(headers={"Connection": "close"}) as http:
                for _ in range(4):
                    asked = {"transport": "websocket"}
                    answer = await http.post(f"http://127.0.0.1:{port}/start", json=asked)
                    async with dialled(answer.json()["wsUrl"], speaks=True) as client:
                        await client.ready()
                        await client.until(lambda it=client: "Hello" in it.spoken)
            assert len({*house.door.went}) == 2


async def test_a_name_of_nobody_is_answered_here(tmp_path: Path) -> None:
    with engine() as redis:
        async with service(redis, tmp_path, 1) as house:
            url = f"http://127.0.0.1:{house.replicas[0].port}"
            async with httpx.AsyncClient() as http:
                body = {"pc_id": f"aaaaaaaa.{'x' * 32}", "candidates": []}
                assert (await http.patch(f"{url}/api/offer", json=body)).status_code == 404
                offer = f"{url}/sessions/aaaaaaaa.{'x' * 32}/api/offer"
                assert (
                    await http.post(offer, json={"sdp": "", "type": "offer"})
                ).status_code == 404
