"""Names that this machine cannot look up: the proxy can, or the look-up hangs."""

import asyncio
from typing import Any

import pytest

import voxwire

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
