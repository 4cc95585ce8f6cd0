"""Everything that can happen to sessions, in any order: a state machine over the whole kernel.

A front door, its registry, real sessions and numbered channels, clients that number as ours do; in
virtual time. Held after every step: both tables agree with what is there, the listener's position
never goes back nor beyond what was sent, nothing is lost, doubled or said behind the end, no part
fails, and what has ended leaves nothing.
"""

import asyncio
import logging
import time as real_time
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.kernel import Client, Kernel, channel_of
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime
from voxwire_server import lifecycle
from voxwire_server.lifecycle import State
from voxwire_server.playout import gap_rules
from voxwire_server.playout.gap_rules import VoiceState
from voxwire_server.session.session import Session

STEPS = 50
MOST_CLIENTS = 2
MOST_UNSEEN = 5
NOTHING = b"\xff"
SETTINGS: dict[str, Any] = {
    "grace_ms": 30_000,
    "suspended_ms": 5000,
    "end_timeout_ms": 3000,
    "max_duration_s": 600,
    "max_sessions": 4,
}
TIMES_MS = st.one_of(
    st.integers(0, 400),
    st.integers(0, 400),
    st.integers(400, 2500),
    st.integers(400, 2500),
    st.sampled_from([2100, 5100, 6000, 10_000, 31_000, 61_000]),
)
REFUSED = {"SESSION_EXPIRED", "GOING_AWAY", "CAPACITY", "MALFORMED", "SUPERSEDED"}


class _Asked(dict[Any, Any]):
    """A table that counts how often each cell is looked up."""

    def __init__(self, rules: dict[Any, Any]) -> None:
        super().__init__(rules)
        self.count: Counter[Any] = Counter()

    def __getitem__(self, at: Any) -> Any:
        self.count[at] += 1
        return super().__getitem__(at)


class _Troubles(logging.Handler):
    """Keeps what the server logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(f"{record.getMessage()}: {record.exc_info}")


class Seen:
    """One client's session, and what was true of it at the last step."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.at_ms = 0.0
        self.had_path = False
        self.unseen = 0  # attaches of which the client knows nothing, since it spoke last
        self.broken = False  # a task of it was crashed, or its bot raised

    @property
    def session(self) -> Session:
        return self.client.live


class KernelMachine(RuleBasedStateMachine):
    """Two clients at most, a process that drains in the end."""

    steps: ClassVar[int] = 0
    happened: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.time = VirtualTime()
        self.time.__enter__()
        self.troubles = _Troubles()
        logging.getLogger("voxwire").addHandler(self.troubles)
        self.seen: list[Seen] = []
        self.broken = 0
        self.kernel: Kernel
        self.closing: asyncio.Task[None] | None = None
        self.run(self._begin())

    async def _begin(self) -> None:
        self.kernel = Kernel(self.time, **SETTINGS)
        await self._join()

    def run(self, work: Any) -> Any:
        """Do a step, and let everything happen that is due."""

        async def step() -> Any:
            result = await work
            await self.time.settle()
            return result

        return self.time.run(step())

    async def _join(self) -> None:
        client = Client(self.kernel)
        answer = await client.ask(client.hello())
        if answer == "resumed":
            self.seen.append(Seen(client))
            client.open_path()
            await self.time.settle()
            client.bot.say(4000)
        else:
            assert answer in ("CAPACITY", "GOING_AWAY")

    def teardown(self) -> None:
        async def end() -> None:
            if self.closing is not None:
                await self.closing
            await self.kernel.close()

        try:
            self.run(end())
            self.everything_holds()
            for seen in self.seen:
                self._count(seen)
        finally:
            logging.getLogger("voxwire").removeHandler(self.troubles)
            self.time.close()

    def pick(self, number: int) -> Seen:
        return self.seen[number % len(self.seen)]

    # who comes and goes

    @precondition(lambda self: len(self.seen) < MOST_CLIENTS)
    @rule()
    def attach(self) -> None:
        self.run(self._join())

    @rule(number=st.integers(0, 1))
    def the_socket_is_cut(self, number: int) -> None:
        async def cut() -> None:
            for line in self.pick(number).client.lines:
                line.drop()

        self.run(cut())

    @rule(number=st.integers(0, 1))
    def the_network_dies(self, number: int) -> None:
        line = self.pick(number).client.line
        if line is not None:
            line.dead = True

    @rule(number=st.integers(0, 1), unseen=st.booleans())
    def resume(self, number: int, unseen: bool) -> None:
        """With the newest token: last attach wins."""
        seen = self.pick(number)
        if not unseen or seen.unseen < MOST_UNSEEN:
            self.run(self._back(seen, unseen=unseen))

    async def _back(self, seen: Seen, *, unseen: bool = False) -> None:
        client, over = seen.client, seen.session.over
        answer = await client.ask(client.hello(), unseen=unseen)
        expected = REFUSED if over or self.kernel.process.registry.closing else GOES_ON
        assert answer in expected, answer
        seen.unseen += unseen
        if not unseen and answer in GOES_ON:  # its token is good from the first word on
            seen.unseen = 0
            client.say(app_message=wire.AppMessage(type="here"))

    @rule(number=st.integers(0, 1), kind=st.sampled_from(["token", "origin", "seq"]))
    def resume_wrongly(self, number: int, kind: str) -> None:
        client = self.pick(number).client
        if kind == "seq" and client.numbering != channel_of(client.live).numbering:
            return  # its numbers are those before a loss: nobody can say
        fields: dict[str, Any] = {"token": {"resume_token": bytes(16)}, "seq": {"last_seq": 10**6}}
        hello = client.hello(**fields.get(kind, {}))
        origin = b"https://elsewhere.example" if kind == "origin" else None
        before = client.live.life.state
        assert self.run(client.ask(hello, origin=origin)) in REFUSED
        assert client.live.life.state is before

    @rule(number=st.integers(0, 1), which=st.integers(0, 9))
    def say_an_old_hello_again(self, number: int, which: int) -> None:
        """A Hello that was said before: with its nonce, and the token of then. Nobody reads on."""
        seen = self.pick(number)
        if seen.unseen >= MOST_UNSEEN:
            return
        seen.unseen += 1
        client = seen.client
        line = client.lines[which % len(client.lines)]
        answer = self.run(client.ask(line.hello, unseen=True))
        if answer == "other session":
            assert not line.hello.session_id
            [other] = {line.session for line in client.lines} - {client.session, None}
            assert other is not None
            other.end(wire.EndReason.END_REASON_SERVER)
            self.run(other.ended.wait())
            client.lines = [line for line in client.lines if line.session is not other]
        else:
            assert answer in GOES_ON | REFUSED

    @rule(number=st.integers(0, 1), which=st.integers(0, 9), bye=st.booleans())
    def a_superseded_socket_speaks(self, number: int, which: int, bye: bool) -> None:
        seen = self.pick(number)
        lines = [line for line in seen.client.lines if line.session is not None]
        line = lines[which % len(lines)]
        if line.link is not seen.session.link:
            data = wire.Envelope(seq=1, bye=wire.Bye()).SerializeToString() if bye else NOTHING
            before = seen.session.life.state
            channel_of(seen.session).receive(data, line.link)
            assert seen.session.life.state is before

    @rule(number=st.integers(0, 1))
    def say_the_newest_hello_again(self, number: int) -> None:
        """Its Welcome was lost: the client learns of the attach by the second one."""
        client = self.pick(number).client
        line = client.lines[-1]
        if line.unseen and line.hello.session_id:
            line.hello.last_seq = client.hello().last_seq
            assert self.run(client.ask(line.hello)) in GOES_ON | REFUSED

    # the voice

    @rule(number=st.integers(0, 1))
    def open_a_path(self, number: int) -> None:
        self.do(number, lambda seen: seen.client.open_path())

    @rule(number=st.integers(0, 1))
    def close_the_path(self, number: int) -> None:
        def close(seen: Seen) -> None:
            client = seen.client
            if client.path:
                client.say(path_close=wire.PathClose(path_id=client.path))
                client.path = 0

        self.do(number, close)

    @rule(number=st.integers(0, 1), length_ms=st.sampled_from([20, 200, 1000, 4000]))
    def the_bot_speaks(self, number: int, length_ms: int) -> None:
        def say(seen: Seen) -> None:
            if not seen.session.over:
                seen.client.bot.say(length_ms)

        self.do(number, say)

    @rule(number=st.integers(0, 1), played_ms=st.sampled_from([0, 100, 300, 5000]))
    def report(self, number: int, played_ms: int) -> None:
        self.do(number, lambda seen: seen.client.report(played_ms))

    @rule(number=st.integers(0, 1), media_ms=st.integers(0, 100_000))
    def report_what_cannot_be(self, number: int, media_ms: int) -> None:
        self.do(number, lambda seen: seen.client.report_at(media_ms))

    @rule(number=st.integers(0, 1))
    def the_listener_cannot_play(self, number: int) -> None:
        self.do(number, lambda seen: seen.client.report(suspended=True))

    @rule(number=st.integers(0, 1))
    def the_client_interrupts(self, number: int) -> None:
        self.do(number, lambda seen: seen.client.say(interrupt=wire.Interrupt()))

    @rule(number=st.integers(0, 1))
    def the_user_interrupts(self, number: int) -> None:
        def cut(seen: Seen) -> None:
            source = wire.InterruptionSource.INTERRUPTION_SOURCE_USER
            seen.session.spawn(seen.client.bot.interrupt(source))

        self.do(number, cut)

    @rule(number=st.integers(0, 1), answers=st.booleans())
    def flushes_are_answered_or_not(self, number: int, answers: bool) -> None:
        self.pick(number).client.answers = answers

    # what is said

    @rule(number=st.integers(0, 1), count=st.integers(1, 5))
    def the_client_says(self, number: int, count: int) -> None:
        def say(seen: Seen) -> None:
            for n in range(count):
                seen.client.say(app_message=wire.AppMessage(type="n", data_json=str(n)))

        self.do(number, say)

    @rule(number=st.integers(0, 1), count=st.integers(1, 5))
    def the_server_says(self, number: int, count: int) -> None:
        def say(seen: Seen) -> None:
            for n in range(count):
                seen.session.emit(app_message=wire.AppMessage(type="n", data_json=str(n)))

        self.do(number, say)

    @rule(number=st.integers(0, 1))
    def more_is_said_than_is_kept(self, number: int) -> None:
        async def flood(session: Session) -> None:
            for _ in range(10):
                session.emit(app_message=wire.AppMessage(type="n", data_json=LARGE))
                await self.time.settle()

        session = self.pick(number).session
        if session.life.state is State.PARKED:
            self.run(flood(session))

    @rule(number=st.integers(0, 1))
    def the_user_speaks(self, number: int) -> None:
        def speak(seen: Seen) -> None:
            chunk = wire.AudioChunk(path_id=seen.client.path, data=bytes(640))
            seen.client.say(audio=chunk)

        self.do(number, speak)

    def do(self, number: int, act: Callable[["Seen"], object]) -> None:
        async def step() -> None:
            act(self.pick(number))

        self.run(step())

    # time and ends

    @rule(delay_ms=TIMES_MS)
    def time_passes(self, delay_ms: int) -> None:
        self.run(asyncio.sleep(delay_ms / 1000))

    @rule(number=st.integers(0, 1), delay_ms=st.integers(0, 300))
    def time_passes_and_the_listener_plays(self, number: int, delay_ms: int) -> None:
        self.time_passes(delay_ms)
        self.report(number, delay_ms)

    @rule(number=st.integers(0, 1), odds=st.integers(0, 7))
    def bad_messages(self, number: int, odds: int) -> None:
        def speak(seen: Seen) -> None:
            line = seen.client.line
            for _ in range(3 if odds == 0 else 1):
                if line is not None:
                    line.send(NOTHING)

        self.do(number, speak)

    @rule(number=st.integers(0, 1), odds=st.integers(0, 5))
    def it_ends(self, number: int, odds: int) -> None:
        """Mostly not."""
        seen = self.pick(number)
        if odds == 0 and seen.client.linked:
            self.do(number, lambda seen: seen.client.say(bye=wire.Bye()))
        elif odds == 1:
            seen.client.bot.stop.set()
            self.run(asyncio.sleep(0))

    @rule(number=st.integers(0, 1))
    def the_bot_lingers(self, number: int) -> None:
        self.pick(number).client.bot.linger.clear()

    @rule(number=st.integers(0, 1), odds=st.integers(0, 9))
    def a_part_fails(self, number: int, odds: int) -> None:
        async def fail() -> None:
            raise RuntimeError("a part fails")

        seen = self.pick(number)
        if seen.session.over or odds > 1:
            return
        seen.broken = True
        self.broken += 1
        if odds == 0:
            self.do(number, lambda seen: seen.session.spawn(fail()))
        else:
            seen.client.bot.fails = RuntimeError("the bot fails")
            seen.client.bot.linger.set()
            seen.client.bot.stop.set()
            self.run(asyncio.sleep(0))

    @rule(odds=st.integers(0, 19))
    def the_process_drains(self, odds: int) -> None:
        if odds == 0 and self.closing is None:

            async def close() -> None:
                self.closing = asyncio.ensure_future(self.kernel.process.directory.close(5000))

            self.run(close())

    # what holds

    def _count(self, seen: Seen) -> None:
        client, happened = seen.client, KernelMachine.happened
        happened["sessions"] += 1
        happened["attaches"] += len(client.lines)
        happened["snapshots"] += sum(
            line.welcome is not None and line.welcome.HasField("snapshot") for line in client.lines
        )
        happened["gap cuts"] += len(client.bot.gap_cuts)
        happened["cuts"] += len(client.bot.cuts)
        happened["messages got"] += sum(map(len, client.got.values()))
        happened["messages taken"] += sum(map(len, channel_of(seen.session).took.values()))
        for ended in client.of("session_ended"):
            happened[wire.EndReason.Name(ended.reason)] += 1

    @invariant()
    def everything_holds(self) -> None:
        KernelMachine.steps += 1
        for seen in self.seen:
            self._life(seen)
            self._position(seen)
            self._messages(seen)
            self._cuts(seen)
        assert self.kernel.failures == []
        assert len(self.troubles.records) <= self.broken, self.troubles.records
        registry = self.kernel.process.registry
        assert len(registry) == sum(not seen.session.ended.is_set() for seen in self.seen)
        over = [seen.session for seen in self.seen if seen.session.over]
        assert len(self.kernel.process.store) == len(self.seen) - len(over)
        if all(session.ended.is_set() for session in over) and self.closing is None:
            assert self.kernel.process.idle

    def _life(self, seen: Seen) -> None:
        session, state = seen.session, seen.session.life.state
        if session.ended.is_set():
            assert state is State.ENDED
            assert self.kernel.process.registry.get(session.id) is None
            assert len(session.tasks) == 0
            assert session.link is None
            assert session.path is None
            return
        if state is not State.ENDED:
            assert (session.link is not None) == (state is State.ATTACHED)
        voice = session.voice
        seen.had_path |= voice.path is not None
        if state is State.ENDED:
            return
        if voice.path is None:
            silent = VoiceState.WAITING, VoiceState.CUT
            assert not seen.had_path or voice.state in silent, voice.state
        else:
            assert session.link is not None  # it travels on the channel
        if voice.state is VoiceState.SUSPENDED:
            assert voice.suspended
            assert voice.path is not None
        if voice.state is VoiceState.PLAYING:
            assert not voice.suspended

    def _position(self, seen: Seen) -> None:
        """What is certain never goes back; nothing is heard that was not sent."""
        playout = seen.session.voice.playout
        now_ms = self.time.now_ms()
        certain_ms = vars(playout.heard)["_base_ms"]
        assert certain_ms >= seen.at_ms - 0.001
        seen.at_ms = certain_ms
        assert playout.heard_ms(now_ms) <= playout.heard.sent_ms + 0.001
        assert playout.heard.sent_ms <= playout.end_ms + 1

    def _messages(self, seen: Seen) -> None:
        """Nothing lost, nothing doubled, in order; nothing behind the end."""
        client, channel = seen.client, channel_of(seen.session)
        assert channel.late == []
        for numbering, got in client.got.items():
            assert got == channel.said[numbering][: len(got)]
        for numbering, took in channel.took.items():
            assert took == client.said[numbering][: len(took)]
        if client.linked and client.numbering == channel.numbering and not seen.session.over:
            assert len(client.got[client.numbering]) == len(channel.said[client.numbering])
            assert len(channel.took[client.numbering]) == len(client.said[client.numbering])
        codes = {error.code for error in client.errors}
        assert seen.broken or wire.ErrorCode.ERROR_CODE_INTERNAL not in codes

    def _cuts(self, seen: Seen) -> None:
        """Nothing is cut twice, and nothing twice because of one gap."""
        cut = [utterance for utterance, _ in seen.client.bot.cuts]
        assert len(cut) == len(set(cut))
        assert len(seen.client.bot.gap_cuts) <= seen.client.bot.placed


ALL: list[HealthCheck] = [*HealthCheck]  # pyright: ignore[reportAssignmentType]
GOES_ON = {"resumed", "Snapshot", "same Welcome"}
LARGE = '"' + 60_000 * "x" + '"'


def walk(examples: int) -> tuple[float, Counter[Any]]:
    """Seconds of the processor that it took, and how often each cell was looked up."""
    KernelMachine.steps = 0
    KernelMachine.happened.clear()
    life, voice = _Asked(lifecycle.RULES), _Asked(gap_rules.RULES)
    began_s = real_time.process_time()
    with mock.patch.object(lifecycle, "RULES", life), mock.patch.object(gap_rules, "RULES", voice):
        run_state_machine_as_test(
            KernelMachine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=ALL,
            ),
        )
    return real_time.process_time() - began_s, life.count + voice.count


def test_two_thousand_steps_of_everything_that_can_happen() -> None:
    steps = 0
    while steps < 2000:  # a walk ends where nothing more can happen, sooner or later
        walk(10)
        assert KernelMachine.steps >= 10
        steps += KernelMachine.steps


@pytest.mark.soak
def test_ten_thousand_steps_of_everything_that_can_happen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    took_s, asked = walk(215)
    steps = KernelMachine.steps
    with capsys.disabled():
        print(f"\n{steps} steps in {took_s:.1f} s: {steps / took_s:.0f} a second")
        print(dict(sorted(KernelMachine.happened.items())))
        never = [at for at in (*lifecycle.RULES, *gap_rules.RULES) if not asked[at]]
        print(
            f"{len(asked)} cells; never:", ", ".join("/".join(m.name for m in at) for at in never)
        )
    assert steps >= 10_000
