"""A network that carries nothing for a while: [client] -- [middle] -- [server].

The place in the middle stops forwarding, without a word to either side.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.namespaces import ROOT, Network, network, why_not
from voxwire_server.tokens import KeyRing, TokenIssuer

REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

KEY = "an operator's secret of more than 32 characters"
SERVER, PORT = "10.78.2.2", 7871


def wait_for(net: Network, log: str, text: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a program has said so."""
    deadline = time.monotonic() + 60
    while text not in net.log(log):
        assert process.poll() is None or text in net.log(log), net.log(log)[-4000:]
        assert time.monotonic() < deadline, net.log(log)[-4000:]
        time.sleep(0.02)


def forward(net: Network, on: bool) -> float:
    """Let the middle pass packets on, or not; when that was."""
    net.run("middle", "sysctl", "-qw", f"net.ipv4.ip_forward={int(on)}", timeout_s=60)
    return time.monotonic()


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("blackouts")) as made:
        made.add("client", "middle", "server")
        made.join("client", "10.78.1.2/24", "middle", "10.78.1.1/24")
        made.join("server", f"{SERVER}/24", "middle", "10.78.2.1/24")
        made.ip("client", "route", "add", "default", "via", "10.78.1.1")
        made.ip("server", "route", "add", "default", "via", "10.78.2.1")
        settings = {
            "host": SERVER, "port": PORT, "key": KEY, "ledger": str(made.folder / "ledger"),
        }  # fmt: skip
        script = ROOT / "tests/support/fault_server.py"
        server = made.start("server", sys.executable, script, json.dumps(settings), log="server")
        wait_for(made, "server", "listening", server)
        yield made


def ledger(net: Network, session: str, what: str) -> list[str]:
    """What the server wrote down of a session."""
    lines = (net.folder / "ledger").read_text("utf-8").splitlines()
    return [line.split(" ", 2)[2] for line in lines if line.startswith(f"{session} {what} ")]


def black_out(net: Network, blackout_s: float) -> Any:
    """Hold two conversations with a blackout in them; what came of each."""
    forward(net, True)
    options = {
        "url": f"ws://{SERVER}:{PORT}",
        "transports": ["websocket", "webrtc"],
        "blackout_s": blackout_s,
        "tokens": [make_token(), make_token()],
    }
    script = ROOT / "tests/support/fault_client.py"
    client = net.start("client", sys.executable, script, json.dumps(options), log="client")
    wait_for(net, "client", "speaking", client)
    time.sleep(0.5)  # real time: moment
    dark = forward(net, False)
    time.sleep(max(0.0, dark + blackout_s - time.monotonic()))  # real time: slow
    returned = forward(net, True)
    wait_for(net, "client", "]\n", client)
    talks = json.loads(net.log("client").splitlines()[-1])
    for talk in talks:
        times = {key: (talk[key] or 0) - returned for key in ("light", "path", "sound")}
        print(f"{blackout_s:g} s, {talk['transport']}: ", {k: f"{v:.2f}" for k, v in times.items()})
    return talks


def make_token() -> str:
    """As the operator's backend gets it."""
    return TokenIssuer(KeyRing.parse(key=KEY)).issue("ada", now_s=int(time.time()), ttl_s=300)


def survive(net: Network, blackout_s: float) -> None:
    """Nothing is lost or doubled, and the voice is cut where it was heard."""
    for talk in black_out(net, blackout_s):
        assert talk["received"] == ledger(net, talk["id"], "sent")[: len(talk["received"])]
        assert len(talk["received"]) > 5 * blackout_s
        got = ledger(net, talk["id"], "got")
        assert got == [str(number) for number in range(len(got))]
        assert len(got) > 3 * blackout_s
        assert talk["twice"] == [] and talk["skipped"] == 0
        [[cut, heard], [end, after]] = talk["ends"]
        assert (cut, end, after) == ("interrupted", "completed", 3)
        words = talk["words"]
        assert words[-3:] == ["w25", "w26", "w27"]
        assert words[:-3] == [f"w{i}" for i in range(len(words) - 3)]
        assert heard - 1 <= len(words) - 3 <= heard + 3  # what was buffered was heard, no more


def test_a_blackout_of_3_s(net: Network) -> None:
    survive(net, 3)


@pytest.mark.soak
def test_a_blackout_of_10_s(net: Network) -> None:
    survive(net, 10)


@pytest.mark.soak
def test_a_blackout_of_45_s(net: Network) -> None:
    survive(net, 45)
