"""`/readyz` and the figures say whether the TURN servers, real ones, give allocations."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.clicks import make_bot
from tests.support.coturn import MISSING, coturn, free_ports
from tests.support.front import make_certificates
from voxwire_server.testing import RunningServer, running_server

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

KEY = "an operator's key of more than 32 characters"
SECRET = "shared with coturn"


async def state_of(server: RunningServer, turn: str) -> httpx.Response:
    """What ``/readyz`` says once it says that of TURN."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
        async with asyncio.timeout(60):
            while (await http.get("/readyz")).json().get("turn") != turn:
                await asyncio.sleep(0.05)  # real time: poll
            while not (await http.get("/startupz")).json()["started"]:
                await asyncio.sleep(0.05)  # real time: poll
        return await http.get("/readyz")


async def figures_of(server: RunningServer) -> str:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(headers=headers) as http:
        return (await http.get(f"http://127.0.0.1:{server.port}/metrics")).text


def settings(*urls: str, secret: str = SECRET, **more: Any) -> dict[str, Any]:
    turn = {"turn_urls": ",".join(urls), "turn_secret": secret, "turn_check_s": 1}
    return {"admin_key": KEY, **turn, **more}


async def test_a_relay_that_is_down_is_told_and_where_one_is_needed_the_server_waits_for_it(
    tmp_path: Path,
) -> None:
    gone, certificates = f"turn:127.0.0.1:{free_ports().port}", make_certificates(tmp_path)
    with coturn(tmp_path, certificates=certificates, secret=SECRET) as at:
        url = at.turn[0]
        async with running_server(make_bot(), **settings(url, gone)) as server:
            answer = await state_of(server, "degraded")
            assert (answer.status_code, answer.json()["ready"]) == (200, True)
            text = await figures_of(server)
            assert "voxwire_turn_servers_up 1.0" in text
            assert "voxwire_turn_servers_down 1.0" in text
        needed = settings(url, secret="another one", ready_needs_turn=True)
        async with running_server(make_bot(), **needed) as server:
            answer = await state_of(server, "down")
            assert (answer.status_code, answer.json()["ready"]) == (503, False)
        async with running_server(make_bot(), **settings(url, ready_needs_turn=True)) as server:
            assert (await state_of(server, "ok")).status_code == 200
    async with running_server(make_bot(), **settings(url)) as server:
        assert (await state_of(server, "down")).status_code == 200


async def test_without_turn_nothing_is_said_of_it() -> None:
    async with running_server(make_bot(), admin_key=KEY, turn_check_s=1) as server:
        async with httpx.AsyncClient() as http:
            said = (await http.get(f"http://127.0.0.1:{server.port}/readyz")).json()
        assert "turn" not in said
        assert "voxwire_turn_servers" not in await figures_of(server)
