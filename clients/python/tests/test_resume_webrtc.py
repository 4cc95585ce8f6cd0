"""WebRTC in a session that outlives its connections."""

import asyncio

import numpy as np
import pytest
from peer import RATE, UNIT_S, Peer, tone
from resuming import ResumeSession, keeping
from test_webrtc import Media

import voxwire
from voxwire_protocol import wire

WEBRTC, WEBSOCKET = wire.Carrier.CARRIER_WEBRTC, wire.Carrier.CARRIER_WEBSOCKET


class _OnPath:
    """A peer as it is seen by the media of one path."""

    def __init__(self, peer: Peer, path_id: int) -> None:
        self._peer = peer
        self.path_id = path_id

    async def heard(self, payload: str) -> wire.Envelope:
        return next(m for m in self._peer.received if getattr(m, payload).path_id == self.path_id)

    async def say(self, **payload: object) -> None:
        await self._peer.say(**payload)


async def up(session: ResumeSession, peer: Peer, *, path_id: int) -> Media:
    """Answers a WebRTC path and waits until it is ready."""
    await session.opened(peer, path_id)
    media = Media(_OnPath(peer, path_id))  # type: ignore[arg-type]
    await media.answer()
    async with asyncio.timeout(10 * UNIT_S):
        await media.up.wait()
        await media.track.origin_known.wait()
    await peer.say(path_ready=wire.PathReady(path_id=path_id))
    return media


async def begin(session: ResumeSession) -> tuple[Peer, Media]:
    peer = await session.dial()
    await peer.say(welcome=session.welcome(resumed=False))
    return peer, await up(session, peer, path_id=1)


async def collect(url: str, **options: object) -> list[voxwire.Event]:
    async with asyncio.timeout(20 * UNIT_S):
        async with voxwire.connect(url, **options) as session:  # type: ignore[arg-type]
            return [event async for event in session]


def of(kind: type, events: list[voxwire.Event]) -> list:
    return [event for event in events if isinstance(event, kind)]


def carriers(events: list[voxwire.Event]) -> list[tuple[int, str]]:
    return [(path.path_id, str(path.carrier)) for path in of(voxwire.PathChanged, events)]


async def test_a_connection_that_still_carries_audio_survives_a_lost_control_channel() -> None:
    async def script(session: ResumeSession) -> None:
        peer, media = await begin(session)
        await peer.utterance("u1", 0, words=10, word_ms=100)
        media.play(0, tone(1000))
        await peer.reported(300)
        session.cut()
        peer = await session.dial()
        await asyncio.sleep(0.1)  # real time: moment
        await session.replay(peer)
        await peer.reported(1000)
        await peer.goodbye()
        await media.connection.close()

    speaker = voxwire.Recording()
    kept = ResumeSession()
    async with keeping(script, session=kept) as url:
        events = await collect(url, transport="webrtc", speaker=speaker)
    assert [word.index for word in of(voxwire.BotWord, events)] == list(range(10))
    assert carriers(events) == [(1, "webrtc")]
    assert len(of(voxwire.ConnectionChanged, events)) == 2
    assert len(speaker.samples) >= RATE - RATE // 50


async def test_a_connection_that_falls_silent_is_replaced_by_a_fresh_one() -> None:
    async def script(session: ResumeSession) -> None:
        peer, first = await begin(session)
        await peer.utterance("u1", 0, words=10, word_ms=100)
        first.play(0, tone(1000))
        await peer.reported(300)
        heard.set()
        second = await up(session, peer, path_id=2)
        heard_ms = session.reports[-1][1].media_ms
        second.play(heard_ms, tone(1000)[heard_ms * RATE // 1000 :])
        await peer.reported(1000)
        assert (await peer.heard("path_close")).path_close.path_id == 1
        await peer.goodbye()
        await first.connection.close()
        await second.connection.close()

    heard = asyncio.Event()
    speaker = voxwire.Recording()
    events: list[voxwire.Event] = []
    async with keeping(script) as url, asyncio.timeout(20 * UNIT_S):
        async with voxwire.connect(url, transport="webrtc", speaker=speaker) as session:
            await heard.wait()
            session.simulate.drop_media()
            async for event in session:
                events.append(event)
    assert [word.index for word in of(voxwire.BotWord, events)] == list(range(10))
    assert carriers(events) == [(1, "webrtc"), (2, "webrtc")]
    assert not of(voxwire.ConnectionChanged, events)
    sounding = np.abs(speaker.samples[:RATE].astype(int)).reshape(-1, RATE // 50).max(axis=1)
    assert (sounding > 2000).mean() > 0.85  # a codec starts anew, and nothing else is missing


async def test_auto_goes_on_over_websocket_and_comes_back_to_webrtc_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voxwire._paths.UPGRADE_S", 0.3)

    async def script(session: ResumeSession) -> None:
        peer, first = await begin(session)
        await peer.say(path_close=wire.PathClose(path_id=1, reason="gone"))
        await session.opened(peer, 2)
        code = wire.ErrorCode.ERROR_CODE_ICE_FAILED
        await peer.say(path_close=wire.PathClose(path_id=2, code=code))
        await session.ready(peer, path_id=3)
        await peer.utterance("u1", 0, words=2, word_ms=100)
        await peer.audio(0, tone(200))
        await peer.reported(200)
        last = await up(session, peer, path_id=4)
        await peer.utterance("u2", 500, words=2, word_ms=100)
        last.play(500, tone(200))
        await peer.reported(700)
        await peer.goodbye()
        await first.connection.close()
        await last.connection.close()

    kept = ResumeSession()
    async with keeping(script, session=kept) as url:
        events = await collect(url, transport="auto")
    assert carriers(events) == [(1, "webrtc"), (3, "websocket"), (4, "webrtc")]
    asked = [m.path_open.carrier for m in kept.received if m.HasField("path_open")]
    assert asked == [WEBRTC, WEBRTC, WEBSOCKET, WEBRTC]
    fired = [(word.utterance_id, word.index) for word in of(voxwire.BotWord, events)]
    assert fired == [("u1", 0), ("u1", 1), ("u2", 0), ("u2", 1)]
