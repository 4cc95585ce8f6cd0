"""Reports that cannot be true: clamped or replaced by the server's clock, never a stall."""

import asyncio
import itertools
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
import websockets

from tests.support.clicks import RATE, make_bot
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel
from voxwire_server.testing import running_server

Report = Callable[[int, int], tuple[int, bool] | None]
"""From the end of the audio received (ms) and the number of the report: media_ms and playing,
or None for no report."""

CASES: dict[str, tuple[Report, wire.HeardSource]] = {
    "goes back": (
        lambda end, n: (max(0, end - 700 * (n % 2)), True),
        wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT,
    ),
    "runs ahead": (
        lambda end, n: (end + 60_000, True),
        wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT,
    ),
    "stops": (
        lambda end, n: (n * 100, True) if n < 5 else None,
        wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK,
    ),
    "never comes": (lambda end, n: None, wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK),
}


class Peer:
    """A client that reports what it is told to report.

    Args:
        socket: An open control channel.
        report: What to report.
    """

    def __init__(self, socket: websockets.ClientConnection, report: Report) -> None:
        self._socket = socket
        self._report = report
        self._channel = Channel(allowed=wire.SERVER_PAYLOADS)
        self._end_ms = 0
        self.events: list[Any] = []

    async def send(self, **payload: Any) -> None:
        """Send one payload."""
        for data in self._channel.send(wire.Envelope(**payload), _now_ms()):
            await self._socket.send(data)

    async def report_on(self) -> None:
        """Report every 100 ms once there is audio."""
        for number in itertools.count():
            await asyncio.sleep(0.1)  # real time: pace
            told = self._report(self._end_ms, number) if self._end_ms else None
            if told is not None:
                await self.send(
                    playout_report=wire.PlayoutReport(path_id=1, media_ms=told[0], playing=told[1])
                )

    async def follow(self) -> list[Any]:
        """Ask for 8 words; the events until the utterance ended."""
        async for data in self._socket:
            assert isinstance(data, bytes)
            for message in self._channel.receive(data, _now_ms()):
                kind = str(message.WhichOneof("payload"))
                self.events.append(getattr(message, kind))
                if kind == "path_ready":
                    await self.send(send_text=wire.SendText(text="say 8"))
                elif kind == "ping":
                    await self.send(pong=wire.Pong(number=message.ping.number))
                elif kind == "audio":
                    samples = message.audio.sample_index + len(message.audio.data) // 2
                    self._end_ms = samples * 1000 // RATE
                elif kind == "utterance_ended":
                    return self.events
        return self.events


def _now_ms() -> int:
    return int(time.monotonic() * 1000)


async def converse(url: str, report: Report) -> list[Any]:
    """Hold one turn, reporting as ``report`` says; the events."""
    features = [wire.Feature.FEATURE_PLAYOUT_REPORTS, wire.Feature.FEATURE_FLUSH]
    hello = wire.Hello(protocol_version=1, attach_nonce=os.urandom(16), features=features)
    async with websockets.connect(
        f"{url}/v1/session",
        subprotocols=[websockets.Subprotocol(wire.SUBPROTOCOL)],
        compression=None,
    ) as socket:
        peer = Peer(socket, report)
        await peer.send(hello=hello)
        await peer.send(path_open=wire.PathOpen(path_id=1, carrier=wire.Carrier.CARRIER_WEBSOCKET))
        reporter = asyncio.ensure_future(peer.report_on())
        try:
            return await peer.follow()
        finally:
            reporter.cancel()
            await asyncio.wait({reporter})


@pytest.mark.parametrize("case", CASES)
async def test_the_conversation_goes_on_and_says_how_it_knows(case: str) -> None:
    contexts: list[Any] = []
    report, source = CASES[case]
    async with running_server(make_bot(contexts)) as server, asyncio.timeout(60):
        events = await converse(server.url, report)
        ended = events[-1]
        assert isinstance(ended, wire.UtteranceEnded)
        assert ended.heard_source == source
        assert ended.heard_words == 8
        async with asyncio.timeout(60):
            while not any(m["role"] == "assistant" for m in contexts[0].get_messages()):
                await asyncio.sleep(0.02)
    said = [m["content"] for m in contexts[0].get_messages() if m["role"] == "assistant"]
    assert said == ["w0 w1 w2 w3 w4 w5 w6 w7."]
