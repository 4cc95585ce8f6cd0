"""What is said of a server, a token and devices that are not as they should be."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
import voxwire.testing
from voxwire._diagnosis import reach
from voxwire._diagnosis.checks import ORDER, failed
from voxwire.cli import main
from voxwire.testing import (
    FakeDevice,
    FakeDevices,
    FakeServer,
    FakeSession,
    NetworkState,
    VirtualTime,
)
from voxwire_protocol import wire

CODE = voxwire.ErrorCode


MEDIA = ("webrtc", "stun", "turn_udp", "turn_tcp", "turn_tls", "udp", "echo")
NOT_HERE = dict.fromkeys(
    ("name", "tls", "clock", *MEDIA, "microphone", "speaker"),
    "skipped",
)
GOOD = dict.fromkeys(("server", "token", "capacity", "rtt", "session"), "ok")
"""What there is not in memory, and what was not asked for."""


async def diagnosed(server: FakeServer, **options: Any) -> dict[str, str]:
    """The state of every check, and the code of what failed."""
    environment = options.pop("environment", server.environment)
    told: list[voxwire.Check] = []
    found = await voxwire.diagnose(
        server.url, environment=environment, on_check=told.append, **options
    )
    assert tuple(told) == found.checks
    assert found.ok == all(check.state != "failed" for check in found.checks)
    failed = {check.name for check in found.checks if check.state == "failed"}
    for check in found.checks:
        assert check.detail
        assert check.needs is None or (check.state, {check.needs}) == ("skipped", failed)
        assert bool(check.advice) == (check.state in ("warning", "failed"))
    return {
        check.name: check.state if check.code is None else check.code.name for check in found.checks
    }


@virtual
async def test_nothing_is_wrong_and_nothing_is_left() -> None:
    async with FakeServer() as server:
        server.network.latency_ms = 30
        found = await voxwire.diagnose(server.url, environment=server.environment)
        assert found.ok
        states = {check.name: check.state for check in found.checks}
        assert states == NOT_HERE | GOOD
        [rtt] = [check for check in found.checks if check.name == "rtt"]
        assert rtt.detail == "60 ms there and back"
        assert "rtt         ok      60 ms there and back" in str(found)
        await asyncio.sleep(1)
        assert server.sessions[0].over


@virtual
async def test_what_is_wrong_is_named_and_what_needs_it_is_skipped(time: VirtualTime) -> None:
    skipped = NOT_HERE | {"rtt": "skipped", "session": "skipped"}
    async with FakeServer(tokens=("good",)) as server:
        states = await diagnosed(server, token="good")
        assert states == NOT_HERE | GOOD
        states = await diagnosed(server, token=lambda _: "bad")
        refused = {"server": "ok", "token": "UNAUTHORIZED", "capacity": "skipped"}
        assert states == skipped | refused
        server.mute = True
        began = time.now_ms()
        assert (await diagnosed(server, token="good"))["token"] == "TIMEOUT"
        assert time.now_ms() - began <= 6000
        server.mute = False
        server.refuse_with(CODE.CAPACITY)
        full = {"server": "ok", "token": "skipped", "capacity": "CAPACITY"}
        assert await diagnosed(server, token="good") == skipped | full
        server.network.state = NetworkState.REFUSED
        nothing = {"server": "UNREACHABLE", "token": "skipped", "capacity": "skipped"}
        assert await diagnosed(server) == skipped | nothing


@pytest.mark.parametrize(
    ("code", "reason", "check", "advice"),
    [
        (CODE.INVALID_ARGUMENT, "there are several bots: a, b", "token", "--bot"),
        (CODE.FORBIDDEN, "the token is for another bot", "token", "--bot"),
        (CODE.VERSION, "the server speaks version 2", "token", "versions"),
        (CODE.UNAUTHORIZED, "the token has expired", "token", "POST /v1/tokens"),
        (CODE.RATE_LIMITED, "too many sessions were begun", "capacity", "VOXWIRE_STARTS_PER_"),
        (CODE.CAPACITY, "the server is full", "capacity", "VOXWIRE_MAX_SESSIONS"),
        (CODE.CAPACITY, "the server is too busy", "capacity", "add servers"),
        (CODE.CAPACITY, "this token allows no more sessions at once", "capacity", "max_sessions"),
        (CODE.CAPACITY, "this bot has used up the day's turns", "capacity", "VOXWIRE_CAPS_PER_"),
        (CODE.GOING_AWAY, "the server is shutting down", "capacity", "being stopped"),
    ],
)
@virtual
async def test_the_advice_is_about_what_was_refused(
    code: voxwire.ErrorCode, reason: str, check: str, advice: str
) -> None:
    async with FakeServer() as server:
        server.refuse_with(code, reason, retry_after_ms=2000)
        found = await voxwire.diagnose(server.url, environment=server.environment)
    [fault] = [it for it in found.checks if it.state == "failed"]
    assert (fault.name, fault.code, fault.detail) == (check, code, reason)
    assert advice in fault.advice
    assert ("VOXWIRE_MAX_SESSIONS" in fault.advice) == (reason == "the server is full")
    assert ("POST /v1/tokens" in fault.advice) == (code == CODE.UNAUTHORIZED)


WRONG = failed("clock", "an hour ahead", "set it", CODE.UNAUTHORIZED)


@pytest.mark.parametrize(
    ("refused", "failing"),
    [
        (None, {}),
        (CODE.CAPACITY, {"capacity": "CAPACITY"}),
        (CODE.UNAUTHORIZED, {"clock": "UNAUTHORIZED"}),
    ],
)
@virtual
async def test_a_wrong_clock_is_a_fault_where_it_costs_the_session(
    monkeypatch: pytest.MonkeyPatch, refused: voxwire.ErrorCode | None, failing: dict[str, str]
) -> None:
    monkeypatch.setattr(reach, "_clock", lambda date, asked_s: WRONG)
    async with FakeServer() as server:
        if refused is not None:
            server.refuse_with(refused)
        found = await voxwire.diagnose(server.url, environment=server.environment)
    failed = {it.name: it.code.name for it in found.checks if it.state == "failed" and it.code}
    assert failed == failing
    [clock] = [it for it in found.checks if it.name == "clock"]
    assert clock.state == ("failed" if refused == CODE.UNAUTHORIZED else "warning")
    assert clock.advice == "set it"
    assert [it.name for it in found.checks] == list(ORDER)


@virtual
async def test_a_round_trip_that_is_too_long_is_a_warning() -> None:
    async with FakeServer() as server:
        server.network.latency_ms = 300
        found = await voxwire.diagnose(server.url, environment=server.environment)
    assert found.ok
    [rtt] = [check for check in found.checks if check.name == "rtt"]
    assert (rtt.state, rtt.detail) == (
        "warning",
        "600 ms there and back: too long for a conversation",
    )


@virtual
async def test_devices_are_looked_for_when_asked() -> None:
    async with FakeServer() as server:
        devices = FakeDevices(FakeDevice("mic", microphone=True))
        around = voxwire.testing.Environment(
            dial=server.environment.dial, clock=server.clock, webrtc=False, devices=devices
        )
        states = await diagnosed(server, environment=around, microphone=True, speaker=True)
        assert (states["microphone"], states["speaker"]) == ("ok", "DEVICE")
        states = await diagnosed(
            server, environment=around, microphone=voxwire.Device("headset"), speaker=None
        )
        assert (states["microphone"], states["speaker"]) == ("DEVICE", "skipped")
        devices.all[0].busy = True
        states = await diagnosed(server, environment=around, microphone=True)
        assert states["microphone"] == "DEVICE"
    assert not devices.all[0].running


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_the_command_says_it_in_lines_or_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"ws://127.0.0.1:{free_port()}"
    assert main(["doctor", url]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "tls         –       needs server"
    assert lines[2].startswith("server      FAILED  nothing answers at 127.0.0.1")
    assert lines[3].startswith("                    -> start the server")
    assert lines[0] == "name        ok      127.0.0.1 is 127.0.0.1"
    assert "token       –       needs server" in lines
    assert main(["doctor", url, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    assert said["version"] == 1
    assert set(said) == {"version", "ok", "checks"}
    server = said["checks"][2]
    assert set(server) == {
        *("name", "state", "detail", "advice", "needs", "code", "duration_ms"),
    }
    assert (server["name"], server["code"]) == ("server", "unreachable")
    assert said["checks"][4]["needs"] == "server"
    assert main(["doctor", "ftp://a"]) == 1
    assert "ws://127.0.0.1:7860" in capsys.readouterr().out
    assert main(["doctor", "ws://nowhere.invalid"]) == 1
    assert "name" in capsys.readouterr().out


def test_the_command_warns_of_the_addresses_that_it_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    assert "this machine's public address" in capsys.readouterr().out
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert "before you paste it anywhere" in readme


@virtual
async def test_no_token_is_told() -> None:
    async with FakeServer(tokens=("CANARY",)) as server:
        for token in ("CANARY", "CANARY-2"):
            found = await voxwire.diagnose(server.url, token=token, environment=server.environment)
            assert "CANARY" not in str(found)


@virtual
async def test_a_report_tells_what_happened_and_nothing_of_what_was_said() -> None:
    async def bot(session: FakeSession) -> None:
        session.send(turn_metrics=wire.TurnMetrics(turn_id="t1", total_ms=300))
        await session.say("CANARY one")
        await session.text()

    async with FakeServer(bot) as server:
        options: dict[str, Any] = {"token": "CANARY", "metadata": {"a": "CANARY"}}
        async with session_of(server, tools=[voxwire.tool(look)], **options) as session:
            await session.send_context("CANARY")
            await session.wait_for(voxwire.UtteranceEnded)
            server.session.drop()
            await session.send_text("CANARY")
            await session.wait_for(voxwire.SessionEnded)
        report = session.report()
    text = json.dumps(report)
    assert "CANARY" not in text
    assert report["session"]["id"] == session.id
    assert report["options"]["tools"] == ["look"]
    assert report["latency"] == {"turns": 1, "p50_ms": 300, "p95_ms": 300, "max_ms": 300}
    happened = [entry["what"] for entry in report["journal"]]
    assert [what for what in happened if what != "status"] == [
        *("PathChanged", "ConnectionChanged", "ConnectionChanged"),
        *("PathChanged", "SessionEnded"),
    ]
    told = [entry["status"] for entry in report["journal"] if entry["what"] == "status"]
    assert told == ["ready", "reconnecting", "closing", "closed"]  # no path was back by then
    assert [entry["at_ms"] for entry in report["journal"]] == sorted(
        entry["at_ms"] for entry in report["journal"]
    )


def look() -> None:
    """Look."""
