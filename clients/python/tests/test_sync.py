"""The facade without async: the same names, and what they do."""

import inspect
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import voxwire
from voxwire import sync
from voxwire.testing import FakeServer, FakeSession

CODE = voxwire.ErrorCode


async def bot(session: FakeSession) -> None:
    await session.say("hello", word_ms=60)
    text = await session.text()
    await session.say(f"you said {text}", word_ms=60)


@contextmanager
def talking(**options: Any) -> Iterator[tuple[FakeServer, sync.Session]]:
    server = FakeServer(bot, answers={"double": lambda n: 2 * n})
    with sync.connect(server.url, environment=server.environment, **options) as session:
        yield server, session


def test_a_conversation_in_a_program_without_a_loop() -> None:
    before = threading.active_count()
    with talking() as (_, session):
        assert session.wait_for(voxwire.BotWord).text == "hello"
        words = session.events(voxwire.BotWord)
        session.send_text("one two")
        assert session.call("double", 4) == 8
        assert [event.text for event in words] == ["you", "said", "one", "two"]
        assert isinstance(list(session)[-1], voxwire.SessionEnded)
        assert str(session.conversation) == "bot: hello\nuser: one two\nbot: you said one two"
        assert (session.transport, session.bot, session.connection) == (
            *("websocket", "scripted", "connected"),
        )
    assert threading.active_count() == before


def test_handlers_run_while_the_program_does_something_else() -> None:
    heard: list[str] = []
    done = threading.Event()
    with talking() as (_, session):
        session.on(voxwire.BotWord, lambda event: heard.append(event.text))
        session.on(voxwire.SessionEnded, lambda _: done.set())
        session.send_text("hi")
        assert done.wait(60)
    assert heard[-3:] == ["you", "said", "hi"]


def test_several_threads_may_use_it() -> None:
    with talking() as (_, session):
        answers: list[Any] = []
        threads = [
            threading.Thread(target=lambda n=n: answers.append(session.call("double", n)))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [2 * n for n in range(8)]


def test_errors_are_what_they_are_and_leave_nothing() -> None:
    before = threading.active_count()
    server = FakeServer(bot, tokens=("good",))
    with pytest.raises(voxwire.SessionError) as caught:
        with sync.connect(server.url, environment=server.environment, token="bad"):
            pytest.fail("it is in")
    assert caught.value.code == CODE.UNAUTHORIZED
    with talking() as (_, session):
        with pytest.raises(voxwire.UsageError):
            session.send_dtmf("x")
        with pytest.raises(voxwire.TransportError, match=r"no Interrupted within 0\.05 s"):
            session.wait_for(voxwire.Interrupted, timeout_ms=50)
        session.close()
        with pytest.raises(voxwire.UsageError, match="has ended"):
            session.send_text("late")
    with pytest.raises(LookupError), talking():
        raise LookupError
    assert threading.active_count() == before


def test_a_failure_that_nobody_read_is_raised_at_the_end() -> None:
    with pytest.raises(voxwire.TransportError):
        with talking(resume=False) as (server, session):
            session.simulate.drop_control()
            deadline = time.monotonic() + 60
            while session._session._runtime.failure is None and time.monotonic() < deadline:
                time.sleep(0.01)
    assert server.sessions


def test_what_is_played_seen_and_exchanged_without_a_loop() -> None:
    seen: list[str] = []
    with talking() as (server, session):
        off = session.tap(lambda message: seen.append(message.direction))
        assert session.play(np.full(1600, 9000, np.int16)) == voxwire.PlayResult(sent_ms=100)
        session.set_microphone(np.full(1600, 8000, np.int16))
        session.set_speaker(voxwire.Recording())
        session.call("double", 1)
        off()
        assert {"in", "out"} == set(seen)
        assert session.quality.transport == "websocket"
        assert session.wait_for(voxwire.Quality).grade != "lost"
        assert (server.session.user_samples == 9000).sum() == 1600
        with pytest.raises(voxwire.MediaError):
            session.set_microphone("no/such.wav")


def test_the_microphone_is_open_while_a_key_is_held() -> None:
    with talking() as (server, session):
        session.mute()
        with session.push_to_talk():
            pass
        session.call("double", 1)
        assert [it.muted for it in server.session.said("mute")] == [True, False, True]
        assert session.audio.levels.microphone_db == float("-inf")


def names(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_every_name_of_a_session_is_there_with_the_same_arguments() -> None:
    assert names(sync.Session) == names(voxwire.Session)
    for name in sorted(names(sync.Session)):
        ours, theirs = getattr(sync.Session, name), getattr(voxwire.Session, name)
        if inspect.isfunction(theirs):
            asked = [inspect.signature(verb).parameters for verb in (ours, theirs)]
            assert [str(it) for it in asked[0].values()] == [str(it) for it in asked[1].values()]
        else:
            assert isinstance(ours, property), name
