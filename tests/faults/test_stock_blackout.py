"""A stock client in a network that carries nothing for 3 s, its pings neither: nothing is lost.

[client] -- [middle] -- [server]: the place in the middle stops forwarding, without a word. Stock
Pipecat loses ten events each way.
"""

import json
import sys
import time
from collections.abc import Iterator

import pytest

from tests.faults.test_blackouts import KEY, forward, make_token, wait_for
from tests.support.namespaces import ROOT, Network, network, why_not

REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

CLIENT, SERVER, PORT = "10.80.1.2", "10.80.2.2", 7872
BLACKOUT_S = 3.0


@pytest.fixture
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("stock")) as made:
        made.add("client", "middle", "server")
        made.join("client", f"{CLIENT}/24", "middle", "10.80.1.1/24")
        made.join("server", f"{SERVER}/24", "middle", "10.80.2.1/24")
        made.ip("client", "route", "add", "default", "via", "10.80.1.1")
        made.ip("server", "route", "add", "default", "via", "10.80.2.1")
        settings = {"host": SERVER, "port": PORT, "key": KEY, "ledger": str(made.folder / "ledger")}
        script = ROOT / "tests/support/fault_server.py"
        server = made.start("server", sys.executable, script, json.dumps(settings), log="server")
        wait_for(made, "server", "listening", server)
        yield made


def test_no_event_of_a_stock_client_is_lost_in_a_blackout_of_3_s(net: Network) -> None:
    forward(net, True)
    options = {
        "url": f"http://{SERVER}:{PORT}",
        "address": CLIENT,
        "token": make_token(),
        "blackout_s": BLACKOUT_S,
    }
    script = ROOT / "tests/support/stock_fault_client.py"
    client = net.start("client", sys.executable, script, json.dumps(options), log="client")
    wait_for(net, "client", "talking", client)
    dark = forward(net, False)
    time.sleep(max(0.0, dark + BLACKOUT_S - time.monotonic()))  # real time: slow
    forward(net, True)
    wait_for(net, "client", "}\n", client)
    said = json.loads(net.log("client").splitlines()[-1])
    heard = said["heard"]
    assert heard == list(range(heard[0], heard[0] + len(heard)))
    lines = [line.split(" ", 2) for line in (net.folder / "ledger").read_text().splitlines()]
    got = [int(number) for _, what, number in lines if what == "got"]
    assert got == said["told"]
    assert len(got) > BLACKOUT_S / 0.2
    assert len({session for session, _, _ in lines}) == 1
    assert said["signals"] == []
