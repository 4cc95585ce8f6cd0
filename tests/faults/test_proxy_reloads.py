"""A reload of the shipped proxies under calls, as when a certificate is renewed: none is lost.

`make system` runs it. Debian's Caddy 2.6 closes its WebSockets; nginx's old workers keep theirs.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.callers import callers
from tests.support.namespaces import why_not
from tests.support.shipped import shipped

MISSING = [program for program in ("caddy", "nginx") if shutil.which(program) is None]
REASON = why_not() or (f"{MISSING[0]} is missing (make system installs it)" if MISSING else "")
pytestmark = [pytest.mark.skipif(bool(REASON), reason=REASON), pytest.mark.timeout(120)]

CALLS = {f"{kind} {number}": kind for kind, many in (("websocket", 4), ("webrtc", 2))
         for number in range(many)}  # fmt: skip
WORDS = 40
"""They last 12 s."""


async def reload_under_calls(way: str, folder: Path) -> list[dict[str, Any]]:
    """Reload every proxy while the bot speaks in all calls; what their clients have told."""
    with shipped(way, VOXWIRE_VOICE_GAP_MS="60000") as house:
        async with callers((*house.at_the_caller, sys.executable), folder) as calls:
            for name, transport in CALLS.items():
                order = {"url": house.url, "token": house.token(name), "transport": transport}
                calls.call(name, **order, words=WORDS, once=True)
            await calls.wait_for("Speaking", len(CALLS))
            house.reload_proxies()
            await calls.wait_for("Said", len(CALLS))
            for line in calls.of("Said").values():
                assert line["end"] == "completed", line
                assert line["words"] == [f"w{number}" for number in range(WORDS)], line
            assert not calls.of("SessionEnded")
            return calls.told


async def test_caddy_closes_websockets_and_every_call_goes_on_with_all_its_words(
    tmp_path: Path,
) -> None:
    told = await reload_under_calls("caddy", tmp_path)
    changes = [line for line in told if line["event"] == "ConnectionChanged"]
    back = {line["name"]: line["after_ms"] for line in changes if line["state"] == "connected"}
    print(f"back after {sorted(back.values())} ms")
    assert set(back) == set(CALLS), "the README says that Caddy closes WebSockets"


async def test_nginx_keeps_every_connection(tmp_path: Path) -> None:
    told = await reload_under_calls("nginx", tmp_path)
    assert not [line for line in told if line["event"] == "ConnectionChanged"]
