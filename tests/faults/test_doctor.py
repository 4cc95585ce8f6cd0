"""``voxwire doctor`` on a set-up that works and on ten that do not: each names its own fault.

The set-up: a server with tokens behind a proxy that speaks TLS, a coturn, a microphone. In each
of the others one thing is broken. Servers, proxies, TLS and coturn are real. A wrong clock and UDP
that is blocked are in test_doctor_apart.py.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aioice.ice import Connection, StunProtocol, relayed_candidate

import voxwire
from tests.support.coturn import MISSING, Coturn, coturn, free_ports
from tests.support.doctor import (
    EVERYTHING,
    SECRET,
    World,
    examine,
    make_token,
    set_up,
    the_fault,
    without,
    world_of,
)
from tests.support.front import make_certificates
from voxwire.testing import FakeDevices
from voxwire_server import BotSession

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(tmp_path_factory.mktemp("doctor")) as made:
        yield made


async def test_a_set_up_that_works_is_all_green(world: World) -> None:
    async with set_up(world) as url:
        checks = await examine(url)
    assert without(checks) == EVERYTHING
    assert list(checks) == [*(name for name in checks if name != "speaker"), "speaker"]
    assert checks["speaker"].state == "skipped"
    assert "TLSv1" in checks["tls"].detail
    assert "relays at 127.0.0.1:" in checks["turn_tls"].detail
    assert "lost 0.0% down" in checks["echo"].detail


async def test_a_bad_certificate(world: World, tmp_path: Path) -> None:
    strange = make_certificates(tmp_path)
    async with set_up(world, tls=strange.context()) as url:
        checks = await examine(url)
    fault = the_fault(checks)
    assert fault.name == "tls"
    assert "authority" in fault.detail and "SSL_CERT_FILE" in fault.advice
    assert without(checks) == {"name", "microphone"}


@pytest.mark.parametrize(
    ("made", "told"),
    [({"days": (-9, -2)}, "it has expired"), ({"name": "127.0.0.2"}, "it is for another address")],
)
async def test_a_certificate_that_is_old_or_of_somebody_else(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Any, told: str
) -> None:
    other = make_certificates(tmp_path, **made)
    monkeypatch.setenv("SSL_CERT_FILE", str(other.authority))
    async with set_up(world, tls=other.context()) as url:
        checks = await examine(url)
    assert the_fault(checks).name == "tls"
    assert checks["tls"].detail.endswith(told)
    assert without(checks) - {"clock"} == {"name", "microphone"}


async def test_an_expired_token(world: World) -> None:
    async with set_up(world) as url:
        checks = await examine(url, token=make_token(age_s=900, ttl_s=300))
    fault = the_fault(checks)
    assert (fault.name, fault.code) == ("token", voxwire.ErrorCode.UNAUTHORIZED)
    assert "expired" in fault.detail
    assert without(checks) == {"name", "tls", "server", "clock", "microphone"}


async def test_a_wrong_turn_secret(world: World) -> None:
    async with set_up(world, turn_secret="another secret") as url:
        checks = await examine(url)
    fault = the_fault(checks)
    assert fault.name == "turn_udp"
    assert "refused the credentials (401" in fault.detail
    assert "static-auth-secret" in fault.advice
    assert without(checks) == EVERYTHING - {"turn_udp", "turn_tcp", "turn_tls"}


async def test_turn_is_down(world: World) -> None:
    async with set_up(world, turn=free_ports()) as url:
        checks = await examine(url)
    fault = the_fault(checks)
    assert fault.name == "turn_udp"
    assert "cannot be reached" in fault.detail and "start the TURN server" in fault.advice
    assert without(checks) == EVERYTHING - {"stun", "turn_udp", "turn_tcp", "turn_tls"}


async def test_a_quota_of_turn_that_is_used_up(world: World, tmp_path: Path) -> None:
    lines = "user=ada:pass\nuser-quota=1"
    with coturn(tmp_path, certificates=world.certificates, more=lines) as strict:
        static = {"urls": [*strict.turn], "username": "ada", "credential": "pass"}
        settings = {"turn_urls": "", "turn_secret": "", "ice_servers": json.dumps([static])}
        async with set_up(world, **settings) as url, allocated(strict, "ada", "pass"):
            checks = await examine(url)
    fault = the_fault(checks)
    assert fault.name == "turn_udp"
    assert "486" in fault.detail and "user-quota" in fault.advice
    assert without(checks) == EVERYTHING - {"stun", "turn_udp", "turn_tcp", "turn_tls"}


async def test_a_quota_that_is_enough_for_a_session_is_enough_for_the_doctor(
    world: World, tmp_path: Path
) -> None:
    with coturn(
        tmp_path, secret=SECRET, certificates=world.certificates, more="user-quota=1"
    ) as strict:
        async with set_up(world, turn=strict) as url:
            checks = await examine(url)
    assert without(checks) == EVERYTHING


@asynccontextmanager
async def allocated(at: Coturn, username: str, credential: str) -> AsyncIterator[None]:
    """As long as this is entered somebody has an allocation."""
    _, protocol = await relayed_candidate(
        component=1,
        hide_related_address=True,
        protocol_factory=lambda: StunProtocol(Connection(ice_controlling=True)),
        turn_server=("127.0.0.1", at.port),
        turn_username=username,
        turn_password=credential,
        turn_ssl=False,
        turn_transport="udp",
    )
    try:
        yield
    finally:
        await protocol.close()


async def test_a_proxy_that_passes_no_upgrade_on(world: World) -> None:
    async with set_up(world, upgrade=False) as url:
        checks = await examine(url)
    fault = the_fault(checks)
    assert fault.name == "server"
    assert "upgrade" in fault.detail and "proxy_set_header Upgrade" in fault.advice
    assert without(checks) == {"name", "tls", "clock", "microphone"}


async def test_a_wrong_prefix(world: World) -> None:
    async with set_up(world) as url:
        checks = await examine(f"{url}/voice")
    fault = the_fault(checks)
    assert fault.name == "server"
    assert "no server is at" in fault.detail and "/voice" in fault.detail
    assert fault.advice == f"leave out /voice: the server is at {url}"
    assert without(checks) == {"name", "tls", "clock", "microphone"}


async def test_a_prefix_that_is_missing(world: World) -> None:
    async with set_up(world, prefix="/voice") as url:
        checks = await examine(url)
        assert the_fault(checks).name == "server"
        assert "mounted" in checks["server"].advice
        assert (await examine(f"{url}/voice"))["echo"].state in ("ok", "warning")


async def test_a_server_that_is_full(world: World) -> None:
    async with set_up(world, max_sessions=1) as url, voxwire.connect(url, token=make_token()):
        checks = await examine(url)
    fault = the_fault(checks)
    assert (fault.name, fault.code) == ("capacity", voxwire.ErrorCode.CAPACITY)
    assert "full" in fault.detail and "try again in" in fault.advice
    assert without(checks) == {"name", "tls", "server", "clock", "microphone"}


@pytest.mark.parametrize("after_s", [0, 1])
async def test_a_bot_that_raises(world: World, after_s: float) -> None:
    async def bot(session: BotSession) -> None:
        await asyncio.sleep(after_s)  # real time: moment
        raise RuntimeError("no key for the model")

    async with set_up(world, bot=bot) as url:
        checks = await examine(url)
    fault = the_fault(checks)
    assert (fault.name, fault.code) == ("session", voxwire.ErrorCode.BOT_FAILED)
    assert "RuntimeError" in fault.detail
    assert without(checks) >= {"name", "tls", "server", "clock", "token", "capacity", "microphone"}


async def test_no_microphone(world: World) -> None:
    async with set_up(world) as url:
        checks = await examine(url, devices=FakeDevices())
    fault = the_fault(checks)
    assert (fault.name, fault.code) == ("microphone", voxwire.ErrorCode.DEVICE)
    assert without(checks) == EVERYTHING - {"microphone"}
