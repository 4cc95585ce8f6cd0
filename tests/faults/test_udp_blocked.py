"""A network that lets TCP through and no UDP: [client] -- [middle] -- [server].

The place in the middle forwards packets or drops them without a word; the control channel goes
through a TCP proxy there. Real WebRTC, the offline bot, a question by voice.
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
MIDDLE, SERVER, PORT = "10.79.1.1", "10.79.2.2", 7881
QUESTION = "what is the weather in paris"
CLIENT = ROOT / "tests/support/auto_client.py"

Said = list[dict[str, Any]]


def wait_for(net: Network, log: str, text: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a program has said so."""
    deadline = time.monotonic() + 60
    while text not in net.log(log):
        assert process.poll() is None or text in net.log(log), net.log(log)[-4000:]
        assert time.monotonic() < deadline, net.log(log)[-4000:]
        time.sleep(0.02)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("udp")) as made:
        made.add("client", "middle", "server")
        made.join("client", "10.79.1.2/24", "middle", f"{MIDDLE}/24")
        made.join("server", f"{SERVER}/24", "middle", "10.79.2.1/24")
        made.ip("client", "route", "add", "default", "via", MIDDLE)
        made.ip("server", "route", "add", "default", "via", "10.79.2.1")
        settings = json.dumps({"host": SERVER, "port": PORT, "key": KEY})
        script = ROOT / "tests/support/offline_server.py"
        server = made.start("server", sys.executable, script, settings, log="server")
        proxy = ROOT / "tests/support/tcp_forward.py"
        made.start("middle", sys.executable, proxy, MIDDLE, SERVER, str(PORT), log="proxy")
        wait_for(made, "server", "listening", server)
        yield made


def let_udp_through(net: Network, on: bool) -> None:
    """What is not TCP to the proxy passes the middle, or not."""
    net.run("middle", "sysctl", "-qw", f"net.ipv4.ip_forward={int(on)}", timeout_s=60)


def options(sessions: int = 1, **more: Any) -> str:
    """Of a client that holds so many sessions."""
    issuer = TokenIssuer(KeyRing.parse(key=KEY))
    tokens = [issuer.issue("ada", now_s=int(time.time()), ttl_s=300) for _ in range(sessions)]
    question = str(ROOT / "examples/question.wav")
    given = {"url": f"ws://{MIDDLE}:{PORT}", "tokens": tokens, "question": question}
    return json.dumps({**given, "answer": "Paris", **more})


def lines(text: str) -> Said:
    """What a client has told."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def of(said: Said, event: str) -> Said:
    """The lines about one kind of event."""
    return [line for line in said if line["event"] == event]


def heard(said: Said) -> list[str]:
    """What the bot understood."""
    return [line["text"] for line in of(said, "UserTranscript") if line["final"]]


def answer_ms(said: Said) -> int:
    """When the first word of the answer was heard, since the session was asked for."""
    asked = max(index for index, line in enumerate(said) if line["event"] == "UserTranscript")
    return of(said[asked:], "BotWord")[0]["at_ms"]


@pytest.mark.timing(reason="where UDP is dropped a spoken answer begins within 6 s")
def test_without_udp_a_question_is_answered_within_6_s_and_the_next_session_knows(
    net: Network,
) -> None:
    let_udp_through(net, False)
    said = lines(net.run("client", sys.executable, CLIENT, options(2), timeout_s=60))
    ends = [index for index, line in enumerate(said) if line["event"] == "Over"]
    first, second = said[: ends[0]], said[ends[0] + 1 :]
    for talk in (first, second):
        [path] = of(talk, "PathChanged")
        assert (path["carrier"], path["fallback"]) == ("websocket", "ice_failed")
        assert "UDP" in path["fallback_detail"]
        assert path["lost_ms"] == 0, "the question was cut at its beginning"
        assert heard(talk) == [QUESTION]
    assert of(first, "PathChanged")[0]["resent_ms"] > 1000  # what was said while WebRTC was tried
    assert answer_ms(first) < 6000
    assert "failed lately" in of(second, "PathChanged")[0]["fallback_detail"]
    assert of(second, "Ready")[0]["at_ms"] < of(first, "Ready")[0]["at_ms"] - 1000


def test_with_udp_it_is_webrtc_and_when_that_is_blocked_later_the_session_goes_on_over_websocket(
    net: Network,
) -> None:
    let_udp_through(net, True)
    client = net.start("client", sys.executable, CLIENT, options(again=True), log="client")
    wait_for(net, "client", '"Answered"', client)
    let_udp_through(net, False)
    wait_for(net, "client", '"Over"', client)
    said = lines(net.log("client"))
    paths = of(said, "PathChanged")
    assert [path["carrier"] for path in paths] == ["webrtc", "websocket"]
    assert [path["fallback"] for path in paths] == [None, "ice_failed"]
    assert heard(said) == [QUESTION, QUESTION]
    assert len(of(said, "SessionStarted")) == 1 and not of(said, "ConnectionChanged")
