"""Pipecat's scenarios by ``voxwire eval`` over WebRTC, through a cable that loses 5 % each way."""

import json
import sys
import time
from pathlib import Path

import pytest

from tests.faults.test_blackouts import wait_for
from tests.support import lossy_link
from tests.support.eval_server import KEY
from tests.support.evals import check, commands
from tests.support.namespaces import ROOT, network, why_not
from voxwire_server.tokens import KeyRing, TokenIssuer

REASON = why_not() or lossy_link.why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

CLIENT, SERVER = "10.79.1.1", "10.79.1.2"
LOSS = 0.05


def make_token() -> str:
    """As the operator's backend gets it."""
    return TokenIssuer(KeyRing.parse(key=KEY)).issue("ada", now_s=int(time.time()), ttl_s=300)


def test_the_eight_scenarios_pass_with_5_percent_loss_and_each_finds_its_fault(
    tmp_path: Path,
) -> None:
    support = ROOT / "tests" / "support"
    with network(tmp_path) as net:
        net.add("client", "server")
        ends = (net.name("client"), f"{CLIENT}/24", net.name("server"), f"{SERVER}/24")
        # the cable is laid from outside, so it runs where the test does
        cable = net.start_here(
            sys.executable, support / "lossy_link.py", *ends, str(LOSS), log="cable"
        )
        wait_for(net, "cable", "up", cable)
        server = net.start(
            "server", sys.executable, support / "eval_server.py", SERVER, log="server"
        )
        wait_for(net, "server", "listening", server)
        asked = commands(
            tmp_path, "--url", f"ws://{SERVER}:7871", "--connect-timeout", "60", token=make_token
        )
        lists = json.dumps(list(asked.values()))
        out = net.run("client", sys.executable, support / "evals.py", lists, timeout_s=200)
        assert net.log("cable").count("lost") > 50
    [exits] = [line for line in out.splitlines() if line.startswith("exits ")]
    check(tmp_path, dict(zip(asked, json.loads(exits.removeprefix("exits ")), strict=True)))
