"""A session: one conversation with a bot, as a program sees it."""

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, TypeVar, cast

from voxwire._arguments import invalid
from voxwire._arguments import text as checked_text
from voxwire._dispatcher import EventStream, Handler
from voxwire._features import Feature
from voxwire._files import FileAcceptance, acceptance_of
from voxwire._live.audio import LiveAudio
from voxwire._options import Options, path_name
from voxwire._report import report_of
from voxwire._runtime import Runtime
from voxwire._simulate import Simulation
from voxwire._sound import SoundStream
from voxwire._states import ClientStatus
from voxwire._tap import Tap, check_tap
from voxwire._verbs import MAX_NAME_CHARS, Verbs
from voxwire.conversation import Conversation
from voxwire.latency import Latency
from voxwire_protocol.errors import ErrorCode, TransportError, UsageError
from voxwire_protocol.events import ConnectionState, EndReason, Event, Quality, StateChanged

__all__ = ["Session"]

EventT = TypeVar("EventT")

READER: Final[ContextVar[object]] = ContextVar("voxwire_reader", default=None)
"""Who reads, where that is not the task: a thread of the facade without async."""


def reader() -> object:
    """Who reads events here."""
    try:
        return READER.get() or asyncio.current_task()
    except RuntimeError:  # no loop runs: what is left is read behind the end
        return threading.current_thread()


class Reading:
    """What ``async for event in session`` goes through. It lives as long as the loop does."""

    def __init__(self, read: Callable[[], Awaitable[Event]]) -> None:
        """Reads the session's own queue; use `Session.__aiter__`."""
        self._read = read
        self.reader = reader()

    def __aiter__(self) -> "Reading":
        """Iterates over the events until the session ends."""
        return self

    async def __anext__(self) -> Event:
        """Returns the next event: `Session.__anext__`. Cancel-safe."""
        self.reader = reader()
        return await self._read()


class Session(Verbs):
    """One conversation. Made by `connect`; iterate over it to get its events.

    It outlives its connection: while that is dialled again (`connection`), what is sent waits and
    goes out once, in order; a verb raises SessionError CAPACITY when too much waits already.
    Not thread-safe. Iterating over it and `wait_for` read the events from the first on, in one
    task at a time; `events` and `on` tell as many others as there are what happens from then on.
    Everything it runs ends with it.
    """

    def __init__(self, runtime: Runtime, options: Options) -> None:
        """Takes what runs behind it; use `connect`."""
        super().__init__(runtime, options)
        self._reading = False
        self._readings: weakref.WeakSet[Reading] = weakref.WeakSet()

    @property
    def id(self) -> str:
        """Names the session on the server."""
        return self._runtime.inbox.welcome.session_id

    @property
    def bot(self) -> str:
        """Name of the bot."""
        return self._runtime.inbox.welcome.bot

    @property
    def accepts(self) -> FileAcceptance | None:
        """What the bot takes of files; None = none."""
        return acceptance_of(self._runtime.inbox.welcome)

    @property
    def transport(self) -> str:
        """What carries the audio: ``websocket`` or ``webrtc``."""
        opened = self._runtime.opened
        return path_name(opened.path.carrier) if opened else "none"

    @property
    def connection(self) -> ConnectionState:
        """``connected``, or ``reconnecting`` while the control channel is lost."""
        return self._runtime.inbox.connection

    @property
    def status(self) -> ClientStatus:
        """What the client is doing: ``ready``, ``reconnecting``, ``closing`` or ``closed``.

        Where `connection` is about the control channel alone, this is about the media path, too.
        """
        return self._runtime.status

    @property
    def close_reason(self) -> EndReason | None:
        """Who ended the session, or that it failed; None = it is not ``closed``."""
        return self._runtime.close_reason

    @property
    def features(self) -> frozenset[Feature]:
        """What the other end does in this session; what is not in it is not made up."""
        return self._runtime.features

    @property
    def conversation(self) -> Conversation:
        """Who said what so far, and what of it was heard; it does not change, read it again.

        After the end it is what it was, with nothing open: what was not heard by then is ``cut``.
        """
        return self._runtime.log.conversation

    @property
    def latency(self) -> Latency:
        """How long the user waited for the bot, over the turns so far."""
        return self._runtime.latency.latency

    @property
    def state(self) -> StateChanged:
        """What bot and user do now, and whether the bot listens: the newest `StateChanged`."""
        return self._runtime.state

    @property
    def audio(self) -> LiveAudio:
        """The live devices: levels, volume, and what there is."""
        return self._runtime.live

    @property
    def simulate(self) -> Simulation:
        """Trouble on demand, for tests: lost connections, frozen and slow ones."""
        return self._runtime.simulation

    @property
    def position_ms(self) -> int:
        """Where the speaker is on the media clock, milliseconds."""
        player = self._runtime.player
        return player.position_ms if player else 0

    @property
    def concealed_ms(self) -> int:
        """Audio made up so far to hide that the bot's audio was late, milliseconds."""
        player = self._runtime.player
        return player.buffer.concealed_ms if player else 0

    @property
    def round_trip_ms(self) -> float | None:
        """Shortest recent round trip to the server, milliseconds; None = not measured yet."""
        rtt_us = self._runtime.clock.rtt_us
        return None if rtt_us is None else rtt_us / 1000

    @property
    def quality(self) -> Quality:
        """How well the audio flows, as of the last second; `Quality` is an event, too."""
        return self._runtime.meter.quality

    def report(self) -> dict[str, Any]:
        """Everything that a bug report needs, as JSON has it: no words, no secrets."""
        return report_of(self._runtime, self._options)

    def __aiter__(self) -> AsyncIterator[Event]:
        """Iterates over the events until the session ends."""
        reading = Reading(self.__anext__)
        self._readings.add(reading)
        return reading

    async def __anext__(self) -> Event:
        """Returns the next event. Cancel-safe.

        Waits as long as the session is alive, reconnecting included.

        Raises:
            StopAsyncIteration: The session ended in order.
            VoxwireError: It ended otherwise.
        """
        event = await self._next_event()
        if event is None:
            raise StopAsyncIteration
        return event

    def events(self, *types: type[EventT]) -> EventStream[EventT]:
        """Events of some types from now on, for one more reader: ``async for word in ...``.

        Args:
            types: Classes of events; none = all of them.

        Returns:
            An async iterator with a queue of its own. It ends with the session, or by `close`.
        """
        return self._runtime.events.stream(_event_types(types))

    def sound(self) -> SoundStream:
        """The bot's voice from now on, as it is played: ``async for block in session.sound()``.

        Beside the speaker, and whatever that is: for a recorder, an avatar, a recogniser. Several
        may listen at once, each to all of it.

        Returns:
            An async iterator of blocks of 20 ms, with a queue of its own (5 s). It ends with the
            session, or by `close`.
        """
        return self._runtime.sound()

    def on(self, types: type[Any] | tuple[type[Any], ...], function: Handler) -> Callable[[], None]:
        """Has a function called with each event of a type from now on.

        Args:
            types: A class of events, or several; `object` = all of them.
            function: A plain one is called at once and must not block; an async one is called with
                one event after the other, in a task of the session. What it raises is logged.

        Returns:
            A function that ends that.
        """
        if not callable(cast("object", function)):
            raise invalid("what is called with events must be a function")
        given = types if isinstance(types, tuple) else (types,)
        return self._runtime.events.on(_event_types(given), function)

    def tap(self, function: Tap) -> Callable[[], None]:
        """Has a function called with each message, both ways, from now on: for logs and recorders.

        `connect(tap=...)` sees the first ones, too.

        Args:
            function: Called with a `TappedMessage`; must not block. What it raises is logged.

        Returns:
            A function that ends that.
        """
        return self._options.taps.add(check_tap(function))

    async def wait_for(self, event_type: type[EventT], timeout_ms: float | None = None) -> EventT:
        """Reads events up to and including the next one of a type. Cancel-safe.

        Events before it do not come again where the session is iterated over. While another task
        iterates over it, it waits for one that happens from now on, and takes none from that.

        Args:
            event_type: The class of the event.
            timeout_ms: Longest wait, milliseconds; None = `Timeouts.wait_ms`.

        Raises:
            TransportError: TIMEOUT when none came in time.
            UsageError: INVALID_STATE when the session ended in order before one came;
                INVALID_ARGUMENT for what is no class or no time.
            VoxwireError: The session failed.
        """
        (wanted,) = _event_types((event_type,))
        wait_ms = self._wait_ms(timeout_ms)
        try:
            async with asyncio.timeout(wait_ms / 1000):
                if (found := await self._first_of(wanted)) is not None:
                    return found
        except TimeoutError:
            reason = f"no {wanted.__name__} within {wait_ms / 1000:g} s"
            raise TransportError(ErrorCode.TIMEOUT, reason, retryable=True) from None
        reason = f"the session ended before {wanted.__name__} came"
        raise UsageError(ErrorCode.INVALID_STATE, reason)

    async def _first_of(self, wanted: type[EventT]) -> EventT | None:
        """The next event of a type; None when the session ended in order before one came."""
        if wanted is Quality:
            return await anext(self.events(wanted), None)
        queue = self._runtime.events.queue
        if not self._others_read() and (found := queue.take_first(wanted)) is not None:
            return found
        stream = self.events(wanted)
        while (told := await anext(stream, None)) is not None:
            if isinstance(told, wanted):  # and not an EventsSkipped
                if not self._others_read():
                    queue.drop_through(told)
                return told
        return None

    def _others_read(self) -> bool:
        """Whether another task reads the session's own queue, or will go on doing so."""
        me = reader()
        return self._reading or any(it.reader is not me for it in self._readings)

    async def _next_event(self) -> Event | None:
        if self._reading:
            reason = "another task is reading the events: session.events() gives this one its own"
            raise UsageError(ErrorCode.INVALID_STATE, reason)
        self._reading = True
        try:
            return await self._runtime.events.queue.get()
        finally:
            self._reading = False

    async def close(self, reason: str = "") -> None:
        """Ends the session. When it returns, after at most 10 s, nothing of it is left.

        Args:
            reason: One sentence for the server's log; may be empty.

        Raises:
            UsageError: INVALID_ARGUMENT: it is no text; the session goes on.
        """
        checked_text(reason, "reason", max_chars=MAX_NAME_CHARS)
        self._runtime.spare(asyncio.current_task())
        try:
            await self._runtime.bye(reason)
        finally:
            await self._runtime.stop()


def _event_types(given: tuple[type[EventT], ...]) -> tuple[type[EventT], ...]:
    for one in cast("tuple[object, ...]", given):
        if not isinstance(one, type):
            raise invalid("types of events are classes, for instance voxwire.BotWord")
    return given
