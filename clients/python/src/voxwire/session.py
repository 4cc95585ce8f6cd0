"""A session: one conversation with a bot, as a program sees it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, TypeVar, cast

from voxwire._arguments import flag, invalid, json_text, number
from voxwire._arguments import text as checked_text
from voxwire._features import Feature
from voxwire._files import FileAcceptance, acceptance_of, begin_of
from voxwire._live.audio import LiveAudio
from voxwire._options import path_name
from voxwire._runtime import Runtime
from voxwire._simulate import Simulation
from voxwire_protocol import events, wire
from voxwire_protocol.errors import ErrorCode, TransportError, UsageError

__all__ = ["Session"]

EventT = TypeVar("EventT")

MAX_TEXT_CHARS: Final = 65_536
"""A server takes no longer text at once: see protocol/spec/limits.md."""

MAX_DATA_BYTES: Final = 60 * 1024
"""The same for the JSON of a message, which is 64 KB at most with its names."""

MAX_NAME_CHARS: Final = 500

_MUTED: Final = "the microphone was muted"


class Session:
    """One conversation. Made by `connect`; iterate over it to get its events.

    It outlives its connection: while that is dialled again (`connection`), what is sent waits and
    goes out once, in order; a verb raises SessionError CAPACITY when too much waits already.
    Not thread-safe; one task at a time may read events. Everything it runs ends with it.
    """

    def __init__(self, runtime: Runtime) -> None:
        """Takes what runs behind it; use `connect`."""
        self._runtime = runtime
        self._reading = False

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
    def connection(self) -> events.ConnectionState:
        """``connected``, or ``reconnecting`` while the control channel is lost."""
        return self._runtime.inbox.connection

    @property
    def features(self) -> frozenset[Feature]:
        """What the other end does in this session; what is not in it is not made up."""
        return self._runtime.features

    @property
    def audio(self) -> LiveAudio:
        """The live devices: levels, volume, and others in their place."""
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

    def __aiter__(self) -> "Session":
        """Iterates over the events until the session ends."""
        return self

    async def __anext__(self) -> events.Event:
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

    async def wait_for(self, event_type: type[EventT], timeout: float = 10.0) -> EventT:
        """Reads events up to and including the next one of a type. Cancel-safe.

        Events before it are read, too, and do not come again.

        Args:
            event_type: The class of the event.
            timeout: Longest wait, seconds.

        Raises:
            TransportError: TIMEOUT when none came in time.
            UsageError: INVALID_STATE when the session ended in order before one came;
                INVALID_ARGUMENT for what is no class or no time.
            VoxwireError: The session failed.
        """
        given = cast("object", event_type)
        if not isinstance(given, type):
            raise invalid("event_type must be a class of event, for instance voxwire.BotWord")
        number(timeout, "timeout", finite=False)
        name = event_type.__name__
        try:
            async with asyncio.timeout(timeout):
                while (event := await self._next_event()) is not None:
                    if isinstance(event, event_type):
                        return event
        except TimeoutError:
            reason = f"no {name} within {timeout:g} s"
            raise TransportError(ErrorCode.TIMEOUT, reason, retryable=True) from None
        raise UsageError(ErrorCode.INVALID_STATE, f"the session ended before {name} came")

    async def _next_event(self) -> events.Event | None:
        if self._reading:
            raise UsageError(ErrorCode.INVALID_STATE, "another task is reading the events")
        self._reading = True
        try:
            return await self._runtime.events.get()
        finally:
            self._reading = False

    async def send_text(
        self, text: str, *, run_immediately: bool = True, audio_response: bool = True
    ) -> None:
        """Says something to the bot in writing.

        Args:
            text: What the user typed.
            run_immediately: False = add it to the conversation without asking for an answer.
            audio_response: False = answer in text only.

        Raises:
            UsageError: INVALID_ARGUMENT: it is no text, or above 65 536 characters.
        """
        message = wire.SendText(
            text=checked_text(text, "text", max_chars=MAX_TEXT_CHARS),
            run_immediately=flag(run_immediately, "run_immediately"),
            audio_response=flag(audio_response, "audio_response"),
        )
        self._runtime.send(wire.Envelope(send_text=message))

    async def send_file(
        self,
        name: str,
        type: str,
        data: bytes | bytearray | memoryview,
        *,
        text: str = "",
        run_immediately: bool = True,
        audio_response: bool = True,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Sends a file to the bot, and waits until it has it. Cancelled, the file is given up.

        It goes at the pace that the server sets, so that nothing else is late for it, and
        outlives a lost connection.

        Args:
            name: Its name, without a path; may be empty.
            type: Its media type: ``image/png``. `accepts` says what the bot takes.
            data: Its bytes.
            text: What the user writes beside it.
            run_immediately: False = add it to the conversation without asking for an answer.
            audio_response: False = answer in text only.
            on_progress: Called with how much the server has, and with the whole, bytes. What it
                raises, this raises.

        Raises:
            UsageError: INVALID_ARGUMENT; UNSUPPORTED when the bot takes no such file.
            ProtocolError: TOO_LARGE.
            VoxwireError: CAPACITY or RATE_LIMITED when there is too much at once; TIMEOUT when the
                server waited in vain; why the session ended.
        """
        begin, copied = begin_of(
            name,
            type,
            data,
            beside=text,
            run_immediately=run_immediately,
            audio_response=audio_response,
            accepts=self.accepts,
        )
        await self._runtime.files.send(begin, copied, on_progress)

    async def interrupt(self) -> None:
        """Cuts the bot off, as if the user had spoken.

        Raises:
            UsageError: UNSUPPORTED: the bot cannot be cut off so (`Feature.INTERRUPT`).
        """
        self._runtime.send(wire.Envelope(interrupt=wire.Interrupt()))

    async def mute(self, muted: bool = True) -> None:
        """Closes or opens the microphone; what it hears while closed is not sent.

        Raises:
            UsageError: INVALID_ARGUMENT: it is no bool.
        """
        user = self._runtime.user
        if flag(muted, "muted") and (dropped_ms := user.say_dropped(_MUTED)):
            self._runtime.events.put(events.CaptureDropped(dropped_ms, _MUTED))
        user.muted = muted
        self._runtime.send(wire.Envelope(mute=wire.Mute(muted=muted)))

    @contextlib.asynccontextmanager
    async def push_to_talk(self) -> AsyncGenerator[None]:
        """The user is heard while this is entered, and muted before and after.

        Mute the session once at its beginning. What is said into it while the connection is lost
        is dropped when it is left, as by `mute`.
        """
        await self.mute(False)
        try:
            yield
        finally:
            await self.mute(True)

    async def send_message(
        self, type: str, data: Any = None, *, request_id: str = "", response: bool = False
    ) -> None:
        """Sends a message of the application to the bot.

        Args:
            type: Its kind, chosen by the application.
            data: Anything that JSON can hold, at most 60 KB.
            request_id: Names the request that this is, or answers; empty = none.
            response: True = this is the answer to the bot's request of that name.

        Raises:
            UsageError: INVALID_ARGUMENT: JSON cannot hold the data, or it is too large.
        """
        message = wire.AppMessage(
            type=checked_text(type, "type", max_chars=MAX_NAME_CHARS),
            data_json=json_text(data, "data", max_bytes=MAX_DATA_BYTES),
            request_id=checked_text(request_id, "request_id", max_chars=MAX_NAME_CHARS),
            response=flag(response, "response"),
        )
        self._runtime.send(wire.Envelope(app_message=message))

    async def close(self, reason: str = "") -> None:
        """Ends the session. When it returns, after at most 10 s, nothing of it is left.

        Args:
            reason: One sentence for the server's log; may be empty.

        Raises:
            UsageError: INVALID_ARGUMENT: it is no text; the session goes on.
        """
        checked_text(reason, "reason", max_chars=MAX_NAME_CHARS)
        try:
            await self._runtime.bye(reason)
        finally:
            await self._runtime.stop()
