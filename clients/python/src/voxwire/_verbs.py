"""What a program says to a bot: the verbs of a session."""

import contextlib
import re
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Final

from voxwire._arguments import flag, invalid, json_text, number
from voxwire._arguments import text as checked_text
from voxwire._files import acceptance_of, begin_of
from voxwire._options import Options
from voxwire._runtime import Runtime
from voxwire._voice import PlayResult
from voxwire.audio import MicrophoneLike, Playable, SpeakerLike, as_clip
from voxwire_protocol import events, wire
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["ENDED", "Verbs", "suppress_ended"]

MAX_TEXT_CHARS: Final = 65_536
"""A server takes no longer text at once: see protocol/spec/limits.md."""

MAX_DATA_BYTES: Final = 60 * 1024
"""The same for the JSON of a message, which is 64 KB at most with its names."""

MAX_NAME_CHARS: Final = 500

_DIGITS: Final = re.compile(r"[0-9*#]{1,64}")
ENDED: Final = "the session has ended"
_MUTED: Final = "the microphone was muted"


@contextlib.contextmanager
def suppress_ended() -> Generator[None]:
    """Passes over that the session has ended; why it has is told elsewhere."""
    try:
        yield
    except UsageError as error:
        if (error.code, error.reason) != (ErrorCode.INVALID_STATE, ENDED):
            raise


class Verbs:
    """The verbs of `Session`. While the connection is dialled again, what is sent waits."""

    def __init__(self, runtime: Runtime, options: Options) -> None:
        """Takes what runs behind the session, and what was asked for."""
        self._runtime = runtime
        self._options = options

    async def send_text(
        self, text: str, *, speak: bool = True, interrupt: bool = False, run: bool = True
    ) -> None:
        """Says something to the bot in writing.

        Args:
            text: What the user typed.
            speak: False = the bot answers in text only.
            interrupt: True = what the bot is saying is cut off first.
            run: False = add it to the conversation without asking for an answer.

        Raises:
            UsageError: INVALID_ARGUMENT: it is no text, or above 65 536 characters.
        """
        message = wire.SendText(
            text=checked_text(text, "text", max_chars=MAX_TEXT_CHARS),
            run_immediately=flag(run, "run"),
            audio_response=flag(speak, "speak"),
        )
        if flag(interrupt, "interrupt"):
            await self.interrupt()
        self._runtime.send(wire.Envelope(send_text=message))

    async def send_context(self, text: str) -> None:
        """Tells the bot something that it is not to answer: what the page shows, who is there.

        It becomes a turn of the user in the conversation.

        Raises:
            UsageError: As for `send_text`.
        """
        await self.send_text(text, run=False)

    async def send_file(
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
        """Sends a file to the bot, and waits until it has it. Cancelled, the file is given up.

        It goes at the pace that the server sets, so that nothing else is late for it, and
        outlives a lost connection.

        Args:
            name: Its name, without a path; may be empty.
            type: Its media type: ``image/png``. `accepts` says what the bot takes.
            data: Its bytes.
            text: What the user writes beside it.
            speak: False = the bot answers in text only.
            run: False = add it to the conversation without asking for an answer.
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
            speak=speak,
            run=run,
            accepts=acceptance_of(self._runtime.inbox.welcome),
        )
        await self._runtime.files.send(begin, copied, on_progress)

    async def interrupt(self) -> None:
        """Cuts the bot off, as if the user had spoken.

        Raises:
            UsageError: UNSUPPORTED: the bot cannot be cut off so (`Feature.INTERRUPT`).
        """
        self._runtime.send(wire.Envelope(interrupt=wire.Interrupt()))

    async def user_activity(self) -> None:
        """Says that the user is there although he neither speaks nor types: he reads, he scrolls.

        The server's idle time begins anew. Call it as often as something happens: at most one a
        second is sent, and none where the other end takes none (`Feature.USER_ACTIVITY`).
        """
        self._runtime.user_active()

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

    async def play(self, source: Playable) -> PlayResult:
        """Plays audio to the bot as the user's voice, and waits until it was sent, in real time.

        The microphone pauses meanwhile: what a live one hears is dropped, a file or an iterator
        goes on behind it. Several go one after the other. It waits while the session is muted and
        while the connection is away. Without a microphone silence follows, so that the bot knows
        that the user is done. Cancelled, it stops with the block of 20 ms.

        Args:
            source: A WAV (path, bytes or an open file), an array or an iterator (async or not) of
                audio at 16 kHz, or `Audio` for any other rate.

        Returns:
            How much was sent, and how much of the user's audio was lost on the way.

        Raises:
            UsageError: INVALID_ARGUMENT; INVALID_STATE: the session is muted, or has ended.
            MediaError: The audio cannot be read; so far as it was, it was sent.
            VoxwireError: Why the session ended.
        """
        clip = as_clip(source)
        if self._runtime.user.muted:
            reason = "the session is muted: mute(False) lets the bot hear what is played"
            raise UsageError(ErrorCode.INVALID_STATE, reason)
        return await self._runtime.user.play(clip)

    async def set_microphone(self, source: MicrophoneLike) -> None:
        """Hears the user with another source from the next block of 20 ms on.

        Args:
            source: What `connect(microphone=)` takes: True, a `Device` or its index, a WAV, an
                array, an iterator, an object like `Microphone`; None = the user is not heard.

        Raises:
            UsageError: INVALID_ARGUMENT; INVALID_STATE: the session has ended; live audio is not
                installed, and the reason says how.
            MediaError: It cannot be opened or read. The one before is used on.
        """
        await self._runtime.exchange.set_microphone(source)

    async def set_speaker(self, sink: SpeakerLike) -> None:
        """Plays the bot with another sink from the next block of 20 ms on.

        Args:
            sink: What `connect(speaker=)` takes: True, a `Device` or its index, a path, a function
                (async or not), an object like `Recording`; None = it plays to nobody. A file has
                the whole media timeline, silence where it was not in use.

        Raises:
            UsageError: As for `set_microphone`.
            MediaError: It cannot be opened. The one before is used on.
        """
        await self._runtime.exchange.set_speaker(sink)

    @contextlib.asynccontextmanager
    async def push_to_talk(self) -> AsyncGenerator[None]:
        """The user is heard while this is entered, and muted before and after.

        Mute the session once at its beginning. What is said into it while the connection is lost
        is dropped when it is left, as by `mute`. Leaving it after the session's end does nothing.
        """
        await self.mute(False)
        try:
            yield
        finally:
            with suppress_ended():
                await self.mute(True)

    async def call(self, method: str, data: Any = None, *, timeout_ms: float | None = None) -> Any:
        """Asks the bot's program for something, and waits for its answer. Cancel-safe.

        Args:
            method: What is asked, a name that program and bot agree on.
            data: Anything that JSON can hold, at most 60 KB.
            timeout_ms: Longest wait, milliseconds; None = `Timeouts.wait_ms`.

        Returns:
            What the bot's handler of that name gave, as JSON has it.

        Raises:
            UsageError: INVALID_ARGUMENT; UNSUPPORTED when the bot answers no such request.
            VoxwireError: The bot's error; TIMEOUT; why the session ended.
        """
        return await self._runtime.requests.call(
            checked_text(method, "method", max_chars=MAX_NAME_CHARS),
            json_text(data, "data", max_bytes=MAX_DATA_BYTES),
            self._wait_ms(timeout_ms),
        )

    async def acknowledged(self, *, timeout_ms: float | None = None) -> None:
        """Waits until the server has everything that was sent so far. Cancel-safe.

        Messages of any kind (texts, context, keys, messages of the application, mutes) are
        numbered and acknowledged, within 250 ms as a rule; sound is not. A lost connection is
        waited out: what was sent goes out again. It says nothing of what the bot makes of it:
        `call` is answered by its program.

        Args:
            timeout_ms: Longest wait, milliseconds; None = `Timeouts.wait_ms`.

        Raises:
            TransportError: TIMEOUT; CONNECTION_LOST: the session went on from a snapshot without
                something of it (`EventsSkipped.unsent`): send that again.
            UsageError: INVALID_STATE: the session has ended; UNSUPPORTED: the other end
                acknowledges nothing (`voxwire.rtvi`).
            VoxwireError: Why the session ended.
        """
        await self._runtime.acknowledged(self._wait_ms(timeout_ms))

    def handle(self, method: str, function: Callable[[Any], Any]) -> Callable[[], None]:
        """Answers what the bot's program asks of this one.

        Such requests are no `AppMessage` events any more.

        Args:
            method: What is asked.
            function: Given the request's data, it returns the answer, or what becomes it when it
                is awaited. The bot is told its VoxwireError, of another exception the type.

        Returns:
            A function that ends that.
        """
        if not callable(function):
            raise invalid("what handles a method must be a function")
        return self._runtime.requests.handle(
            checked_text(method, "method", max_chars=MAX_NAME_CHARS), function
        )

    async def send_dtmf(self, digits: str) -> None:
        """Presses keys of a telephone.

        Args:
            digits: 1 to 64 of ``0`` to ``9``, ``*`` and ``#``, in the order pressed.

        Raises:
            UsageError: INVALID_ARGUMENT: they are others.
        """
        if not _DIGITS.fullmatch(checked_text(digits, "digits", max_chars=64)):
            raise invalid("digits are 1 to 64 of 0-9, * and #")
        await self.send_message("dtmf", {"digits": digits})

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

    def _wait_ms(self, timeout_ms: float | None) -> float:
        if timeout_ms is None:
            return self._options.timeouts.wait_ms
        return number(timeout_ms, "timeout_ms", finite=False)
