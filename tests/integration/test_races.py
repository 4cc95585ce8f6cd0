"""What a client can send at the wrong moment, too often or twice: the session outlives it."""

import asyncio
import os
import socket as sockets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import websockets
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.integration.test_leaks import OFFER
from tests.support.clicks import ClickTTS, ScriptedLLM, make_bot
from tests.support.inside import last_received, only_session, receive
from tests.support.waiting import descriptors_at_most, until
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel
from voxwire_server import BotSession
from voxwire_server.testing import RunningServer, running_server

WEBSOCKET = wire.Carrier.CARRIER_WEBSOCKET
WEBRTC = wire.Carrier.CARRIER_WEBRTC


class Peer:
    """A client that says exactly what it is told to.

    Args:
        socket: An open control channel.
    """

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self._channel = Channel(allowed=wire.SERVER_PAYLOADS)
        self.seen: list[wire.Envelope] = []

    async def send(self, **payload: Any) -> None:
        """Send one payload."""
        for data in self._channel.send(wire.Envelope(**payload), _now_ms()):
            await self.socket.send(data)

    async def next(self, *kinds: str, timeout: float = 60) -> Any:
        """The next message of one of these kinds; pings are answered on the way."""
        async with asyncio.timeout(timeout):
            while True:
                data = await self.socket.recv()
                assert isinstance(data, bytes)
                for message in self._channel.receive(data, _now_ms()):
                    kind = str(message.WhichOneof("payload"))
                    self.seen.append(message)
                    if kind == "ping":
                        await self.send(pong=wire.Pong(number=message.ping.number))
                    if kind in kinds:
                        return getattr(message, kind)

    async def open(self, path_id: int = 1) -> None:
        """Open a WebSocket path and wait until it carries audio."""
        await self.send(path_open=wire.PathOpen(path_id=path_id, carrier=WEBSOCKET))
        await self.next("path_ready")

    def kinds(self) -> list[str]:
        """What came, in order."""
        return [str(message.WhichOneof("payload")) for message in self.seen]


def _now_ms() -> int:
    return int(time.monotonic() * 1000)


@asynccontextmanager
async def peer(
    server: RunningServer, *features: wire.Feature, **options: Any
) -> AsyncIterator[Peer]:
    """A peer whose Hello was sent."""
    async with websockets.connect(
        f"{server.url}/v1/session",
        subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
        compression=None,
        close_timeout=1,
        **options,
    ) as socket:
        client = Peer(socket)
        await client.send(
            hello=wire.Hello(
                protocol_version=1, attach_nonce=os.urandom(16), features=list(features)
            )
        )
        yield client


async def test_text_before_the_bot_is_ready_is_answered() -> None:
    async def slow(session: BotSession) -> None:
        await asyncio.sleep(0.3)  # real time: slow
        await make_bot()(session)

    async with running_server(slow) as server, asyncio.timeout(60), peer(server) as client:
        await client.send(interrupt=wire.Interrupt())
        await client.send(send_text=wire.SendText(text="say 3"))
        await client.send(path_open=wire.PathOpen(path_id=1, carrier=WEBSOCKET))
        ended = await client.next("utterance_ended", "session_ended")
        assert isinstance(ended, wire.UtteranceEnded), ended
        assert ended.heard_words == 3


async def test_text_does_not_wait_for_the_end_of_a_greeting_that_begins_with_it() -> None:
    async def greeter(session: BotSession) -> None:
        context = LLMContext([{"role": "user", "content": "say 60"}])
        user, assistant = session.aggregators(context, vad_analyzer=None)

        async def greet(worker: PipelineWorker) -> None:
            await worker.queue_frames([LLMRunFrame()])

        await session.run(
            [session.input(), user, ScriptedLLM(), ClickTTS(), session.output(), assistant],
            on_ready=greet,
        )

    async with running_server(greeter) as server, asyncio.timeout(60), peer(server) as client:
        await client.send(path_open=wire.PathOpen(path_id=1, carrier=WEBSOCKET))
        await client.send(send_text=wire.SendText(text="say 2"))
        completed_end = wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        while (ended := await client.next("utterance_ended", timeout=60)).end != completed_end:
            pass
        assert ended.heard_words == 2
        ends = [m.utterance_ended for m in client.seen if m.HasField("utterance_ended")]
        for greeting in ends[:-1]:
            assert greeting.end == wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
            assert greeting.heard_words < 30


async def test_bye_before_the_bot_is_ready_waits_for_no_timeout() -> None:
    async def never(session: BotSession) -> None:
        await asyncio.Event().wait()

    limits = {"end_timeout_ms": 200_000}
    async with (
        running_server(never, **limits) as server,
        asyncio.timeout(60),
        peer(server) as client,
    ):
        await client.next("welcome")
        await client.send(bye=wire.Bye())
        await client.next("session_ended")


async def test_a_long_answer_goes_on_without_a_single_report() -> None:
    """Placed audio is capped at 10 s; what makes room must not be the client alone."""
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        await client.send(send_text=wire.SendText(text="say 45"))
        started = await client.next("utterance_started")
        ended = await client.next("utterance_ended", timeout=60)
        assert ended.heard_words == 45
        assert ended.heard_media_ms - started.media_ms > 11_000


async def test_texts_that_come_at_once_are_answered_in_order_the_last_one_in_full() -> None:
    contexts: list[Any] = []
    async with (
        running_server(make_bot(contexts)) as server,
        asyncio.timeout(60),
        peer(server) as client,
    ):
        await client.open()
        for number in (9, 8, 7, 2):
            await client.send(send_text=wire.SendText(text=f"say {number}"))
        await client.next("utterance_started")
        completed_end = wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        while (await client.next("utterance_ended")).end != completed_end:
            pass
        asked = [m["content"] for m in contexts[0].get_messages() if m["role"] == "user"]
        assert asked == ["say 9", "say 8", "say 7", "say 2"]
        completed = [
            m.utterance_ended
            for m in client.seen
            if m.WhichOneof("payload") == "utterance_ended"
            and m.utterance_ended.end == completed_end
        ]
        assert [u.heard_words for u in completed] == [2]


async def test_a_storm_of_interruptions_leaves_a_bot_that_answers() -> None:
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        await client.send(send_text=wire.SendText(text="say 30"))
        await client.next("utterance_started")
        for _ in range(200):
            await client.send(interrupt=wire.Interrupt())
        ended = await client.next("utterance_ended")
        assert ended.end == wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
        await client.send(send_text=wire.SendText(text="say 2"))
        ended = await client.next("utterance_ended")
        assert ended.end == wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        assert ended.heard_words == 2


async def test_a_text_as_long_as_a_message_may_be_ends_nothing() -> None:
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        await client.open()
        await client.send(send_text=wire.SendText(text="x" * (2**20 - 16)))
        error = await client.next("error", "session_ended", "utterance_ended")
        assert isinstance(error, wire.Error), error
        assert error.code == wire.ErrorCode.ERROR_CODE_TOO_LARGE
        await client.send(send_text=wire.SendText(text="say 1"))
        assert (await client.next("utterance_ended", "session_ended")).heard_words == 1


# paths


async def test_a_path_id_is_used_once() -> None:
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        for _ in range(2):
            await client.send(path_open=wire.PathOpen(path_id=1, carrier=WEBSOCKET))
        refusal = await client.next("error")
        assert refusal.code == wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT
        assert refusal.subject_id == "1"
        if "path_ready" not in client.kinds():
            await client.next("path_ready")
        await client.send(send_text=wire.SendText(text="say 2"))
        assert (await client.next("utterance_ended")).heard_words == 2


async def test_a_path_closed_while_it_opens_never_opens() -> None:
    gate = asyncio.Event()

    async def slow(session: BotSession) -> None:
        await gate.wait()
        await make_bot()(session)

    async with running_server(slow) as server, asyncio.timeout(60), peer(server) as client:
        await client.send(path_open=wire.PathOpen(path_id=1, carrier=WEBSOCKET))
        await client.next("path_answer")
        await client.send(path_close=wire.PathClose(path_id=1))
        await client.send(path_open=wire.PathOpen(path_id=2, carrier=WEBSOCKET))
        await client.next("path_answer")
        gate.set()
        ready = await client.next("path_ready")
        assert ready.path_id == 2
        await client.send(send_text=wire.SendText(text="say 2"))
        await client.next("utterance_ended")
        audio = {m.audio.path_id for m in client.seen if m.WhichOneof("payload") == "audio"}
        assert audio == {2}


async def test_a_flood_of_offers_opens_few_connections() -> None:
    """Each would cost sockets and 15 s of waiting."""
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        before = len(os.listdir("/proc/self/fd"))
        for path_id in range(1, 101):
            await client.send(
                path_open=wire.PathOpen(path_id=path_id, carrier=WEBRTC, sdp_offer=OFFER)
            )
        refusal = await client.next("path_close")
        assert refusal.code == wire.ErrorCode.ERROR_CODE_RATE_LIMITED
        await descriptors_at_most(before + 19)


async def test_an_offer_after_the_bot_ended_opens_nothing() -> None:
    """The session ends while the client still sends."""

    async def brief(session: BotSession) -> None:
        await asyncio.sleep(0.1)  # real time: slow

    async with running_server(brief) as server, asyncio.timeout(60):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            async with peer(server) as client:
                with suppress(websockets.ConnectionClosed):
                    for path_id in range(1, 60):
                        await client.send(
                            path_open=wire.PathOpen(
                                path_id=path_id, carrier=WEBRTC, sdp_offer=OFFER
                            )
                        )
                        await asyncio.sleep(0.004)  # real time: pace
        await until(lambda: not len(server.registry))
        await descriptors_at_most(before)


async def test_an_offer_on_which_the_webrtc_stack_trips_ends_nothing() -> None:
    """Its BUNDLE group names a section that is not there; aiortc then cannot even close."""
    broken = OFFER.replace("BUNDLE 0", "BUNDLE 0 1").replace("mid:0", "mid:1")
    async with running_server(make_bot()) as server, asyncio.timeout(60), peer(server) as client:
        await client.send(path_open=wire.PathOpen(path_id=1, carrier=WEBRTC, sdp_offer=broken))
        refusal = await client.next("path_close", "session_ended")
        assert isinstance(refusal, wire.PathClose), refusal
        assert refusal.code == wire.ErrorCode.ERROR_CODE_BAD_SDP
        await client.open(path_id=2)
        await client.send(send_text=wire.SendText(text="say 2"))
        assert (await client.next("utterance_ended")).heard_words == 2


# the end


async def test_a_server_that_stops_says_so() -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        running = running_server(make_bot())
        server = await running.__aenter__()
        client = await stack.enter_async_context(peer(server))
        await client.open()
        stopping = asyncio.ensure_future(running.__aexit__(None, None, None))
        ended = await client.next("session_ended")
        assert ended.reason == wire.EndReason.END_REASON_SERVER
        await stopping


# who does not read


async def test_a_client_that_stops_reading_is_gone_in_the_end() -> None:
    """Its socket's window is full: not even a close frame goes through."""
    deaf = asyncio.Event()

    async def talkative(session: BotSession) -> None:
        running = asyncio.ensure_future(make_bot()(session))
        await deaf.wait()
        for _ in range(300):
            session.send("noise", "x" * 50_000)
        await running

    limits = {"dead_after_ms": 1500, "end_timeout_ms": 1000}
    async with running_server(talkative, **limits) as server, asyncio.timeout(60):
        before = len(os.listdir("/proc/self/fd"))
        plain = sockets.socket()
        plain.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 2048)
        plain.connect(("127.0.0.1", server.port))
        plain.setblocking(False)
        async with peer(server, sock=plain) as client:
            await client.open()
            client.socket.transport.pause_reading()
            deaf.set()
            await until(lambda: not len(server.registry))
            await descriptors_at_most(before + 1)
            client.socket.transport.abort()


async def test_a_switch_of_paths_that_the_end_cuts_off_leaves_nothing() -> None:
    """Bye while the older WebRTC connection is being closed."""
    async with running_server(make_bot()) as server, asyncio.timeout(60):
        before = len(os.listdir("/proc/self/fd"))
        for delay in (0.0, 0.001, 0.003, 0.01):
            async with voxwire.connect(server.url, transport="webrtc") as session:
                held = only_session(server)
                opened = wire.PathOpen(path_id=9, carrier=WEBSOCKET)
                receive(held, _next_seq(held, path_open=opened))
                await asyncio.sleep(delay)  # real time: moment
                receive(held, _next_seq(held, bye=wire.Bye()))
                del session
        await until(lambda: not len(server.registry))
        await descriptors_at_most(before)


def _next_seq(session: Any, **payload: Any) -> bytes:
    seq = last_received(session) + 1
    return wire.Envelope(seq=seq, **payload).SerializeToString()
