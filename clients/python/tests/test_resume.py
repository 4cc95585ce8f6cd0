"""A session outlives its connection: what is said, heard and sent comes through once, in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np
import pytest
from peer import RATE, UNIT_S, connect, now_s, tone
from resuming import ResumeSession, keeping
from virtual import virtual
from websockets.exceptions import ConnectionClosed

import voxwire
from voxwire_protocol import wire


async def read(session: voxwire.Session) -> AsyncIterator[voxwire.Event]:
    """The events until the end, within a deadline."""
    async with asyncio.timeout(15 * UNIT_S):
        async for event in session:
            yield event


async def collect(url: str, **options: object) -> list[voxwire.Event]:
    """All events of a session that ends in order."""
    async with connect(url, transport="websocket", **options) as session:  # type: ignore[arg-type]
        return [event async for event in read(session)]


def of(kind: type, events: list[voxwire.Event]) -> list:
    return [event for event in events if isinstance(event, kind)]


def words(events: list[voxwire.Event]) -> list[tuple[str, int]]:
    return [(word.utterance_id, word.index) for word in of(voxwire.BotWord, events)]


@virtual
async def test_lost_mid_utterance_every_word_fires_once_and_the_sound_goes_on() -> None:
    async def script(session: ResumeSession) -> None:
        peer = await session.first()
        await peer.utterance("u1", 0, words=10, word_ms=100)
        await peer.audio(0, tone(600))
        await peer.reported(300)
        session.cut()
        heard_ms = session.reports[-1][1].media_ms
        peer = await session.again(path_id=2)
        await peer.audio(heard_ms, tone(1000)[heard_ms * RATE // 1000 :])
        await peer.reported(1000)
        assert {report.path_id for _, report in session.reports} == {1, 2}
        await peer.goodbye()

    speaker = voxwire.Recording()
    async with keeping(script) as url:
        events = await collect(url, speaker=speaker)
    assert words(events) == [("u1", index) for index in range(10)]
    states = of(voxwire.ConnectionChanged, events)
    assert [(it.state, it.attempt, it.epoch) for it in states] == [
        ("reconnecting", 1, 1),
        ("connected", 1, 2),
    ]
    assert [path.path_id for path in of(voxwire.PathChanged, events)] == [1, 2]
    assert len(of(voxwire.SessionStarted, events)) == 1
    assert not of(voxwire.EventsSkipped, events)
    assert (np.abs(speaker.samples - tone(1000)[: len(speaker.samples)]) <= 1).all()
    assert len(speaker.samples) == RATE


@virtual
async def test_a_hello_after_a_loss_proves_whose_session_it_is_and_says_what_was_received() -> None:
    async def script(session: ResumeSession) -> None:
        peer = await session.first()
        await peer.state("LISTENING")
        await peer.heard("ping", count=2)  # it was read by then
        session.cut()
        peer = await session.again(path_id=2)
        session.cut()
        peer = await session.again(path_id=3)
        await peer.goodbye()

    kept = ResumeSession()
    async with keeping(script, session=kept) as url:
        events = await collect(url, token="once", bot="b")
    first, second, third = kept.hellos
    assert (first.token, first.bot, first.session_id, first.resume_token) == ("once", "b", "", b"")
    assert wire.Feature.FEATURE_RESUME in first.features
    for hello, epoch in ((second, 1), (third, 2)):
        assert (hello.token, hello.session_id) == ("", "test.session")
        assert hello.resume_token == epoch.to_bytes(16, "big")
    assert second.last_seq == 3  # PathAnswer, PathReady, StateChanged
    assert third.last_seq == 5
    assert len({hello.attach_nonce for hello in kept.hellos}) == 3
    assert len(of(voxwire.StateChanged, events)) == 1


@virtual
async def test_a_welcome_that_is_lost_on_the_first_attach_costs_nothing() -> None:
    async def script(session: ResumeSession) -> None:
        peer = await session.dial()
        await session.opened(peer, 1)  # asked for without waiting, and received
        session.welcome(resumed=False)  # made, and lost
        session.cut()
        peer = await session.dial()
        await peer.say(welcome=session.welcome(resumed=False))
        await session.ready(peer, path_id=2)
        await peer.until_bye()

    kept = ResumeSession()
    async with keeping(script, session=kept) as url:
        async with connect(url, transport="websocket", token="t") as session:
            assert session.connection == "connected"
            assert isinstance(await anext(session), voxwire.SessionStarted)
    first, second = kept.hellos
    assert first == second
    asked = [m.path_open.path_id for m in kept.received if m.HasField("path_open")]
    assert asked == [1, 2]


@virtual
async def test_a_welcome_that_is_lost_on_a_resume_costs_nothing() -> None:
    async def script(session: ResumeSession) -> None:
        peer = await session.first()
        session.cut()
        peer = await session.dial()
        session.welcome(resumed=True)
        session.cut()
        peer = await session.again(path_id=2)
        await peer.state("IDLE")
        await peer.goodbye()

    kept = ResumeSession()
    async with keeping(script, session=kept) as url:
        events = await collect(url)
    _, second, third = kept.hellos
    assert second == third
    (back,) = [it for it in of(voxwire.ConnectionChanged, events) if it.state == "connected"]
    assert (back.attempt, back.epoch) == (2, 2)
    assert of(voxwire.StateChanged, events)


@virtual
async def test_verbs_while_reconnecting_arrive_once_and_in_order() -> None:
    async def script(session: ResumeSession) -> None:
        peer = await session.first()
        session.quiet = True  # "0" arrives and is not acknowledged
        async with asyncio.timeout(5 * UNIT_S):
            while not session.texts:
                await asyncio.sleep(0.005)
        session.cut()
        session.quiet = False
        peer = await session.dial()
        await asyncio.sleep(0.1)
        await session.replay(peer)
        await session.ready(peer, path_id=2)
        await peer.until_bye()

    kept = ResumeSession()
    async with keeping(script, session=kept) as url:
        async with connect(url, transport="websocket") as session:
            await session.send_text("0")
            await session.wait_for(voxwire.ConnectionChanged)
            assert session.connection == "reconnecting"
            for number in range(1, 4):
                await session.send_text(str(number))
            await session.wait_for(voxwire.ConnectionChanged)
            assert session.connection == "connected"
            await session.send_text("4")
    assert kept.texts == list("01234")


@virtual
async def test_more_than_can_be_kept_is_an_error_and_loses_nothing() -> None:
    async def script(session: ResumeSession) -> None:
        await session.first()
        session.cut()
        peer = await session.dial()
        await asyncio.sleep(0.3)
        await session.replay(peer)
        await session.ready(peer, path_id=2)
        await peer.until_bye()

    kept = ResumeSession()
    sent: list[str] = []
    async with keeping(script, session=kept) as url:
        async with connect(url, transport="websocket") as session:
            await session.wait_for(voxwire.ConnectionChanged)
            with pytest.raises(voxwire.SessionError) as caught:
                while True:
                    text = f"{len(sent)} " + "x" * 20_000
                    await session.send_text(text)
                    sent.append(text)
            assert caught.value.code == voxwire.ErrorCode.CAPACITY
            assert caught.value.retryable
            await session.wait_for(voxwire.PathChanged)
    assert len(sent) > 20
    assert kept.texts == sent


@virtual
async def test_a_session_that_is_not_back_within_its_grace_has_expired() -> None:
    async def script(session: ResumeSession) -> None:
        await session.first()
        session.cut()
        while True:
            peer = await session.dial()
            peer.socket.transport.abort()

    kept = ResumeSession(grace_ms=600)
    start = now_s()
    with pytest.raises(voxwire.SessionError, match=r"not back within 0\.\d s") as caught:
        async with asyncio.timeout(10 * UNIT_S), keeping(script, session=kept, wait=False) as url:
            await collect(url)
    assert caught.value.code == voxwire.ErrorCode.SESSION_EXPIRED
    assert caught.value.action == voxwire.RecoveryAction.RECONNECT
    assert now_s() - start < 5 * UNIT_S
    assert len(kept.hellos) >= 4


@pytest.mark.parametrize("code", ["SESSION_EXPIRED", "UNAUTHORIZED", "SUPERSEDED"])
@virtual
async def test_a_refused_resume_is_its_error_and_is_not_tried_again(code: str) -> None:
    async def script(session: ResumeSession) -> None:
        await session.first()
        session.cut()
        await session.refuse(await session.dial(), code)
        await asyncio.sleep(0.3)

    kept = ResumeSession()
    with pytest.raises(voxwire.SessionError) as caught:
        async with keeping(script, session=kept) as url:
            await collect(url)
    assert caught.value.code.name == code
    assert len(kept.peers) == 2


@virtual
async def test_a_session_that_another_client_took_over_is_not_taken_back() -> None:
    async def script(session: ResumeSession) -> None:
        peer = await session.first()
        await peer.socket.close(4000 + voxwire.ErrorCode.SUPERSEDED)
        await asyncio.sleep(0.3)

    kept = ResumeSession()
    with pytest.raises(voxwire.SessionError) as caught:
        async with keeping(script, session=kept) as url:
            await collect(url)
    assert caught.value.code == voxwire.ErrorCode.SUPERSEDED
    assert len(kept.peers) == 1


@virtual
async def test_a_busy_server_is_asked_again_when_it_says() -> None:
    refused_at: list[float] = []

    async def script(session: ResumeSession) -> None:
        await session.first()
        session.cut()
        await session.refuse(await session.dial(), "CAPACITY", retry_after_ms=400)
        refused_at.append(now_s())
        peer = await session.again(path_id=2)
        refused_at.append(now_s())
        await peer.goodbye()

    async with keeping(script) as url:
        assert of(voxwire.SessionEnded, await collect(url))
    assert refused_at[1] - refused_at[0] >= 0.35


@virtual
async def test_without_resume_a_loss_ends_the_session() -> None:
    async def script(session: ResumeSession) -> None:
        await session.first()
        session.cut()
        await asyncio.sleep(0.2)

    kept = ResumeSession()
    with pytest.raises(voxwire.TransportError):
        async with keeping(script, session=kept) as url:
            await collect(url, resume=False)
    assert wire.Feature.FEATURE_RESUME not in kept.hellos[0].features
    assert len(kept.peers) == 1


def snapshot(heard_ms: int, **more: object) -> wire.Snapshot:
    """An utterance of eight words, 100 ms each, heard up to a position."""
    names = [f"word{index}" for index in range(8)]
    text = " ".join(names)
    placed = [
        wire.Word(
            char_start=text.index(name),
            char_end=text.index(name) + len(name),
            start_ms=100 * index,
            end_ms=100 * index + 100,
        )
        for index, name in enumerate(names)
    ]
    return wire.Snapshot(
        turns=[wire.Turn(turn_id="t", role=wire.TurnRole.TURN_ROLE_BOT, text="word0")],
        utterance=wire.UtteranceStarted(utterance_id="u1", media_ms=0),
        words=[wire.UtteranceWords(utterance_id="u1", text=text, words=placed)],
        heard_media_ms=heard_ms,
        state=wire.StateChanged(bot=wire.BotState.BOT_STATE_SPEAKING),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("announced", [3, 0])
@virtual
async def test_a_resume_that_came_too_late_goes_on_from_a_snapshot(announced: int) -> None:
    """`announced`: how many words of the utterance the client knew before."""

    async def script(session: ResumeSession) -> None:
        peer = await session.first()
        await peer.utterance("old", 5000, words=2, word_ms=100)  # never heard, and gone
        if announced:
            await peer.utterance("u1", 0, words=announced, word_ms=100)
        await peer.audio(0, tone(350))
        await peer.reported(350)
        session.cut()
        peer = await session.dial()
        session.channel.restart()
        shown = snapshot(350, user_muted=True)
        await peer.say(welcome=session.welcome(resumed=False, snapshot=shown))
        await session.ready(peer, path_id=2)
        await peer.audio(350, tone(450))
        await peer.reported(800)
        assert not (await peer.heard("mute")).mute.muted
        await peer.goodbye()

    kept = ResumeSession()
    events: list[voxwire.Event] = []
    async with keeping(script, session=kept) as url:
        async with connect(url, transport="websocket") as session:
            async for event in read(session):
                events.append(event)
                if isinstance(event, voxwire.ConnectionChanged) and event.state == "reconnecting":
                    await session.send_text("lost")
    (skipped,) = of(voxwire.EventsSkipped, events)
    assert (skipped.count, skipped.unsent) == (0, 1)
    assert skipped.snapshot is not None
    assert skipped.snapshot.turns[0].role == "bot"
    assert (skipped.snapshot.utterance_id, skipped.snapshot.heard_media_ms) == ("u1", 350)
    after = events[events.index(skipped) :]
    assert of(voxwire.UtteranceStarted, after)[0].utterance_id == "u1"
    assert of(voxwire.StateChanged, after)[0].bot == "speaking"
    fired = words(events)
    assert fired == [("u1", index) for index in (*range(announced), *range(4, 8))]
    assert kept.texts == []


@virtual
async def test_messages_that_are_not_acknowledged_move_the_session_to_a_second_socket() -> None:
    async def script(session: ResumeSession) -> None:
        first = await session.first()
        session.quiet = True
        second = await session.dial()
        assert not first.socket.transport.is_closing()  # the old one stands until then
        session.quiet = False
        await session.replay(second)
        await session.ready(second, path_id=2)
        await first.socket.wait_closed()
        await second.until_bye()

    kept = ResumeSession()
    async with keeping(script, session=kept) as url:
        async with connect(url, transport="websocket") as session:
            await asyncio.sleep(0.1)
            await session.send_text("stuck")
            changed = await session.wait_for(voxwire.ConnectionChanged)
            assert (changed.state, changed.attempt, changed.epoch) == ("connected", 0, 2)
    assert kept.texts == ["stuck"]


@virtual
async def test_a_half_open_socket_that_wakes_up_later_disturbs_nothing() -> None:
    async def script(session: ResumeSession) -> None:
        first = await session.first()
        session.quiet = True  # half open: nothing comes any more
        second = await session.dial()
        session.quiet = False
        await session.replay(second)
        await session.ready(second, path_id=2)
        for data in session.channel.send(wire.Envelope(interrupted=wire.Interrupted()), 0):
            with contextlib.suppress(ConnectionClosed):
                await first.socket.send(data)  # the old one wakes up
            await second.socket.send(data)
        await second.state("IDLE")
        await second.goodbye()

    kept = ResumeSession(heartbeat_ms=500)
    async with keeping(script, session=kept) as url:
        events = await collect(url)
    assert len(of(voxwire.Interrupted, events)) == 1
    assert len(of(voxwire.StateChanged, events)) == 1
    states = [it.state for it in of(voxwire.ConnectionChanged, events)]
    assert states == ["reconnecting", "connected"]


@virtual
async def test_a_path_that_the_server_gives_up_is_replaced_in_the_same_session() -> None:
    async def script(session: ResumeSession) -> None:
        peer = await session.first()
        await peer.utterance("u1", 0, words=6, word_ms=100)
        await peer.audio(0, tone(300))
        await peer.reported(300)
        code = wire.ErrorCode.ERROR_CODE_CONNECTION_LOST
        await peer.say(path_close=wire.PathClose(path_id=1, code=code))
        await session.ready(peer, path_id=2)
        await peer.audio(300, tone(300))
        await peer.reported(600)
        await peer.goodbye()

    kept = ResumeSession()
    async with keeping(script, session=kept) as url:
        events = await collect(url)
    assert words(events) == [("u1", index) for index in range(6)]
    assert [path.path_id for path in of(voxwire.PathChanged, events)] == [1, 2]
    assert not of(voxwire.ConnectionChanged, events)
    assert not [m for m in kept.received if m.HasField("path_close")]


@virtual
async def test_a_flush_on_the_new_path_is_honoured_before_its_audio_and_answered_there() -> None:
    async def script(session: ResumeSession) -> None:
        peer = await session.first()
        await peer.utterance("u1", 0, words=10, word_ms=100)
        await peer.audio(0, tone(600))
        await peer.reported(200)
        session.cut()
        peer = await session.again()
        await session.opened(peer, 2)
        await peer.answer()
        await peer.say(flush=wire.Flush(path_id=2, flush_id=1, until_media_ms=1000))
        await peer.say(path_ready=wire.PathReady(path_id=2))
        report = await peer.flushed(1)
        assert report.path_id == 2
        await peer.audio(200, tone(800))  # void
        await peer.utterance("u2", 1000, words=1, word_ms=100)
        await peer.audio(1000, tone(100))
        await peer.reported(1100)
        await peer.goodbye()

    speaker = voxwire.Recording()
    async with keeping(script) as url:
        events = await collect(url, speaker=speaker)
    (flushed,) = of(voxwire.Flushed, events)
    stop = flushed.media_ms * RATE // 1000 + RATE // 1000
    assert np.abs(speaker.samples[stop:RATE]).max() == 0
    assert words(events)[-1] == ("u2", 0)
    before = [index for utterance, index in words(events) if utterance == "u1"]
    assert before == list(range(-(-flushed.media_ms // 100)))


@virtual
async def test_a_server_that_goes_away_says_where_the_session_goes_on() -> None:
    async def script(session: ResumeSession) -> None:
        peer = await session.first()
        await peer.say(go_away=wire.GoAway(resume_url=moved[0]))
        await peer.socket.close(4000 + voxwire.ErrorCode.GOING_AWAY)
        peer = await session.again(path_id=2)
        assert peer.socket.request is not None
        assert peer.socket.request.path == "/moved"
        await peer.goodbye()

    moved: list[str] = []
    async with keeping(script) as url:
        moved.append(f"{url}/moved")
        assert of(voxwire.SessionEnded, await collect(url))


async def drop_control(session: voxwire.Session) -> None:
    session.simulate.drop_control()


async def drop_media(session: voxwire.Session) -> None:
    session.simulate.drop_media()


async def freeze(session: voxwire.Session) -> None:
    session.simulate.freeze(1800)


@pytest.mark.parametrize("trouble", [drop_control, drop_media, freeze])
@virtual
async def test_simulated_trouble_is_lived_through(trouble) -> None:
    async def script(session: ResumeSession) -> None:
        await session.first()
        peer = await session.again(path_id=2)
        await peer.until_bye()

    async with keeping(script, session=ResumeSession(heartbeat_ms=500)) as url:
        async with connect(url, transport="websocket") as session:
            await session.wait_for(voxwire.PathChanged)
            await trouble(session)
            assert (await session.wait_for(voxwire.ConnectionChanged)).state == "reconnecting"
            assert (await session.wait_for(voxwire.PathChanged)).path_id == 2


@virtual
async def test_a_slow_wire_is_slow_until_it_is_not() -> None:
    async def script(session: ResumeSession) -> None:
        peer = await session.first()
        await peer.heard("send_text")
        await peer.until_bye()

    kept = ResumeSession()
    async with keeping(script, session=kept) as url:
        async with connect(url, transport="websocket") as session:
            session.simulate.slow(20_000)
            start = now_s()
            await session.send_text("x" * 8000)
            async with asyncio.timeout(5 * UNIT_S):
                while not kept.texts:
                    await asyncio.sleep(0.01)
            assert now_s() - start > 0.35
            session.simulate.slow(0)


async def dial_only(session: ResumeSession) -> None:
    await session.dial()


async def nobody(session: ResumeSession) -> None:
    while True:
        (await session.dial()).socket.transport.abort()


async def welcome_only(session: ResumeSession) -> None:
    await session.replay(await session.dial())


@pytest.mark.parametrize(
    ("stage", "leaving"),
    [(dial_only, "cancel"), (nobody, "cancel"), (welcome_only, "cancel"), (nobody, "close")],
)
@virtual
async def test_leaving_while_reconnecting_is_quick_and_leaves_nothing(stage, leaving: str) -> None:
    async def script(session: ResumeSession) -> None:
        await session.first()
        session.cut()
        await stage(session)
        await asyncio.sleep(10 * UNIT_S)

    async def stay(url: str) -> None:
        async with connect(url, transport="websocket") as session:
            await session.wait_for(voxwire.ConnectionChanged)
            gone.set()
            if leaving == "cancel":
                await asyncio.sleep(10 * UNIT_S)
            await asyncio.sleep(0.2)
            await session.close()

    gone = asyncio.Event()
    async with keeping(script, wait=False) as url:
        task = asyncio.create_task(stay(url))
        await gone.wait()
        await asyncio.sleep(0.2)
        if leaving == "cancel":
            task.cancel()
        start = now_s()
        await asyncio.wait({task})
        assert now_s() - start < 3 * UNIT_S
        assert task.cancelled() == (leaving == "cancel")
