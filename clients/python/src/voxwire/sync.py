"""The client without ``async``: the same names, for programs that have no event loop.

::

    from voxwire.sync import connect

    with connect("ws://127.0.0.1:7860", speaker="bot.wav") as session:
        session.send_text("hello")
        for event in session:
            print(event)

The session runs in an event loop in a thread of its own (anyio's blocking portal); what is called
here waits for it. Functions that are passed in (tools, handlers, sources) run in that thread.
"""

import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from anyio.from_thread import start_blocking_portal

from voxwire import _connect
from voxwire._dispatcher import EventStream as AsyncEventStream
from voxwire._dispatcher import Handler
from voxwire._environment import Environment
from voxwire._features import Feature
from voxwire._files import FileAcceptance
from voxwire._live.audio import Levels
from voxwire._live.backend import Device
from voxwire._peer import Peer
from voxwire._prepare import Prepared as AsyncPrepared
from voxwire._session_loop import Portal, SessionLoop
from voxwire._simulate import Simulation
from voxwire._sound import SoundStream as AsyncSoundStream
from voxwire._states import ClientStatus
from voxwire._tap import Tap
from voxwire._timeouts import Timeouts
from voxwire._verbs import suppress_ended
from voxwire._voice import PlayResult
from voxwire.audio import MicrophoneLike, Playable, SpeakerLike
from voxwire.conversation import Conversation
from voxwire.latency import Latency
from voxwire.playout import Block
from voxwire.session import Session as AsyncSession
from voxwire.tokens import TokenLike
from voxwire_protocol.events import (
    ConnectionState,
    DeviceKind,
    EndReason,
    Event,
    Quality,
    StateChanged,
)

if TYPE_CHECKING:
    from voxwire.diagnosis import DeviceStatus

__all__ = [
    "Connection",
    "EventStream",
    "LiveAudio",
    "Prepared",
    "Session",
    "SoundStream",
    "connect",
    "device_states",
    "prepare",
]

EventT = TypeVar("EventT")
_ReadT = TypeVar("_ReadT")


class Connection:
    """A session that is dialled when entered and closed when left: use it with ``with``."""

    def __init__(self, connection: _connect.Connection) -> None:
        """Takes what is entered in the loop; use `connect`."""
        self._connection = connection
        self._stack = ExitStack()

    @property
    def status(self) -> ClientStatus:
        """What the client is doing: see `voxwire.ClientStatus`."""
        return self._connection.status

    def __enter__(self) -> "Session":
        """Starts the loop's thread, dials, and waits until the session is ready.

        Raises:
            VoxwireError: It cannot be had within the deadline; nothing is left behind.
        """
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal(name="voxwire-sync"))
            session = stack.enter_context(portal.wrap_async_context_manager(self._connection))
            self._stack = stack.pop_all()
        return Session(session, portal)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the session and the thread.

        Raises:
            VoxwireError: The session had failed, nobody has been told yet, and the body raised
                nothing.
        """
        self._stack.__exit__(kind, error, traceback)


def connect(url: str, **options: Any) -> Connection:
    """Connects to a bot; use it with ``with``. Arguments are those of `voxwire.connect`."""
    return Connection(_connect.connect(url, **options))


class Prepared:
    """`voxwire.Prepared` without the open socket, which only the loop of its session could use."""

    def __init__(self, prepared: AsyncPrepared) -> None:
        """Takes what was made ready in a loop that has ended; use `prepare`."""
        self._prepared = prepared

    def connect(self, **options: Any) -> Connection:
        """Connects; use it with ``with``. Options are those that `prepare` was not given."""
        return Connection(self._prepared.connect(**options))


def prepare(
    url: str,
    *,
    transport: str = "auto",
    token: TokenLike = None,
    timeouts: Timeouts | None = None,
    peer: Peer | None = None,
    environment: Environment | None = None,
) -> Prepared:
    """Does what `connect` would wait for: `voxwire.prepare`. It holds nothing when it returns."""
    prepared = AsyncPrepared(
        url,
        transport=transport,
        token=token,
        timeouts=timeouts,
        peer=peer,
        environment=environment,
    )
    with start_blocking_portal(name="voxwire-sync") as portal:
        portal.call(partial(prepared.warm, socket=False))
    return Prepared(prepared)


def device_states(
    *,
    microphone: bool | int | Device | None = True,
    speaker: bool | int | Device | None = True,
    environment: Environment | None = None,
) -> "dict[DeviceKind, DeviceStatus]":
    """Whether a microphone and a speaker can be had, before `connect`: `voxwire.device_states`."""
    from voxwire.diagnosis import device_states

    look = partial(device_states, microphone=microphone, speaker=speaker, environment=environment)
    with start_blocking_portal(name="voxwire-sync") as portal:
        return portal.call(look)


class EventStream(Generic[EventT]):
    """Events of some types, from the moment on that it was made; got from `Session.events`."""

    def __init__(self, stream: AsyncEventStream[EventT], loop: SessionLoop) -> None:
        """Reads the loop's stream; use `Session.events`."""
        self._stream = stream
        self._loop = loop

    def __iter__(self) -> Iterator[EventT]:
        """Iterates over the events until the session ends."""
        return self

    def __next__(self) -> EventT:
        """Waits for the next event.

        Raises:
            StopIteration: The session ended in order, or the stream was closed.
            VoxwireError: The session ended otherwise.
        """
        return self._loop.next(self._stream)

    def close(self) -> None:
        """Ends the stream; what is queued can still be read."""
        self._loop.look(self._stream.close)


class SoundStream:
    """The bot's voice from the moment on that it was made; got from `Session.sound`."""

    def __init__(self, stream: AsyncSoundStream, loop: SessionLoop) -> None:
        """Reads the loop's stream; use `Session.sound`."""
        self._stream = stream
        self._loop = loop

    @property
    def sample_rate(self) -> int:
        """Of the samples, Hz."""
        return self._stream.sample_rate

    @property
    def skipped(self) -> int:
        """Blocks that were given up, since nobody read them within 5 s."""
        return self._stream.skipped

    def __iter__(self) -> Iterator[Block]:
        """Iterates over the blocks, 20 ms each, until the session ends."""
        return self

    def __next__(self) -> Block:
        """Waits for the next block.

        Raises:
            StopIteration: The session has ended, or the stream was closed.
        """
        return self._loop.next(self._stream)

    def close(self) -> None:
        """Ends the stream; what is queued can still be read."""
        self._loop.look(self._stream.close)


class LiveAudio:
    """`voxwire.LiveAudio` of a session: what it has, and its verbs, which wait here."""

    def __init__(self, audio: Any, loop: SessionLoop) -> None:
        """Takes the loop's; use `Session.audio`."""
        self.__dict__["_audio"], self.__dict__["_loop"] = audio, loop

    def __getattr__(self, name: str) -> Any:
        """What it has of that name; a verb is run in the loop, and waited for."""
        value = getattr(self._audio, name)
        if not callable(value):
            return value
        waits = inspect.iscoroutinefunction(value)
        return partial(self._loop.run if waits else self._loop.look, value)

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets, in the loop, what can be set."""
        self._loop.look(setattr, self._audio, name, value)

    def levels_every(self, every_ms: float = 100) -> Iterator[Levels]:
        """How loud both sides are, again and again: `voxwire.LiveAudio.levels_every`."""
        return _Reading(self._loop.look(self._audio.levels_every, every_ms), self._loop)


class _Reading(Iterator[_ReadT]):
    """An async iterator of the loop, read from here. It lives as long as the loop does."""

    def __init__(self, reading: Any, loop: SessionLoop) -> None:
        self._reading = reading
        self._loop = loop

    def __next__(self) -> _ReadT:
        return self._loop.next(self._reading)


class Session:
    """One conversation; every name is the one of `voxwire.Session`, and waits for what it does.

    It may be used from several threads; one at a time iterates over it.
    """

    def __init__(self, session: AsyncSession, portal: Portal) -> None:
        """Takes the loop's; use `connect`."""
        self._session = session
        self._loop = SessionLoop(portal)

    def _get(self, read: Callable[[AsyncSession], _ReadT]) -> _ReadT:
        return self._loop.look(read, self._session)

    @property
    def id(self) -> str:
        """Names the session on the server."""
        return self._get(lambda it: it.id)

    @property
    def bot(self) -> str:
        """Name of the bot."""
        return self._get(lambda it: it.bot)

    @property
    def accepts(self) -> FileAcceptance | None:
        """What the bot takes of files; None = none."""
        return self._get(lambda it: it.accepts)

    @property
    def transport(self) -> str:
        """What carries the audio: ``websocket`` or ``webrtc``."""
        return self._get(lambda it: it.transport)

    @property
    def connection(self) -> ConnectionState:
        """``connected``, or ``reconnecting`` while the control channel is lost."""
        return self._get(lambda it: it.connection)

    @property
    def status(self) -> ClientStatus:
        """What the client is doing: ``ready``, ``reconnecting``, ``closing`` or ``closed``."""
        return self._get(lambda it: it.status)

    @property
    def close_reason(self) -> EndReason | None:
        """Who ended the session, or that it failed; None = it is not ``closed``."""
        return self._get(lambda it: it.close_reason)

    @property
    def features(self) -> frozenset[Feature]:
        """What the other end does in this session."""
        return self._get(lambda it: it.features)

    @property
    def conversation(self) -> Conversation:
        """Who said what so far, and what of it was heard."""
        return self._get(lambda it: it.conversation)

    @property
    def latency(self) -> Latency:
        """How long the user waited for the bot, over the turns so far."""
        return self._get(lambda it: it.latency)

    @property
    def state(self) -> StateChanged:
        """What bot and user do now, and whether the bot listens."""
        return self._get(lambda it: it.state)

    @property
    def audio(self) -> LiveAudio:
        """The live devices: levels, volume, and what there is."""
        return LiveAudio(self._get(lambda it: it.audio), self._loop)

    @property
    def simulate(self) -> Simulation:
        """Trouble on demand, for tests."""
        return cast("Simulation", LiveAudio(self._get(lambda it: it.simulate), self._loop))

    @property
    def position_ms(self) -> int:
        """Where the speaker is on the media clock, milliseconds."""
        return self._get(lambda it: it.position_ms)

    @property
    def concealed_ms(self) -> int:
        """Audio made up so far to hide that the bot's audio was late, milliseconds."""
        return self._get(lambda it: it.concealed_ms)

    @property
    def round_trip_ms(self) -> float | None:
        """Shortest recent round trip to the server, milliseconds; None = not measured yet."""
        return self._get(lambda it: it.round_trip_ms)

    @property
    def quality(self) -> Quality:
        """How well the audio flows, as of the last second."""
        return self._get(lambda it: it.quality)

    def report(self) -> dict[str, Any]:
        """Everything that a bug report needs, as JSON has it: no words, no secrets."""
        return self._get(lambda it: it.report())

    def __iter__(self) -> Iterator[Event]:
        """Iterates over the events until the session ends."""
        return _Reading(self._get(aiter), self._loop)

    def __next__(self) -> Event:
        """Waits for the next event.

        Raises:
            StopIteration: The session ended in order.
            VoxwireError: It ended otherwise.
        """
        return self._loop.next(self._session)

    def wait_for(self, event_type: type[EventT], timeout_ms: float | None = None) -> EventT:
        """Reads events up to and including the next one of a type: `voxwire.Session.wait_for`."""
        return self._loop.run(self._session.wait_for, event_type, timeout_ms)

    def events(self, *types: type[EventT]) -> EventStream[EventT]:
        """Events of some types from now on, for one more reader, in any thread."""
        return EventStream(self._get(lambda it: it.events(*types)), self._loop)

    def sound(self) -> SoundStream:
        """The bot's voice from now on, as it is played, in any thread: `voxwire.Session.sound`."""
        return SoundStream(self._get(lambda it: it.sound()), self._loop)

    def on(self, types: type[Any] | tuple[type[Any], ...], function: Handler) -> Callable[[], None]:
        """Has a function called with each event of a type, in the loop's thread.

        It must not block, nor call the session: `events` in a thread of its own may.
        """
        return partial(self._loop.look, self._get(lambda it: it.on(types, function)))

    def tap(self, function: Tap) -> Callable[[], None]:
        """Has a function called, in the loop's thread, with each message: `voxwire.Session.tap`."""
        return partial(self._loop.look, self._get(lambda it: it.tap(function)))

    def send_text(
        self, text: str, *, speak: bool = True, interrupt: bool = False, run: bool = True
    ) -> None:
        """Says something to the bot in writing: `voxwire.Session.send_text`."""
        self._do(self._session.send_text, text, speak=speak, interrupt=interrupt, run=run)

    def send_context(self, text: str) -> None:
        """Tells the bot something that it is not to answer: `voxwire.Session.send_context`."""
        self._do(self._session.send_context, text)

    def send_file(
        self,
        name: str,
        type: str,
        data: bytes | bytearray | memoryview,
        *,
        text: str = "",
        speak: bool = True,
        run: bool = True,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Sends a file to the bot, and waits until it has it: `voxwire.Session.send_file`."""
        beside: dict[str, Any] = {"text": text, "speak": speak, "run": run}
        send = self._session.send_file
        self._do(send, name, type, data, on_progress=on_progress, **beside)

    def interrupt(self) -> None:
        """Cuts the bot off, as if the user had spoken: `voxwire.Session.interrupt`."""
        self._do(self._session.interrupt)

    def user_activity(self) -> None:
        """Says that the user is there: `voxwire.Session.user_activity`."""
        self._do(self._session.user_activity)

    def mute(self, muted: bool = True) -> None:
        """Closes or opens the microphone: `voxwire.Session.mute`."""
        self._do(self._session.mute, muted)

    def play(self, source: Playable) -> PlayResult:
        """Plays audio as the user's voice, and waits until it was sent: `voxwire.Session.play`."""
        return self._do(self._session.play, source)

    def set_microphone(self, source: MicrophoneLike) -> None:
        """Hears the user with another source: `voxwire.Session.set_microphone`."""
        self._do(self._session.set_microphone, source)

    def set_speaker(self, sink: SpeakerLike) -> None:
        """Plays the bot with another sink: `voxwire.Session.set_speaker`."""
        self._do(self._session.set_speaker, sink)

    @contextmanager
    def push_to_talk(self) -> Generator[None]:
        """The user is heard while this is entered, and muted before and after."""
        self.mute(False)
        try:
            yield
        finally:
            with suppress_ended():
                self.mute(True)

    def call(self, method: str, data: Any = None, *, timeout_ms: float | None = None) -> Any:
        """Asks the bot's program, and waits for its answer: `voxwire.Session.call`."""
        return self._do(self._session.call, method, data, timeout_ms=timeout_ms)

    def acknowledged(self, *, timeout_ms: float | None = None) -> None:
        """Waits until the server has what was sent so far: `voxwire.Session.acknowledged`."""
        self._do(self._session.acknowledged, timeout_ms=timeout_ms)

    def handle(self, method: str, function: Callable[[Any], Any]) -> Callable[[], None]:
        """Answers, in the loop's thread, what the bot's program asks: `voxwire.Session.handle`."""
        return partial(self._loop.look, self._get(lambda it: it.handle(method, function)))

    def send_dtmf(self, digits: str) -> None:
        """Presses keys of a telephone: `voxwire.Session.send_dtmf`."""
        self._do(self._session.send_dtmf, digits)

    def send_message(
        self, type: str, data: Any = None, *, request_id: str = "", response: bool = False
    ) -> None:
        """Sends a message of the application to the bot: `voxwire.Session.send_message`."""
        send = self._session.send_message
        self._do(send, type, data, request_id=request_id, response=response)

    def close(self, reason: str = "") -> None:
        """Ends the session. When it returns, after at most 10 s, nothing of it is left.

        Raises:
            UsageError: INVALID_STATE: a function that the session calls cannot wait for its end.
        """
        with suppress_ended():
            self._do(self._session.close, reason)

    def _do(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._loop.run(verb, *args, **kwargs)
