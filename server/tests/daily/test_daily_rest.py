"""What Daily is asked, over a real socket, against what its documentation has; what it refuses."""

import asyncio
import json
import logging
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.daily_rest import KEY, DailyRestServer
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.config import Settings
from voxwire_server.daily.rest import DailyRest
from voxwire_server.preflight import preflight

NOW_S = 1_800_000_000


@pytest.fixture
def account() -> DailyRestServer:
    return DailyRestServer(now_s=lambda: NOW_S)


@pytest.fixture
def url(account: DailyRestServer) -> Generator[str]:
    """Where it listens."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            path = self.path.removeprefix("/v1")
            status, answer = account.answer(self.command, path, headers, body)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            if status == 302:
                self.send_header("location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = _do

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_room_for_two_is_made_entered_and_deleted(
    account: DailyRestServer, url: str
) -> None:
    rest = DailyRest(KEY, url=url, geo="eu-central-1")
    room_url = await rest.create("voxwire-1", exp_s=NOW_S + 60)
    bot = await rest.token("voxwire-1", exp_s=NOW_S + 60, user_name="bot", owner=True)
    user = await rest.token("voxwire-1", exp_s=NOW_S + 60, user_name="user")
    assert account.complaints == []
    room = account.rooms["voxwire-1"]
    assert room.properties == {
        "exp": NOW_S + 60,
        "eject_at_room_exp": True,
        "max_participants": 2,
        "start_video_off": True,
        "geo": "eu-central-1",
    }
    assert account.lets_in(room_url, bot) is account.lets_in(room_url, user) is room
    for token, owner in ((bot, True), (user, False)):
        said = room.tokens[token]
        assert said["room_name"] == "voxwire-1"  # one without it opens every room
        assert said["exp"] == NOW_S + 60
        assert said["eject_at_token_exp"] is True
        assert said["is_owner"] is owner
    await rest.delete("voxwire-1")
    assert account.deleted == ["voxwire-1"]
    await rest.delete("voxwire-1")  # it is gone already


@pytest.mark.parametrize(
    ("status", "code", "again"),
    [
        (400, ErrorCode.SERVICE_FAILED, False),
        (401, ErrorCode.SERVICE_FAILED, False),
        (403, ErrorCode.SERVICE_FAILED, False),
        (404, ErrorCode.SERVICE_FAILED, False),
        (302, ErrorCode.SERVICE_FAILED, False),
        (429, ErrorCode.RATE_LIMITED, True),
        (500, ErrorCode.SERVICE_FAILED, True),
        (503, ErrorCode.SERVICE_FAILED, True),
    ],
)
async def test_a_refusal_is_typed_and_shows_no_secret(
    account: DailyRestServer,
    url: str,
    status: int,
    code: ErrorCode,
    again: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    account.answers["POST /rooms"] = [status]
    with pytest.raises(VoxwireError) as error:
        await DailyRest(KEY, url=url).create("voxwire-1", exp_s=NOW_S + 60)
    assert (error.value.code, error.value.retryable) == (code, again)
    assert KEY not in f"{error.value!r} {error.value} {caplog.text}"


async def test_a_key_can_be_looked_at(url: str) -> None:
    await DailyRest(KEY, url=url).look()
    settings = Settings(daily_api_key="another", daily_url=url, port=0)
    [found] = [one for one in await preflight(settings) if one.name == "daily"]
    assert (found.state, found.detail) == ("failed", "Daily refuses the API key")
    [found] = [
        one
        for one in await preflight(Settings(daily_api_key=KEY, daily_url=url, port=0))
        if one.name == "daily"
    ]
    assert found.state == "ok"


async def test_a_wrong_key_is_named_as_that(url: str) -> None:
    with pytest.raises(VoxwireError, match="refuses the API key"):
        await DailyRest("another", url=url).create("voxwire-1", exp_s=NOW_S + 60)


async def test_nobody_there_is_typed() -> None:
    with pytest.raises(VoxwireError, match="out of reach") as error:
        await DailyRest(KEY, url="http://127.0.0.1:1/v1").create("a", exp_s=NOW_S + 60)
    assert error.value.retryable


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"url":""}', b'{"url":1}', b"\xff", b'{"a"'])
async def test_an_answer_that_is_none_is_typed(body: bytes) -> None:
    async def send(_: object) -> tuple[int, bytes]:
        return 200, body

    with pytest.raises(VoxwireError, match="Daily's answer has no url"):
        await DailyRest(KEY, send=send).create("a", exp_s=NOW_S + 60)


async def test_pipecat_knows_every_field_that_is_sent(account: DailyRestServer) -> None:
    """A second reader: the models of Pipecat's own helper for the same interface."""
    daily = pytest.importorskip("pipecat.transports.daily.utils")
    bodies: list[dict[str, dict[str, object]]] = []

    async def send(order: object) -> tuple[int, bytes]:
        bodies.append(json.loads(order.body))  # type: ignore[attr-defined]
        return await account.send(order)  # type: ignore[arg-type]

    rest = DailyRest(KEY, geo="eu-central-1", send=send)
    await rest.create("voxwire-1", exp_s=NOW_S + 60)
    await rest.token("voxwire-1", exp_s=NOW_S + 60, user_name="bot", owner=True)
    room, token = bodies
    assert set(room) <= set(daily.DailyRoomParams.model_fields)
    assert set(room["properties"]) <= set(daily.DailyRoomProperties.model_fields)
    assert set(token["properties"]) <= set(daily.DailyMeetingTokenProperties.model_fields)
    daily.DailyRoomParams.model_validate(room)
    daily.DailyMeetingTokenProperties.model_validate(token["properties"])


async def test_many_at_once_are_asked_beside_each_other(account: DailyRestServer, url: str) -> None:
    rest = DailyRest(KEY, url=url)
    names = [f"voxwire-{n}" for n in range(8)]
    await asyncio.gather(*(rest.create(name, exp_s=NOW_S + 60) for name in names))
    assert sorted(account.made) == names
