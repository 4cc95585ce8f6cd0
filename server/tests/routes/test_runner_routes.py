"""Every route of Pipecat's runner is served here or refused for a reason; no other is claimed."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.routing import Match, WebSocketRoute

from tests.support.clicks import make_bot
from tests.support.runner_routes import known, runner_routes
from voxwire_server.app import create_app, lifespan
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.routes.stock_sockets import StockSocketRoute

NOT_HERE = (404, 405)


def test_the_table_has_every_route_of_the_installed_wheel_and_no_other() -> None:
    """A wheel with a new route turns this red: serve it, or say why not."""
    assert list(known()) == runner_routes()


def test_every_route_is_served_or_refused_with_a_reason() -> None:
    for route, (here, why) in known().items():
        assert here in ("served", "in part", "refused"), route
        assert (len(why) > 20) == (here != "served"), route


@pytest.fixture
def app() -> Any:
    """The application."""
    return create_app(Settings(), LoadedBot(name="test", run=make_bot()))


@pytest.fixture
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A program on the server's machine."""
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 5))
    async with lifespan(app)(app):
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield http


def filled(path: str) -> str:
    """A path of that route."""
    for name, value in (
        ("{path:path}", "api/other"),
        ("{filename:path}", "x"),
        ("{session_id}", "x"),
        ("{token}", "x"),
    ):
        path = path.replace(name, value)
    return path


async def test_what_is_said_of_a_route_is_what_it_does(client: httpx.AsyncClient) -> None:
    for route, (here, _) in known().items():
        method, path = route.split(" ")
        if method == "WS":
            continue
        answer = await client.request(method, filled(path))
        if here == "served":
            assert answer.status_code not in NOT_HERE, route
        elif here == "refused":
            assert answer.status_code in NOT_HERE, route
        assert answer.status_code < 500, route


def test_the_sockets_are_those_of_stock_clients(app: Any) -> None:
    for route, (here, _) in known().items():
        method, path = route.split(" ")
        if method != "WS":
            continue
        scope = {"type": "websocket", "path": filled(path), "headers": [], "root_path": ""}
        found = next(r for r in app.router.routes if r.matches(scope)[0] is Match.FULL)
        assert isinstance(found, WebSocketRoute)
        assert isinstance(found.app, StockSocketRoute) == (here != "refused"), route
