"""What is written against the ports alone holds a conversation with the bot of `make run`."""

import ast
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.toys.toy_channel import ToyChannel
from tests.integration.toys.toy_path import RATE, ToyPath
from tests.support.espeak import render_pcm
from tests.support.waiting import DEADLINE_S, PATIENT, once_more, until
from tests.support.watched_bot import Inside, run_offline
from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_server import BotSession, Settings, create_app, lifespan
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.control.none import NoChannel
from voxwire_server.ports import ControlChannel, SessionFacts
from voxwire_server.session.session import Session
from voxwire_server.session.ticket import Here, Ticket

TOYS = Path(__file__).parent / "toys"
WORDS = frozenset({wire.Feature.FEATURE_WORDS})
SLACK_MS = 20


# what a toy may be


@pytest.mark.parametrize("name", ["toy_path.py", "toy_channel.py"])
def test_a_toy_is_short_and_knows_only_the_ports(name: str) -> None:
    text = (TOYS / name).read_text("utf-8")
    assert len(text.splitlines()) <= 60
    imported: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module or ".")
        elif isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
    assert imported == {"voxwire_server.ports", "voxwire.testing"}


# the call


class Call:
    """An arrival: whoever comes by a channel that needs nothing but itself."""

    def __init__(self, channel: ControlChannel) -> None:
        self._channel = channel

    def channel(self, features: frozenset[wire.Feature], clock: Clock) -> ControlChannel:
        return self._channel

    def bind(self, session: Session) -> None:
        """Nothing is said first."""

    def coming(self, session: Session) -> None:
        """It never comes back."""

    def leave(self, session: Session) -> None:
        session.end(wire.EndReason.END_REASON_CLIENT)


@asynccontextmanager
async def called(channel: ControlChannel) -> AsyncIterator[tuple[Session, Inside]]:
    """A session with the offline bot, made through the front door."""
    inside = Inside()

    async def bot(session: BotSession) -> None:
        await run_offline(session, inside)

    app = create_app(
        Settings(**PATIENT),
        LoadedBot(name="offline", run=bot, warm=offline.warm, close=offline.close),
    )
    async with asyncio.timeout(2 * DEADLINE_S), lifespan(app)(app):
        facts = SessionFacts(features=channel.features)
        answer = await app.state.directory.attach(Ticket(is_local=True), facts, Call(channel))
        assert isinstance(answer, Here)
        yield answer.session, inside
        answer.session.end(wire.EndReason.END_REASON_CLIENT)
        await answer.session.ended.wait()


def rung(session: Session) -> ToyPath:
    """A telephone on that session."""
    path = ToyPath(1, session.path_sink(1), session.path_sound(1, RATE))
    session.path_opened(path)
    return path


async def spoken(text: str) -> bytes:
    """A sentence over the telephone."""
    pcm, _ = await render_pcm(text, sample_rate=RATE)
    return pcm


async def said_until(path: ToyPath, text: str, true: Callable[[], object]) -> None:
    """The user says it until something holds."""
    voice = await spoken(text)

    async def say() -> None:
        path.say(voice)

    await once_more(say, true)


# what a client was told


def told(channel: ToyChannel, kind: str) -> list[Any]:
    """The payloads of one kind, in order."""
    return [getattr(e, kind) for e in channel.sent if e.WhichOneof("payload") == kind]


def words_of(channel: ToyChannel, utterance_id: str) -> list[tuple[float, str]]:
    """The words of an utterance: where each begins on the media clock, ms, and its text."""
    found: dict[int, tuple[float, str]] = {}
    for batch in told(channel, "utterance_words"):
        if batch.utterance_id == utterance_id:
            for index, word in enumerate(batch.words, batch.first_index):
                text = batch.text[
                    word.char_start - batch.text_offset : word.char_end - batch.text_offset
                ]
                found[index] = batch.base_media_ms + word.start_ms, text
    return [found[index] for index in sorted(found)]


def ends(channel: ToyChannel) -> list[Any]:
    """How the utterances ended, so far."""
    return told(channel, "utterance_ended")


def says(channel: ToyChannel) -> str:
    """What the bot has begun to say, all of it."""
    return "".join(batch.text for batch in told(channel, "utterance_words"))


# conversations


async def test_a_control_channel_holds_a_conversation() -> None:
    """Typed questions, answers word by word, an interruption, a goodbye; a telephone to hear it."""
    channel = ToyChannel(WORDS)
    async with called(channel) as (session, inside):
        rung(session)
        await until(lambda: told(channel, "utterance_words"))
        channel.interrupt()
        await until(lambda: ends(channel))
        channel.text("my name is Emma")
        await until(lambda: "Emma" in says(channel))
        [interrupted] = told(channel, "interrupted")[:1]
        assert interrupted.source == wire.InterruptionSource.INTERRUPTION_SOURCE_CLIENT
        await until(lambda: len(ends(channel)) == 2)
        assert ends(channel)[-1].end == wire.UtteranceEnd.UTTERANCE_END_COMPLETED
        assert inside.asked == ["my name is emma"]
        channel.bye()
        await session.ended.wait()
    assert told(channel, "session_ended")[0].reason == wire.EndReason.END_REASON_CLIENT
    assert channel.closed == (1000, "session ended")


async def test_what_was_heard_of_a_cut_is_what_the_telephone_has_played() -> None:
    """Twice: the client interrupts the greeting, and the user speaks into a story."""
    channel = ToyChannel(WORDS)
    async with called(channel) as (session, inside):
        path = rung(session)
        await until(lambda: len(path.speaker.samples) > RATE)
        channel.interrupt()
        await until(lambda: ends(channel))
        check_cut(channel, path, 0)
        channel.text("tell me a story")
        await until(lambda: len(path.speaker.samples) > path.cuts[0] + 3 * RATE)
        await said_until(path, "my name is Emma", lambda: "Emma" in says(channel))
        check_cut(channel, path, 1)
        for number, ended in enumerate(ends(channel)[:2]):
            heard = words_of(channel, ended.utterance_id)[: ended.heard_words]
            assert inside.said("assistant")[number].split() == [word for _, word in heard]


def check_cut(channel: ToyChannel, path: ToyPath, number: int) -> None:
    """An utterance was cut, and ends where the speaker fell silent.

    Args:
        channel: Where it was told.
        path: What has played it.
        number: Which, of those that have ended; all before it were cut, too.
    """
    ended = ends(channel)[number]
    assert ended.end == wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
    assert ended.heard_source == wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
    [began_ms] = [
        started.media_ms
        for started in told(channel, "utterance_started")
        if started.utterance_id == ended.utterance_id
    ]
    before = path.cuts[number - 1] if number else 0
    played_ms = (path.cuts[number] - before) * 1000 / RATE
    assert abs(ended.heard_media_ms - began_ms - played_ms) <= SLACK_MS
    onsets = [at_ms - began_ms for at_ms, _ in words_of(channel, ended.utterance_id)]
    least = sum(at_ms < played_ms - SLACK_MS for at_ms in onsets)
    most = sum(at_ms < played_ms + SLACK_MS for at_ms in onsets)
    assert least <= ended.heard_words <= most
    assert ended.heard_words > 0


async def test_a_telephone_alone_holds_a_conversation() -> None:
    """No control channel: a question spoken into the greeting, its answer heard, keys."""
    async with called(NoChannel()) as (session, inside):
        path = rung(session)
        await until(lambda: len(path.speaker.samples) > RATE // 2)
        await said_until(path, "tell me a story", lambda: "tell me a story" in inside.asked)
        greeting_end = path.cuts[0]
        await until(lambda: len(path.speaker.samples) > greeting_end + 3 * RATE)
        story = path.speaker.samples[greeting_end:]
        assert np.abs(story.astype(int)).max() > 2000
        path.press("4#")
        await until(lambda: inside.keys == ["4", "#"])

        def known() -> bool:
            return any("Emma" in said for said in inside.said("assistant"))

        await said_until(path, "my name is Emma", known)
