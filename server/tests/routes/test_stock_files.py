"""Uploads of stock clients: who may, how large, and for how long; without a socket."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import Request

from tests.integration.test_tokens import KEY
from tests.support.clicks import make_bot
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.app import create_app, lifespan
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.routes.bodies import RefusedRequestError
from voxwire_server.routes.stock_files import MAX_UPLOADING, StockFiles
from voxwire_server.routes.stock_starts import Owner
from voxwire_server.routes.stock_uploads import UPLOAD_TTL_MS, Upload, Uploads
from voxwire_server.sent_files import Acceptance, FileRefusal, FileRoom

HOST = "http://127.0.0.1:7860"
PNG = ("a.png", b"\x89PNG", "image/png")


def made(bot_accepts: tuple[str, ...] = ("image/*",), **settings: Any) -> Any:
    """The application, with a bot that takes such files."""
    bot = LoadedBot(name="test", run=make_bot(), accepts=bot_accepts)
    return create_app(Settings(**{"file_max_bytes": 1000, **settings}), bot)


def program(app: Any) -> httpx.AsyncClient:
    """A program of the server's machine."""
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 5))
    return httpx.AsyncClient(transport=transport, base_url=HOST)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A program, and a server whose bot takes images."""
    app = made()
    async with lifespan(app)(app), program(app) as http:
        yield http


async def upload(http: httpx.AsyncClient, file: Any = PNG, path: str = "/files") -> httpx.Response:
    return await http.post(path, files={"file": file})


async def test_an_upload_is_answered_with_the_file_of_a_send_file(
    client: httpx.AsyncClient,
) -> None:
    answer = await upload(client)
    assert answer.status_code == 200
    said = answer.json()
    url = said["source"].pop("url")
    assert said == {"name": "a.png", "source": {"type": "url"}, "format": "image/png"}
    assert url.startswith("voxwire:")
    assert (await upload(client)).json()["source"]["url"] != url


async def test_a_start_says_where_to_upload_and_its_id_is_the_credential(
    client: httpx.AsyncClient,
) -> None:
    started = (await client.post("/start", json={})).json()
    path = started["fileUploadUrl"]
    assert path == f"/sessions/{started['sessionId']}/files"
    assert (await upload(client, path=path)).status_code == 200
    assert (await upload(client, path="/sessions/other/files")).status_code == 404
    page = await client.post(path, files={"file": PNG}, headers={"Origin": HOST})
    assert page.status_code == 404  # a start of a program is no page's
    socket = (await client.post("/start", json={"transport": "websocket"})).json()
    assert list(socket) == ["wsUrl"]  # the stock client throws on any other member


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        (("a.mp4", b"x", "video/mp4"), 415, "UNSUPPORTED"),
        (("a.exe", b"x", "image/png"), 415, "UNSUPPORTED"),  # by its name, as the runner does
        (("a.png", b"x" * 1001, "image/png"), 413, "TOO_LARGE"),
        (("a.png", b"x" * 40_000, "image/png"), 413, "TOO_LARGE"),
        (("a.png", b"", "image/png"), 422, "INVALID_ARGUMENT"),
        (("../a.png", b"x", "image/png"), 422, "INVALID_ARGUMENT"),
        (("a" * 300 + ".png", b"x", "image/png"), 422, "INVALID_ARGUMENT"),
    ],
)
async def test_what_the_bot_does_not_take_is_refused(
    client: httpx.AsyncClient, file: Any, status: int, code: str
) -> None:
    answer = await upload(client, file)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "reason", "detail"}


async def test_a_body_that_is_no_upload_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/files")).status_code == 422
    assert (await client.post("/files", json={})).status_code == 422
    assert (await client.post("/files", files={"x": PNG})).status_code == 422
    zipped = {"Content-Encoding": "gzip"}
    assert (await client.post("/files", files={"file": PNG}, headers=zipped)).status_code == 415
    assert (await client.get("/files")).status_code == 405


async def test_uploads_that_wait_are_bounded_and_their_memory_is_shared(
    client: httpx.AsyncClient,
) -> None:
    codes = [(await upload(client)).status_code for _ in range(5)]
    assert codes == [200] * 4 + [429]
    app = made(files_total_bytes=600)
    async with lifespan(app)(app), program(app) as http:
        room = app.state.directory.file_room
        for _ in range(3):
            assert (await upload(http, ("a.png", b"x" * 500, "image/png"))).status_code == 429
            assert room.used_bytes == 0
        assert (await upload(http)).status_code == 200
        assert room.used_bytes == len(PNG[1])


async def test_a_bot_that_takes_no_files_takes_no_uploads() -> None:
    app = made(())
    async with lifespan(app)(app), program(app) as http:
        answer = await upload(http)
        assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED")
        assert "fileUploadUrl" not in (await http.post("/start", json={})).json()


async def test_beyond_loopback_a_token_is_needed() -> None:
    app = made(host="0.0.0.0", key=KEY)
    async with lifespan(app)(app), program(app) as http:
        answer = await upload(http)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_page_of_another_origin_may_not(client: httpx.AsyncClient) -> None:
    page = {"Origin": "https://evil.example"}
    assert (await client.post("/files", files={"file": PNG}, headers=page)).status_code == 403


def test_an_upload_is_of_use_once_to_its_owner_and_for_a_while() -> None:
    uploads = Uploads(FileRoom(100))
    ann, bob = Owner.of(b"", "ann"), Owner.of(b"", "bob")

    def add(now_ms: float) -> str:
        assert uploads.has_place(ann, now_ms)
        assert uploads.room.take(3)
        return uploads.add(Upload(ann, "a", "image/png", b"123", now_ms + UPLOAD_TTL_MS))

    url = add(0)
    assert uploads.take(url, [bob], 1) is None
    assert uploads.take("http://127.0.0.1/", [ann], 1) is None
    taken = uploads.take(url, [bob, ann], 1)
    assert taken is not None
    assert taken.data == b"123"
    assert uploads.take(url, [ann], 1) is None
    url = add(0)
    assert uploads.take(url, [ann], UPLOAD_TTL_MS) is None
    add(0)
    add(0)
    uploads.forget(bob)
    assert (len(uploads), uploads.room.used_bytes) == (2, 6)
    uploads.forget(ann)
    assert (len(uploads), uploads.room.used_bytes) == (0, 0)


def test_an_upload_that_is_refused_for_now_can_be_sent_again() -> None:
    uploads, ann = Uploads(FileRoom(3)), Owner.of(b"", "ann")
    given: list[Upload] = []
    assert uploads.room.take(3)
    url = uploads.add(Upload(ann, "a", "image/png", b"123", UPLOAD_TTL_MS))

    def answered(refusal: FileRefusal | None) -> FileRefusal | None:
        def give(upload: Upload) -> FileRefusal | None:
            assert uploads.room.used_bytes == 0
            given.append(upload)
            return refusal

        return uploads.hand_on(url, [ann], 1, give)

    busy = FileRefusal(wire.ErrorCode.ERROR_CODE_RATE_LIMITED, "later", retryable=True)
    assert answered(busy) is busy
    assert (len(uploads), uploads.room.used_bytes) == (1, 3)
    assert answered(None) is None
    assert (len(given), len(uploads), uploads.room.used_bytes) == (2, 0, 0)
    gone = answered(None)
    assert gone is not None
    assert (gone.code, len(given)) == (wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, 2)


BODY_HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
BODY_TAIL = b"\r\n--b--\r\n"
ANN, BOB = Owner.of(b"", "ann"), Owner.of(b"", "bob")


def body_of(*parts: bytes, every_s: float) -> Request:
    """A request whose body comes part by part."""
    left = [BODY_HEAD, *parts, BODY_TAIL]

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(every_s)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    return Request({"type": "http", "headers": headers}, receive)


@in_virtual_time
async def test_slow_bodies_of_one_client_keep_no_others_out(time: VirtualTime) -> None:
    """A byte in a while is not enough: their places are free again in 10 s."""
    files = StockFiles(Uploads(FileRoom(10_000_000)))
    accepts = Acceptance(("image/*",), 5_000_000)
    began_ms = time.now_ms()
    slow = [
        asyncio.ensure_future(files.take(body_of(*[b"x"] * 100, every_s=5), ANN, accepts))
        for _ in range(MAX_UPLOADING)
    ]
    await time.settle()
    assert [task.done() for task in slow] == [False] * 2 + [True] * (MAX_UPLOADING - 2)
    quick = files.take(body_of(*[bytes(20_000)] * 30, every_s=1), BOB, accepts)
    assert (await quick)["name"] == "a.png"  # 30 s of it, at 20 000 bytes a second
    statuses: list[int] = []
    for task in slow:
        with pytest.raises(RefusedRequestError) as refused:
            await task
        statuses.append(refused.value.status)
    assert statuses == [408] * 2 + [429] * (MAX_UPLOADING - 2)
    assert time.now_ms() - began_ms < 40_000


@in_virtual_time
async def test_a_body_that_stops_is_given_up_in_10_s_however_fast_it_was(
    time: VirtualTime,
) -> None:
    uploads = Uploads(FileRoom(10_000_000))
    stopped = body_of(bytes(1_000_000), every_s=0)
    receive, parts = stopped._receive, iter(range(2))

    async def receive_two() -> Any:
        return await (receive() if next(parts, None) is not None else asyncio.Future())

    stopped._receive = receive_two
    began_ms = time.now_ms()
    with pytest.raises(RefusedRequestError) as refused:
        await StockFiles(uploads).take(stopped, ANN, Acceptance(("image/*",), 5_000_000))
    assert refused.value.status == 408
    assert time.now_ms() - began_ms == pytest.approx(10_000, abs=10)
    assert uploads.room.used_bytes == 0


@in_virtual_time
async def test_what_comes_counts_with_what_waits(time: VirtualTime) -> None:
    files = StockFiles(Uploads(FileRoom(10_000_000)))
    accepts = Acceptance(("image/*",), 1000)
    for _ in range(3):
        await files.take(body_of(b"x", every_s=0), ANN, accepts)
    last = asyncio.ensure_future(files.take(body_of(b"x", every_s=1), ANN, accepts))
    await time.settle()
    with pytest.raises(RefusedRequestError) as refused:
        await files.take(body_of(b"x", every_s=0), ANN, accepts)
    assert refused.value.status == 429
    assert (await last)["name"] == "a.png"
