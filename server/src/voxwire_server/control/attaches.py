"""How a client comes back to a session's numbers: epochs, resume tokens, Welcomes, replay.

Pure: no clock reads, no sockets; ``now_ms`` is monotonic milliseconds (protocol/spec/session.md,
"Resuming").
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from voxwire_protocol import wire
from voxwire_protocol.channel import Channel, ChannelError
from voxwire_server.control.resume import ResumeTokens
from voxwire_server.lifecycle import Answer, Event

__all__ = [
    "ATTACH_MS",
    "NOTHING_BEFORE",
    "REFUSALS",
    "Attaches",
    "Before",
    "Coming",
    "Greeting",
    "Snapshot",
]

ATTACH_MS: Final = 60_000
"""How long the same ``attach_nonce`` means the same attach, milliseconds."""

_MAX_ATTACHES: Final = 16
_MIN_MESSAGE_BYTES: Final = 4096
_SPARE_BYTES: Final = 256
"""What is added to a Welcome after it was measured: token, numbers, envelope."""
_MIN_SNAPSHOT_BYTES: Final = 1024

REFUSALS: Final = {
    Answer.SUPERSEDED: (
        wire.ErrorCode.ERROR_CODE_SUPERSEDED,
        "a newer attach took the session over",
    ),
    Answer.MALFORMED: (
        wire.ErrorCode.ERROR_CODE_MALFORMED,
        "last_seq was never sent",
    ),
    Answer.EXPIRED: (
        wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED,
        "the session is over, or it is not yours",
    ),
}
"""What is told when the table refuses a client."""

Snapshot = Callable[[int], wire.Snapshot]
"""Makes a snapshot of at most so many bytes."""


@dataclass(slots=True)
class _Attach:
    """An attach whose Welcome may be asked for again. Its token is plain for a minute only."""

    welcome: wire.Welcome
    at_ms: float


class Greeting(NamedTuple):
    """What is sent on a new socket.

    Attributes:
        welcome: First.
        replay: Then what the client has not received; None = some of it is gone, and the Welcome
            has a Snapshot.
    """

    welcome: wire.Welcome
    replay: list[bytes] | None


class Coming(NamedTuple):
    """How a client comes (back) to a session.

    Attributes:
        event: What that is in the table of sessions; None = it opens the session.
        replay: What it has not received; None = some of that is gone.
        welcome: The Welcome that it was given by this attach before; None = none.
        reason: What is wrong with it, where something is.
    """

    event: Event | None
    replay: list[bytes] | None = None
    welcome: wire.Welcome | None = None
    reason: str = ""


class Before(NamedTuple):
    """The attaches of a session in another process.

    Attributes:
        epoch: Number of the newest one.
        tokens: Digests of the resume tokens that are good.
    """

    epoch: int = 0
    tokens: tuple[bytes, ...] = ()

    def may_resume(self, token: bytes) -> bool:
        """True when ``token`` is one of them."""
        return ResumeTokens(self.tokens).check(token)


NOTHING_BEFORE: Final = Before()


class Attaches:
    """The attaches of one session.

    Args:
        channel: Its numbered messages.
        before: The attaches of the process that had the session before; whoever comes back from
            them goes on from a Snapshot.

    Attributes:
        epoch: Number of the newest attach, from 1; 0 = none yet.
    """

    def __init__(self, channel: Channel, before: Before = NOTHING_BEFORE) -> None:
        self.epoch = before.epoch
        self._channel = channel
        self._numbering_epoch = before.epoch + 1
        self._tokens = ResumeTokens(before.tokens)
        self._attaches: dict[bytes, _Attach] = {}

    @property
    def so_far(self) -> Before:
        """What another process needs to go on from them."""
        return Before(self.epoch, self._tokens.digests)

    def may_resume(self, token: bytes) -> bool:
        """True when ``token`` is this session's."""
        return self._tokens.check(token)

    def knows(self, attach_nonce: bytes, now_ms: float) -> bool:
        """True when this attach was answered within the last minute."""
        attach = self._attaches.get(attach_nonce)
        return attach is not None and now_ms - attach.at_ms < ATTACH_MS

    def confirm(self) -> None:
        """The client has the newest token; those before are void."""
        self._tokens.confirm()

    def classify(self, hello: wire.Hello, now_ms: float) -> Coming:
        """Say what a Hello of this session's client is; it goes on for nobody yet."""
        try:
            return self._classify(hello, now_ms)
        except ChannelError as error:
            return Coming(Event.NEVER_SENT, reason=error.reason)

    def _classify(self, hello: wire.Hello, now_ms: float) -> Coming:
        first = not hello.session_id
        known = self._attaches.get(hello.attach_nonce)
        if known is not None and now_ms - known.at_ms < ATTACH_MS:
            if known.welcome.epoch != self.epoch:
                return Coming(Event.HELLO_STALE if first else Event.RESUME_STALE)
            last_seq = hello.last_seq if known.welcome.resumed else 0
            replay = self._channel.resume(last_seq, int(now_ms))
            if replay is not None:
                return Coming(
                    Event.HELLO_AGAIN if first else Event.RESUME_AGAIN, replay, known.welcome
                )
        if hello.session_id and hello.epoch and hello.epoch < self._numbering_epoch:
            return Coming(Event.RESUME_GONE)  # its numbers are those before a loss unheard of
        replay = self._missing(hello, 0 if first else hello.last_seq, now_ms)
        if not self.epoch:
            return Coming(None, replay)
        if replay is None:
            return Coming(Event.HELLO_GONE if first else Event.RESUME_GONE)
        return Coming(Event.RESUME, replay)

    def _missing(self, hello: wire.Hello, last_seq: int, now_ms: float) -> list[bytes] | None:
        replay = self._channel.resume(last_seq, int(now_ms))
        if replay and max(map(len, replay)) > self._limit_of(hello):
            return None  # kept in pieces that this client does not take
        return replay

    def answer(
        self,
        hello: wire.Hello,
        welcome: wire.Welcome,
        coming: Coming,
        answer: Answer,
        snapshot: Snapshot,
        now_ms: float,
    ) -> Greeting:
        """Let the session go on with the client that said ``hello``, as the table says.

        Args:
            hello: What the client said.
            welcome: What every Welcome of this session says; the rest is filled in here.
            coming: What that is.
            answer: What the table says to it.
            snapshot: Makes the state to go on from when messages are lost; as large as fits.
            now_ms: Monotonic clock, milliseconds.

        Raises:
            ChannelError: The table refuses it (MALFORMED, SUPERSEDED, SESSION_EXPIRED), or the
                client takes no Welcome of this size (TOO_LARGE). Nothing has changed then.
        """
        if answer in REFUSALS:
            code, reason = REFUSALS[answer]
            raise ChannelError(code, coming.reason or reason)
        limit = self._limit_of(hello)
        again = coming.welcome if answer is Answer.SAME_WELCOME else None
        replay = None if answer is Answer.SNAPSHOT else coming.replay
        room = _make_fit(again or welcome, limit, snapshot=again is None and replay is None)
        self._channel.max_send_bytes = limit
        if again is not None:
            welcome = again
        else:
            self._next(hello, welcome, replay, now_ms)
            if replay is None:
                welcome.snapshot.CopyFrom(snapshot(room))
                self._channel.restart()
                self._numbering_epoch = self.epoch
        self._channel.on_lost(int(now_ms))
        welcome.last_seq = self._channel.last_received
        return Greeting(welcome, replay)

    def _next(
        self,
        hello: wire.Hello,
        welcome: wire.Welcome,
        replay: list[bytes] | None,
        now_ms: float,
    ) -> None:
        self.epoch += 1
        welcome.epoch = self.epoch
        welcome.resume_token = self._tokens.issue()
        welcome.resumed = bool(hello.session_id) and replay is not None
        self._remember(hello.attach_nonce, _Attach(welcome, now_ms))

    def _limit_of(self, hello: wire.Hello) -> int:
        """Largest envelope that the client takes, bytes."""
        asked = hello.max_message_bytes
        if not asked:
            return self._channel.max_send_bytes
        return max(_MIN_MESSAGE_BYTES, min(asked, 1 << 20))

    def _remember(self, nonce: bytes, attach: _Attach) -> None:
        for old in [n for n, a in self._attaches.items() if attach.at_ms - a.at_ms >= ATTACH_MS]:
            del self._attaches[old]
        self._attaches[nonce] = attach
        while len(self._attaches) > _MAX_ATTACHES:
            del self._attaches[next(iter(self._attaches))]


def _make_fit(welcome: wire.Welcome, limit: int, *, snapshot: bool) -> int:
    """Leave out what a Welcome need not say when the client takes only small messages.

    Returns:
        Bytes that are left for a snapshot.

    Raises:
        ChannelError: TOO_LARGE.
    """
    need = min(_SPARE_BYTES + (_MIN_SNAPSHOT_BYTES if snapshot else 0), limit // 2)
    if welcome.ByteSize() + need > limit:
        del welcome.examples[:]
    if welcome.ByteSize() + need > limit:
        reason = "the Welcome is above max_message_bytes of the client"
        raise ChannelError(wire.ErrorCode.ERROR_CODE_TOO_LARGE, reason)
    return max(0, limit - welcome.ByteSize() - _SPARE_BYTES)
