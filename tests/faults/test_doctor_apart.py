"""``voxwire doctor`` where a clock is wrong and where UDP is blocked: processes, real networks.

The other broken set-ups are in test_doctor.py.
"""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import voxwire
from tests.support.coturn import MISSING
from tests.support.doctor import (
    KEY,
    SECRET,
    Checks,
    World,
    examine,
    make_token,
    the_fault,
    without,
    world_of,
)
from tests.support.front import Certificates, front, make_certificates
from tests.support.namespaces import ROOT, Network, network, why_not

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(tmp_path_factory.mktemp("doctor")) as made:
        yield made


@asynccontextmanager
async def server_with_another_clock(
    world: World, off_s: int, certificates: Certificates
) -> AsyncIterator[str]:
    """The set-up's server in a process whose clock is so many seconds off."""
    settings = {"key": KEY, "turn_urls": ",".join(world.turn.turn), "turn_secret": SECRET}
    script = ROOT / "tests/support/clock_server.py"
    process = subprocess.Popen(
        [sys.executable, str(script), str(off_s), json.dumps(settings)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        async with front(port, tls=certificates.context()) as url:
            yield url
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.mark.parametrize("off_s", [-3600, 3600])
async def test_a_wrong_clock(world: World, off_s: int) -> None:
    async with server_with_another_clock(world, off_s, world.certificates) as url:
        checks = await examine(url)
    fault = the_fault(checks)
    assert fault.name == "clock"
    side = "behind" if off_s > 0 else "ahead of"
    assert f" s {side} the server's" in fault.detail
    assert checks["token"].needs == "clock"
    assert without(checks) == {"name", "tls", "server", "microphone"}


async def test_a_clock_by_which_a_good_certificate_is_not_valid_yet(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coming = make_certificates(tmp_path, days=(29, 31))
    monkeypatch.setenv("SSL_CERT_FILE", str(coming.authority))
    async with server_with_another_clock(world, 30 * 86_400, coming) as url:
        checks = await examine(url)
    assert the_fault(checks).name == "clock"
    assert (checks["tls"].needs, checks["server"].needs) == ("clock", "clock")
    assert without(checks) == {"name", "microphone"}


# UDP that is blocked: [client] -- [middle, with coturn] -- [server]

MIDDLE, SERVER, PORT = "10.78.1.1", "10.78.2.2", 7871
REASON = why_not()


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
        # what the first session of a process loads takes seconds on a busy machine
        first = json.dumps({"url": f"ws://{MIDDLE}:{PORT}", "token": make_token()})
        made.run(
            "client", sys.executable, ROOT / "tests/support/turn_client.py", first, timeout_s=60
        )
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
    green |= {"echo", "session"}
    code, checks = examine_from_client(net)
    assert code == 0, checks
    assert green | {"stun", "turn_udp", "udp"} == {
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
    assert {checks[name].needs for name in ("stun", "turn_udp")} == {"udp"}
    assert green == {
        name for name, check in checks.items() if check.state in ("ok", "warning") and name != "tls"
    }
