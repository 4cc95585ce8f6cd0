"""The channel model: a long, seeded walk over everything that can happen to a session's messages.

The server has the real NumberedChannel, the client a Channel that attaches as the spec says.
Carriers drop, repeat, reorder and break; Hellos and Welcomes get lost; what is kept overflows by
number, by size and by age. Held after every step: what was delivered is a prefix of what was sent
in the same numbering, and what is kept stays within the limits. Held at every calm: nothing is
missing. A numbering ends only with a Snapshot, or with a new session that the client asked for.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.support.inbox import FakeInbox, FakeLink
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel, ChannelError, ReplayLimits
from voxwire_protocol.clocks import Timer
from voxwire_server.control.attaches import Attaches
from voxwire_server.control.numbered import NumberedChannel

LIMITS: Final = ReplayLimits(messages=48, total_bytes=6_000, age_ms=5_000)
MAX_MESSAGE_BYTES: Final = 2_000
MAX_SEND_BYTES: Final = 256
TO_SERVER, TO_CLIENT = 0, 1


class Clock:
    """Stands still between steps; timers come with the step that reaches them."""

    def __init__(self) -> None:
        self.at_ms = 0
        self._timers: list[tuple[float, Callable[[], object]]] = []

    def now_ms(self) -> float:
        return self.at_ms

    def call_later(self, delay_ms: float, work: Callable[[], object]) -> Timer:
        self._timers.append((self.at_ms + delay_ms, work))
        return Never()

    def advance(self, delay_ms: int) -> None:
        self.at_ms += delay_ms
        due = [timer for timer in self._timers if timer[0] <= self.at_ms]
        self._timers = [timer for timer in self._timers if timer[0] > self.at_ms]
        for _, work in due:
            work()


class Never:
    def cancel(self) -> None:
        raise AssertionError("no session ends here")


class Numbered(NumberedChannel):
    """The real one, with small limits, on the model's clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._channel = channel(wire.CLIENT_PAYLOADS)
        self._attaches = Attaches(self._channel)


class Inbox(FakeInbox):
    """Takes what is delivered on the model's clock; the last error is kept."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock: Any = clock
        self.snapshots = 0

    def snapshot(self, max_bytes: int) -> wire.Snapshot:
        self.snapshots += 1
        return wire.Snapshot(user_muted=True)


class Link(FakeLink):
    """A socket; what is on its way in either direction."""

    def __init__(self) -> None:
        super().__init__()
        self.flying: tuple[list[bytes], list[bytes]] = ([], [])
        self.hello: wire.Hello | None = None
        self.welcomed = False

    def send_event(self, data: bytes) -> None:
        self.flying[TO_CLIENT].append(data)


def channel(allowed: frozenset[str]) -> Channel:
    return Channel(
        allowed=allowed,
        max_send_bytes=MAX_SEND_BYTES,
        max_receive_bytes=MAX_SEND_BYTES,
        max_message_bytes=MAX_MESSAGE_BYTES,
        limits=LIMITS,
    )


def kept_bytes(side: Channel) -> tuple[int, int, int, int]:
    """What a channel holds: kept messages, their bytes, early messages, their bytes with chunks."""
    replay: Any = side._replay
    assert replay._bytes == sum(len(body) for _, body in replay._kept)
    assert side._held_bytes == sum(size for _, size in side._held.values())
    assert len(side._assembly._data) <= MAX_MESSAGE_BYTES
    return len(replay._kept), replay._bytes, len(side._held), side._held_bytes


class Model:
    """Both sides, the wires between them, and what must hold of them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seen: Counter[str] = Counter()
        self.peak = (0, 0, 0, 0)
        self.count = 0
        self.numbering = 0
        self.clock = Clock()
        self.begin()

    def begin(self) -> None:
        """A new session."""
        self.numbering += 1
        self.at = [self.numbering, self.numbering]  # numbering of client, server
        self.sent: dict[tuple[int, int], list[str]] = defaultdict(list)
        self.got: dict[tuple[int, int], list[str]] = defaultdict(list)
        self.control = Numbered(self.clock)
        self.inbox = Inbox(self.clock)
        self.control.begin(self.inbox)
        self.client = channel(wire.SERVER_PAYLOADS)
        self.link: Link | None = None
        self.welcome: wire.Welcome | None = None
        self.nonce = b""
        self.attach()
        self.arrive(ordered=True)

    # attaching

    def hello(self) -> wire.Hello:
        """What a client says: the same nonce again while the Welcome to it has not come."""
        if not self.nonce:
            self.nonce = self.random.randbytes(16)
        hello = wire.Hello(attach_nonce=self.nonce, last_seq=self.client.last_received)
        if self.welcome is not None:
            hello.session_id = "s"
            hello.resume_token = self.welcome.resume_token
            hello.epoch = self.welcome.epoch
        return hello

    def attach(self) -> None:
        """The client dials; its Hello arrives at once, or never."""
        hello = self.hello()
        self.client.on_lost(self.clock.at_ms)
        link = self.link = Link()
        if self.random.random() < 0.1:
            self.seen["hello lost"] += 1
            return
        if hello.session_id:
            assert self.control.may_resume(hello.resume_token)
            assert not self.control.may_resume(bytes(16))
        before = self.control.link
        known = self.control.knows(hello.attach_nonce)
        self.seen["same attach"] += known
        limits_hit = self.over_limits(hello)
        kept: Any = link
        snapshots = self.inbox.snapshots
        self.control.rebind(kept, hello, wire.Welcome(session_id="s"))
        if self.inbox.snapshots > snapshots:
            self.seen["overflow"] += 1
            self.seen[f"overflow by {limits_hit}"] += 1
            self.numbering += 1
            self.at[1] = self.numbering
        if isinstance(before, Link):
            assert before.closed is not None
            assert before.closed[0] == 4000 + wire.ErrorCode.ERROR_CODE_SUPERSEDED
            self.seen["superseded"] += 1

    def over_limits(self, hello: wire.Hello) -> str:
        """Which limit the server's kept messages are at (for the count only)."""
        kept, num_bytes, _, _ = kept_bytes(self.control._channel)
        if kept >= LIMITS.messages:
            return "number"
        return "size" if num_bytes > LIMITS.total_bytes - MAX_SEND_BYTES else "age"

    def read_welcome(self, welcome: wire.Welcome) -> None:
        """The client learns how the attach went."""
        first = self.welcome is None
        if not first:
            assert welcome.epoch > self.welcome.epoch, "an attach was answered twice"
        self.welcome, self.nonce = welcome, b""
        assert first or welcome.resumed or welcome.HasField("snapshot"), "a loss nobody says"
        if welcome.HasField("snapshot"):
            assert not welcome.resumed
            self.seen["snapshot read"] += 1
            self.client.restart()
            self.at[0] = self.at[1]
            return
        replay = self.client.resume(welcome.last_seq, self.clock.at_ms)
        if replay is None:  # what the client said is gone: it begins a new session, and knows it
            self.seen["client overflow"] += 1
            self.begin()
            return
        assert self.link is not None
        self.link.flying[TO_SERVER].extend(replay)

    # steps

    def send(self, way: int, size: int) -> None:
        self.count += 1
        name = f"{self.count}:" + "x" * size
        side = (self.client, self.control._channel)[way]
        self.sent[way, self.at[way]].append(name)
        envelope = wire.Envelope(app_message=wire.AppMessage(type=name))
        if way == TO_CLIENT:
            self.control.send(envelope)
            return
        wire_data = side.send(envelope, self.clock.at_ms)
        if self.link is not None and self.link.welcomed:
            self.link.flying[TO_SERVER].extend(wire_data)

    def burst(self) -> None:
        """More than is kept, while nobody reads."""
        way = self.random.choice((TO_CLIENT, TO_CLIENT, TO_CLIENT, TO_SERVER))
        kind = self.random.choice(("number", "size", "age", "gap"))
        if kind == "gap":
            self.gap(way)
            return
        self.lose()
        if kind == "number":
            for _ in range(LIMITS.messages + 1):
                self.send(way, 0)
        elif kind == "size":
            for _ in range(5):
                self.send(way, 1_500)
        else:
            self.send(way, 10)
            self.clock.advance(LIMITS.age_ms + 1)
        self.seen[f"burst of {kind}"] += 1

    def gap(self, way: int) -> None:
        """One message is lost, and more come behind it than may be held."""
        link = self.link
        if link is None or not link.welcomed or not link.flying[way]:
            return
        del link.flying[way][0]
        self.seen["drop"] += 1
        for _ in range(LIMITS.messages + 4):
            self.send(way, 0)
            while link is self.link and link.flying[way]:
                self.take(link, way, link.flying[way].pop(0))

    def lose(self) -> None:
        """The socket breaks; the server notices now, or only when the next one comes."""
        link, self.link = self.link, None
        self.client.on_lost(self.clock.at_ms)
        if link is not None and self.random.random() < 0.6:
            kept: Any = link
            self.control.lost(kept)
        self.seen["disconnect"] += 1

    def tick(self) -> None:
        self.clock.advance(self.random.choice((0, 5, 50, 300)))
        acks = self.client.outgoing(self.clock.at_ms)
        if self.link is not None and self.link.welcomed:
            self.link.flying[TO_SERVER].extend(acks)

    def carry(self) -> None:
        """One message arrives: perhaps late, twice or never."""
        link = self.link
        if link is None:
            return
        way = self.random.choice([way for way in (0, 1) if link.flying[way]] or [0])
        flying = link.flying[way]
        if not flying:
            return
        at = 0
        if link.welcomed and self.random.random() < 0.1:
            at = self.random.randrange(min(len(flying), 4))
            self.seen["reorder"] += at > 0
        fate = self.random.random()
        data = flying[at] if fate < 0.05 else flying.pop(at)
        self.seen["duplicate"] += fate < 0.05
        if fate > 0.985:
            self.seen["drop"] += 1
            return
        self.take(link, way, data)

    def take(self, link: Link, way: int, data: bytes) -> None:
        """A side reads one message."""
        if way == TO_SERVER:
            if self.control.link is link:  # type: ignore[comparison-overlap]
                self.deliver(way, data)
            return
        if not link.welcomed:
            envelope = wire.Envelope.FromString(data)
            if envelope.HasField("welcome"):
                link.welcomed = True
                self.read_welcome(envelope.welcome)
            return  # what comes ahead of the Welcome is of a numbering that is not known yet
        if not wire.Envelope.FromString(data).HasField("welcome"):
            self.deliver(way, data)

    def deliver(self, way: int, data: bytes) -> None:
        if way == TO_SERVER:
            messages = self.taken(data)
        else:
            before = self.client.last_received
            try:
                messages = self.client.receive(data, self.clock.at_ms)
            except ChannelError as error:
                self.refused(error.code, error.seq, before)
                return
        names = [m.app_message.type for m in messages if m.HasField("app_message")]
        self.got[way, self.at[1 - way]].extend(names)

    def taken(self, data: bytes) -> list[wire.Envelope]:
        """What the server's channel makes of a message."""
        kept: Any = self.link
        before, bad = self.control.last_received, self.control.intake.dropped.bad
        self.inbox.errors.clear()
        self.control.receive(data, kept)
        if self.control.intake.dropped.bad > bad:
            seq = wire.Envelope.FromString(data).seq
            for error in self.inbox.errors:
                self.refused(error.code, seq, before)
        messages, self.inbox.messages = self.inbox.messages, []
        return messages

    def refused(self, code: int, seq: int, before: int) -> None:
        """Too much is missing before a message: the replay brings it again. Nothing else may be."""
        assert code == wire.ErrorCode.ERROR_CODE_UNEXPECTED_MESSAGE
        assert seq > before + 1
        self.seen["held back"] += 1

    def arrive(self, *, ordered: bool) -> None:
        """Everything that is on its way arrives."""
        while self.link is not None and any(self.link.flying):
            if not ordered:
                self.carry()
                continue
            link = self.link
            way = TO_CLIENT if link.flying[TO_CLIENT] else TO_SERVER
            self.take(link, way, link.flying[way].pop(0))

    def calm(self) -> None:
        """Over a sound carrier everything of this numbering arrives, once and in order."""
        self.lose()
        for _ in range(50):
            self.attach()
            self.arrive(ordered=True)
            if self.link is not None and self.link.welcomed:
                break
        assert self.at[0] == self.at[1], "the sides count differently"
        for way in (TO_SERVER, TO_CLIENT):
            key = way, self.at[way]
            assert self.got[key] == self.sent[key], "lost without a word"
        assert self.client.last_sent == self.control._channel.last_received
        assert self.control._channel.last_sent == self.client.last_received
        self.seen["calm"] += 1

    def step(self) -> None:
        choice = self.random.random()
        if choice < 0.30:
            self.send(self.random.randrange(2), self.random.choice((0, 10, 150, 400)))
        elif choice < 0.38:
            self.tick()
        elif choice < 0.94:
            self.carry()
        elif choice < 0.955:
            self.lose()
        elif choice < 0.962:
            self.attach()
        elif choice < 0.972:
            self.burst()
        elif choice < 0.976:
            self.calm()
        elif self.link is None or not self.link.welcomed:
            self.attach()
        self.hold()

    def hold(self) -> None:
        """What must be true after every step."""
        for key, got in self.got.items():
            assert got == self.sent[key][: len(got)], "twice, lost or out of order"
        for side in (self.client, self.control._channel):
            now = kept_bytes(side)
            self.peak = tuple(max(pair) for pair in zip(self.peak, now, strict=True))  # type: ignore[assignment]
        assert self.peak[0] <= LIMITS.messages
        assert self.peak[1] <= LIMITS.total_bytes
        assert self.peak[2] <= LIMITS.messages
        assert self.peak[3] <= LIMITS.total_bytes + MAX_SEND_BYTES
        assert len(self.control._attaches._attaches) <= 16
        current = set(self.at)  # what is over is not looked at again
        for log in (self.sent, self.got):
            for key in [key for key in log if key[1] not in current]:
                del log[key]


def walk(seed: int, steps: int) -> Model:
    model = Model(seed)
    for _ in range(steps):
        model.step()
    model.calm()
    return model


EVERYTHING = (
    "drop",
    "duplicate",
    "reorder",
    "disconnect",
    "hello lost",
    "same attach",
    "superseded",
    "snapshot read",
    "calm",
    "overflow",
)


@pytest.mark.parametrize("seed", [1, 2])
def test_two_thousand_steps_lose_repeat_and_reorder_nothing(seed: int) -> None:
    model = walk(seed, 2_000)
    assert [name for name in EVERYTHING if not model.seen[name]] == []
    assert model.peak[0] == LIMITS.messages
    assert model.peak[1] > LIMITS.total_bytes - 2 * MAX_SEND_BYTES


@pytest.mark.soak
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_fifty_thousand_steps_lose_repeat_and_reorder_nothing(
    seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    model = walk(seed, 50_000)
    overflows = ("overflow by number", "overflow by size", "overflow by age", "client overflow")
    wanted = (*EVERYTHING, *overflows, "held back")
    assert [name for name in wanted if not model.seen[name]] == []
    with capsys.disabled():
        print(f"\nseed {seed}: {dict(sorted(model.seen.items()))} peak {model.peak}")
