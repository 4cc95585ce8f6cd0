"""STUN and TURN servers of which some are slow: what is known is told, in time."""

import asyncio
from typing import Any

import pytest
from virtual import virtual

import voxwire
from voxwire._diagnosis import relays, run
from voxwire._diagnosis.relays import Asked, ask_all
from voxwire.testing import FakeServer, VirtualTime
from voxwire_protocol import wire

TURN = ["turn:t", "turn:t?transport=tcp", "turns:t"]
SILENT = "stun:silent"


class OnePlace:
    """A TURN server of which a user may have one allocation, and a STUN server without a word."""

    def __init__(self, *, late_s: float = 0.1) -> None:
        self.asked: list[str] = []
        self._late_s = late_s
        self._taken = False

    async def ask(self, target: Any) -> Asked:
        self.asked.append(target.url)
        if target.url == SILENT:
            await asyncio.sleep(relays.ASK_MS / 1000)
            return Asked(target.url, target.kind, target.host, "silent", "nothing")
        if self._taken:
            await asyncio.sleep(self._late_s)
            return Asked(target.url, target.kind, target.host, "refused", "486", 486)
        self._taken = True
        await asyncio.sleep(self._late_s)
        self._taken = False
        return Asked(target.url, target.kind, target.host, told="192.0.2.1:9")


@pytest.mark.parametrize(("late_s", "most_ms"), [(0.1, 4000), (1.2, 4500)])
@virtual
async def test_a_quota_is_waited_for_beside_a_server_that_is_silent(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch, late_s: float, most_ms: int
) -> None:
    server = OnePlace(late_s=late_s)
    monkeypatch.setattr(relays, "_ask", server.ask)
    began_ms = time.now_ms()
    found = await ask_all([wire.IceServer(urls=[*TURN, SILENT])])
    assert time.now_ms() - began_ms <= most_ms
    assert [one.url for one in found] == [*TURN, SILENT]
    assert found[3].trouble == "silent"
    assert {one.error for one in found[:3]} <= {0, 486}
    if late_s < 1:
        assert not any(one.trouble for one in found[:3])
        assert sorted(server.asked) == sorted([*TURN, SILENT, *TURN[1:]])


@virtual
async def test_what_stun_and_turn_never_said_costs_the_path_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(servers: object) -> list[Asked]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(run, "ask_all", hang)
    async with FakeServer() as server:
        found = await voxwire.diagnose(server.url, environment=server.environment)
    assert found.ok, found
    checks = {check.name: check for check in found.checks}
    assert "not installed" in checks["webrtc"].detail
    assert checks["udp"].state == "skipped"
