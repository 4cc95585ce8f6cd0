"""What answers a dial is no Voxwire server: an error that says so, whatever the parsers raise."""

import asyncio

import pytest

import voxwire

CODE = voxwire.ErrorCode
NINES = b"9" * 5000
ANSWERS: dict[str, tuple[bytes, CODE]] = {
    "a redirect to no URL": (b"302 Found\r\nLocation: http://[::bad", CODE.UNREACHABLE),
    "a redirect without end": (b"302 Found\r\nLocation: /again", CODE.VERSION),
    "advice for ever": (b"503 Busy\r\nContent-Length: 0\r\nRetry-After: " + NINES, CODE.CAPACITY),
    "no status": (b"what", CODE.VERSION),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_cannot_be_used_is_a_typed_error(name: str) -> None:
    answer, code = ANSWERS[name]

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + answer + b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(voxwire.VoxwireError) as caught:
            async with voxwire.connect(url, transport="websocket"):
                pytest.fail("it is in")
    assert caught.value.code == code


async def test_a_proxy_that_needs_a_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("socks_proxy", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:1")
    with pytest.raises(voxwire.UsageError, match="python-socks") as caught:
        async with voxwire.connect("wss://example.test", transport="websocket"):
            pytest.fail("it is in")
    assert caught.value.code == CODE.MISSING_EXTRA
