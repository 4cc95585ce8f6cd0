"""What a client finds in the place of a stock bot: every way to fail has an end, and a type."""

import asyncio
import itertools
import json
import tracemalloc

import numpy as np
import pytest
import websockets

import voxwire
from tests.support.false_runner import INTERRUPTION, answering, audio, message, on_socket, rtvi
from tests.support.following import following
from tests.support.waiting import DEADLINE_S, until
from voxwire.rtvi import PipecatBot

CODE = voxwire.ErrorCode
READY = rtvi("bot-ready", {"version": "2.2.0"}, "1")
RATE = 24_000
LOUD = 5000

NO_ANSWERS = {
    "404": (404, b"{}", CODE.UNREACHABLE),
    "500": (500, b"Internal Server Error", CODE.UNREACHABLE),
    "422": (422, b'{"detail":[]}', CODE.VERSION),
    "401": (401, b'{"error":"who are you"}', CODE.UNAUTHORIZED),
    "429": (429, b"", CODE.RATE_LIMITED),
    "a redirect": (302, b"", CODE.UNREACHABLE),
    "no JSON": (200, b"<html>", CODE.MALFORMED),
    "null": (200, b"null", CODE.MALFORMED),
    "no answer in it": (200, b'{"sdp":"v=0","type":"offer","pc_id":"p"}', CODE.MALFORMED),
    "no pc_id": (200, b'{"sdp":"v=0","type":"answer"}', CODE.MALFORMED),
    "no SDP": (200, b'{"sdp":"v=0","type":"answer","pc_id":"p"}', CODE.BAD_SDP),
    "no end": (200, itertools.repeat(b" " * 65_536), CODE.TOO_LARGE),
    "nothing": (200, None, CODE.TIMEOUT),
}


def asked(url: str, **options: object) -> voxwire.Connection:
    """A connection to it over WebSocket."""
    return voxwire.connect(url, peer=PipecatBot(), transport="websocket", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NO_ANSWERS)
async def test_an_offer_that_is_not_answered_fails_with_a_type(name: str) -> None:
    status, body, code = NO_ANSWERS[name]
    async with answering(status, body) as url:
        patience_s = 1 if body is None else DEADLINE_S
        connection = voxwire.connect(
            url,
            peer=PipecatBot(),
            transport="webrtc",
            timeouts=voxwire.Timeouts(connect_ms=patience_s * 1000),
        )
        with pytest.raises(voxwire.VoxwireError) as failed:
            async with connection:
                pass
    assert failed.value.code == code
    assert "who are you" in failed.value.reason or name != "401"


async def test_nobody_there_is_said_as_such() -> None:
    async with answering(200, b"") as url:
        pass
    for start in (True, False):
        for transport in ("webrtc", "websocket"):
            peer = PipecatBot(start=start)
            with pytest.raises(voxwire.TransportError) as failed:
                async with voxwire.connect(url, peer=peer, transport=transport):
                    pass
            assert failed.value.code == CODE.UNREACHABLE
            assert failed.value.retryable


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"sessionId": "../../admin"},
        {"sessionId": 7},
        {"wsUrl": "http://elsewhere/"},
        {"wsUrl": "ws://user@elsewhere/"},
        {"wsUrl": None},
    ],
    ids=str,
)
async def test_a_start_that_leads_nowhere_fails_with_a_type(said: dict[str, object]) -> None:
    async with answering(200, json.dumps(said).encode()) as url:
        transport = "websocket" if "wsUrl" in said else "webrtc"
        peer = PipecatBot(start=True)
        with pytest.raises(voxwire.VoxwireError) as failed:
            async with voxwire.connect(url, peer=peer, transport=transport):
                pass
    assert failed.value.code == CODE.MALFORMED


async def test_a_bot_that_is_never_ready_is_not_waited_for_for_ever() -> None:
    async def handler(socket: websockets.ServerConnection) -> None:
        await socket.send(rtvi("user-started-speaking"))
        await socket.wait_closed()

    async with on_socket(handler) as url:
        with pytest.raises(voxwire.TransportError) as failed:
            async with asked(url, timeouts=voxwire.Timeouts(connect_ms=5_000)):
                pass
    assert failed.value.code == CODE.TIMEOUT
    assert "ready" in failed.value.reason


@pytest.mark.parametrize("code", [1000, 1011, 4003])
async def test_a_bot_that_hangs_up_before_it_is_ready(code: int) -> None:
    async def handler(socket: websockets.ServerConnection) -> None:
        await socket.recv()
        await socket.close(code)

    async with on_socket(handler) as url:
        with pytest.raises(voxwire.VoxwireError) as failed:
            async with asked(url):
                pass
    expected = CODE.UNAUTHORIZED if code == 4003 else CODE.CONNECTION_LOST
    assert failed.value.code == expected


async def test_nonsense_is_passed_over_and_the_session_goes_on() -> None:
    nonsense = [
        *(b"\xff" * 40, b"\x12\x7f", "no JSON", message("{"), message('{"label":"rtvi-ai"}')),
        *(rtvi("bot-tts-text", {"text": 7}), rtvi("user-transcription"), rtvi("metrics", [])),
        *(audio(b"\x01" * 3), audio(b"", sample_rate=1), audio(b"12", num_channels=99)),
    ]

    async def handler(socket: websockets.ServerConnection) -> None:
        for data in nonsense:
            await socket.send(data)
        await socket.send(READY)
        for data in nonsense:
            await socket.send(data)
        await socket.send(rtvi("server-message", {"t": "news", "d": 1}))
        await socket.close()

    async with on_socket(handler) as url, asked(url) as session, following(session) as heard:
        await heard.to_the_end()
    assert heard.error is None
    assert [event.data for event in heard.told("news")] == [1]
    assert isinstance(ended := heard.events[-1], voxwire.SessionEnded)
    assert ended.reason == voxwire.EndReason.BOT


async def test_sound_of_any_rate_is_played_and_an_interruption_voids_what_waits() -> None:
    tone = (np.sin(np.arange(48_000) / 20) * 9000).astype("<i2")
    cut = asyncio.Event()

    async def handler(socket: websockets.ServerConnection) -> None:
        await socket.send(READY)
        await socket.send(audio(tone.repeat(2).tobytes(), sample_rate=48_000, num_channels=2))
        await cut.wait()
        await socket.send(INTERRUPTION)
        await socket.send(audio(tone[:8000].tobytes(), sample_rate=8000))
        await socket.wait_closed()

    speaker = voxwire.Recording()
    async with (
        on_socket(handler) as url,
        asked(url, speaker=speaker) as session,
        following(session) as heard,
    ):
        await until(lambda: session.position_ms >= 100)
        cut.set()
        await heard.until(lambda: heard.of(voxwire.Flushed))
        [flushed] = heard.of(voxwire.Flushed)
        assert 100 <= flushed.media_ms < 900
        assert 900 < flushed.until_media_ms <= 1000  # a resampler holds the last bit back
        await until(lambda: session.position_ms >= flushed.until_media_ms + 700)
    before, after = flushed.media_ms * RATE // 1000, flushed.until_media_ms * RATE // 1000
    assert np.abs(speaker.samples[:before]).max() > LOUD
    assert np.abs(speaker.samples[after:]).max() > LOUD


async def test_a_bot_that_sends_more_than_can_sound_takes_no_more_memory() -> None:
    sent_ms, piece = 600_000, audio(bytes(RATE * 2 // 10))

    async def handler(socket: websockets.ServerConnection) -> None:
        await socket.send(READY)
        for _ in range(sent_ms // 100):
            await socket.send(piece)
        await socket.send(rtvi("server-message", {"t": "all", "d": None}))
        await socket.wait_closed()

    tracemalloc.start()
    try:
        async with on_socket(handler) as url, asked(url) as session, following(session) as heard:
            await heard.until(lambda: heard.told("all"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < sent_ms * RATE * 2 // 1000 // 2  # half of what was sent


async def test_a_bot_that_reads_nothing_is_told_so_and_no_more_is_kept() -> None:
    async def handler(socket: websockets.ServerConnection) -> None:
        await socket.recv()
        await socket.send(READY)
        socket.transport.pause_reading()
        await over.wait()
        socket.transport.abort()

    over = asyncio.Event()
    async with on_socket(handler) as url, asked(url) as session:
        with pytest.raises(voxwire.VoxwireError) as failed:
            for _ in range(100_000):
                await session.send_message("spam", "x" * 10_000)
        assert failed.value.code == CODE.CAPACITY
        over.set()
