"""`AsyncVoiceSession` without ``async``: what plain tests get, the same names."""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from functools import partial
from inspect import isawaitable
from types import TracebackType
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from voxwire import sync
from voxwire.conversation import Conversation
from voxwire.testing.server import FakeServer
from voxwire.testing.voice.bots import VoiceBot
from voxwire.testing.voice.session import AsyncVoiceSession, Wav
from voxwire_protocol.events import Event, ToolCallStarted
from voxwire_protocol.virtual_time import VirtualTime

__all__ = ["VoiceSession"]


ReadT = TypeVar("ReadT")


class _VirtualRunner:
    """Runs things in virtual time, here; between them none passes."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self._over = False

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        async def run() -> Any:
            result = function(*args)
            return await result if isawaitable(result) else result

        return self._time.run(run())

    def start_task_soon(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Runs it to its end, in a context of its own, as a portal does."""
        if self._over:
            raise RuntimeError("its time is over")
        future: Future[Any] = Future()

        async def run() -> Any:
            result = function(*args)
            return await result if isawaitable(result) else result

        try:
            future.set_result(self.call(lambda: asyncio.create_task(run())))
        except asyncio.CancelledError:
            future.cancel()
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """No time passes any more."""
        self._over = True

    @contextmanager
    def wrap_async_context_manager(
        self, manager: AbstractAsyncContextManager[Any]
    ) -> Generator[Any]:
        with ExitStack() as stack:
            entered = self.call(manager.__aenter__)
            stack.push(partial(self.call, manager.__aexit__))
            yield entered


class VoiceSession:
    """One conversation with a bot, as its user has it, for tests without ``async``.

    Every name is the one of `AsyncVoiceSession`, and waits for what it does. A bot in memory
    answers in virtual time, which passes in these calls and nowhere else; another one is talked to
    in a thread.
    """

    def __init__(self, bot: VoiceBot, **more: Any) -> None:
        """Prepares; arguments as of `AsyncVoiceSession`."""
        self._voice = AsyncVoiceSession(bot, **more)
        self._stack = ExitStack()
        self._runner: BlockingPortal | _VirtualRunner | None = None

    @property
    def server(self) -> FakeServer | None:
        """The server in memory, where the bot is a script; else None."""
        return self._voice.server

    @property
    def in_memory(self) -> bool:
        """Whether the bot needs neither a network nor real time."""
        return self._voice.in_memory

    @property
    def failure(self) -> str:
        """What an expectation said that was not met; empty = nothing."""
        return self._voice.failure

    @property
    def session(self) -> sync.Session:
        """The session, for whatever is not here."""
        session = self._do(self._voice.open)
        return sync.Session(session, self._portal())

    @property
    def conversation(self) -> Conversation:
        """Who said what so far, and what of it was heard."""
        return self._look(lambda: self._voice.conversation)

    @property
    def heard(self) -> str:
        """What the user has heard since he said something."""
        return self._look(lambda: self._voice.heard)

    @property
    def unheard(self) -> str:
        """What the bot has said since then, and the user has not, or not yet, heard."""
        return self._look(lambda: self._voice.unheard)

    @property
    def tools(self) -> list[ToolCallStarted]:
        """The tools that the bot has called since then."""
        return self._look(lambda: self._voice.tools)

    @property
    def events(self) -> list[tuple[float, Event]]:
        """Every event so far, with its moment on the session's clock, milliseconds."""
        return self._look(lambda: self._voice.events)

    def picture(self, title: str = "voice session") -> str:
        """All of it so far as an SVG: `AsyncVoiceSession.picture`."""
        return self._look(lambda: self._voice.picture(title))

    def open(self) -> sync.Session:
        """Connects, unless that was done: `AsyncVoiceSession.open`."""
        return self.session

    def say(
        self,
        text: str = "",
        *,
        wav: Wav | None = None,
        spoken: bool = False,
        interrupt: bool = False,
    ) -> None:
        """Says something; returns when it has been said: `AsyncVoiceSession.say`."""
        __tracebackhide__ = True
        self._do(self._voice.say, text, wav=wav, spoken=spoken, interrupt=interrupt)

    def interrupt(self) -> None:
        """Cuts the bot off: `AsyncVoiceSession.interrupt`."""
        __tracebackhide__ = True
        self._do(self._voice.interrupt)

    def expect_words(self, *phrases: str, within_ms: int | None = None) -> str:
        """Waits until each of the phrases was heard: `AsyncVoiceSession.expect_words`."""
        __tracebackhide__ = True
        return self._do(self._voice.expect_words, *phrases, within_ms=within_ms)

    def expect_tool(
        self, name: str, /, *, within_ms: int | None = None, **arguments: Any
    ) -> ToolCallStarted:
        """Waits until the bot has called a tool: `AsyncVoiceSession.expect_tool`."""
        __tracebackhide__ = True
        return self._do(self._voice.expect_tool, name, within_ms=within_ms, **arguments)

    def expect_heard(self, text: str, *, within_ms: int | None = None) -> None:
        """Compares all that was heard of the bot's turn: `AsyncVoiceSession.expect_heard`."""
        __tracebackhide__ = True
        self._do(self._voice.expect_heard, text, within_ms=within_ms)

    def close(self) -> None:
        """Ends the session, the server in memory and the thread."""
        with self._stack:
            if self._runner is not None:
                self._do(self._voice.close)
        self._runner = None

    def __enter__(self) -> "VoiceSession":
        """Connects."""
        self._do(self._voice.open)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends it; an error of the body is not hidden by one of the bot's."""
        try:
            self.close()
        except Exception:
            if error is None:
                raise

    def _look(self, read: Callable[[], ReadT]) -> ReadT:
        """Reads where it is written: in the loop, while there is one."""
        return read() if self._runner is None else self._do(read)

    def _do(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Runs a verb; what is not met is told of where the test called it."""
        __tracebackhide__ = True
        try:
            return self._portal().call(partial(verb, *args, **kwargs))
        except AssertionError as error:
            raise error.with_traceback(None) from error.__cause__

    def _portal(self) -> BlockingPortal | _VirtualRunner:
        if self._runner is not None:
            return self._runner
        if self._voice.in_memory:
            runner = _VirtualRunner(self._stack.enter_context(VirtualTime()))
            self._stack.callback(runner.close)
        else:
            runner = self._stack.enter_context(start_blocking_portal(name="voice-session"))
        self._runner = runner
        return runner
