"""A session that ends under a diagnosis: what ended it is told, and nothing else is blamed."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from virtual import virtual

import voxwire
from voxwire._diagnosis import run
from voxwire.testing import FakeServer
from voxwire_protocol import wire

CODE = voxwire.ErrorCode


async def found(
    server: FakeServer, on_check: Callable[[voxwire.Check], object] | None = None
) -> dict[str, voxwire.Check]:
    began_ms = server.clock.now_ms()
    checked = await voxwire.diagnose(server.url, environment=server.environment, on_check=on_check)
    assert server.clock.now_ms() - began_ms < 2000, "nothing is waited for that cannot come"
    assert [check.name for check in checked.checks] == list(run.ORDER)
    return {check.name: check for check in checked.checks}


def crash(server: FakeServer) -> None:
    server.session.fail(CODE.BOT_FAILED, "the bot raised RuntimeError")


def say_goodbye(server: FakeServer) -> None:
    server.session.finish(wire.EndReason.END_REASON_BOT)


def fail_without_a_word(server: FakeServer) -> None:
    server.session.finish(wire.EndReason.END_REASON_ERROR)


def fail_and_end(server: FakeServer) -> None:
    server.session.error(CODE.SERVICE_FAILED, "the model is gone")
    server.session.finish(wire.EndReason.END_REASON_ERROR)


@pytest.mark.parametrize(
    ("end", "code", "says"),
    [
        (crash, CODE.BOT_FAILED, "the bot raised RuntimeError"),
        (say_goodbye, CODE.INVALID_STATE, "the bot ended the session"),
        (fail_without_a_word, CODE.INTERNAL, "the server ended the session"),
        (fail_and_end, CODE.SERVICE_FAILED, "the model is gone"),
    ],
)
@virtual
async def test_a_session_that_ends_at_once_fails_for_its_own_reason(
    end: Any, code: voxwire.ErrorCode, says: str
) -> None:
    async with FakeServer() as server:
        server.network.latency_ms = 40
        checks = await found(
            server, lambda check: end(server) if check.name == "capacity" else None
        )
    [fault] = [check for check in checks.values() if check.state == "failed"]
    assert (fault.name, fault.code, fault.detail) == ("session", code, says)
    assert fault.advice
    assert {name for name, check in checks.items() if check.needs == "session"} == {
        *("rtt", "webrtc", "stun", "turn_udp", "turn_tcp", "turn_tls", "udp", "echo"),
    }


@pytest.mark.parametrize(
    ("end", "code"),
    [(crash, CODE.BOT_FAILED), (lambda server: server.session.drop(), CODE.CONNECTION_LOST)],
)
@virtual
async def test_a_session_that_ends_while_stun_is_asked_is_no_fault_of_the_network(
    monkeypatch: pytest.MonkeyPatch, end: Any, code: voxwire.ErrorCode
) -> None:
    async with FakeServer() as server:

        async def ask_all(servers: object) -> list[Any]:
            await asyncio.sleep(1)
            end(server)
            await asyncio.sleep(2)
            return []

        monkeypatch.setattr(run, "ask_all", ask_all)
        checks = await found(server)
    [fault] = [check for check in checks.values() if check.state == "failed"]
    assert (fault.name, fault.code) == ("session", code)
    assert checks["rtt"].state == "ok"
    assert {checks[name].needs for name in ("webrtc", "stun", "udp", "echo")} == {"session"}
