"""``voxwire doctor`` on a set-up that works and on ten that do not: each names its own fault.

The set-up: a server with tokens behind a proxy that speaks TLS, a coturn, a microphone. In each
of the others one thing is broken. Servers, proxies, TLS and coturn are real.
"""

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import voxwire
from tests.support.clicks import make_bot
from tests.support.coturn import MISSING, Coturn, coturn, free_ports
from tests.support.front import Certificates, front, make_certificates
from tests.support.namespaces import ROOT, Network, network, why_not
from voxwire.testing import Environment, FakeDevice, FakeDevices
from voxwire_server.testing import running_server
from voxwire_server.tokens import KeyRing, TokenIssuer

KEY = "an operator's secret of more than 32 characters"
SECRET = "shared with coturn"
MICROPHONE = FakeDevice("mic", microphone=True)
needs_coturn = pytest.mark.skipif(bool(MISSING), reason=MISSING)

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


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Certificates of an authority that this process trusts, and a coturn that has one."""
    if MISSING:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("doctor")
    certificates = make_certificates(folder)
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("SSL_CERT_FILE", str(certificates.authority))
        at = stack.enter_context(coturn(folder, secret=SECRET, certificates=certificates))
        yield World(at, certificates, folder)


@asynccontextmanager
async def set_up(world: World, **broken: Any) -> AsyncIterator[str]:
    """The set-up, where some settings of the server or arguments of the proxy may be others."""
    turn = broken.pop("turn", world.turn)
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
        server = await stack.enter_async_context(running_server(make_bot(), **settings))
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
    *("turn_udp", "turn_tcp", "turn_tls", "udp", "echo", "microphone"),
}


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


async def test_a_certificate_that_has_expired(world: World, tmp_path: Path) -> None:
    old = make_certificates(tmp_path, days=(-9, -2))
    async with set_up(world, tls=old.context()) as url:
        checks = await examine(url)
    assert the_fault(checks).name == "tls"
    assert "expired" in checks["tls"].detail
    assert checks["clock"].state == "ok"


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
    with coturn(
        tmp_path, secret=SECRET, certificates=world.certificates, more="user-quota=1"
    ) as strict:
        async with set_up(world, turn=strict) as url:
            checks = await examine(url)
    fault = the_fault(checks)
    assert fault.name.startswith("turn_")
    assert "486" in fault.detail and "user-quota" in fault.advice


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


async def test_no_microphone(world: World) -> None:
    async with set_up(world) as url:
        checks = await examine(url, devices=FakeDevices())
    fault = the_fault(checks)
    assert (fault.name, fault.code) == ("microphone", voxwire.ErrorCode.DEVICE)
    assert without(checks) == EVERYTHING - {"microphone"}


@pytest.mark.parametrize("off_s", [-3600, 3600])
async def test_a_wrong_clock(world: World, off_s: int) -> None:
    settings = {
        "key": KEY,
        "turn_urls": ",".join(world.turn.turn),
        "turn_secret": SECRET,
    }
    script = ROOT / "tests/support/clock_server.py"
    process = subprocess.Popen(
        [sys.executable, str(script), str(off_s), json.dumps(settings)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        async with front(port, tls=world.certificates.context()) as url:
            checks = await examine(url)
    finally:
        process.kill()
        process.wait(10)
        process.stdout and process.stdout.close()
    fault = the_fault(checks)
    assert fault.name == "clock"
    side = "behind" if off_s > 0 else "ahead of"
    assert f" s {side} the server's" in fault.detail
    assert checks["token"].needs == "clock"
    assert without(checks) == {"name", "tls", "server", "microphone"}


# UDP that is blocked: [client] -- [middle, with coturn] -- [server]

MIDDLE, SERVER, PORT = "10.78.1.1", "10.78.2.2", 7871
REASON = MISSING or why_not()


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("doctor-udp")
    with network(folder) as made:
        made.add("client", "middle", "server")
        made.join("client", "10.78.1.2/24", "middle", f"{MIDDLE}/24")
        made.join("server", f"{SERVER}/24", "middle", "10.78.2.1/24")
        made.ip("client", "route", "add", "default", "via", MIDDLE)
        made.ip("server", "route", "add", "default", "via", "10.78.2.1")
        urls = f"turn:{MIDDLE}:3478,turn:{MIDDLE}:3478?transport=tcp"
        settings = {"host": SERVER, "port": PORT, "key": KEY}
        settings |= {"turn_urls": urls, "turn_secret": SECRET}
        settings["ice_servers"] = json.dumps([{"urls": f"stun:{MIDDLE}:3478"}])
        script = ROOT / "tests/support/turn_server.py"
        server = made.start("server", sys.executable, script, json.dumps([settings]), log="server")
        forward = ROOT / "tests/support/tcp_forward.py"
        made.start("middle", sys.executable, forward, MIDDLE, SERVER, str(PORT), log="proxy")
        (folder / "turnserver.conf").write_text(
            f"listening-ip={MIDDLE}\nrelay-ip=10.78.2.1\nuse-auth-secret\nno-cli\nno-tls\nno-dtls\n"
            f"static-auth-secret={SECRET}\nrealm=test\nlog-file=stdout\nverbose\n"
            f"pidfile={folder}/turnserver.pid\nuserdb={folder}/turndb\n",
            "utf-8",
        )
        relay = made.start("middle", "turnserver", "-c", folder / "turnserver.conf", log="coturn")
        made.wait_for("coturn", f"listener opened on : {MIDDLE}:3478", relay)
        made.wait_for("server", "listening", server)
        yield made


def examine_from_client(net: Network) -> tuple[int, Checks]:
    """What the command finds in the client's place; its exit code, and the checks."""
    url = f"ws://{MIDDLE}:{PORT}"
    command = [sys.executable, "-m", "voxwire.cli", "doctor", url, "--json", "--no-devices"]
    done = net.call("client", *command, "--token", make_token(), timeout_s=60)
    said = json.loads(done.stdout)
    assert said["ok"] == (done.returncode == 0)
    checks: Checks = {}
    for check in said["checks"]:
        code = None if check["code"] is None else voxwire.ErrorCode[check["code"].upper()]
        checks[check["name"]] = voxwire.Check(**{**check, "code": code})
    print(done.stdout)
    return done.returncode, checks


@pytest.mark.skipif(bool(REASON), reason=REASON)
def test_udp_that_is_blocked(net: Network) -> None:
    green = {"name", "server", "clock", "token", "capacity", "rtt", "webrtc", "turn_tcp"}
    code, checks = examine_from_client(net)
    assert code == 0, checks
    assert green | {"stun", "turn_udp", "udp", "echo"} == {
        name for name, check in checks.items() if check.state in ("ok", "warning") and name != "tls"
    }
    net.run("middle", "nft", "add table inet t", timeout_s=60)
    chain = "add chain inet t in { type filter hook prerouting priority 0; }"
    net.run("middle", "nft", chain, timeout_s=60)
    drop = f"add rule inet t in iifname {net.end('middle', 'client')} meta l4proto udp drop"
    net.run("middle", "nft", drop, timeout_s=60)
    code, checks = examine_from_client(net)
    assert code == 1
    fault = the_fault(checks)
    assert fault.name == "udp"
    assert "no UDP packet comes back" in fault.detail
    assert {checks[name].needs for name in ("stun", "turn_udp", "echo")} == {"udp"}
    assert green == {
        name for name, check in checks.items() if check.state in ("ok", "warning") and name != "tls"
    }
