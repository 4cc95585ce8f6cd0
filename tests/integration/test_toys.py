"""What is written against the ports alone holds a conversation with the bot of `make run`."""

import ast
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor

from tests.integration.toys.toy_channel import ToyChannel
from tests.integration.toys.toy_path import RATE, ToyPath
from tests.support.espeak import render_pcm
from tests.support.noted_keys import NotedKeys
from tests.support.waiting import DEADLINE_S, PATIENT, until
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
_TRIES = 4
_ANSWER_S = 12.0
"""Longer than a sentence and what is said to it take."""


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


# the bot, and who looks into it


@dataclass
class Inside:
    """What the bot knows."""

    keys: list[str] = field(default_factory=list)
    context: LLMContext = field(default_factory=LLMContext)

    @property
    def said(self) -> list[str]:
        """What its model remembers of having said."""
        return [str(m["content"]) for m in self._messages("assistant") if m.get("content")]

    @property
    def asked(self) -> list[str]:
        """What it has understood."""
        return [str(m["content"]) for m in self._messages("user")]

    def _messages(self, role: str) -> list[dict[str, Any]]:
        messages: list[Any] = list(self.context.get_messages())
        return [m for m in messages if isinstance(m, dict) and m.get("role") == role]


class _Watched(BotSession):
    """The offline bot's session; its pipeline has a probe, its context is shown."""

    inside: Inside

    def aggregators(self, context: LLMContext, **user_params: Any) -> Any:
        self.inside.context = context
        return super().aggregators(context, **user_params)

    async def run(self, processors: Sequence[FrameProcessor], **options: Any) -> None:
        first, *rest = processors
        await super().run([first, NotedKeys(self.inside.keys), *rest], **options)


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
        session.__class__ = _Watched
        vars(session)["inside"] = inside
        await offline.bot(session)

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


async def understood(path: ToyPath, inside: Inside, text: str) -> None:
    """Wait until it is, and say it again: a machine that stands still loses some of it."""
    for _ in range(_TRIES):
        with suppress(TimeoutError):
            await until(lambda: text.lower() in inside.asked, timeout_s=_ANSWER_S)
            return
        path.say(await spoken(text))
    raise AssertionError(inside.asked)


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
        assert inside.asked == ["my name is Emma"]
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
        check_cut(channel, path, before=0)
        channel.text("tell me a story")
        await until(lambda: len(path.speaker.samples) > path.cuts[0] + 3 * RATE)
        path.say(await spoken("my name is Emma"))
        await until(lambda: len(ends(channel)) == 2)
        check_cut(channel, path, before=path.cuts[0])
        await understood(path, inside, "my name is Emma")
        await until(lambda: "Emma" in says(channel))
        for number, ended in enumerate(ends(channel)[:2]):
            heard = words_of(channel, ended.utterance_id)[: ended.heard_words]
            assert inside.said[number].split() == [word for _, word in heard]


def check_cut(channel: ToyChannel, path: ToyPath, *, before: int) -> None:
    """The last utterance was cut, and ends where the speaker fell silent.

    Args:
        channel: Where it was told.
        path: What has played it, and nothing since.
        before: How many samples had sounded before it.
    """
    ended = ends(channel)[-1]
    assert ended.end == wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
    assert ended.heard_source == wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
    [began_ms] = [
        started.media_ms
        for started in told(channel, "utterance_started")
        if started.utterance_id == ended.utterance_id
    ]
    played_ms = (path.cuts[-1] - before) * 1000 / RATE
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
        path.say(await spoken("tell me a story"))  # into the greeting
        await understood(path, inside, "tell me a story")
        greeting_end = path.cuts[0]
        await until(lambda: len(path.speaker.samples) > greeting_end + 3 * RATE)
        story = path.speaker.samples[greeting_end:]
        assert np.abs(story.astype(int)).max() > 2000
        path.press("4#")
        await until(lambda: inside.keys == ["4", "#"])
        path.say(await spoken("my name is Emma"))
        await understood(path, inside, "my name is Emma")
        await until(lambda: any("Emma" in said for said in inside.said))
