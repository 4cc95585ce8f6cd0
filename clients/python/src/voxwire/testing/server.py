"""A server in memory: the real protocol over the real channel, and a bot that follows a script."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from google.protobuf.message import DecodeError

from voxwire._environment import Environment
from voxwire._remembered import CarrierMemory
from voxwire.testing.messages import Answers, wire_error
from voxwire.testing.network import End, Network
from voxwire.testing.session import FakeSession, ScriptedBot
from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.clocks import Clock
from voxwire_protocol.errors import ErrorCode, RecoveryAction
from voxwire_protocol.virtual_time import running_clock

__all__ = ["FakeServer"]


async def _waits(session: FakeSession) -> None:
    """A bot that says nothing."""
    await asyncio.Event().wait()


class FakeServer:
    """A server of a test. Give `environment` to `voxwire.connect`; any URL is its own.

    Used with ``async with``, it ends its sessions with the block, and raises what a bot raised.

    Attributes:
        bot: What every session's bot does.
        answers: Answers the client's requests by their type.
        url: An address to dial it at.
        network: What is between it and its clients, and can fail.
        sessions: All of them, in the order of their first Hello.
        hellos: Every Hello.
        tokens: Connect tokens that are good; None = any, and none.
        refuse: Every Hello is answered with this Error while it is set.
        mute: Hellos are read and not answered.
        forgetful: The next resume is answered with a Snapshot.
        features: What it can do.
        accepts: Types of files that its bot takes; none = no files.
        file_max_bytes: Largest of them.
        deaf_to: Carriers whose paths are never answered.
        refused_paths: Carriers whose paths are refused, with the reason.
        webrtc: Is given each WebRTC path that is asked for, and plays the other end of it:
            `FakeSession.path_answer`, then `path_ready`. None = such paths are refused.
        grace_ms: How long a session waits for its client.
        heartbeat_ms: How often a client shall ask whether it is there.
        failures: What bots raised.
    """

    def __init__(
        self,
        bot: ScriptedBot = _waits,
        *,
        answers: Answers | None = None,
        tokens: tuple[str, ...] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Creates it; nothing runs before a client dials.

        Args:
            bot: What every session's bot does.
            answers: Answers the client's requests by their type.
            tokens: Connect tokens that are good; None = any, and none.
            clock: What it runs by; None = the virtual time that this is made in, or the machine's.
        """
        self.bot = bot
        self.answers: Answers = answers or {}
        self.tokens = tokens
        self.clock = clock or running_clock()
        self.url = "ws://voxwire.test"
        self.network = Network(self._accept, clock=self.clock)
        self.sessions: list[FakeSession] = []
        self.hellos: list[wire.Hello] = []
        self.refuse: wire.Error | None = None
        self.mute = False
        self.forgetful = False
        self.features = set(wire.Feature.values()) - {
            wire.Feature.FEATURE_UNSPECIFIED,
            wire.Feature.FEATURE_WEBRTC,
            wire.Feature.FEATURE_DAILY,
        }
        self.accepts: tuple[str, ...] = ()
        self.file_max_bytes = 10_485_760
        self.deaf_to: set[wire.Carrier.ValueType] = set()
        self.refused_paths: dict[wire.Carrier.ValueType, ErrorCode] = {}
        self.webrtc: Callable[[FakeSession, wire.PathOpen], object] | None = None
        self.grace_ms = 60_000
        self.heartbeat_ms = 2000
        self.failures: list[Exception] = []
        self._carriers = CarrierMemory()
        self._line: wire.Waiting | None = None
        self._waiting: list[tuple[End, wire.Hello, list[bytes]]] = []

    @property
    def environment(self) -> Environment:
        """For ``connect(environment=...)``: this server's network and clock, and no WebRTC."""
        return Environment(
            dial=self.network.dial,
            clock=self.clock,
            jitter=lambda: 0.5,
            webrtc=False,
            carriers=self._carriers,
        )

    @property
    def session(self) -> FakeSession:
        """The newest session.

        Raises:
            LookupError: Nobody has connected yet.
        """
        if not self.sessions:
            raise LookupError("nobody has connected")
        return self.sessions[-1]

    def refuse_with(self, code: ErrorCode, reason: str = "the test says so", **more: Any) -> None:
        """From now on every Hello is refused; `more` are fields of ``wire.Error``."""
        self.refuse = wire_error(code, reason, fatal=True, **more)
        self._end_waiting()

    def wait_with(self, position: int, estimated_ms: int = 0) -> None:
        """From now on clients that can wait for a place; those that do are told where they are."""
        self._line = wire.Waiting(position=position, estimated_ms=estimated_ms)
        for end, _, _ in self._waiting:
            end.write(wire.Envelope(waiting=self._line).SerializeToString())

    def welcome_again(self) -> None:
        """From now on Hellos are answered as they deserve, those that wait at once."""
        self.refuse, self.mute = None, False
        self._end_waiting()

    def _end_waiting(self) -> None:
        self._line, waiting, self._waiting = None, self._waiting, []
        for end, hello, early in waiting:
            self._let_in(end, hello, early)

    async def close(self) -> None:
        """Ends every session, as a server that shuts down."""
        for session in self.sessions:
            session.finish(wire.EndReason.END_REASON_SERVER)
        for session in self.sessions:
            await session.wait_over()

    async def __aenter__(self) -> "FakeServer":
        """Serves until the block ends."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends every session.

        Raises:
            Exception: The first that a bot raised, unless the block raised.
        """
        await self.close()
        if error is None and self.failures:
            raise self.failures[0]

    def _accept(self, end: End) -> None:
        """Waits for a Hello; what came before its answer comes behind it."""
        early: list[bytes] = []

        def take(data: bytes) -> None:
            try:
                message = wire.Envelope.FromString(data)
            except DecodeError:
                message = wire.Envelope()
            if not message.HasField("hello"):
                early.append(data)
                return
            self.hellos.append(message.hello)
            if self._line is not None and wire.Feature.FEATURE_WAITING in message.hello.features:
                self._waiting.append((end, message.hello, early))
                end.write(wire.Envelope(waiting=self._line).SerializeToString())
            elif not self.mute:
                self._let_in(end, message.hello, early)

        end.on_message = take

    def _let_in(self, end: End, hello: wire.Hello, early: list[bytes]) -> None:
        if self._answer(end, hello) and end.on_message is not None:
            for one in early:
                end.on_message(one)

    def _answer(self, end: End, hello: wire.Hello) -> bool:
        """Welcomes or refuses."""
        known = self._known(hello)
        error = self.refuse or self._refusal(hello, known)
        if error is None:
            session = known or self._begin(hello)
            forget, self.forgetful = self.forgetful and known is not None, False
            try:
                session.attach(end, hello, forget=forget)
                return True
            except ChannelError as wrong:
                error = wire.Error(code=wrong.code, reason=wrong.reason, fatal=True)
        end.write(wire.Envelope(error=error).SerializeToString())
        end.shut(4000 + error.code)
        return False

    def _known(self, hello: wire.Hello) -> FakeSession | None:
        alive = [session for session in self.sessions if not session.over]
        if hello.session_id:
            good = (s for s in alive if s.id == hello.session_id)
            return next((s for s in good if hello.resume_token in s.tokens), None)
        return next((s for s in alive if hello.attach_nonce in s.nonces), None)

    def _refusal(self, hello: wire.Hello, known: FakeSession | None) -> wire.Error | None:
        if known is not None:
            return None
        if hello.session_id:
            action = RecoveryAction.RECONNECT.value
            reason = "there is no such session"
            return wire_error(ErrorCode.SESSION_EXPIRED, reason, action=action, fatal=True)
        if self.tokens is not None and hello.token not in self.tokens:
            return wire_error(ErrorCode.UNAUTHORIZED, "the token is not good here", fatal=True)
        return None

    def _begin(self, hello: wire.Hello) -> FakeSession:
        session = FakeSession(f"fake.session{len(self.sessions) + 1}", hello, self)
        self.sessions.append(session)
        return session
