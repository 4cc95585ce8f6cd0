"""A spoken conversation with the gemini bot on the local peer, as the integration tests hold it."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.espeak import EspeakClient, render_pcm
from tests.support.gemini_live_peer import GeminiPeer, running_peer
from tests.support.listening import Ear, monotonic
from voxwire_server import BotSession
from voxwire_server.bots.conversing import converse
from voxwire_server.bots.gemini import build_service
from voxwire_server.testing import running_server

STORY = "tell me a long story"
WEATHER = "what is the weather in Paris"
RESTAURANT = "find a Japanese restaurant in London"


@dataclass
class Line:
    """A server with the gemini bot, and the peer that it talks to."""

    url: str
    peer: GeminiPeer
    contexts: list[LLMContext] = field(default_factory=list[LLMContext])

    def answers(self, number: int = -1) -> list[str]:
        """What the assistant said in a session, as its log has it."""
        messages: list[Any] = self.contexts[number].get_messages()
        return [m["content"] for m in messages if m["role"] == "assistant" and m.get("content")]


@asynccontextmanager
async def line(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[Line]:
    """Run the peer and the server, with all that a first session would have to import."""
    importlib.import_module("pipecat.services.google.gemini_live.llm")
    importlib.import_module("voxwire_server.pipeline.speech_models.gemini")
    contexts: list[LLMContext] = []

    async def bot(session: BotSession) -> None:
        context = LLMContext()
        contexts.append(context)
        await converse(session, build_service(session), context)

    async with running_peer(**settings) as peer:
        for name, value in peer.env.items():
            monkeypatch.setenv(name, value)
        async with running_server(bot) as server:
            yield Line(server.url, peer, contexts)


@dataclass
class Talk:
    """One client's side of a conversation: every event, in order."""

    session: voxwire.Session
    microphone: voxwire.ClipMicrophone
    ear: Ear
    espeak: EspeakClient
    events: list[Any] = field(default_factory=list[Any])
    positions: list[int] = field(default_factory=list[int])
    """For each event, how far the speaker was, milliseconds of the media clock."""

    times: list[float] = field(default_factory=list[float])
    """For each event, when it was read (the clock of :class:`Ear`)."""

    async def say(self, text: str) -> None:
        """Say something; returns when it was said."""
        pcm, _ = await render_pcm(text, client=self.espeak)
        await self.microphone.play(np.frombuffer(pcm, np.int16)).wait()

    async def next(self) -> Any:
        """The next event."""
        event = await anext(self.session)
        self.events.append(event)
        self.positions.append(self.session.position_ms)
        self.times.append(monotonic())
        return event

    async def until(self, kind: type[Any], **fields: Any) -> Any:
        """The next event of a kind whose fields are these."""
        while True:
            event = await self.next()
            if isinstance(event, kind) and all(
                getattr(event, name) == value for name, value in fields.items()
            ):
                return event

    async def until_seen(
        self, first: int, done: Callable[[list[type[Any]]], bool], seconds: float = 60
    ) -> None:
        """Read on until the kinds of events since number ``first``, words of the cut turn aside,
        satisfy ``done``; with everything that came in the error if they do not in time.
        """
        try:
            async with asyncio.timeout(seconds):
                started = False
                while True:
                    event = await self.next()
                    started = started or isinstance(event, voxwire.UtteranceStarted)
                    kinds = [type(e) for e in self.events[first:]]
                    if started and isinstance(event, voxwire.BotWord) and done(kinds):
                        return
        except TimeoutError:
            raise AssertionError("\n".join(str(e)[:150] for e in self.events[first:])) from None

    async def answer(self, seconds: float = 60) -> list[voxwire.BotWord]:
        """Hear the bot until its next utterance is over; its words as they fired.

        Raises:
            AssertionError: It was not over in time; with everything that came meanwhile.
        """
        first = len(self.events)
        words: list[voxwire.BotWord] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    event = await self.next()
                    if isinstance(event, voxwire.BotWord):
                        words.append(event)
                    elif isinstance(event, voxwire.UtteranceEnded):
                        return words
        except TimeoutError:
            came = "\n".join(str(e)[:150] for e in self.events[first:])
            raise AssertionError(f"no answer within {seconds} s; what came:\n{came}") from None

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def talk(line: Line, transport: str = "websocket") -> AsyncIterator[Talk]:
    """Connect a client that can be spoken to and that keeps what it hears."""
    microphone, ear = voxwire.ClipMicrophone(), Ear()
    async with voxwire.connect(
        line.url, microphone=microphone, speaker=ear, transport=transport
    ) as session:
        yield Talk(session, microphone, ear, line.peer.espeak)
