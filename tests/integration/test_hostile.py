"""Input that cannot hurt: each gets its error or is dropped, and the bot answers afterwards."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest
import websockets
from google.protobuf.descriptor import FieldDescriptor
from pipecat.frames.frames import Frame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from tests.integration.test_leaks import OFFER
from tests.integration.test_races import WEBRTC, WEBSOCKET, Peer, peer
from tests.support import flooding
from tests.support.clicks import ClickTTS, ScriptedLLM, make_bot
from tests.support.flooding import envelope, frame
from tests.support.inside import counters, is_held, only_session
from tests.support.waiting import until
from voxwire_protocol import wire
from voxwire_server import BotSession
from voxwire_server.control import link
from voxwire_server.testing import RunningServer, running_server

Code = wire.ErrorCode
MALFORMED, TOO_LARGE = Code.ERROR_CODE_MALFORMED, Code.ERROR_CODE_TOO_LARGE
UNEXPECTED = Code.ERROR_CODE_UNEXPECTED_MESSAGE
SERVER_ONLY = sorted(wire.SERVER_PAYLOADS - wire.CLIENT_PAYLOADS)


async def answers(client: Peer, text: str = "say 2") -> None:
    """The bot answers: the session is as good as new."""
    await client.send(send_text=wire.SendText(text=text))
    completed = wire.UtteranceEnd.UTTERANCE_END_COMPLETED
    while (ended := await client.next("utterance_ended")).end != completed:
        pass
    assert ended.heard_words == int(text.split()[1])


async def after(client: Peer) -> list[wire.Error]:
    """The errors that came until a request that is never granted was refused."""
    before = len(client.seen)
    await client.send(path_open=wire.PathOpen(path_id=0, carrier=WEBSOCKET))
    while (await client.next("error")).subject_id != "0":
        pass
    return [m.error for m in client.seen[before:-1] if m.WhichOneof("payload") == "error"]


# one bad frame

FRAMES: dict[str, tuple[bytes | str, Any]] = {
    "garbage": (b"\xff" * 40, MALFORMED),
    "a text frame": ("hello", MALFORMED),
    "an empty text frame": ("", MALFORMED),
    "a truncated length": (b"\x1a\xff", MALFORMED),
    "a length that lies": (b"\x1a\xff\xff\xff\xff\x07abc", MALFORMED),
    "10 000 nested groups": (b"\x0b" * 10_000, MALFORMED),
    "5 000 nested messages": (b"\xe2\x03\x80\x01" * 5_000, MALFORMED),
    "invalid UTF-8": (b"\x08\x01\xe2\x03\x04\x0a\x02\xff\xfe", MALFORMED),
    "an empty frame": (b"", MALFORMED),
    "NUL bytes": (bytes(100), MALFORMED),
    "an unknown field": (b"\xc2\x3e\x03abc", UNEXPECTED),
    "an unknown number without a payload": (b"\x08\x01", MALFORMED),
    "a number from far ahead": (envelope(seq=2**63, mute=wire.Mute()), UNEXPECTED),
    "an event without its number": (envelope(mute=wire.Mute(muted=True)), MALFORMED),
    "a ping with a number": (envelope(seq=1, ping=wire.Ping()), MALFORMED),
    "an ack of what was never sent": (envelope(ack=10**9, ack_only=wire.Ack()), MALFORMED),
    "a JSON list": (b"[1,2,3]", MALFORMED),
    "JSON, 60 000 deep": (b"[" * 60_000, MALFORMED),
    "a frame above the limit": (bytes(65_537), TOO_LARGE),
    "audio above its limit": (envelope(audio=wire.AudioChunk(path_id=1, data=bytes(9000))), None),
    "audio of an odd length": (envelope(audio=wire.AudioChunk(path_id=1, data=b"abc")), ()),
    "audio of another path": (envelope(audio=wire.AudioChunk(path_id=9, data=bytes(640))), ()),
    "audio of no length": (envelope(audio=wire.AudioChunk(path_id=1)), ()),
    "a report of another path": (envelope(playout_report=wire.PlayoutReport(path_id=7)), ()),
    "a report from the far future": (
        envelope(playout_report=wire.PlayoutReport(path_id=1, media_ms=2**64 - 1)),
        (),
    ),
    "a pong that nobody asked for": (
        envelope(pong=wire.Pong(number=2**32 - 1, t0_us=2**64 - 1, t1_us=2**64 - 1)),
        (),
    ),
    "a ping from the end of time": (envelope(ping=wire.Ping(number=1, t0_us=2**64 - 1)), ()),
    "the Hello again": (envelope(hello=wire.Hello(protocol_version=1)), UNEXPECTED),
}


async def test_no_single_frame_ends_a_session() -> None:
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        for name, (data, code) in FRAMES.items():
            await after(client)
            await client.socket.send(data)
            errors = [error.code for error in await after(client)]
            expected = [TOO_LARGE] if code is None else [] if code == () else [code]
            assert errors == expected, (name, errors)
            assert "session_ended" not in client.kinds(), name
        session = only_session(server)
        bad = sum(1 for _, code in FRAMES.values() if code != ())
        assert counters(session)["bad_messages"] == bad - 1  # the Hello was well formed
        await answers(client)


async def test_a_message_that_only_the_server_sends_has_no_effect() -> None:
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        for name in SERVER_ONLY:
            await client.send(**{name: filled(name)})
            assert [error.code for error in await after(client)] == [UNEXPECTED], name
        await answers(client)


async def test_three_bad_frames_in_a_row_end_it_with_a_protocol_error() -> None:
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        for _ in range(3):
            await client.socket.send(b"\xff" * 40)
        ended = await client.next("session_ended")
        assert ended.reason == wire.EndReason.END_REASON_ERROR
        errors = [m.error for m in client.seen if m.WhichOneof("payload") == "error"]
        assert [e.code for e in errors] == [MALFORMED] * 4
        assert [e.fatal for e in errors] == [False] * 3 + [True]
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await client.next("never")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4000 + MALFORMED


async def test_an_event_above_the_limit_of_its_kind_is_refused_and_nothing_waits_for_it() -> None:
    large = {
        "bye": wire.Bye(reason="x" * 17_000),
        "tool_result": wire.ToolResult(call_id="a", result_json="x" * 51_000),
        "path_close": wire.PathClose(path_id=1, reason="x" * 100_000),
        "send_text": wire.SendText(text="x" * 70_000),
    }
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        for name, message in large.items():
            await client.send(**{name: message})
            assert [error.code for error in await after(client)] == [TOO_LARGE], name
        await answers(client)


async def test_a_frame_far_above_the_limit_closes_its_socket() -> None:
    async with running_server(make_bot()) as server, asyncio.timeout(60):
        for size in (200_000, 16_000_000):
            async with peer(server) as client:
                await client.open()
                with suppress(websockets.ConnectionClosed):
                    await client.socket.send(bytes(size))
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await client.next("never")
                rcvd = closed.value.rcvd
                assert rcvd is None or rcvd.code == 1009


async def test_compression_is_never_granted() -> None:
    async with (
        running_server(make_bot()) as server,
        websockets.connect(
            f"{server.url}/v1/session",
            subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
            compression="deflate",
        ) as socket,
    ):
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
        assert socket.protocol.extensions == []


# paths

SDP: dict[str, str] = {
    "nothing": "",
    "garbage": "\x00\x01\x02 not an SDP \U0001f600",
    "one line": "v=0\r\n",
    "too large": OFFER + "a=x:y\r\n" * 3000,
    "a line without an end": OFFER + "a=" + "x" * 5000,
    "no audio": OFFER.replace("m=audio", "m=video"),
    "an audio section that is off": OFFER.replace("m=audio 9", "m=audio 0"),
    "a hundred sections": OFFER + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 100,
    "no fingerprint": OFFER.replace("a=fingerprint", "a=fingerfood"),
    "a weak fingerprint": OFFER.replace("sha-256", "md5"),
    "no ICE password": OFFER.replace("a=ice-pwd", "a=ice-pdw"),
    "no role": OFFER.replace("a=setup", "a=step"),
    "a section twice": OFFER + OFFER,
}


async def test_sdp_that_is_no_sdp_closes_its_path_only() -> None:
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        for path_id, (name, sdp) in enumerate(SDP.items(), 2):
            request = wire.PathOpen(path_id=path_id, carrier=WEBRTC, sdp_offer=sdp)
            await client.send(path_open=request)
            refusal = await client.next("path_close", "path_answer", "session_ended")
            assert isinstance(refusal, wire.PathClose), name
            assert refusal.path_id == path_id
            assert refusal.code == Code.ERROR_CODE_BAD_SDP, name
        absurd = "".join(
            f"a=candidate:{n} 1 udp 99999999999999 {address} 0 typ host\r\n"
            for n, address in enumerate(["999.1.1.1", "::ffff:0:0", "a.local", "-", "127.0.0.1"])
        )
        request = wire.PathOpen(path_id=90, carrier=WEBRTC, sdp_offer=OFFER + absurd)
        await client.send(path_open=request)
        assert (await client.next("path_answer", "path_close")).path_id == 90
        await answers(client)


FORMATS = [
    {"sample_rate": 0},
    {"sample_rate": 2**32 - 1},
    {"sample_rate": 16001},
    {"num_channels": 2},
    {"num_channels": 2**32 - 1},
    {"block_ms": 1},
    {"block_ms": 2**32 - 1},
    {"codec": 77},
]


@pytest.mark.parametrize("side", ["capture", "playout"])
async def test_a_format_that_cannot_be_closes_its_path_only(side: str) -> None:
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        for path_id, wrong in enumerate(FORMATS, 2):
            good = {"codec": 1, "sample_rate": 16000, "num_channels": 1, "block_ms": 20}
            formats: Any = {side: wire.AudioFormat(**(good | wrong))}
            request = wire.PathOpen(path_id=path_id, carrier=WEBSOCKET, **formats)
            await client.send(path_open=request)
            refusal = await client.next("path_close", "path_answer", "session_ended")
            assert isinstance(refusal, wire.PathClose), wrong
            assert refusal.code == Code.ERROR_CODE_UNSUPPORTED_FORMAT, wrong
        for path_id in (0, 1, 2):
            await client.send(path_open=wire.PathOpen(path_id=path_id, carrier=WEBSOCKET))
            assert (await client.next("error")).code == Code.ERROR_CODE_INVALID_ARGUMENT
        await answers(client)


# what reaches the pipeline

ALLOWED = {
    "StartFrame",
    "CancelFrame",
    "ClientConnectedFrame",
    "UserAudio",
    "SourcedInterruption",
    "LLMConfigureOutputFrame",
    "LLMMessagesAppendFrame",
    "LLMRunFrame",
    "PipelineFlushFrame",
    "MetricsFrame",
}
"""Pipeline frames that a client's messages may become, with those of the pipeline's own."""


class Recorder(FrameProcessor):
    """Right behind the input: notes what comes from the client."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction == FrameDirection.DOWNSTREAM:
            self.frames.append(frame)
        await self.push_frame(frame, direction)


def filled(name: str) -> Any:
    """A payload with something in every field."""
    payload = wire.Envelope.DESCRIPTOR.fields_by_name[name]
    message = wire.Envelope()
    _fill(getattr(message, payload.name), 0)
    return getattr(message, name)


def _fill(message: Any, depth: int) -> None:
    message.SetInParent()
    values: dict[int, Any] = {
        FieldDescriptor.CPPTYPE_STRING: "spoofed",
        FieldDescriptor.CPPTYPE_BOOL: True,
    }
    for field in message.DESCRIPTOR.fields:
        value = values.get(field.cpp_type, 1)
        if field.type == FieldDescriptor.TYPE_BYTES:
            value = b"spoofed."
        repeated = field.label == FieldDescriptor.LABEL_REPEATED
        if field.message_type is not None:
            if depth < 4:
                nested = getattr(message, field.name)
                _fill(nested.add() if repeated else nested, depth + 1)
        elif repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)


async def test_nothing_becomes_a_pipeline_frame_but_what_a_client_may_say() -> None:
    recorder = Recorder()

    async def bot(session: BotSession) -> None:
        user, assistant = session.aggregators(LLMContext(), vad_analyzer=None)
        await session.run(
            [
                session.input(),
                recorder,
                user,
                ScriptedLLM(),
                ClickTTS(),
                session.output(),
                assistant,
            ]
        )

    harmless = wire.CLIENT_PAYLOADS - {"bye", "path_close", "path_open", "chunk", "ack_only"}
    async with running_server(bot) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        for name in SERVER_ONLY:
            await client.send(**{name: filled(name)})
            await after(client)
        for name in sorted(harmless):
            await client.send(**{name: filled(name)})
            await after(client)
        await client.send(mute=wire.Mute(muted=False))
        await client.send(audio=wire.AudioChunk(path_id=1, data=b"\x01\x00" * 320))
        await client.send(app_message=wire.AppMessage(type="TranscriptionFrame", data_json="{}"))
        await answers(client)
        await client.send(bye=wire.Bye())
        await client.next("session_ended")
    seen = [type(frame).__name__ for frame in recorder.frames]
    assert set(seen) <= ALLOWED, set(seen) - ALLOWED
    assert "UserAudio" in seen
    assert seen.count("ClientConnectedFrame") == 1  # from the server, once
    asked = [f for f in recorder.frames if type(f).__name__ == "LLMMessagesAppendFrame"]
    contents = [message["content"] for f in asked for message in f.messages]  # type: ignore[attr-defined]
    assert contents == ["spoofed", "say 2"]


# floods

AUDIO = frame(envelope(audio=wire.AudioChunk(path_id=1, data=bytes(640))))
FLOODS = {
    "pings": frame(envelope(ping=wire.Ping(number=1))) * 20_000,
    "garbage and pings": (frame(b"\xff" * 8) + frame(envelope(ping=wire.Ping()))) * 10_000,
    "WebSocket pings": frame(b"", flooding.PING) * 40_000,
    "mutes without numbers": frame(envelope(mute=wire.Mute()), flooding.TEXT) * 20_000,
    "audio": AUDIO * 2000,
    "large frames": frame(bytes(65_000)) * 10,
}


async def test_a_flood_is_held_back_and_the_others_talk_on() -> None:
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        for name, blob in FLOODS.items():
            pouring = asyncio.ensure_future(flooding.flood(server.port, blob, seconds=1.2))
            await asyncio.sleep(0.3)  # real time: moment
            await answers(client)
            flooded = await pouring
            # 512 KiB at once, 512 KiB a second, and what buffers hold; each time it is let in
            bound = (flooded.closed + 1) * (524_288 * 3 + 2**20)
            assert flooded.sent_bytes < bound, (name, flooded)
            assert "session_ended" not in client.kinds()
        while len(server.registry) > 1:
            await asyncio.sleep(0.02)


async def test_audio_faster_than_real_time_is_dropped_and_said_so() -> None:
    heard = Recorder()

    async def bot(session: BotSession) -> None:
        await session.run([session.input(), heard, session.output()])

    async with running_server(bot) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        started = time.monotonic()
        for _ in range(300):  # 18 s of audio
            await client.send(audio=wire.AudioChunk(path_id=1, data=bytes(1920)))
        error = await client.next("error")
        assert error.code == Code.ERROR_CODE_AUDIO_OVERRUN
        assert not error.fatal
        errors = await after(client)
        elapsed = time.monotonic() - started
        assert len(errors) <= elapsed  # real time: order
        session = only_session(server)
        taken_ms = 18_000 - counters(session)["dropped_audio_ms"]
        assert 0 < taken_ms <= elapsed * 1250 + 1000  # real time: order

        def heard_ms() -> float:
            return sum(len(f.audio) / 32 for f in heard.frames if hasattr(f, "audio"))

        while heard_ms() < taken_ms - 1:  # a burst is fed at four times real time
            await asyncio.sleep(0.01)
        assert heard_ms() == pytest.approx(taken_ms, abs=1)


async def test_a_client_that_sends_but_does_not_read_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its socket's window is full, so that only a reset comes through."""
    monkeypatch.setattr(link, "MAX_STUCK_MS", 500)

    async def talkative(session: BotSession) -> None:
        running = asyncio.ensure_future(make_bot()(session))
        await asyncio.sleep(0.3)  # real time: slow
        for _ in range(15):
            session.send("noise", "x" * 50_000)
        await running

    pings = frame(envelope(ping=wire.Ping())) * 40
    async with running_server(talkative) as server, asyncio.timeout(60):
        pouring = asyncio.ensure_future(
            flooding.flood(server.port, pings, seconds=3, paced_bytes=200, reads=False)
        )
        while not len(server.registry):
            await asyncio.sleep(0.01)
        first = only_session(server)
        await until(lambda: not is_held(server, first))
        await pouring


# nobody yet


async def test_sockets_that_never_say_hello_are_gone_in_time() -> None:
    async with running_server(make_bot(), hello_timeout_ms=700) as server, asyncio.timeout(60):
        sockets = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(60)]
        for number, (_, writer) in enumerate(sockets):
            if number % 3 == 1:
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127")
            elif number % 3 == 2:
                writer.write(flooding.upgrade(server.port))
        async with peer(server) as client:
            await client.next("welcome")
            for reader, writer in sockets:
                with suppress(ConnectionError):
                    await reader.read()
                writer.close()
            await client.open()


async def lets_in(server: RunningServer) -> bool:
    """Whether a socket is taken."""
    try:
        async with peer(server):
            return True
    except websockets.InvalidStatus:
        return False


async def test_an_address_may_have_eight_silent_sockets() -> None:
    async with running_server(make_bot()) as server, asyncio.timeout(60):
        sockets = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(8)]
        for _, writer in sockets[4:]:
            writer.write(flooding.upgrade(server.port))
        await asyncio.sleep(1.1)  # real time: timeout
        with pytest.raises(websockets.InvalidStatus) as refusal:
            async with peer(server):
                pass
        assert refusal.value.response.status_code == 429
        assert refusal.value.response.headers["retry-after"] == "1"
        for _, writer in sockets:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(60):
            while not await lets_in(server):
                await asyncio.sleep(0.05)
        async with peer(server) as client:
            await client.open()
            await answers(client)
