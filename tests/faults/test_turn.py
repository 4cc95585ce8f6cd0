"""TURN with the real coturn: client and server without a route to each other, coturn between.

[client] 10.77.1.2 -- 10.77.1.1 [turn] 10.77.2.1 -- 10.77.2.2 [server]

The place in the middle forwards no packets; the control channel goes through a TCP proxy there.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.namespaces import ROOT, Network, network, why_not
from voxwire_server.ice_servers import turn_credential
from voxwire_server.keys import KeyRing
from voxwire_server.tokens import TokenIssuer

KEY = "an operator's secret of more than 32 characters"
SECRET = "shared with coturn"
TURN, SERVER = "10.77.1.1", "10.77.2.2"
HOST, RELAY, WRONG = 7861, 7862, 7863
"""Ports of three servers: on its own address, behind its own allocation, with a wrong secret."""
TTL_S = 6
"""Longer than a busy machine takes to connect."""

REASON = why_not()
if not REASON and shutil.which("turnserver") is None:
    REASON = "coturn is missing: apt-get install coturn (as root, make test does it)"
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


def settings(port: int, secret: str, **more: Any) -> dict[str, Any]:
    """Of a server in its namespace. The one behind a relay gets there over TCP, and its client."""
    url = f"turn:{TURN}:3478" + ("?transport=tcp" if port == RELAY else "")
    return {
        "host": SERVER, "port": port, "key": KEY, "turn_urls": url, "turn_secret": secret, **more,
    }  # fmt: skip


def wait_for(net: Network, log: str, text: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a program has said so."""
    deadline = time.monotonic() + 60
    while text not in net.log(log):
        assert process.poll() is None, net.log(log)[-4000:]
        assert time.monotonic() < deadline, net.log(log)[-4000:]
        time.sleep(0.05)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The three places, coturn and the servers."""
    folder = tmp_path_factory.mktemp("turn")
    with network(folder) as made:
        made.add("client", "turn", "server")
        made.join("client", "10.77.1.2/24", "turn", f"{TURN}/24")
        made.join("server", f"{SERVER}/24", "turn", "10.77.2.1/24")
        made.ip("server", "route", "add", f"{TURN}/32", "via", "10.77.2.1")
        servers = [
            settings(HOST, SECRET, turn_ttl_s=TTL_S),
            settings(RELAY, SECRET, server_ice="relay"),
            settings(WRONG, "another secret"),
        ]
        script = ROOT / "tests/support/turn_server.py"
        process = made.start(
            "server", sys.executable, script, json.dumps(servers), log="server.log"
        )
        forward = ROOT / "tests/support/tcp_forward.py"
        ports = [str(port) for port in (HOST, RELAY, WRONG)]
        made.start("turn", sys.executable, forward, TURN, SERVER, *ports, log="forward.log")
        coturn = made.start("turn", "turnserver", "-c", configure(folder), log="coturn.log")
        wait_for(made, "coturn.log", "listener opened on : 10.77.1.1:3478", coturn)
        wait_for(made, "server.log", "listening", process)
        yield made


def configure(folder: Path) -> Path:
    """coturn's configuration as the README has it, with the addresses of this place."""
    readme = (ROOT / "README.md").read_text("utf-8")
    told = readme.partition("/etc/turnserver.conf")[2].split("```")[1]
    assert "static-auth-secret=SECRET\n" in told
    here = f"""
listening-ip={TURN}
relay-ip=10.77.2.1
no-cli
no-tls
no-dtls
log-file=stdout
verbose
pidfile={folder}/turnserver.pid
userdb={folder}/turndb
"""
    path = folder / "turnserver.conf"
    path.write_text(told.replace("=SECRET", f"={SECRET}") + here, "utf-8")
    return path


def make_token() -> str:
    """As ``POST /v1/tokens`` gives it to the operator's backend."""
    return TokenIssuer(KeyRing.parse(key=KEY)).issue("ada", now_s=int(time.time()), ttl_s=300)


def talk(net: Network, port: int, **options: Any) -> Any:
    """Hold a conversation from the client's place."""
    options = {"url": f"ws://{TURN}:{port}", "token": make_token(), **options}
    script = ROOT / "tests/support/turn_client.py"
    out = net.run("client", sys.executable, script, json.dumps(options), timeout_s=60)
    return json.loads(out)


def test_without_a_route_a_conversation_goes_through_turn_and_outlives_its_credentials(
    net: Network,
) -> None:
    with pytest.raises(AssertionError, match="unreachable"):
        net.ip("client", "route", "get", SERVER)
    result = talk(net, HOST, texts=["say 6", "say 4"], age_s=TTL_S + 0.5)
    assert result.get("turns") == [[f"w{i}" for i in range(6)], [f"w{i}" for i in range(6, 10)]], (
        result
    )
    assert result["clicks"] == 10 and result["transport"] == "webrtc"
    assert result["age_s"] > TTL_S, "too soon"  # real time: order
    assert "ALLOCATE processed, success" in net.log("coturn.log")


def test_a_server_behind_its_own_allocation_talks_to_a_relayed_client(net: Network) -> None:
    result = talk(net, RELAY)
    assert result["turns"] == [[f"w{i}" for i in range(6)]]
    assert result["clicks"] == 6 and result["transport"] == "webrtc"
    assert ".server>" in net.log("coturn.log")


def test_a_wrong_secret_is_named_in_the_clients_error(net: Network) -> None:
    result = talk(net, WRONG)
    assert result["error"] == "TURN_FAILED"
    assert f"turn:{TURN}:3478 refused the credentials (401" in result["reason"]
    assert "secret" in result["reason"]


def test_expired_credentials_are_named_in_the_clients_error(net: Network) -> None:
    username = f"{int(time.time()) - 60}:someone"
    server = {
        "urls": [f"turn:{TURN}:3478"],
        "username": username,
        "credential": turn_credential(SECRET, username),
    }
    result = talk(net, HOST, ice_servers=[server], ice_policy="relay")
    assert result["error"] == "TURN_FAILED"
    assert "refused the credentials (401" in result["reason"]
    assert "expired 6" in result["reason"]
