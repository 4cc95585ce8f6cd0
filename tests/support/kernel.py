"""The whole kernel in memory and in virtual time: a front door, sessions, clients, a stub of a bot.

A directory and its registry make real sessions with numbered channels; a client numbers with the
same ``Channel`` as the real ones, over links that deliver at once, swallow everything, or are cut.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from tests.support.front_door import NOW_S, House, Process
from voxwire_protocol import wire
from voxwire_protocol.channel import Channel
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.clocks import Clock
from voxwire_protocol.virtual_time import VirtualTime
from voxwire_server.control.link import ControlLink
from voxwire_server.control.numbered import NumberedChannel
from voxwire_server.lifecycle import Event
from voxwire_server.ports import ControlChannel, Inbox, SessionFacts
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.session import Session
from voxwire_server.session.store import Saved
from voxwire_server.session.ticket import Refused, Ticket

__all__ = ["FEATURES", "Client", "HeldStore", "Kernel", "Line", "Recorder", "StubBot", "name_of"]

FEATURES: Final = frozenset(
    {
        wire.Feature.FEATURE_SEQUENCE,
        wire.Feature.FEATURE_RESUME,
        wire.Feature.FEATURE_CHUNKS,
        wire.Feature.FEATURE_FLUSH,
        wire.Feature.FEATURE_PLAYOUT_REPORTS,
        wire.Feature.FEATURE_WEBSOCKET_AUDIO,
    }
)
_GAP: Final = wire.InterruptionSource.INTERRUPTION_SOURCE_GAP
_INTERRUPTED: Final = wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED
_WEBSOCKET: Final = wire.Carrier.CARRIER_WEBSOCKET


def name_of(code: int) -> str:
    """An error's code as the tables of the specification write it."""
    return wire.ErrorCode.Name(code).removeprefix("ERROR_CODE_")  # type: ignore[arg-type]


class HeldStore(LocalStore):
    """A store that forgets nothing while it is held: what is over can still be found in it."""

    def __init__(self) -> None:
        super().__init__(now_s=lambda: NOW_S)
        self.free = asyncio.Event()

    async def take(self, session_id: str, *, of: str, by: str) -> Saved | None:
        if not by:
            await self.free.wait()
        return await super().take(session_id, of=of, by=by)


class StubBot:
    """A bot whose pipeline does what a test says; it cuts as the real one does.

    Attributes:
        stop: Set it, and the bot's function returns, or raises ``fails``.
        linger: Clear it, and the function takes its time after that.
        cuts: Utterance and source of every cut that the client was told of.
        placed: Number of utterances begun.
        user_bytes: How much of the user's voice came.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.stop, self.linger = asyncio.Event(), asyncio.Event()
        self.linger.set()
        self.fails: Exception | None = None
        self.cuts: list[tuple[str, wire.InterruptionSource]] = []
        self.placed = self.user_bytes = 0
        self._speaking = ""

    async def run(self) -> None:
        """What the bot's function does."""
        self.session.pipeline_started(self)
        try:
            await self.stop.wait()
            if self.fails is not None:
                raise self.fails
        finally:
            await self.linger.wait()

    def say(self, length_ms: int) -> None:
        """Place so much sound: of the utterance that is not heard to its end yet, or a new one."""
        voice = self.session.voice
        begins = not self._speaking or voice.backlog_ms() <= 0
        if begins:
            self.placed += 1
            self._speaking = f"u{self.placed}"
        rate = self.session.settings.audio_out_sample_rate
        voice.place(bytes(length_ms * rate // 1000 * 2), new_stretch=begins)

    async def interrupt(self, source: wire.InterruptionSource, *, settle: bool = False) -> None:
        voice = self.session.voice
        current, self._speaking = self._speaking, ""
        if voice.backlog_ms() <= 0:
            current = ""
        result = await voice.flush(current)
        heard_ms, known_by = voice.heard_at() if result is None else result
        if current:
            self.cuts.append((current, source))
            ended = wire.UtteranceEnded(
                utterance_id=current,
                end=_INTERRUPTED,
                heard_media_ms=int(heard_ms),
                heard_source=known_by,
            )
            self.session.emit(utterance_ended=ended)
            self.session.emit(interrupted=wire.Interrupted(source=source, utterance_id=current))

    @property
    def gap_cuts(self) -> list[str]:
        """The utterances that were cut because nobody heard them."""
        return [utterance for utterance, source in self.cuts if source == _GAP]

    def user_audio(self, pcm: bytes) -> None:
        self.user_bytes += len(pcm)

    async def text(
        self,
        text: str,
        *,
        run_immediately: bool,
        audio_response: bool,
        is_void: Callable[[], bool],
    ) -> None:
        self.say(200)

    async def keys(self, digits: str) -> None:
        pass

    def heard(self) -> None:
        pass

    async def end(self) -> None:
        self.stop.set()


class Recorder(NumberedChannel):
    """A numbered channel that notes what passes it, by numbering (of a session, from 1).

    Attributes:
        said: Reliable messages of the session, without their numbers.
        took: Those of the client that the session was given.
        late: What was sent behind ``SessionEnded``.
    """

    def __init__(self, features: frozenset[wire.Feature], clock: Clock) -> None:
        super().__init__(features, clock=clock)
        self.said: dict[int, list[bytes]] = defaultdict(list)
        self.took: dict[int, list[bytes]] = defaultdict(list)
        self.late: list[str] = []
        self._told_the_end = False

    @property
    def numbering(self) -> int:
        """The epoch that the numbers in use began with."""
        return int(vars(self._attaches)["_numbering_epoch"])

    def begin(self, inbox: Inbox) -> None:
        take = inbox.message

        def note(message: wire.Envelope) -> None:
            _note(self.took[self.numbering], message)
            take(message)

        setattr(inbox, "message", note)  # noqa: B010 - a method of the protocol
        super().begin(inbox)

    def send(self, envelope: wire.Envelope) -> None:
        super().send(envelope)
        if self._told_the_end:
            self.late.append(str(envelope.WhichOneof("payload")))
        _note(self.said[self.numbering], envelope)
        self._told_the_end |= envelope.HasField("session_ended")


def _note(notes: list[bytes], message: wire.Envelope) -> None:
    if message.WhichOneof("payload") in wire.RELIABLE_PAYLOADS:
        plain = wire.Envelope()
        plain.CopyFrom(message)
        plain.ClearField("seq")
        plain.ClearField("ack")
        notes.append(plain.SerializeToString(deterministic=True))


class Line:
    """A socket without a network: what a client came by, and both its ends.

    Attributes:
        dead: Set it, and whatever is sent vanishes, both ways; neither side is told.
        unseen: The client never learns what comes on it: its Welcome is lost.
        welcome: The Welcome that the server sent on it.
        closed: Code with which the server closed it.
    """

    def __init__(
        self, client: "Client", hello: wire.Hello, *, origin: bytes, unseen: bool = False
    ) -> None:
        self.client, self.hello, self.unseen = client, hello, unseen
        self.dead = False
        self.welcome: wire.Welcome | None = None
        self.closed: int | None = None
        self.session: Session | None = None
        self.link = ControlLink(self._send, clock=client.kernel.time)
        self.ticket = Ticket(
            token=hello.token,
            nonce=hello.attach_nonce,
            bot="a",
            session_id=hello.session_id,
            resume_token=hello.resume_token,
            is_local=True,
        )
        self.facts = SessionFacts(features=frozenset(hello.features), origin=origin)
        self._writing: asyncio.Task[None] | None = None

    # the door's side (ticket.Arrival)

    def channel(self, features: frozenset[wire.Feature], clock: Clock) -> ControlChannel:
        return Recorder(features, clock)

    def bind(self, session: Session) -> None:
        welcome = wire.Welcome(session_id=session.id, features=sorted(session.features))
        channel_of(session).rebind(self.link, self.hello, welcome)
        self.session = session
        self._writing = asyncio.get_running_loop().create_task(self._write(session))

    def coming(self, session: Session) -> Event | None:
        return channel_of(session).coming(self.hello)

    def leave(self, session: Session) -> None:
        self.drop()

    async def _write(self, session: Session) -> None:
        try:
            await self.link.write()
        except Exception as error:
            self.client.kernel.failures.append(error)
        finally:
            channel_of(session).lost(self.link)

    async def _send(self, event: dict[str, Any]) -> None:
        if event["type"] == "websocket.close":
            self.closed = event["code"]
            return
        data = event["bytes"]
        if self.welcome is None:
            self.welcome = wire.Envelope.FromString(data).welcome
        if not (self.dead or self.unseen):
            self.client.take(self, data)

    # the client's side

    @property
    def open(self) -> bool:
        """True while the server has not closed it and nobody has cut it."""
        return self._writing is not None and not self._writing.done()

    def send(self, data: bytes) -> None:
        """Send one message to the server; it has it at once, or never."""
        if not self.dead and self.open and self.session is not None:
            channel_of(self.session).receive(data, self.link)

    def drop(self) -> None:
        """Cut it: both sides learn of it."""
        if self.session is not None and self._writing is not None and self.open:
            channel_of(self.session).lost(self.link)
            self._writing.cancel()


def channel_of(session: Session) -> Recorder:
    """The channel of one of these sessions."""
    assert isinstance(session.numbered, Recorder)
    return session.numbered


class Client:
    """A client's program: it dials, numbers, comes back, plays and says what it has played.

    Attributes:
        said: What it said reliably, by numbering; ``got``: what it was told so.
        told: All that it was told, in order; ``errors``: those of it that are errors.
        session: The session that it opened.
        line: The socket that it reads.
        path: The media path in use; 0 = none.
        end_ms: End of the sound that it has; ``at_ms``: what it has played of it.
        answers: Whether it answers flushes; ``suspended``: whether it has said that it cannot play.
    """

    def __init__(
        self,
        kernel: "Kernel",
        *,
        features: frozenset[wire.Feature] = FEATURES,
        token: str = "",
        origin: bytes = b"",
    ) -> None:
        self.kernel = kernel
        self.features, self.token, self.origin = features, token, origin
        self.session: Session | None = None
        self.line: Line | None = None
        self.lines: list[Line] = []
        self.first_hello: wire.Hello | None = None
        self.welcome: wire.Welcome | None = None
        self.numbering = 1
        self.said: dict[int, list[bytes]] = defaultdict(list)
        self.got: dict[int, list[bytes]] = defaultdict(list)
        self.told: list[wire.Envelope] = []
        self.errors: list[wire.Error] = []
        self.path = self.paths = 0
        self.end_ms = self.at_ms = 0.0
        self.answers, self.suspended = True, False
        self._channel = Channel(allowed=wire.SERVER_PAYLOADS)
        self._known: dict[int, bytes] = {}

    @property
    def live(self) -> Session:
        """Its session."""
        assert self.session is not None
        return self.session

    @property
    def bot(self) -> StubBot:
        """The bot of its session."""
        return self.kernel.bots[self.live.id]

    @property
    def linked(self) -> bool:
        """True when what either side says reaches the other one."""
        line = self.line
        return (
            line is not None
            and line.open
            and not line.dead
            and self.session is not None
            and self.session.link is line.link
        )

    def hello(self, **fields: Any) -> wire.Hello:
        """The Hello that it would say now."""
        hello = wire.Hello(
            attach_nonce=self.kernel.nonce(), features=sorted(self.features), bot="a"
        )
        if self.welcome is not None:
            hello.session_id = self.welcome.session_id
            hello.resume_token = self.welcome.resume_token
            hello.epoch = self.welcome.epoch
            hello.last_seq = self._channel.last_received
        elif self.token:
            hello.token = self.token
        hello.MergeFrom(wire.Hello(**fields))
        return hello

    async def ask(
        self, hello: wire.Hello, *, origin: bytes | None = None, unseen: bool = False
    ) -> str:
        """Say Hello on a new socket. What the answer is, in the words of the table."""
        line = Line(self, hello, origin=self.origin if origin is None else origin, unseen=unseen)
        self.lines.append(line)
        answer = await self.kernel.process.directory.attach(line.ticket, line.facts, line)
        await self.kernel.time.settle()
        if isinstance(answer, Refused):
            return name_of(answer.code)
        assert line.session is not None
        assert line.welcome is not None
        if self.session is None:
            self.session, self.first_hello = line.session, hello
        elif line.session is not self.session:
            return "other session"
        return self._answer(line.welcome)

    def _answer(self, welcome: wire.Welcome) -> str:
        epoch, token = welcome.epoch, welcome.resume_token
        known = self._known.get(epoch)
        self._known[epoch] = token
        if known is not None:
            assert known == token
            return "same Welcome"
        if welcome.HasField("snapshot"):
            assert not welcome.resumed
            return "Snapshot"
        assert welcome.resumed == (epoch > 1)
        assert epoch == len(self._known)
        return "resumed"

    # what comes

    def take(self, line: Line, data: bytes) -> None:
        """A message came on one of its sockets."""
        if line.session is not self.session and self.session is not None:
            return  # of another session
        envelope = wire.Envelope.FromString(data)
        if envelope.HasField("welcome"):
            self._welcomed(line, envelope.welcome)
        elif line is self.line:
            for message in self._channel.receive(data, self._now()):
                self._take(message)

    def _welcomed(self, line: Line, welcome: wire.Welcome) -> None:
        missing: list[bytes] | None = []
        if welcome.HasField("snapshot"):
            self._channel.restart()
            self.numbering = welcome.epoch
        else:
            missing = self._channel.resume(welcome.last_seq, self._now())
        assert missing is not None
        self.welcome, self.line = welcome, line
        self.path = 0
        for data in missing:
            line.send(data)

    def _take(self, message: wire.Envelope) -> None:
        assert "session_ended" not in [e.WhichOneof("payload") for e in self.told[-1:]]
        self.told.append(message)
        _note(self.got[self.numbering], message)
        match message.WhichOneof("payload"):
            case "ping":
                self.say(pong=ClockSync.pong(message.ping, self._now() * 1000, self._now() * 1000))
            case "error":
                self.errors.append(message.error)
            case "path_ready":
                self.path, self.suspended = message.path_ready.path_id, False
            case "path_close" if message.path_close.path_id == self.path:
                self.path = 0
            case "audio" if self.session is not None:
                rate = self.session.settings.audio_out_sample_rate
                end = message.audio.sample_index + len(message.audio.data) // 2
                self.end_ms = max(self.end_ms, end * 1000 / rate)
            case "flush":
                self._flush(message.flush)
            case _:
                pass

    def _flush(self, flush: wire.Flush) -> None:
        heard_ms = int(self.at_ms)
        self.at_ms = self.end_ms = max(self.end_ms, float(flush.until_media_ms))
        if self.answers and flush.path_id == self.path:
            report = wire.PlayoutReport(
                path_id=self.path,
                media_ms=heard_ms,
                flush_id=flush.flush_id,
                suspended=self.suspended,
            )
            self.say(playout_report=report)

    # what it says

    def _now(self) -> int:
        return int(self.kernel.time.now_ms())

    def say(self, **payload: Any) -> None:
        """Say something; without a socket it waits for the next one."""
        message = wire.Envelope(**payload)
        _note(self.said[self.numbering], message)
        for data in self._channel.send(message, self._now()):
            if self.line is not None:
                self.line.send(data)

    def open_path(self) -> None:
        """Ask for a path on the control channel."""
        self.paths += 1
        self.say(path_open=wire.PathOpen(path_id=self.paths, carrier=_WEBSOCKET))

    def report(self, played_ms: float = 0.0, *, suspended: bool = False) -> None:
        """Say how far it has played: so much further, if it has so much."""
        self.suspended = suspended
        if not suspended:
            self.at_ms = min(self.end_ms, self.at_ms + played_ms)
        self.report_at(self.at_ms, suspended=suspended)

    def report_at(self, media_ms: float, *, suspended: bool = False) -> None:
        """Say that it has played so far, whether that is so or not."""
        report = wire.PlayoutReport(
            path_id=self.path, media_ms=int(media_ms), playing=True, suspended=suspended
        )
        self.say(playout_report=report)

    def of(self, kind: str) -> list[Any]:
        """What it was told of one kind, oldest first."""
        return [getattr(m, kind) for m in self.told if m.WhichOneof("payload") == kind]


class Kernel:
    """One process: its front door, its sessions and their bots.

    Args:
        time: The virtual time that it runs in.
        store: Where it enters its sessions.
        settings: Of the server.

    Attributes:
        bots: By the ids of their sessions.
        failures: What a client could not take.
    """

    def __init__(
        self, time: VirtualTime, *, store: LocalStore | None = None, **settings: Any
    ) -> None:
        self.time = time
        self.bots: dict[str, StubBot] = {}
        self.failures: list[Exception] = []
        self.process = Process(store, house=House(self._run), clock=time, **settings)
        self._nonces = 0

    async def _run(self, session: Session) -> None:
        self.bots[session.id] = StubBot(session)
        await self.bots[session.id].run()

    def nonce(self) -> bytes:
        """An attach nonce that nobody else has."""
        self._nonces += 1
        return self._nonces.to_bytes(16, "big")

    async def client(self, **settings: Any) -> Client:
        """A client with a session of its own."""
        client = Client(self, **settings)
        assert await client.ask(client.hello()) == "resumed"
        return client

    async def close(self) -> None:
        """End everything; nothing may be left."""
        for bot in self.bots.values():
            bot.linger.set()
        await self.process.close()
        await self.time.settle()
        assert self.failures == [], self.failures
