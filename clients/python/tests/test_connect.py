"""Connecting: it works, or it says within the deadline why it does not."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from peer import UNIT_S, Peer, serving

import voxwire
from voxwire._url import normalise_url
from voxwire_protocol import wire

Step = Callable[[Peer], Awaitable[None]]

ONE = voxwire.Timeouts(connect_ms=1000 * UNIT_S)
HALF = voxwire.Timeouts(connect_ms=500 * UNIT_S)


async def nothing(peer: Peer) -> None:
    await peer.heard("hello")


async def only_welcome(peer: Peer) -> None:
    await peer.welcome()


async def welcome_and_answer(peer: Peer) -> None:
    await peer.welcome()
    await peer.answer()


async def hang(peer: Peer) -> None:
    await peer.socket.wait_closed()


async def drop(peer: Peer) -> None:
    peer.socket.transport.abort()


async def close_normally(peer: Peer) -> None:
    await peer.socket.close(1000)


async def close_with_code(peer: Peer) -> None:
    await peer.socket.close(4000 + voxwire.ErrorCode.CAPACITY, "full")


async def fatal_error(peer: Peer) -> None:
    code = wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
    await peer.say(error=wire.Error(code=code, reason="no token", fatal=True))
    await peer.socket.wait_closed()


async def end(peer: Peer) -> None:
    await peer.goodbye()
    await peer.socket.close(1000)


@pytest.mark.parametrize("stage", [nothing, only_welcome, welcome_and_answer])
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (hang, voxwire.ErrorCode.TIMEOUT),
        (drop, voxwire.ErrorCode.CONNECTION_LOST),
        (close_normally, voxwire.ErrorCode.CONNECTION_LOST),
        (close_with_code, voxwire.ErrorCode.CAPACITY),
        (fatal_error, voxwire.ErrorCode.UNAUTHORIZED),
        (end, voxwire.ErrorCode.CONNECTION_LOST),
    ],
)
async def test_a_server_that_fails_at_any_step_is_a_typed_error_within_the_deadline(
    stage: Step, fault: Step, code: voxwire.ErrorCode
) -> None:
    async def script(peer: Peer) -> None:
        await stage(peer)
        await fault(peer)

    async with serving(script) as url:
        with pytest.raises(voxwire.VoxwireError) as caught:
            async with voxwire.connect(url, transport="websocket", timeouts=ONE):
                pytest.fail("there is no session")
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("stage", "words"), [(nothing, "Hello"), (only_welcome, "media path"), (hang, "Hello")]
)
async def test_a_timeout_says_what_it_waited_for(stage: Step, words: str) -> None:
    async def script(peer: Peer) -> None:
        await stage(peer)
        await hang(peer)

    async with serving(script) as url:
        with pytest.raises(voxwire.TransportError, match=words):
            async with voxwire.connect(url, transport="websocket", timeouts=HALF):
                pass


async def test_a_refused_path_is_the_error_that_the_server_names() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.heard("path_open")
        code = wire.ErrorCode.ERROR_CODE_UNSUPPORTED_FORMAT
        await peer.say(path_close=wire.PathClose(path_id=peer.path_id, code=code, reason="no"))
        await hang(peer)

    async with serving(script) as url:
        with pytest.raises(voxwire.MediaError, match="no"):
            async with voxwire.connect(url, transport="websocket"):
                pass


async def test_auto_falls_back_to_websocket_when_webrtc_is_refused() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        opened = await peer.heard("path_open")
        if opened.path_open.carrier == wire.Carrier.CARRIER_WEBRTC:
            code = wire.ErrorCode.ERROR_CODE_UNSUPPORTED
            await peer.say(path_close=wire.PathClose(path_id=1, code=code, reason="no WebRTC"))
            opened = await peer.heard("path_open", count=2)
        assert opened.path_open.carrier == wire.Carrier.CARRIER_WEBSOCKET
        await peer.answer()
        await peer.say(path_ready=wire.PathReady(path_id=opened.path_open.path_id))
        await peer.until_bye()

    async with serving(script) as url, voxwire.connect(url) as session:
        assert session.transport == "websocket"


async def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(voxwire.TransportError, match="is the server running") as caught:
        async with voxwire.connect(f"ws://127.0.0.1:{port}"):
            pass
    assert caught.value.code == voxwire.ErrorCode.UNREACHABLE
    assert caught.value.__cause__ is not None


async def test_a_socket_that_is_no_websocket_server_is_a_typed_error_within_the_deadline() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(voxwire.TransportError) as caught:
            async with voxwire.connect(url, timeouts=HALF):
                pass
    assert caught.value.code == voxwire.ErrorCode.TIMEOUT


async def test_a_server_without_our_subprotocol_is_a_protocol_error() -> None:
    async with serving(hang, subprotocol=False) as url:
        with pytest.raises(voxwire.ProtocolError):
            async with voxwire.connect(url):
                pass


async def test_cancelling_connect_leaves_nothing_behind() -> None:
    async with serving(hang) as url:

        async def dial() -> None:
            async with voxwire.connect(url, transport="websocket"):
                pytest.fail("there is no session")

        task = asyncio.create_task(dial())
        await asyncio.sleep(UNIT_S / 5)  # real time: moment
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_hello_says_who_we_are_and_the_path_is_asked_for_without_waiting() -> None:
    seen: list[wire.Envelope] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.heard("path_open"))
        seen.append(await peer.heard("hello"))
        await peer.ready()
        await peer.until_bye()

    async with (
        serving(script) as url,
        voxwire.connect(
            url, transport="websocket", token="t", bot="b", metadata={"a": 1}, audio_response=False
        ) as session,
    ):
        assert (session.id, session.bot) == ("test.session", "scripted")
        started = await session.wait_for(voxwire.SessionStarted)
        assert started.server == "peer"
        assert (await session.wait_for(voxwire.PathChanged)).carrier == "websocket"
    opened, hello = seen[0].path_open, seen[1].hello
    assert opened.path_id == 1
    assert (opened.capture.sample_rate, opened.playout.sample_rate) == (16_000, 24_000)
    assert len(hello.attach_nonce) == 16
    assert (hello.token, hello.bot, hello.metadata_json) == ("t", "b", '{"a":1}')
    assert wire.Feature.FEATURE_FLUSH in hello.features
    assert hello.HasField("audio_response") and not hello.audio_response


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ws://127.0.0.1:7860", "ws://127.0.0.1:7860/v1/session"),
        ("http://localhost:1/", "ws://localhost:1/v1/session"),
        ("https://a.example/x?y=1", "wss://a.example/x/v1/session?y=1"),
        ("ws://a.example/voice/v1/session/", "ws://a.example/voice/v1/session"),
        ("ws://127.0.0.1:8000/api/voice/", "ws://127.0.0.1:8000/api/voice/v1/session"),
        ("127.0.0.1:7860", "ws://127.0.0.1:7860/v1/session"),
        ("wss://[::1]:8/v1/session", "wss://[::1]:8/v1/session"),
    ],
)
def test_a_url_is_what_a_person_means(typed: str, meant: str) -> None:
    assert normalise_url(typed) == meant


@pytest.mark.parametrize("typed", ["ftp://a", "ws://", "ws://a:99999", "ws://a:0", ""])
def test_a_url_that_cannot_be_meant_is_a_usage_error(typed: str) -> None:
    with pytest.raises(voxwire.UsageError):
        voxwire.connect(typed)


@pytest.mark.parametrize("transport", ["", "carrier-pigeon"])
def test_a_transport_that_is_not_there_is_a_usage_error(transport: str) -> None:
    with pytest.raises(voxwire.UsageError):
        voxwire.connect("ws://127.0.0.1", transport=transport)
