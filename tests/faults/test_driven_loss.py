"""A client in another language over WebRTC, through a cable that loses 10 % each way.

Run for the program that VOXWIRE_TEST_CLIENT names, as `scripts/mobile.py client` does.
"""

import json
import sys
import time
from pathlib import Path

import pytest

from tests.support import lossy_link
from tests.support.clients import OTHER, TRANSPORTS
from tests.support.namespaces import ROOT, network, why_not
from voxwire_server.tokens import KeyRing, TokenIssuer

ELSEWHERE = "" if OTHER and "webrtc" in TRANSPORTS else "no other client with WebRTC is named"
REASON = ELSEWHERE or why_not() or lossy_link.why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

CLIENT, SERVER = "10.78.1.1", "10.78.1.2"
KEY = "an operator's secret of more than 32 characters"
LOSS = 0.1
BLOCK_MS = 20
DIALS = 4


def make_token() -> str:
    """As the operator's backend gets it."""
    return TokenIssuer(KeyRing.parse(key=KEY)).issue("ada", now_s=int(time.time()), ttl_s=300)


def test_what_is_lost_is_covered_or_made_up_and_every_word_is_heard(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    with network(tmp_path) as net:
        net.add("client", "server")
        ends = (net.name("client"), f"{CLIENT}/24", net.name("server"), f"{SERVER}/24")
        link = ROOT / "tests" / "support" / "lossy_link.py"
        cable = net.start_here(sys.executable, link, *ends, str(LOSS), log="cable")
        net.wait_for("cable", "up", cable)
        run = (sys.executable, "-m", "voxwire_server.cli", "run")
        address = ("--host", SERVER, "--port", "7872")
        server = net.start("server", "env", f"VOXWIRE_KEY={KEY}", *run, *address, log="server")
        net.wait_for("server", "listens on", server)
        talk = (str(OTHER), "talk", f"ws://{SERVER}:7872", "--transport", "webrtc")
        asked = ("--text", "what is the weather in paris tomorrow", "--events", events)
        for _ in range(DIALS):
            command = (*talk, *asked, "--token", make_token())
            done = net.call("client", *command, timeout_s=120)
            if "hung up before it answered" in done.stderr:
                continue  # a server that gets no request for 5 s hangs up
            assert done.returncode == 0, done.stderr[-4000:]
            rows = [json.loads(line) for line in events.read_text().splitlines()]
            cuts = [row for row in rows if row["type"] == "interrupted"]
            print("cuts:", cuts)
            if not any(row["source"] == "gap" for row in cuts):
                break  # a client that stands still for 2 s, as the machine may, is not spoken to
        assert done.returncode == 0, done.stderr[-4000:]
        assert net.log("cable").count("lost") > 10

    def of(kind: str) -> list[dict[str, object]]:
        return [row for row in rows if row["type"] == kind]

    assert [row["carrier"] for row in of("path_changed")] == ["webrtc"]
    [media] = of("media")
    print({name: value for name, value in media.items() if name not in ("t_ms", "type")})
    lost, concealed, covered = media["lost"], media["concealed_ms"], media["covered_ms"]
    assert isinstance(lost, int) and isinstance(concealed, int) and isinstance(covered, int)
    assert lost > 5
    assert 0 < covered <= concealed <= BLOCK_MS * lost
    ended = of("utterance_ended")
    assert ended and all(row["end"] == "completed" for row in ended)
    heard = [row["heard_words"] for row in ended]
    ids = [row["utterance_id"] for row in of("bot_word")]
    assert heard == [ids.count(row["utterance_id"]) for row in ended]
    assert "Paris" in " ".join(str(row["text"]) for row in of("bot_word"))
