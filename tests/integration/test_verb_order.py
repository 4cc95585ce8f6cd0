"""What a client asks takes effect in the order in which it was asked: every pair of its verbs.

A pair is sent at once, over the real wire. What must come of it is written down beside the verbs,
not beside the pairs: what the model knows, what it answers, which keys the bot was given, whether
the microphone is closed.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

import voxwire
from tests.support.calling import make_bot as calling_bot
from tests.support.calling import results
from tests.support.clicks import ClickTTS, ScriptedLLM
from tests.support.inside import bot_is_idle, last_received, muted, only_session, utterances_open
from tests.support.noted_keys import NotedKeys
from tests.support.raw import RawClient, dial
from voxwire_protocol import wire
from voxwire_server import BotSession
from voxwire_server.testing import running_server

LONG = "say 30"
"""An answer of 8 s: one that goes on does not end by itself."""


@dataclass
class Expected:
    """What must hold when a pair of verbs has had its effect."""

    known: list[str] = field(default_factory=list[str])
    """Texts that the model must know, in order."""
    void: set[str] = field(default_factory=set[str])
    """Texts that were voided: the model knows them or not."""
    asked: str = ""
    """The text whose answer must be heard to its end; empty = the bot is idle and stays so."""
    keys: str = ""
    muted: bool = False


@dataclass(frozen=True)
class Verb:
    """A verb of the client.

    Attributes:
        method: The method of ``voxwire.Session`` that it is.
        say: Says it; is given the session and a text that is this verb's own.
        expect: What it adds to what must hold.
    """

    method: str
    say: Callable[[voxwire.Session, str], Awaitable[None]]
    expect: Callable[[Expected, str], None]


def _text(expected: Expected, text: str) -> None:
    expected.known.append(text)
    expected.asked = text


def _cut(expected: Expected, _: str) -> None:
    if expected.asked:
        expected.known.remove(expected.asked)
        expected.void.add(expected.asked)
    expected.asked = ""


VERBS = {
    "text": Verb("send_text", lambda s, t: s.send_text(t), _text),
    "text over it": Verb(
        "send_text",
        lambda s, t: s.send_text(t, interrupt=True),
        lambda e, t: (_cut(e, t), _text(e, t)),
    ),
    "note": Verb(
        "send_context",
        lambda s, t: s.send_context(t),
        lambda e, t: e.known.append(t),
    ),
    "interrupt": Verb("interrupt", lambda s, _: s.interrupt(), _cut),
    "mute": Verb("mute", lambda s, _: s.mute(), lambda e, _: setattr(e, "muted", True)),
    "unmute": Verb("mute", lambda s, _: s.mute(False), lambda e, _: setattr(e, "muted", False)),
    "key 1": Verb(
        "send_message",
        lambda s, _: s.send_message("dtmf", {"digits": "1"}),
        lambda e, _: setattr(e, "keys", e.keys + "1"),
    ),
    "key 2": Verb(
        "send_dtmf",
        lambda s, _: s.send_dtmf("2"),
        lambda e, _: setattr(e, "keys", e.keys + "2"),
    ),
    "message": Verb("send_message", lambda s, _: s.send_message("hint", 1), lambda e, _: None),
}
READS = {"acknowledged", "wait_for"}
PACED = {"send_file", "call", "play", "user_activity"}
"""Comes at the pace of the server; what it comes behind and before: test_files.py. A request is a
message that waits for its answer: test_requests.py. What is played comes in real time:
clients/python/tests/test_play.py. Activity is told once a second at most: test_user_state.py.
"""
HERE = {"set_microphone", "set_speaker"}
"""Says nothing to the server: clients/python/tests/test_exchange.py."""
ENDS = {"close"}


class Bot:
    """A bot that can be looked into."""

    def __init__(self) -> None:
        self.context = LLMContext()
        self.keys: list[str] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, session: BotSession) -> None:
        await self.go_on.wait()
        user, assistant = session.aggregators(self.context, vad_analyzer=None)
        parts = (NotedKeys(self.keys), user, ScriptedLLM(), ClickTTS())
        await session.run([session.input(), *parts, session.output(), assistant])

    def known(self) -> list[str]:
        """What the user said, as far as the model knows."""
        messages: list[Any] = self.context.get_messages()
        return [str(m["content"]) for m in messages if m["role"] == "user"]


async def had_effect(session: voxwire.Session, bot: Bot) -> None:
    """Wait until the bot knows something that was said behind all."""
    marker = f"marker {len(bot.known())}"
    await session.send_text(marker, run=False)
    while marker not in bot.known():
        await asyncio.sleep(0.01)


async def heard(session: voxwire.Session) -> None:
    """Wait until an answer was heard to its end."""
    while (await session.wait_for(voxwire.UtteranceEnded)).end != voxwire.UtteranceEnd.COMPLETED:
        pass


def test_every_verb_of_the_client_is_tried() -> None:
    methods = {
        name
        for name, method in inspect.getmembers(voxwire.Session)
        if not name.startswith("_") and inspect.iscoroutinefunction(method)
    }
    assert methods == {verb.method for verb in VERBS.values()} | READS | PACED | HERE | ENDS


@pytest.mark.parametrize("first", VERBS)
async def test_two_verbs_at_once(first: str) -> None:
    bot = Bot()
    async with (
        asyncio.timeout(60),
        running_server(bot) as server,
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        for second in VERBS:
            expected = Expected(muted=muted(only_session(server)))
            before, keys_before = len(bot.known()), len(bot.keys)
            for place, name in enumerate((first, second)):
                text = LONG if second == "interrupt" else f"say 1 {first} {place}"
                VERBS[name].expect(expected, text)
                await VERBS[name].say(session, text)
            if expected.asked:
                await heard(session)
            await had_effect(session, bot)
            known = [text for text in bot.known()[before:-1] if text not in expected.void]
            assert known == expected.known, (first, second)
            assert "".join(bot.keys[keys_before:]) == expected.keys, (first, second)
            assert muted(only_session(server)) == expected.muted, (first, second)
            if not expected.asked:
                assert bot_is_idle(only_session(server)), (first, second)
                assert not utterances_open(only_session(server)), (first, second)


async def test_what_was_said_before_the_pipeline_started_happens_in_order() -> None:
    bot = Bot()
    bot.go_on.clear()
    async with asyncio.timeout(60), running_server(bot) as server, dial(server.url) as client:
        await client.send(send_text=wire.SendText(text="void"))
        await client.send(interrupt=wire.Interrupt())
        for number in range(3):
            await client.send(send_text=_note(f"note {number}"))
        await client.send(app_message=wire.AppMessage(type="dtmf", data_json='{"digits": "42"}'))
        await client.send(send_text=wire.SendText(text="say 1"))
        while last_received(only_session(server)) < 7:
            await asyncio.sleep(0.01)
        bot.go_on.set()
        await client.open_path(1)
        await client.until(lambda: bool(client.of("utterance_ended")))
        assert bot.known() == ["note 0", "note 1", "note 2", "say 1"]
        assert bot.keys == ["4", "2"]


async def test_more_than_may_wait_is_refused_and_the_rest_is_kept() -> None:
    bot = Bot()
    bot.go_on.clear()
    async with asyncio.timeout(60), running_server(bot) as server, dial(server.url) as client:
        for number in range(40):
            await client.send(send_text=_note(str(number)))
        await client.until(lambda: len(client.of("error")) == 8)
        bot.go_on.set()
        while len(bot.known()) < 32:
            await asyncio.sleep(0.01)
        assert bot.known() == [str(number) for number in range(32)]


def _note(text: str) -> wire.SendText:
    return wire.SendText(text=text, run_immediately=False)


MESSAGES: dict[str, dict[str, Any]] = {
    "text": {"send_text": wire.SendText(text=LONG)},
    "note": {"send_text": _note("by the way")},
    "interrupt": {"interrupt": wire.Interrupt()},
    "mute": {"mute": wire.Mute(muted=True)},
    "key": {"app_message": wire.AppMessage(type="dtmf", data_json='{"digits": "1"}')},
    "bye": {"bye": wire.Bye()},
}


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_goodbye_ends_the_session_whatever_stands_beside_it(name: str) -> None:
    async with asyncio.timeout(60), running_server(Bot()) as server:
        for pair in ((name, "bye"), ("bye", name)):
            async with dial(server.url) as client:
                await client.open_path(1)
                for verb in pair:
                    await client.send(**MESSAGES[verb])
                await client.until(lambda c=client: bool(c.of("session_ended")))
                [ended] = client.of("session_ended")
                assert ended.reason == wire.EndReason.END_REASON_CLIENT, pair
                assert not client.of("utterance_started"), pair


# tool verbs that cut


async def called(client: RawClient) -> wire.ToolRequest:
    """Have the model call a tool of the client's."""
    await client.open_path(1)
    await client.send(send_text=wire.SendText(text="call show_on_map {}"))
    await client.until(lambda: bool(client.of("tool_request")))
    request = client.of("tool_request")[-1]
    assert isinstance(request, wire.ToolRequest)
    return request


async def test_a_result_behind_an_interruption_does_not_overtake_it() -> None:
    contexts: dict[str, LLMContext] = {}
    bot = calling_bot(lambda session: session.client_tools(["show_on_map"]), contexts)
    tool = wire.ToolDeclaration(name="show_on_map", parameters_json='{"type": "object"}')
    async with asyncio.timeout(60), running_server(bot) as server:
        client = RawClient(server.url)
        features = [wire.Feature.FEATURE_CLIENT_TOOLS]
        await client.attach(client.hello(tools=[tool], features=features))
        await client.until(lambda: bool(client.welcomes))
        request = await called(client)
        await client.send(interrupt=wire.Interrupt())
        await client.send(
            tool_result=wire.ToolResult(
                call_id=request.call_id, call_token=request.call_token, result_json='{"a": 1}'
            )
        )
        await client.until(lambda: bool(client.of("tool_call_ended")))
        [end] = client.of("tool_call_ended")
        assert end.outcome == wire.ToolOutcome.TOOL_OUTCOME_CANCELLED
        [context] = contexts.values()
        assert results(context) == ["CANCELLED"]
        assert not client.of("utterance_started")
        await client.drop()
