"""Whether the bot listens to the user, and that the user is there though he says nothing."""

import asyncio

import pytest
from virtual import Log, session_of, virtual

import voxwire
from voxwire._cues import Cues
from voxwire._position import Reached
from voxwire.testing import FakeServer, FakeSession, VirtualTime, tone
from voxwire_protocol import wire

SPEAKING, IDLE = wire.BotState.BOT_STATE_SPEAKING, wire.BotState.BOT_STATE_IDLE
ACTIVITY = wire.Feature.FEATURE_USER_ACTIVITY


async def stays(session: FakeSession) -> None:
    await asyncio.sleep(3600)


# the bot does not listen


@virtual
async def test_a_bot_that_does_not_listen_says_so_and_what_is_said_meanwhile_is_not_heard(
    time: VirtualTime,
) -> None:
    microphone = voxwire.ClipMicrophone()
    async with FakeServer(stays) as server:
        async with session_of(server, microphone=microphone) as session:
            log = Log(session, time)
            assert (session.state.bot, session.state.user_muted) == ("idle", False)
            server.session.mute_user()
            server.session.mute_user()
            await time.advance(100)
            assert session.state.user_muted
            microphone.play(tone(300, sample_rate=16_000))
            await time.advance(500)
            assert not server.session.user_samples.any()
            server.session.mute_user(False)
            await time.advance(100)
            assert not session.state.user_muted
            microphone.play(tone(300, sample_rate=16_000))
            await time.advance(500)
            assert server.session.user_samples.any()
        await log.over()
    told = [event.user_muted for event in log.of(voxwire.StateChanged)]
    assert told[:3] == [False, True, False]
    assert not server.session.said("mute")  # the microphone is the user's own


@virtual
async def test_who_comes_back_too_late_knows_it_from_the_snapshot(time: VirtualTime) -> None:
    async with FakeServer(stays) as server, session_of(server) as session:
        log = Log(session, time)
        await time.advance(100)
        server.forgetful = True
        server.session.drop()
        server.session.mute_user()
        await time.advance(2000)
        assert log.of(voxwire.EventsSkipped)
        assert session.state.user_muted
        await session.close()
        await log.over()


def changed(bot: "wire.BotState.ValueType", media_ms: int = 0, *, muted: bool) -> wire.StateChanged:
    return wire.StateChanged(bot=bot, media_ms=media_ms, user_muted=muted)


def test_a_state_that_waited_does_not_undo_what_was_told_meanwhile() -> None:
    cues = Cues()
    assert cues.change(changed(SPEAKING, 100, muted=False), 0) is None
    user = wire.UserState.USER_STATE_SPEAKING
    at_once = wire.StateChanged(bot=IDLE, user=user, user_muted=True)
    event = cues.change(at_once, 0)
    assert event is not None and event.user_muted
    [due] = cues.due(Reached(200, 200), 0)
    assert isinstance(due, voxwire.StateChanged)
    assert (due.bot, due.user, due.user_muted) == ("speaking", "speaking", True)


def test_states_that_wait_are_told_in_their_order() -> None:
    cues = Cues()
    for change in (changed(SPEAKING, 100, muted=False), changed(SPEAKING, 100, muted=True)):
        assert cues.change(change, 0) is None
    assert cues.change(changed(IDLE, muted=True), 0) is None  # behind the speech
    assert cues.change(changed(IDLE, muted=False), 0) is None
    told = cues.due(Reached(200, 200), 0)
    assert [(e.bot, e.user_muted) for e in told if isinstance(e, voxwire.StateChanged)] == [
        *(("speaking", False), ("speaking", True), ("idle", True), ("idle", False))
    ]


# the user is there


@virtual
async def test_activity_is_sent_once_a_second_however_often_it_is_told(time: VirtualTime) -> None:
    async with FakeServer(stays) as server, session_of(server) as session:
        assert voxwire.Feature.USER_ACTIVITY in session.features
        for _ in range(250):  # 2.5 s of a scrolling user
            await session.user_activity()
            await time.advance(10)
        assert len(server.session.said("user_activity")) == 3
        await time.advance(5000)
        await session.user_activity()
        await time.advance(10)
        assert len(server.session.said("user_activity")) == 4
        await session.close()
    with pytest.raises(voxwire.UsageError, match="has ended"):
        await session.user_activity()


@virtual
async def test_a_server_that_does_not_know_it_is_not_sent_it(time: VirtualTime) -> None:
    async with FakeServer(stays) as server:
        server.features.discard(ACTIVITY)
        async with session_of(server) as session:
            assert voxwire.Feature.USER_ACTIVITY not in session.features
            await session.user_activity()
            await time.advance(100)
        assert not server.session.said("user_activity")


@virtual
async def test_one_that_is_told_while_the_connection_is_lost_comes_with_the_next(
    time: VirtualTime,
) -> None:
    async with FakeServer(stays) as server, session_of(server) as session:
        await time.advance(100)
        server.session.drop()
        await session.user_activity()
        await time.advance(2000)
        assert len(server.session.said("user_activity")) == 1
