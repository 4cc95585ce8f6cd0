"""Names that this machine cannot look up: the proxy can, or the look-up hangs."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import voxwire
from voxwire._diagnosis import relays, run
from voxwire.cli import main
from voxwire_protocol import wire

PROXIES = ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_name_that_only_the_proxy_knows_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        port: Any = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://ada:CANARY@127.0.0.1:{port}")
        found = await voxwire.diagnose(f"{scheme}://bot.invalid:7860")
    checks = {check.name: check for check in found.checks}
    assert asked == [b"CONNECT bot.invalid:7860 HTTP/1.1\r\n"]
    name, server = checks["name"], checks["server"]
    assert (name.state, name.detail) == ("skipped", f"the proxy 127.0.0.1:{port} looks it up")
    assert (server.state, server.code) == ("failed", voxwire.ErrorCode.UNREACHABLE)
    assert "the proxy on the way to bot.invalid:7860" in server.detail
    assert "no_proxy" in server.advice
    assert "CANARY" not in str(found)


class SlowNames:
    """Look-ups that hang until the test lets them go, or for 10 s."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.begun = self.ended = 0

    def getaddrinfo(self, *_: Any, **__: Any) -> Any:
        self.begun += 1
        self.released.wait(10)
        self.ended += 1
        raise socket.gaierror(socket.EAI_AGAIN, "no name server answers")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowNames]:
    names = SlowNames()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    monkeypatch.setattr(run, "CHECK_MS", 200)
    monkeypatch.setattr(relays, "ASK_MS", 200)
    yield names
    names.released.set()


def test_the_command_does_not_wait_for_a_look_up_that_hangs(
    slow: SlowNames, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "wss://bot.invalid", "--json", "--no-devices"]) == 1
    assert (slow.begun, slow.ended) == (1, 0), "it is still looked up"
    said = json.loads(capsys.readouterr().out)
    name = said["checks"][0]
    assert (name["name"], name["code"]) == ("name", "timeout")


@pytest.mark.parametrize("look_up", ["of the doctor", "of STUN and TURN"])
def test_a_program_does_not_wait_for_a_look_up_that_hangs(slow: SlowNames, look_up: str) -> None:
    urls = ["stun:t.invalid", "turn:t.invalid?transport=tcp", "turns:t.invalid"]
    if look_up == "of the doctor":
        found = asyncio.run(voxwire.diagnose("wss://bot.invalid"))
        assert found.checks[0].code == voxwire.ErrorCode.TIMEOUT
    else:
        asked = asyncio.run(relays.ask_all([wire.IceServer(urls=urls)]))
        assert [one.trouble for one in asked] == ["silent"] * 3
    assert slow.begun and not slow.ended


def test_the_command_does_not_wait_for_a_dial_that_hangs(
    slow: SlowNames, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    assert main(["doctor", "wss://bot.invalid", "--json", "--no-devices"]) == 1
    assert (slow.begun, slow.ended) == (1, 0)
    server = json.loads(capsys.readouterr().out)["checks"][2]
    assert (server["name"], server["code"]) == ("server", "timeout")
