"""Stock clients send files: in the message, or uploaded; and no url but those of their uploads."""

import base64
from typing import Any

import httpx
import pytest

from tests.integration.test_files import IMAGE, Taker
from tests.support.inside import file_room, sessions
from tests.support.stock_rtc import stock_client
from tests.support.stock_socket import dialled
from tests.support.waiting import until
from voxwire_server.testing import RunningServer


def message(source: dict[str, Any], *, kind: str = "image/png", **fields: Any) -> dict[str, Any]:
    """The data of a ``send-file``."""
    return {
        "content": "look",
        "file": {"format": kind, "name": "a.png", "source": source},
        **fields,
    }


def by_value(data: bytes, **more: int) -> dict[str, Any]:
    return {"type": "bytes", "bytes": base64.b64encode(data).decode(), **more}


async def upload(server: RunningServer, path: str, data: bytes) -> dict[str, Any]:
    """Upload an image; what is passed back in ``send-file``."""
    async with httpx.AsyncClient() as http:
        url = f"http://127.0.0.1:{server.port}{path}"
        answer = await http.post(url, files={"file": ("cat.png", data, "image/png")})
        assert answer.status_code == 200
        said: dict[str, Any] = answer.json()
        return said


async def test_a_stock_socket_client_sends_a_file_in_its_message_and_is_answered() -> None:
    bot = Taker()
    async with bot.served("image/*", "application/pdf") as server:
        async with dialled(f"{server.url}/ws-client") as client:
            await client.ready("2.2.0")
            [ready] = client.of("bot-ready")
            assert ready["about"]["accepts"]["types"] == ["image/*", "application/pdf"]
            await client.say("send-file", message(by_value(IMAGE, width=8, height=4)))
            await client.until(lambda: client.of("user-input") and client.spoken == "w0.")
            options = {"run_immediately": False, "custom_options": {"citations": True}}
            pdf = message(by_value(b"%PDF"), kind="application/pdf", options=options)
            await client.say("send-file", pdf)
            await until(lambda: bot.noted.files)
    [image], [file] = bot.noted.images, bot.noted.files
    assert (image.image, image.size, image.text) == (IMAGE, (8, 4), "look")
    assert file.file == "data:application/pdf;base64," + base64.b64encode(b"%PDF").decode()
    assert (file.run_llm, file.custom_options) == (False, {"citations": True})


async def test_what_is_uploaded_is_sent_by_its_url_once_and_nothing_else_is_fetched() -> None:
    bot = Taker()
    async with bot.served("image/*") as server:
        page = f"http://127.0.0.1:{server.port}/"
        large = bytes(range(256)) * 8000
        mine = await upload(server, "/files", large)
        async with dialled(f"{server.url}/ws-client") as client:
            await client.ready("2.2.0")
            room = file_room(sessions(server)[0])
            quiet = {"run_immediately": False}
            sent = {"content": "", "file": mine, "options": quiet}
            await client.say("send-file", sent)
            await until(lambda: bot.noted.images)
            ids = [await client.say("send-file", sent)]  # it is used up
            for url in (page, "file:///etc/passwd", "voxwire:x", "", "data:image/png;base64,AA=="):
                ids.append(await client.say("send-file", message({"type": "url", "url": url})))
            ids.append(await client.say("send-file", message(by_value(b"x"), kind="video/mp4")))
            ids.append(await client.say("send-file", message(by_value(b""))))
            await client.until(lambda: len(client.of("error-response")) == len(ids))
            refused = [m for m in client.messages if m["type"] == "error-response"]
            assert [m["id"] for m in refused] == ids
            assert "other urls are not fetched" in refused[1]["data"]["error"]
            await client.say("send-text", {"content": "say 2"})
            await client.until(lambda: client.spoken.endswith("w1."))
        await until(lambda: not room.used_bytes)
    assert [image.image for image in bot.noted.images] == [large]
    assert bot.noted.images[0].metadata["filename"] == "cat.png"


async def test_an_upload_belongs_to_its_start_and_goes_with_its_session() -> None:
    pytest.importorskip("aiortc")
    bot = Taker()
    async with bot.served("image/*") as server:
        async with stock_client(server.port) as other, stock_client(server.port) as client:
            theirs = (await other.start())["fileUploadUrl"]
            mine = (await client.start())["fileUploadUrl"]
            await client.connect()
            await client.ready()
            room = file_room(sessions(server)[0])
            foreign = await upload(server, theirs, b"theirs")
            own = await upload(server, mine, IMAGE)
            left = await upload(server, mine, b"left")
            options = {"run_immediately": False}
            client.say("send-file", {"content": "", "file": foreign, "options": options})
            await client.until(lambda: client.of("error-response"))
            client.say("send-file", {"content": "", "file": own, "options": options})
            await until(lambda: bot.noted.images)
            assert bot.noted.images[0].image == IMAGE
            await until(lambda: room.used_bytes == len(b"theirs") + len(b"left"))
            client.say("disconnect-bot")
            await until(lambda: len(server.registry) == 0)
            await until(lambda: room.used_bytes == len(b"theirs"))
            assert left["source"]["url"] != own["source"]["url"]
