"""`voxwire.testing.FakeServer` says what the real server says: one program, both servers.

The program goes by events, never by time, so that the real server's pace does not matter. What is
compared is the sequence of events as a program sees it; moments, measures (`TurnMetrics`,
`ServiceMetrics`) interim transcripts and how words are batched on the wire are
each server's own.
"""

import asyncio
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

import voxwire
from tests.support.clicks import make_bot
from tests.support.espeak import render_wav, shared_espeak
from voxwire.testing import FakeServer, FakeSession, VirtualTime
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.testing import running_server

Program = Callable[["Talk"], Awaitable[None]]

FIELDS: dict[type, tuple[str, ...]] = {
    voxwire.SessionStarted: (),
    voxwire.PathChanged: ("carrier",),
    voxwire.StateChanged: ("bot", "user"),
    voxwire.UserTranscript: ("text", "final", "typed", "turn_id"),
    voxwire.BotResponseStarted: ("response_id", "turn_id"),
    voxwire.BotResponseEnded: ("response_id",),
    voxwire.UtteranceStarted: ("utterance_id", "turn_id", "response_id", "source"),
    voxwire.UtteranceEnded: ("utterance_id", "end", "heard_source"),
    voxwire.Interrupted: ("source", "utterance_id"),
    voxwire.Flushed: ("flush_id",),
    voxwire.ConnectionChanged: ("state",),
    voxwire.ErrorEvent: ("code", "fatal", "subject_id"),
    voxwire.ToolCallStarted: ("name", "arguments"),
    voxwire.ToolCallEnded: ("name", "outcome", "result"),
    voxwire.SessionEnded: ("reason",),
}
"""What is compared, and which of its fields; other events are each server's own."""


class Talk:
    """A session, and what it has told so far."""

    def __init__(self, session: voxwire.Session) -> None:
        self.session = session
        self.events: list[voxwire.Event] = []
        self._came = asyncio.Event()
        self._read = 0

    async def read(self) -> None:
        async for event in self.session:
            self.events.append(event)
            self._came.set()

    async def until(self, kind: type, **fields: Any) -> Any:
        """The next event of that type with these fields, from where the last call ended."""
        async with asyncio.timeout(60):
            while True:
                while self._read < len(self.events):
                    event = self.events[self._read]
                    self._read += 1
                    if isinstance(event, kind) and all(
                        getattr(event, name) == value for name, value in fields.items()
                    ):
                        return event
                self._came.clear()
                await self._came.wait()

    def sequence(self) -> list[tuple[Any, ...]]:
        """The events, comparable."""
        return [
            (type(event).__name__, *(getattr(event, name) for name in FIELDS[type(event)]))
            for event in self.events
            if type(event) in FIELDS and getattr(event, "final", True)
        ]

    def responses(self) -> list[str]:
        """What the bot wrote, response by response."""
        texts: dict[str, str] = {}
        for event in self.events:
            if isinstance(event, voxwire.BotResponseText):
                texts[event.response_id] = texts.get(event.response_id, "") + event.text
        return [text.strip() for text in texts.values()]

    def words(self) -> dict[str, list[str]]:
        """The words that were heard, by utterance."""
        heard: dict[str, list[str]] = {}
        for event in self.events:
            if isinstance(event, voxwire.BotWord):
                heard.setdefault(event.utterance_id, []).append(event.text)
        return heard


async def held(connection: voxwire.Connection, program: Program) -> Talk:
    async with connection as session:
        talk = Talk(session)
        reading = asyncio.create_task(talk.read())
        await program(talk)
    await reading
    return talk


def both(
    bot: Any, script: Any, program: Program, *, close: Callable[[], Awaitable[Any]], **options: Any
) -> tuple[Talk, Talk]:
    """What a program hears of the real server and of the fake one."""

    async def real() -> Talk:
        try:
            async with running_server(bot) as server:
                connection = voxwire.connect(server.url, transport="websocket", **options)
                return await held(connection, program)
        finally:
            await close()

    async def fake() -> Talk:
        async with FakeServer(script) as server:
            connection = voxwire.connect(server.url, environment=server.environment, **options)
            return await held(connection, program)

    return asyncio.run(real()), VirtualTime().run(fake())


async def nothing() -> None:
    return


async def counts(session: FakeSession) -> None:
    """What `tests.support.clicks` does: `say N` is answered with N numbered words."""
    said = 0
    while True:
        number = int((await session.text()).split()[1])
        words = [f"w{said + index}" for index in range(number)]
        said += number
        await session.say(" ".join(words) + ".", word_ms=250)


IDLE = {"bot": voxwire.BotState.IDLE}


async def says_and_is_cut(talk: Talk) -> None:
    await talk.until(voxwire.StateChanged, **IDLE)
    await talk.session.send_text("say 3")
    await talk.until(voxwire.UtteranceEnded)
    await talk.until(voxwire.StateChanged, **IDLE)
    await talk.session.send_text("say 9")
    await talk.until(voxwire.BotWord, index=2)
    await talk.session.interrupt()
    await talk.until(voxwire.StateChanged, **IDLE)
    await talk.session.send_message("nobody answers this", request_id="r1")
    await talk.until(voxwire.ErrorEvent)
    await talk.session.send_text("say 2")
    await talk.until(voxwire.UtteranceEnded)
    await talk.until(voxwire.StateChanged, **IDLE)


def test_turns_an_interruption_and_a_request_that_nobody_answers() -> None:
    real, fake = both(make_bot(), counts, says_and_is_cut, close=nothing)
    assert fake.sequence() == real.sequence()
    assert fake.responses() == real.responses()
    for talk in (real, fake):
        heard = talk.words()
        assert heard["u1"] == ["w0", "w1", "w2."]
        assert heard["u3"] == ["w12", "w13."]
        assert 3 <= len(heard["u2"]) < 9
        ended = next(
            it
            for it in talk.events
            if isinstance(it, voxwire.UtteranceEnded) and it.utterance_id == "u2"
        )
        assert ended.heard_words == len(heard["u2"])


async def loses_its_connection(talk: Talk) -> None:
    await talk.until(voxwire.StateChanged, **IDLE)
    await talk.session.send_text("say 12")
    await talk.until(voxwire.BotWord, index=2)
    talk.session.simulate.drop_control()
    await talk.until(voxwire.PathChanged)
    await talk.until(voxwire.UtteranceEnded)
    await talk.until(voxwire.StateChanged, **IDLE)


def test_a_connection_that_is_lost_in_mid_sentence() -> None:
    real, fake = both(make_bot(), counts, loses_its_connection, close=nothing)
    assert fake.sequence() == real.sequence()
    assert fake.words() == real.words()
    assert len(fake.words()["u1"]) == 12


async def close_espeak() -> None:
    await shared_espeak().aclose()


OFFLINE = LoadedBot(name="offline", run=offline.bot, warm=offline.warm, close=offline.close)


async def shows(session: FakeSession) -> None:
    """What the offline bot does: it greets, and asks for the map."""
    await session.say("Hello.")
    await session.text()
    answer = await session.call_tool("show_on_map", {"place": "Paris"})
    await session.say(f"It is on your map: {answer.value}.")
    await session.text()


async def asks_for_the_map(talk: Talk) -> None:
    await talk.until(voxwire.BotWord)
    await talk.session.interrupt()
    await talk.until(voxwire.StateChanged, **IDLE)
    await talk.session.send_text("show Paris on the map")
    await talk.until(voxwire.ToolCallEnded)
    await talk.until(voxwire.UtteranceEnded)
    await talk.until(voxwire.StateChanged, **IDLE)


@voxwire.tool
async def show_on_map(place: str) -> str:
    """Show a place on the user's map.

    Args:
        place: A city.
    """
    await asyncio.sleep(0.05)
    return f"{place} pinned"


def test_a_tool_of_the_client() -> None:
    real, fake = both(OFFLINE, shows, asks_for_the_map, close=close_espeak, tools=[show_on_map])
    begun = ("UserTranscript", "show Paris on the map", True, True, "t1")
    turns = [talk.sequence()[talk.sequence().index(begun) :] for talk in (real, fake)]
    assert turns[1] == turns[0]
    assert fake.responses()[-1] == real.responses()[-1] == "It is on your map: Paris pinned."


async def is_spoken_to(session: FakeSession) -> None:
    """What the offline bot does when somebody speaks while it greets."""
    speaking = asyncio.create_task(session.say(" ".join(["hello"] * 40)))
    await session.listen("what time is it")
    assert (await speaking).interrupted
    await session.text()


async def spoken(path: Path) -> None:
    try:
        await render_wav(path, "what time is it")
    finally:
        await close_espeak()


class Later:
    """A microphone that is silent until `begin`, then plays a WAV."""

    def __init__(self, path: Path) -> None:
        self._clip = voxwire.ClipMicrophone()
        with wave.open(str(path)) as file:
            self._rate = file.getframerate()
            self._samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")

    def begin(self) -> None:
        self._clip.play(self._samples, sample_rate=self._rate)

    def read(self, num_samples: int) -> Any:
        return self._clip.read(num_samples)

    async def run(self) -> None:
        return


def test_a_user_who_speaks_while_the_bot_does(tmp_path: Path) -> None:
    asyncio.run(spoken(tmp_path / "time.wav"))
    microphone = Later(tmp_path / "time.wav")

    async def speaks(talk: Talk) -> None:
        await talk.until(voxwire.BotWord, index=1)
        microphone.begin()
        await talk.until(voxwire.UserTranscript, final=True)
        await talk.until(voxwire.StateChanged, bot=voxwire.BotState.THINKING)

    real, fake = both(OFFLINE, is_spoken_to, speaks, close=close_espeak, microphone=microphone)
    began = ("StateChanged", voxwire.BotState.SPEAKING, voxwire.UserState.SPEAKING)
    over = ("StateChanged", voxwire.BotState.THINKING, voxwire.UserState.SILENT)
    turns = []
    for talk in (real, fake):
        told = talk.sequence()
        turns.append(told[told.index(began) :])
        turns[-1] = turns[-1][: turns[-1].index(over) + 1]
    # what a recogniser makes of it is its own; a busy machine's report of what was heard comes late
    told_by = [
        [it[:1] + it[2:] if it[0] == "UserTranscript" else it[:3] for it in t] for t in turns
    ]
    assert told_by[1] == told_by[0]
    assert len(told_by[0]) == 7
