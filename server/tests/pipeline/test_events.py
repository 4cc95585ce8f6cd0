"""How a bot reads the events of its session."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.wired import Speaker, Wired
from voxwire_protocol import events, wire
from voxwire_server.pipeline import events as module
from voxwire_server.pipeline.bot import BotSession, run_bot
from voxwire_server.pipeline.events import SessionEvents
from voxwire_server.pipeline.wires import Wires


class Told:
    """A session that tells what a test has it tell."""

    def __init__(self) -> None:
        self.asked: list[Callable[[wire.Envelope], object]] = []
        self.cues: list[tuple[float, Callable[[], object]]] = []
        voice = SimpleNamespace(when_heard=lambda ms, call: self.cues.append((ms, call)))
        wires: Any = SimpleNamespace(tell=self.asked.append, voice=voice)
        self.events = SessionEvents(cast("Wires", wires))

    def tell(self, **payload: Any) -> None:
        for whom in self.asked:
            whom(wire.Envelope(**payload))

    def say(self, text: str) -> None:
        self.tell(transcript=wire.Transcript(text=text, final=True))


async def read(stream: Any) -> list[str]:
    """All that is left, by its text or its class."""
    return [getattr(event, "text", type(event).__name__) async for event in stream]


async def test_each_reader_has_what_it_asked_for_from_then_on() -> None:
    told = Told()
    told.say("before")
    assert told.asked == []  # nobody reads: it costs nothing
    everything = told.events.stream(())
    told.say("one")
    words = told.events.stream((events.UserTranscript,))
    told.say("two")
    told.tell(interrupted=wire.Interrupted())
    assert len(told.asked) == 1
    told.events.close()
    told.say("behind")
    assert await read(everything) == ["one", "two", "Interrupted"]
    assert await read(words) == ["two"]
    assert await read(told.events.stream(())) == []


async def test_words_come_when_they_are_heard() -> None:
    told = Told()
    words = told.events.stream((events.BotWord,))
    told.tell(utterance_started=wire.UtteranceStarted(utterance_id="u1", media_ms=500))
    placed = [wire.Word(char_end=3), wire.Word(char_start=4, char_end=7, start_ms=200)]
    said = wire.UtteranceWords(utterance_id="u1", base_media_ms=500, text="one two", words=placed)
    told.tell(utterance_words=said)
    assert [ms for ms, _ in told.cues] == [501, 701]
    told.cues[0][1]()
    assert (await anext(words)).text == "one"
    waiting = asyncio.ensure_future(anext(words))
    await asyncio.sleep(0)
    assert not waiting.done()
    told.cues[1][1]()
    assert (await waiting).text == "two"


async def test_a_reader_that_is_late_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED", 3)
    told = Told()
    stream = told.events.stream(())
    for number in range(5):
        told.say(str(number))
    stream.close()
    told.say("behind")
    assert await anext(stream) == events.EventsSkipped(2)
    assert await read(stream) == ["2", "3", "4"]


async def test_a_reader_ends_with_the_pipeline() -> None:
    wired = Wired()
    async with wired.running(Speaker()):
        stream = wired.session.events()
        waiting = asyncio.ensure_future(read(stream))
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting == []


async def test_a_reader_ends_with_a_bot_that_has_no_pipeline() -> None:
    streams: list[Any] = []

    async def bot(session: BotSession) -> None:
        streams.append(session.events())

    await run_bot(bot, BotSession(Wired().wires))
    assert await read(streams[0]) == []
