"""What the tests of ``voxwire doctor`` share: the set-up that works, and what is found in it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import voxwire
from tests.support.clicks import make_bot
from tests.support.coturn import Coturn, coturn
from tests.support.front import Certificates, front, make_certificates
from voxwire.testing import Environment, FakeDevice, FakeDevices
from voxwire_server.testing import running_server
from voxwire_server.tokens import KeyRing, TokenIssuer

__all__ = [
    "EVERYTHING",
    "KEY",
    "SECRET",
    "Checks",
    "World",
    "examine",
    "make_token",
    "set_up",
    "the_fault",
    "without",
    "world_of",
]

KEY = "an operator's secret of more than 32 characters"
SECRET = "shared with coturn"
MICROPHONE = FakeDevice("mic", microphone=True)

Checks = dict[str, voxwire.Check]


def make_token(*, age_s: float = 0, ttl_s: int = 300) -> str:
    """As ``POST /v1/tokens`` gave it so long ago."""
    return TokenIssuer(KeyRing.parse(key=KEY)).issue(
        "ada", now_s=int(time.time() - age_s), ttl_s=ttl_s
    )


class World(NamedTuple):
    """What the set-ups share."""

    turn: Coturn
    certificates: Certificates
    folder: Path


@contextmanager
def world_of(folder: Path) -> Iterator[World]:
    """Certificates of an authority that this process trusts, and a coturn that has one."""
    certificates = make_certificates(folder)
    asyncio.run(_load())
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("SSL_CERT_FILE", str(certificates.authority))
        at = stack.enter_context(coturn(folder, secret=SECRET, certificates=certificates))
        yield World(at, certificates, folder)


async def _load() -> None:
    """What the first session of a process loads takes seconds on a busy machine."""
    async with running_server(make_bot()) as server, voxwire.connect(server.url):
        return


@asynccontextmanager
async def set_up(world: World, **broken: Any) -> AsyncIterator[str]:
    """The set-up, where the bot, settings of the server or arguments of the proxy may be others."""
    turn, bot = broken.pop("turn", world.turn), broken.pop("bot", None) or make_bot()
    settings: dict[str, Any] = {
        "key": KEY,
        "turn_urls": ",".join(turn.turn),
        "turn_secret": SECRET,
        "ice_servers": json.dumps([{"urls": turn.stun}]),
    }
    at_proxy = {"tls": world.certificates.context()}
    for name, value in broken.items():
        (at_proxy if name in ("tls", "upgrade", "prefix") else settings)[name] = value
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(bot, **settings))
        yield await stack.enter_async_context(front(server.port, **at_proxy))


async def examine(url: str, *, token: str = "", devices: FakeDevices | None = None) -> Checks:
    """What the doctor finds."""
    around = Environment(devices=devices or FakeDevices(MICROPHONE))
    began = time.monotonic()
    found = await voxwire.diagnose(
        url, token=token or make_token(), microphone=True, environment=around
    )
    assert time.monotonic() - began < 25  # real time: order
    print(found)
    return {check.name: check for check in found.checks}


def the_fault(checks: Checks) -> voxwire.Check:
    """The one check that failed; those that are skipped for it say so."""
    bad = [check for check in checks.values() if check.state == "failed"]
    assert len(bad) == 1, bad
    [fault] = bad
    assert fault.advice and fault.code is not None
    for check in checks.values():
        if check.needs is not None:
            assert (check.state, check.needs) == ("skipped", fault.name)
    return fault


def without(checks: Checks, *names: str) -> set[str]:
    """The checks that went well, but for some names; how fast the machine is counts for nothing."""
    good = {name for name, check in checks.items() if check.state in ("ok", "warning")}
    for name in good - {"rtt", "echo"}:
        assert checks[name].state == "ok", checks[name]
    return good - set(names)


EVERYTHING = {
    *("name", "tls", "server", "clock", "token", "capacity", "rtt", "webrtc", "stun"),
    *("turn_udp", "turn_tcp", "turn_tls", "udp", "echo", "session", "microphone"),
}
