"""The owner of twenty speaking calls is killed: they go on in others, with all that was heard."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

import voxwire
from tests.support.cluster import Call, bot_file, calls, cpu_s, show, words_of
from tests.support.engines import MISSING, engine
from tests.support.replicas import service

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(240),
]

Context = list[dict[str, Any]]

NUM, WEBRTC = 20, 4
RESUMED_S = 3.0
SURE_S = 0.25
"""What was heard so long before is kept, seconds, beyond what a trip takes at that moment."""
MOST_S = 0.3
"""The same at most, whatever a trip takes; and so long before the kill trips are looked at."""
TYPING, TYPED_S = 5, 0.4
"""So many users type something just before the kill, so many seconds before it."""
WRITTEN_ONLY = "Nice to meet you, Alice."


def heard_words(events: list[voxwire.Event]) -> list[list[str]]:
    """The words of each utterance that sounded."""
    utterances: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event, voxwire.BotWord):
            utterances.setdefault(event.utterance_id, []).extend(words_of(event.text))
    return list(utterances.values())


def said(context: Context, role: str) -> list[str]:
    """All words of one role in a context."""
    return words_of(" ".join(str(it["content"]) for it in context if it.get("role") == role))


def has(words: list[str], part: list[str]) -> bool:
    """Whether a run of words is part of another one."""
    size = len(part)
    return any(words[at : at + size] == part for at in range(len(words) - size + 1))


def lost_s(call: Call, context: Context, killed_s: float) -> float:
    """How long before the kill the oldest word was heard that is not kept; 0 = all are."""
    bot, so_far = said(context, "assistant"), list[voxwire.Event]()
    for event, came_s in zip(call.heard.events, call.heard.at_s, strict=True):
        so_far.append(event)
        if isinstance(event, voxwire.BotWord) and not has(bot, heard_words(so_far)[-1]):
            return max(0.0, killed_s - came_s)
    return 0.0


def unheard(call: Call, context: Context) -> int:
    """How many words are in the context beyond those that were heard."""
    heard = sum(len(words) for words in heard_words(call.heard.events))
    return max(0, len(said(context, "assistant")) - heard - len(words_of(WRITTEN_ONLY)))


def check_user(call: Call, context: Context, before_s: float, num_turns: int) -> None:
    """What the user had said by then is in the context, in order."""
    said_by_then = [
        event.text
        for event in call.until_s(before_s)
        if isinstance(event, voxwire.UserTranscript) and event.final
    ]
    assert len(said_by_then) == num_turns
    kept = [it["content"] for it in context if it.get("role") == "user"]
    assert kept == said_by_then


class Pulse:
    """Asks a call's process for an answer all the time.

    Attributes:
        trips_s: When each answer came, and how long it took, seconds.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._asked_s: float | None = None
        self.trips_s: list[tuple[float, float]] = []

    async def run(self) -> None:
        """Until the process is no more."""
        while True:
            self._asked_s = asked_s = time.monotonic()
            await self._call.session.call("count", 0)
            self._asked_s, now_s = None, time.monotonic()
            self.trips_s.append((now_s, now_s - asked_s))
            await asyncio.sleep(0.02)  # real time: pace

    def slowest_s(self, now_s: float) -> float:
        """The slowest trip of the last 300 ms, one that is not over included, seconds."""
        owed_s = 0.0 if self._asked_s is None else now_s - self._asked_s
        return max([owed_s, *(took for at, took in self.trips_s if at > now_s - MOST_S)])


async def test_calls_go_on_when_their_process_is_killed(tmp_path: Path) -> None:
    settings = {"VOXWIRE_MAX_LAG_MS": "0"}
    with engine() as redis:
        async with service(redis, tmp_path, 3, bot=bot_file(tmp_path), **settings) as house:
            owner = house.replicas[0]
            house.door.replicas = [owner]
            async with calls(house.door.url, NUM, webrtc=WEBRTC) as ours:
                await asyncio.gather(*(call.ask("my name is Alice", "Alice") for call in ours))
                await asyncio.gather(*(call.tell_a_story(20) for call in ours))
                began_s, began_cpu_s = time.monotonic(), cpu_s(owner.pid)
                pulse = Pulse(ours[-1])
                beating = asyncio.create_task(pulse.run())
                await asyncio.sleep(2 - TYPED_S)  # real time: slow
                for call in ours[-TYPING:]:
                    await call.session.send_text("I am in a hurry", run=False)
                await asyncio.sleep(TYPED_S)  # real time: slow
                used = (cpu_s(owner.pid) - began_cpu_s) / (time.monotonic() - began_s)
                print(f"\nthe owner used {used:.2f} of a core")
                ids = [call.session.id for call in ours]
                house.door.replicas = house.replicas
                killed_s = time.monotonic()
                before_s = min(MOST_S, SURE_S + pulse.slowest_s(killed_s))
                beating.cancel()
                await owner.kill()
                show("round trip of a request", [1000 * it for _, it in pulse.trips_s])
                print(f"what was heard {1000 * before_s:.0f} ms before the kill has to be kept")
                away = owner.log.read_text().count("the engine cannot be reached")
                print(f"the engine did not answer the owner {away} times")
                after_s = [await call.connected_s(killed_s) - killed_s for call in ours]
                show("resumed behind the kill", [1000 * it for it in after_s])
                contexts = [await call.session.call("context") for call in ours]
                pairs = list(zip(ours, contexts, strict=True))
                lost = [lost_s(*pair, killed_s) for pair in pairs]
                show("the oldest word that is not kept, before the kill", [1000 * s for s in lost])
                show("words kept that were not heard", [unheard(*it) for it in pairs], "words")
                await asyncio.gather(*(call.ask("what is my name", "Alice") for call in ours))
                spoke_s = time.monotonic()
                await asyncio.gather(*(call.tell_a_story(5) for call in ours))  # and it is heard
                assert all(call.ear.between(spoke_s, time.monotonic(), 0) for call in ours)
                assert [call.session.id for call in ours] == ids
                assert not any(call.heard.of(voxwire.SessionEnded) for call in ours)
                assert {call.session.transport for call in ours[:WEBRTC]} == {"webrtc"}
                assert max(after_s) <= RESUMED_S, sorted(after_s)
                assert max(lost) <= before_s, sorted(lost)
                for call, context in pairs:
                    num_turns = 3 if call in ours[-TYPING:] else 2
                    check_user(call, context, killed_s - before_s, num_turns)
