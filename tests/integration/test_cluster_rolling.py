"""Three processes are begun anew one after the other under twenty calls: nobody's call ends."""

import asyncio
import contextlib
import signal
import time
from pathlib import Path

import pytest

import voxwire
from tests.support.cluster import Call, bot_file, calls, show
from tests.support.engines import MISSING, engine
from tests.support.replicas import service

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(240),
]

NUM, WEBRTC = 20, 4
ANSWERS_S = 10.0
HEARD_S = 8.0
PAUSE_S = 0.5
WORDS = 3
"""So many are heard behind the last move: more than could be on their way before it."""


class Talk:
    """A call whose user asks, hears the answer, waits, and asks again.

    Attributes:
        answered: How often.
        cut: How often an answer was not heard to its end.
        skipped: How often it was moved to another process meanwhile.
        unanswered: How often nothing came.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.answered = self.cut = self.skipped = self.unanswered = 0

    async def go_on(self) -> None:
        """Until it is cancelled."""
        while True:
            heard = self.call.heard
            since = len(heard.events)
            await self.call.session.send_text("my name is Alice")
            try:
                async with asyncio.timeout(ANSWERS_S):
                    await heard.until(
                        lambda heard=heard, since=since: self._is_over(heard.events[since:])
                    )
            except TimeoutError:
                self.unanswered += 1
            await asyncio.sleep(PAUSE_S)  # real time: pace

    def _is_over(self, events: list[voxwire.Event]) -> bool:
        """Whether the answer was heard, or is not to be heard any more."""
        begun = {it.utterance_id for it in events if isinstance(it, voxwire.UtteranceStarted)}
        for event in events:
            if isinstance(event, voxwire.UtteranceEnded) and event.utterance_id in begun:
                self.answered += event.end == "completed"
                self.cut += event.end != "completed"
                return True
            if isinstance(event, voxwire.EventsSkipped):
                self.skipped += 1
                return True
        return False


async def test_nobody_s_call_ends_when_all_processes_are_begun_anew(tmp_path: Path) -> None:
    settings = {"VOXWIRE_MAX_LAG_MS": "0", "VOXWIRE_DRAIN_MS": "16000"}
    with engine() as redis:
        async with service(redis, tmp_path, 3, bot=bot_file(tmp_path), **settings) as house:
            async with calls(house.door.url, NUM, webrtc=WEBRTC) as ours:
                talks = [Talk(call) for call in ours]
                tasks = [asyncio.create_task(talk.go_on()) for talk in talks]
                await asyncio.sleep(8)  # real time: slow
                began_s = time.monotonic()
                for replica in house.replicas:
                    told_s = time.monotonic()
                    replica.send(signal.SIGTERM)
                    assert await replica.ended() == 0
                    left_s = time.monotonic() - told_s
                    await replica.start()
                    took_s = time.monotonic() - told_s
                    print(f"\na process has left in {left_s:.1f} s, and is back in {took_s:.1f} s")
                await asyncio.sleep(4)  # real time: slow
                moves_s = [[at_s for at_s in it.connections_s if at_s > began_s] for it in ours]
                assert all(moves_s)  # each call's process has ended
                pairs = zip(ours, moves_s, strict=True)
                await asyncio.gather(*(call.speaks_on(all_s[-1], WORDS) for call, all_s in pairs))
                ended_s = time.monotonic()
                lasting = [call.ear.silent_ms for call in ours]
                for task in tasks:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                apart = [
                    event.after_ms
                    for call in ours
                    for event in call.heard.of(voxwire.ConnectionChanged)
                    if event.state == "connected"
                ]
                show("without a connection, at each move", apart)
                quiet = [it for call in ours for it in call.ear.between(began_s - 8, began_s)]
                show("gap in speech before", quiet)
                moving = [it for call in ours for it in call.ear.between(began_s, ended_s)]
                show("gap in speech while they moved", moving)
                show("silence at the end", lasting)
                names = ("answered", "cut", "skipped", "unanswered")
                num = {name: sum(getattr(talk, name) for talk in talks) for name in names}
                print(f"answers: {num}")
                assert not any(call.heard.of(voxwire.SessionEnded) for call in ours)
                assert not any(call.heard.ended.is_set() for call in ours)
                assert all(talk.answered for talk in talks)
                assert num["unanswered"] == 0
                assert num["cut"] + num["skipped"] <= len(apart)  # a move costs one answer at most
                assert max(*moving, *lasting) <= HEARD_S * 1000  # the bot is heard wherever it is
                await asyncio.gather(*(call.ask("my name is Alice", "Alice") for call in ours))
