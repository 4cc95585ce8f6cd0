"""The facade without async where it is easily misused: Ctrl-C, several threads, after the end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from test_sync import bot, talking

import voxwire
from voxwire import sync
from voxwire.testing import FakeServer, NetworkState

CODE = voxwire.ErrorCode


@contextmanager
def ctrl_c(after_s: float) -> Iterator[None]:
    """Somebody presses Ctrl-C so much later, while this thread waits for something."""
    main = threading.get_ident()
    timer = threading.Timer(after_s, signal.pthread_kill, [main, signal.SIGINT])
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        timer.join()


def test_ctrl_c_while_an_event_is_waited_for_loses_none() -> None:
    with talking() as (_, session):
        session.wait_for(voxwire.UtteranceEnded)
        for _ in range(3):
            with ctrl_c(0.2):  # real time: moment
                session.wait_for(voxwire.Interrupted, timeout_ms=60_000)
        with ctrl_c(0.2):  # real time: moment
            for _ in session:
                pass
        words = session.events(voxwire.BotWord)
        session.send_text("one two")
        whole = list(session)
        heard = [event.text for event in whole if isinstance(event, voxwire.BotWord)]
        assert heard == ["you", "said", "one", "two"]
        assert isinstance(whole[-1], voxwire.SessionEnded)
        assert [event.text for event in words] == heard


def test_ctrl_c_while_it_is_dialled_leaves_nothing() -> None:
    before = threading.active_count()
    server = FakeServer(bot)
    server.network.state = NetworkState.DARK
    with ctrl_c(0.3):  # real time: moment
        with sync.connect(server.url, environment=server.environment):
            pytest.fail("it is in")
    assert threading.active_count() == before


def test_after_the_end_what_it_knows_is_there_and_verbs_say_so() -> None:
    with talking() as (_, session):
        words = session.events(voxwire.BotWord)
        off = session.on(voxwire.BotWord, lambda _: None)
        session.send_text("hi")
        session.wait_for(voxwire.SessionEnded)
    assert str(session.conversation) == "bot: hello\nuser: hi\nbot: you said hi"
    assert session.report()["session"]["id"] == session.id
    assert [event.text for event in words][-2:] == ["said", "hi"]
    assert list(session) == []
    assert session.audio.volume == 1.0
    off()
    words.close()
    session.close()
    for verb in (lambda: session.send_text("late"), session.interrupt, lambda: session.call("x")):
        with pytest.raises(voxwire.UsageError, match="has ended") as caught:
            verb()
        assert caught.value.code == CODE.INVALID_STATE
    with pytest.raises(voxwire.UsageError, match="has ended"):
        session.wait_for(voxwire.BotWord)


def test_a_function_of_the_session_may_look_and_must_not_wait() -> None:
    seen: list[Any] = []

    def look(event: voxwire.BotWord) -> None:
        seen.append(session.transport)
        try:
            session.send_text("from the loop")
        except voxwire.VoxwireError as error:
            seen.append(error.code)
        done.set()

    done = threading.Event()
    with talking() as (_, session):
        session.on(voxwire.BotWord, look)
        session.send_text("hi")
        assert done.wait(60)
        session.close()
    assert seen[:2] == ["websocket", CODE.INVALID_STATE]


def test_a_thread_that_waits_takes_nothing_from_one_that_iterates() -> None:
    seen: list[voxwire.Event] = []
    began, go_on = threading.Event(), threading.Event()

    def read() -> None:
        for event in session:
            seen.append(event)
            began.set()
            go_on.wait(60)  # busy with an event, and others queue up

    with talking() as (_, session):
        thread = threading.Thread(target=read)
        thread.start()
        assert began.wait(60)
        session.send_text("hi")
        assert session.wait_for(voxwire.SessionEnded).reason == voxwire.EndReason.BOT
        go_on.set()
        thread.join()
    heard = [event.text for event in seen if isinstance(event, voxwire.BotWord)]
    assert heard == ["hello", "you", "said", "hi"]
    assert isinstance(seen[-1], voxwire.SessionEnded)


def test_a_thread_that_waits_is_told_when_another_one_closes() -> None:
    told: list[voxwire.VoxwireError] = []
    waits = threading.Event()

    def wait() -> None:
        waits.set()
        try:
            session.wait_for(voxwire.Interrupted, timeout_ms=60_000)
        except voxwire.VoxwireError as error:
            told.append(error)

    with pytest.raises(LookupError), talking() as (_, session):
        thread = threading.Thread(target=wait)
        thread.start()
        assert waits.wait(60)
        raise LookupError
    thread.join(30)
    assert [error.code for error in told] == [CODE.INVALID_STATE]


def test_a_key_that_is_let_go_after_the_end_says_nothing() -> None:
    with talking() as (_, session), session.push_to_talk():
        session.close()
    with pytest.raises(LookupError):
        with talking() as (_, session), session.push_to_talk():
            session.close()
            raise LookupError
