"""WebRTC against a scripted peer with a real connection on loopback."""

import asyncio
import importlib.util

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from peer import RATE, UNIT_S, Peer, serving, tone

import voxwire
from voxwire_protocol import wire
from voxwire_protocol.rtc import PacketTrack, attach

ONE = voxwire.Timeouts(connect_ms=1000 * UNIT_S)


class Media:
    """The server's side of one connection. `play` places audio on the media clock.

    An anchor is sent that long after the audio that it places.
    """

    def __init__(self, peer: Peer, *, anchors_behind_s: float = 0) -> None:
        self.anchors_behind_s = anchors_behind_s
        self.peer = peer
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.track = PacketTrack(self._pull, sample_rate=RATE)
        self.heard: list[np.ndarray] = []
        self.up = asyncio.Event()
        self.queue: list[tuple[int, np.ndarray]] = []  # media sample index, samples
        self.offset: int | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    async def answer(self) -> None:
        opened = (await self.peer.heard("path_open")).path_open
        assert opened.carrier == wire.Carrier.CARRIER_WEBRTC
        assert "useinbandfec=1" in opened.sdp_offer
        offer = RTCSessionDescription(opened.sdp_offer, "offer")
        self.connection.on("connectionstatechange", self._changed)
        await self.connection.setRemoteDescription(offer)
        self.track.bind(self.connection.addTrack(self.track))
        receiver = self.connection.getTransceivers()[0].receiver
        attach(receiver, sample_rate=16_000, on_audio=lambda pcm, timestamp: self.heard.append(pcm))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        answer = wire.PathAnswer(
            path_id=opened.path_id, sdp_answer=self.connection.localDescription.sdp
        )
        await self.peer.say(path_answer=answer)

    async def ready(self) -> None:
        await self.peer.welcome()
        await self.answer()
        async with asyncio.timeout(10 * UNIT_S):
            await self.up.wait()
            await self.track.origin_known.wait()
        await self.peer.say(path_ready=wire.PathReady(path_id=self.peer.path_id))

    def play(self, media_ms: int, samples: np.ndarray) -> None:
        index = media_ms * RATE // 1000
        for start in range(0, len(samples), 480):
            self.queue.append((index + start, samples[start : start + 480]))

    def _pull(self, first: int, num_samples: int) -> bytes | None:
        if not self.queue:
            return None
        index, samples = self.queue.pop(0)
        if index - first != self.offset:
            self.offset = index - first
            timestamp = self.track.rtp_timestamp(first * 2)
            assert timestamp is not None
            anchor = wire.MediaAnchor(
                path_id=self.peer.path_id,
                media_ms=index * 1000 // RATE,
                rtp_timestamp=timestamp,
                clock_rate=48_000,
            )
            self.tasks.add(asyncio.ensure_future(self._place(anchor)))
        return samples.astype("<i2").tobytes()

    async def _place(self, anchor: wire.MediaAnchor) -> None:
        await asyncio.sleep(self.anchors_behind_s)  # real time: slow
        await self.peer.say(media_anchor=anchor)

    def _changed(self) -> None:
        if self.connection.connectionState == "connected":
            self.up.set()


def onset_ms(samples: np.ndarray, *, after_ms: int = 0) -> float:
    start = after_ms * RATE // 1000
    loud = np.flatnonzero(np.abs(samples[start:].astype(int)) > 2000)
    return (start + float(loud[0])) * 1000 / RATE


@pytest.mark.parametrize("anchors_behind_s", [0, 0.03, 0.12])
async def test_audio_stands_where_the_anchors_say_although_they_come_behind_it(
    anchors_behind_s: float,
) -> None:
    """They travel on another connection, so audio may overtake them."""
    heard: list[np.ndarray] = []

    async def script(peer: Peer) -> None:
        media = Media(peer, anchors_behind_s=anchors_behind_s)
        await media.ready()
        await peer.utterance("u1", 300, words=5, word_ms=100)
        media.play(300, tone(500))
        await peer.reported(800)
        await peer.end_utterance("u1", 800, text="x")
        await asyncio.sleep(0.2)  # real time: silence
        # The media clock of a bot that was late: behind where the stream's silence has run to.
        await peer.utterance("u2", 850, words=2, word_ms=100)
        media.play(850, tone(200))
        await peer.reported(1050)
        await peer.until_bye()
        heard.extend(media.heard)
        await media.connection.close()

    speaker = voxwire.Recording()
    words: list[voxwire.BotWord] = []
    microphone = np.concatenate([(tone(300)[::3] * 2).astype(np.int16)] * 4)
    async with (
        serving(script) as url,
        voxwire.connect(url, transport="webrtc", speaker=speaker, microphone=microphone) as session,
    ):
        assert session.transport == "webrtc"
        async with asyncio.timeout(10 * UNIT_S):
            while len(words) < 7:
                words.append(await session.wait_for(voxwire.BotWord))
        await asyncio.sleep(0.3)  # real time: silence
    assert [(w.utterance_id, w.index) for w in words] == [
        *(("u1", index) for index in range(5)),
        *(("u2", index) for index in range(2)),
    ]
    assert abs(onset_ms(speaker.samples) - 300) < 5
    assert abs(onset_ms(speaker.samples, after_ms=830) - 850) < 5
    user = np.concatenate(heard)
    loud = np.abs(user.astype(int)) > 3000
    assert loud.sum() > 0.25 * 16_000  # nothing of the microphone's beginning was lost
    assert loud.sum() > 0.4 * len(microphone)


async def test_a_flush_is_silence_although_the_stream_goes_on() -> None:
    stops: list[int] = []

    async def script(peer: Peer) -> None:
        media = Media(peer)
        await media.ready()
        media.play(0, tone(1500))
        await peer.reported(300)
        flush = wire.Flush(path_id=peer.path_id, flush_id=1, until_media_ms=1500)
        await peer.say(flush=flush)
        stops.append((await peer.flushed(1)).media_ms)
        await asyncio.sleep(0.4)  # real time: silence: the rest of the tone still comes
        await peer.until_bye()
        await media.connection.close()

    speaker = voxwire.Recording()
    async with (
        serving(script) as url,
        voxwire.connect(url, transport="webrtc", speaker=speaker) as session,
    ):
        flushed = await session.wait_for(voxwire.Flushed)
        await asyncio.sleep(0.6)  # real time: silence
    assert stops == [flushed.media_ms]
    assert len(speaker.samples) <= (flushed.media_ms + 1) * RATE // 1000


async def test_a_connection_that_breaks_is_a_transport_error_without_resume() -> None:
    async def script(peer: Peer) -> None:
        media = Media(peer)
        await media.ready()
        await media.connection.close()
        await peer.socket.wait_closed()

    async def listen(url: str) -> None:
        async with voxwire.connect(url, transport="webrtc", resume=False) as session:
            async for _ in session:
                pass

    async with serving(script) as url, asyncio.timeout(10 * UNIT_S):
        with pytest.raises(voxwire.TransportError, match="WebRTC"):
            await listen(url)


async def test_a_goodbye_right_behind_the_closed_connection_is_a_normal_end() -> None:
    async def script(peer: Peer) -> None:
        media = Media(peer)
        await media.ready()
        await media.connection.close()
        await asyncio.sleep(0.2)  # real time: silence
        await peer.goodbye()
        await peer.socket.wait_closed()

    async with serving(script) as url, voxwire.connect(url, transport="webrtc") as session:
        assert (await session.wait_for(voxwire.SessionEnded)).reason == "bot"


@pytest.mark.parametrize(
    ("sdp", "family"),
    [("no SDP", voxwire.SignalingError), (None, voxwire.TransportError)],
)
async def test_an_answer_that_is_bad_or_never_comes_is_an_error_within_the_deadline(
    sdp: str | None, family: type[voxwire.VoxwireError]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.heard("path_open")
        if sdp is not None:
            await peer.say(path_answer=wire.PathAnswer(path_id=peer.path_id, sdp_answer=sdp))
        await peer.socket.wait_closed()

    async with serving(script) as url:
        with pytest.raises(family):
            async with asyncio.timeout(60):
                async with voxwire.connect(url, transport="webrtc", timeouts=ONE):
                    pass


async def test_a_missing_extra_names_the_command_and_auto_does_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find_spec = importlib.util.find_spec

    def without_aiortc(name: str, *rest: str) -> object:
        return None if name == "aiortc" else find_spec(name, *rest)

    monkeypatch.setattr("voxwire._options.find_spec", without_aiortc)

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.until_bye()

    with pytest.raises(voxwire.UsageError, match=r"pip install 'voxwire\[webrtc\]'") as caught:
        voxwire.connect("ws://127.0.0.1", transport="webrtc")
    assert caught.value.code == voxwire.ErrorCode.MISSING_EXTRA
    async with serving(script) as url, voxwire.connect(url) as session:
        assert session.transport == "websocket"
