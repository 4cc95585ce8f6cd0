"""The facade without async at its ends: closed by another thread, interrupted, used afterwards."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import voxwire
from voxwire import sync
from voxwire.testing import FakeServer, FakeSession, NetworkState

CODE = voxwire.ErrorCode


async def bot(session: FakeSession) -> None:
    await session.say("hello", word_ms=60)
    await session.text()


@contextmanager
def talking(**options: Any) -> Iterator[tuple[FakeServer, sync.Session]]:
    server = FakeServer(bot, answers={"double": lambda n: 2 * n})
    with sync.connect(server.url, environment=server.environment, **options) as session:
        yield server, session


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
    assert set(threading.enumerate()) <= before


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def outcome(work: Callable[[], object]) -> object:
    """What it gives, or the code of its VoxwireError."""
    try:
        return work()
    except voxwire.VoxwireError as error:
        return error.code


def test_after_the_end_everything_can_be_read_and_nothing_be_said() -> None:
    with talking() as (_, session):
        session.wait_for(voxwire.BotWord)
        words = session.events(voxwire.BotWord)
        off = session.on(voxwire.BotWord, lambda _: None)
    assert str(session.conversation).startswith("bot: hello")
    for name, kind in vars(sync.Session).items():
        if isinstance(kind, property):
            getattr(session, name)
    assert session.report()["python"]
    assert session.audio.levels.microphone_db == float("-inf")
    assert isinstance(list(session)[-1], voxwire.SessionEnded)
    assert list(words) == []
    off()
    words.close()
    session.close()
    verbs: list[Callable[[], object]] = [
        lambda: session.send_text("late"),
        lambda: session.send_context("late"),
        lambda: session.send_dtmf("1"),
        lambda: session.send_message("late"),
        lambda: session.interrupt(),
        lambda: session.mute(),
        lambda: session.call("double", 1),
        lambda: session.wait_for(voxwire.BotWord),
        lambda: session.push_to_talk().__enter__(),
    ]
    assert [outcome(verb) for verb in verbs] == [CODE.INVALID_STATE] * len(verbs)


def test_a_function_that_the_session_calls_may_look_at_it_and_not_wait_for_it() -> None:
    told: list[object] = []
    with talking() as (_, session):
        session.handle("ask", lambda _: outcome(lambda: session.send_text("again")))
        session.on(voxwire.SessionEnded, lambda _: told.append(outcome(lambda: session.id)))
        session.on(voxwire.SessionEnded, lambda _: told.append(outcome(session.interrupt)))
        session.send_text("the end")
        list(session)
    assert told == [session.id, CODE.INVALID_STATE]


def test_a_function_that_the_session_calls_cannot_close_it_and_is_told() -> None:
    told: list[object] = []

    def leave(session: sync.Session) -> None:
        told.append(outcome(session.close))
        told.append(outcome(lambda: pushed.__exit__(None, None, None)))

    with talking() as (_, session):
        pushed = session.push_to_talk()
        pushed.__enter__()
        session.handle("leave", lambda _: leave(session))
        session.on(voxwire.SessionEnded, lambda _: leave(session))
        session.send_text("the end")
        list(session)
        assert told == [CODE.INVALID_STATE] * 2
        session.close()


def test_a_session_that_another_thread_closes_ends_for_all_who_wait() -> None:
    with talking() as (_, session):
        found: list[object] = []
        waiting = [
            in_thread(lambda: found.append(outcome(lambda: session.call("x", timeout_ms=60_000)))),
            in_thread(lambda: found.append(outcome(lambda: list(session.events())[-1]))),
        ]
        session.wait_for(voxwire.BotWord)
        closing = [in_thread(session.close) for _ in range(3)]
        assert isinstance(list(session)[-1], voxwire.SessionEnded)
        for thread in (*waiting, *closing):
            thread.join(30)
            assert not thread.is_alive()
        assert len(found) == 2
        assert all(it in (CODE.UNSUPPORTED, CODE.INVALID_STATE) or it for it in found)


def test_who_holds_a_key_keeps_nobody_from_leaving() -> None:
    held, released = threading.Event(), threading.Event()
    with talking() as (_, session):

        def hold() -> None:
            with session.push_to_talk():
                held.set()
                released.wait(60)

        holding = in_thread(hold)
        assert held.wait(30)
    released.set()
    holding.join(30)
    assert not holding.is_alive()


def interrupted_in(delay_s: float) -> None:
    """Ctrl-C, a while from now."""

    def press() -> None:
        time.sleep(delay_s)  # real time: moment
        os.kill(os.getpid(), signal.SIGINT)

    in_thread(press)


def test_ctrl_c_while_it_connects_leaves_nothing() -> None:
    server = FakeServer(bot)
    server.network.state = NetworkState.DARK
    interrupted_in(0.1)
    with pytest.raises(KeyboardInterrupt):
        with sync.connect(server.url, environment=server.environment):
            pytest.fail("it is in")
    assert not server.network.ends


def test_ctrl_c_while_it_waits_leaves_nothing() -> None:
    interrupted_in(0.3)
    with pytest.raises(KeyboardInterrupt):
        with talking() as (server, session):
            session.wait_for(voxwire.Interrupted, timeout_ms=60_000)
    assert server.session.over
