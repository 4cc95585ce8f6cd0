"""Two peers on the loopback interface: descriptions, audio, a data channel, the end."""

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

pytest.importorskip("aiortc")

from voxwire_protocol import wire
from voxwire_protocol.rtc import (
    MAX_MESSAGE_BYTES,
    BadSdpError,
    DataChannel,
    Here,
    Peer,
    TurnError,
)

RATE = 16_000
BLOCK = 320
LOOPBACK = Here(addresses=("127.0.0.1",))


@dataclass
class Side:
    """One peer and what it was told."""

    tone_hz: float = 440
    here: Here = LOOPBACK
    label: str | None = None
    audio: list[tuple[int, np.ndarray]] = field(default_factory=list)
    messages: list[str | bytes] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    peer: Peer = field(init=False)

    def __post_init__(self) -> None:
        self.peer = Peer(
            pull=self.pull,
            on_audio=lambda pcm, timestamp: self.audio.append((timestamp, pcm)),
            send_rate=RATE,
            receive_rate=RATE,
            here=self.here,
            data_label=self.label,
            on_data=self.on_data,
            on_closed=lambda: self.told.append("closed"),
        )

    def pull(self, first: int, count: int) -> bytes:
        at = np.arange(first, first + count)
        return (8000 * np.sin(2 * np.pi * self.tone_hz * at / RATE)).astype("<i2").tobytes()

    def on_data(self, channel: DataChannel) -> None:
        self.told.append(f"data {channel.label} {channel.is_open}")
        self.listen(channel)

    def listen(self, channel: DataChannel) -> None:
        channel.on_message = self.messages.append
        channel.on_open = lambda: self.told.append("open")
        channel.on_close = lambda: self.told.append("data closed")

    @property
    def data(self) -> DataChannel:
        assert self.peer.data is not None
        return self.peer.data


@asynccontextmanager
async def connected(label: str | None = None) -> AsyncIterator[tuple[Side, Side]]:
    """The one who offers, and the one who answers."""
    left, right = Side(label=label), Side(tone_hz=880)
    try:
        offer = await left.peer.offer()
        if label is not None:
            left.listen(left.data)
        await left.peer.accept(await right.peer.answer(offer))
        async with asyncio.timeout(10):
            await asyncio.gather(left.peer.connected(), right.peer.connected())
            yield left, right
    finally:
        await asyncio.gather(left.peer.close(), right.peer.close())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def pitch_hz(side: Side) -> float:
    pcm = np.concatenate([pcm for _, pcm in side.audio[-40:]]).astype(float)
    return float(np.argmax(np.abs(np.fft.rfft(pcm)))) * RATE / len(pcm)


async def test_audio_flows_both_ways_at_the_timestamps_that_the_sender_knows() -> None:
    async with connected() as (left, right):
        await until(lambda: min(len(left.audio), len(right.audio)) >= 50)
        assert pitch_hz(right) == pytest.approx(440, abs=5)
        assert pitch_hz(left) == pytest.approx(880, abs=5)
        for sender, receiver in ((left, right), (right, left)):
            origin = sender.peer.rtp_timestamp(0)
            assert origin is not None
            assert sender.peer.rtp_timestamp(BLOCK) == (origin + 960) & 0xFFFF_FFFF
            assert {(at - origin) % 960 for at, _ in receiver.audio} == {0}
            stats = sender.peer.stats()
            assert stats.inbound is not None
            assert stats.pull_errors == 0
    assert "closed" not in left.told  # its own close is not a loss


async def test_only_the_addresses_that_were_given_are_offered() -> None:
    left, right = Side(), Side()
    offer = await left.peer.offer()
    answer = await right.peer.answer(offer)
    for sdp in (offer, answer):
        lines = [line for line in sdp.splitlines() if line.startswith("a=candidate:")]
        assert lines
        assert all(" 127.0.0.1 " in line for line in lines)
        assert "useinbandfec=1" in sdp
    await left.peer.close()
    await right.peer.close()


# the data channel


async def test_messages_arrive_whole_in_order_and_as_what_they_were() -> None:
    sent: list[str | bytes] = [
        "hello",
        b"\x00\x01",
        "ä" * 1000,
        b"x" * MAX_MESSAGE_BYTES,
        "",
        "last",
    ]
    async with connected("rtvi") as (left, right):
        await until(lambda: "open" in left.told)
        assert right.told == ["data rtvi True"]
        for message in sent:
            left.data.send(message)
            right.data.send(message)
        await until(lambda: len(left.messages) == len(right.messages) == len(sent))
        assert left.messages == right.messages == sent
        assert left.data.waiting_bytes == 0
        assert min(len(left.audio), len(right.audio)) > 0  # on the same transport


async def test_what_cannot_be_sent_is_an_error_and_the_channel_goes_on() -> None:
    async with connected("rtvi") as (left, right):
        await until(lambda: "open" in left.told)
        with pytest.raises(ValueError, match="65537"):
            left.data.send(b"x" * (MAX_MESSAGE_BYTES + 1))
        with pytest.raises(ValueError, match="bytes"):
            left.data.send("ä" * MAX_MESSAGE_BYTES)
        left.data.send("still here")
        await until(lambda: right.messages == ["still here"])


async def test_before_it_is_open_nothing_can_be_sent() -> None:
    left = Side(label="rtvi")
    await left.peer.offer()
    with pytest.raises(ConnectionError):
        left.data.send("too early")
    await left.peer.close()


async def test_closing_the_channel_leaves_the_audio() -> None:
    async with connected("rtvi") as (left, right):
        await until(lambda: "open" in left.told)
        left.data.close()
        left.data.close()
        await until(lambda: "data closed" in left.told and "data closed" in right.told)
        with pytest.raises(ConnectionError):
            left.data.send("too late")
        heard = len(right.audio)
        await until(lambda: len(right.audio) > heard + 5)


async def test_a_callback_that_raises_is_logged_once_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    got: list[str | bytes] = []

    def fail(message: str | bytes) -> None:
        got.append(message)
        raise RuntimeError("of the owner")

    async with connected("rtvi") as (left, right):
        await until(lambda: "open" in left.told)
        right.data.on_message = fail
        left.data.send("one")
        left.data.send("two")
        await until(lambda: got == ["one", "two"])
    assert sum("data channel" in record.message for record in caplog.records) == 1


async def test_what_the_peer_has_not_confirmed_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lose(_: bytes) -> None: ...

    async with connected("rtvi") as (left, right):
        await until(lambda: "open" in left.told)
        left.data.send("before")
        await until(lambda: right.messages == ["before"] and left.data.unconfirmed == 0)
        dtls = left.data._channel.transport.transport
        with monkeypatch.context() as dark:
            dark.setattr(dtls, "_send_data", lose)
            for message in ("one", "x" * 5000, b"three"):  # the second in five pieces
                left.data.send(message)
            assert left.data.unconfirmed == 3
        await until(lambda: len(right.messages) == 4)
        await until(lambda: left.data.unconfirmed == 0)
        with monkeypatch.context() as dark:
            dark.setattr(dtls, "_send_data", lose)
            left.data.send("never")
            await left.peer.close()
            assert left.data.unconfirmed == 1


async def test_what_waits_behind_a_gap_is_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer acknowledges it, and gives it to nobody before the gap is closed."""
    async with connected("rtvi") as (left, right):
        await until(lambda: "open" in left.told and left.data.unconfirmed == 0)
        sctp = left.data._channel.transport
        send, lost = sctp.transport._send_data, []

        async def lose_the_first(data: bytes) -> None:
            if b"first" in data:
                lost.append(data)
            else:
                await send(data)

        monkeypatch.setattr(sctp.transport, "_send_data", lose_the_first)
        for message in ("first", "second", "third"):
            left.data.send(message)
        await until(lambda: sum(chunk._acked for chunk in sctp._sent_queue) == 2)
        assert lost
        assert right.messages == []
        assert left.data.unconfirmed == 3


async def test_without_a_label_there_is_no_data_section() -> None:
    async with connected() as (left, right):
        assert left.peer.data is None
        assert right.peer.data is None


# the end


async def test_the_other_side_learns_that_a_peer_closed_and_so_does_its_channel() -> None:
    async with connected("rtvi") as (left, right):
        await until(lambda: "open" in left.told)
        await left.peer.close()
        await until(lambda: "closed" in right.told)
        assert right.told.count("closed") == 1
        assert "data closed" in left.told
        with pytest.raises(ConnectionError):
            await right.peer.connected()


async def test_a_peer_is_closed_whole_although_whoever_closes_it_is_cancelled() -> None:
    async with connected() as (left, _):
        closing = asyncio.create_task(left.peer.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await left.peer.close()
        await left.peer.close()
        assert left.peer._connection.connectionState == "closed"


@pytest.mark.parametrize("when", ["new", "offered", "answering", "checking", "securing"])
async def test_a_peer_can_be_closed_at_any_moment(when: str) -> None:
    left, right = Side(), Side()
    if when != "new":
        offer = await left.peer.offer()
        if when != "offered":
            answer = await right.peer.answer(offer)
            if when != "answering":
                await left.peer.accept(answer)
                # turns of the loop, not time: ICE takes 7 of them and DTLS 12 more at the least
                for _ in range(3 if when == "checking" else 10):
                    await asyncio.sleep(0)
    waiting = asyncio.create_task(left.peer.connected())
    await asyncio.sleep(0)
    await left.peer.close()
    await right.peer.close()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(waiting, 5)


async def test_closed_peers_leave_nothing_behind() -> None:
    def footprint() -> tuple[int, int, int]:
        gc.collect()
        return len(asyncio.all_tasks()), threading.active_count(), len(os.listdir("/proc/self/fd"))

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")

    async def one() -> None:
        async with connected("rtvi") as (left, right):
            await until(lambda: "open" in left.told and len(right.audio) > 2)

    await one()
    await asyncio.sleep(0.1)  # real time: moment
    before = footprint()
    for _ in range(5):
        await one()
    await until(lambda: footprint() == before)


async def test_a_connection_that_loses_everything_does_not_notice_at_once() -> None:
    async with connected() as (left, right):
        await until(lambda: len(left.audio) >= 5)
        left.peer.drop()
        await asyncio.sleep(0.1)  # real time: slow
        heard = len(left.audio), len(right.audio)
        await asyncio.sleep(0.2)  # real time: silence
        assert (len(left.audio), len(right.audio)) == heard
        assert left.told == []


# descriptions that cannot be used


async def test_an_answer_that_is_none_is_bad_sdp() -> None:
    left = Side()
    await left.peer.offer()
    with pytest.raises(BadSdpError):
        await left.peer.accept("no SDP")
    await left.peer.close()


async def test_an_offer_on_which_aiortc_trips_is_bad_sdp_and_leaves_nothing_open() -> None:
    """Its BUNDLE group names a section that is not there; aiortc then cannot even close."""
    left, right = Side(label="rtvi"), Side()
    offer = await left.peer.offer()
    broken = offer.replace("BUNDLE 0", "BUNDLE 7 0")
    with pytest.raises(BadSdpError):
        await right.peer.answer(broken)
    await right.peer.close()
    await left.peer.close()
    with pytest.raises(BadSdpError, match="version"):
        await Side().peer.answer("hello")


async def test_what_prepare_raises_comes_through_and_without_a_server_there_is_no_relay() -> None:
    left, right = Side(), Side(here=Here(relay_only=True))

    async def prepare() -> None:
        await right.peer.relay([wire.IceServer(urls=["stun:127.0.0.1:9"])])

    offer = await left.peer.offer()
    with pytest.raises(TurnError, match="no TURN server"):
        await right.peer.answer(offer, prepare=prepare)
    await left.peer.close()
    await right.peer.close()
