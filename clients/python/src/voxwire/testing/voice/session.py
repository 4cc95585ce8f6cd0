"""A user of a voice bot, for tests: says something, and expects to hear an answer."""

import os
from types import TracebackType
from typing import Any, Final, NoReturn

from voxwire._features import Feature
from voxwire.cli.turns import SETTLE_MS
from voxwire.conversation import Conversation
from voxwire.session import Session
from voxwire.testing.server import FakeServer
from voxwire.testing.voice.bots import VoiceBot, is_in_memory
from voxwire.testing.voice.connection import VoiceConnection
from voxwire.testing.voice.log import Act, begins_with, call_text, has_phrase, same_words
from voxwire.testing.voice.picture import picture
from voxwire.testing.voice.scene import Mark, scene_of
from voxwire.testing.voice.sounds import samples_of, speak
from voxwire_protocol.errors import ErrorCode, UsageError
from voxwire_protocol.events import Event, ToolCallStarted

__all__ = ["AsyncVoiceSession", "Wav"]

Wav = str | os.PathLike[str] | bytes | Any
"""A recording of the user: a WAV (path or bytes), or an array of samples at 16 kHz."""

WITHIN_MS: Final = 10_000
"""How long an expectation waits that does not say so itself."""

FLOOR_MS: Final = 30_000
"""How long a user waits for the bot to end its turn."""

TOLD_MS: Final = 2000
"""How long the server may take to tell what the user's act has come to."""


class AsyncVoiceSession:
    """One conversation with a bot, as its user has it. The fixture ``voice_session`` gives it.

    What it expects answers what the user said last, or, before that, follows the connect. It is
    connected by `open`, or by what is done first.

    Attributes:
        in_memory: Whether the bot needs neither a network nor real time.
        failure: What an expectation said that was not met; empty = nothing.
    """

    def __init__(
        self,
        bot: VoiceBot,
        *,
        within_ms: int = WITHIN_MS,
        options: dict[str, Any] | None = None,
        recording: str | os.PathLike[str] | None = None,
    ) -> None:
        """Prepares; nothing is dialled.

        Args:
            bot: A script (`ScriptedBot`), the address of a server, or a recording (``.voxrec``).
            within_ms: How long an expectation waits that does not say so itself.
            options: Arguments of `voxwire.connect`.
            recording: Where what comes over the wire is written, to be the bot of another time
                (``.voxrec``); the audio then goes over the WebSocket. None = nowhere.
        """
        self.in_memory = is_in_memory(bot)
        self.failure = ""
        self._failed_at_ms = 0.0
        self._within_ms = within_ms
        self._asked = False
        self._to_bot = VoiceConnection(bot, options=options or {}, recording=recording)
        self._log = self._to_bot.log

    # what the user does

    async def open(self) -> Session:
        """Connects, unless that was done.

        Raises:
            VoxwireError: The session cannot be had.
        """
        return await self._to_bot.open()

    async def say(
        self,
        text: str = "",
        *,
        wav: Wav | None = None,
        spoken: bool = False,
        interrupt: bool = False,
    ) -> None:
        """Says something; returns when it has been said.

        A polite user waits for the bot to end its turn first.

        Args:
            text: The words: they are typed. With `wav` they only name it in messages.
            wav: They are spoken: a WAV (path or bytes), or an array at 16 kHz.
            spoken: They are spoken by the offline bot's voice (``voxwire-server[offline]``), or by
                espeak-ng.
            interrupt: Say it now, whatever the bot says.

        Raises:
            AssertionError: The bot does not end its turn within 30 s, or the session has ended.
            MediaError: The WAV cannot be read.
        """
        __tracebackhide__ = True
        session = await self.open()
        samples = await speak(text) if spoken and wav is None else samples_of(wav)
        if not interrupt and not await self._to_bot.until(
            self._has_floor, self._to_bot.now_ms() + FLOOR_MS
        ):
            self._fail(f'"{text}" was not said: the bot does not end its turn')
        begin_ms = self._to_bot.now_ms()
        self._log.begin(begin_ms)
        self._asked = True
        if samples is None:
            can = Feature.INTERRUPT in session.features  # else what is typed interrupts by itself
            await session.send_text(text, interrupt=interrupt and can)
            if self._to_bot.tells_what_is_typed:
                await self._to_bot.until(lambda: self._log.understood, begin_ms + TOLD_MS)
        else:
            done = self._to_bot.mouth.play(samples)
            if not await self._to_bot.until(done.is_set, float("inf")):
                self._fail(f'"{text}" was not said to its end')
        kind = "typed" if samples is None else "spoke"
        self._log.end(Act(kind, text, begin_ms, self._to_bot.now_ms()))

    async def interrupt(self) -> None:
        """Cuts the bot off; returns when nothing of what it said sounds any more."""
        session = await self.open()
        now_ms = self._to_bot.now_ms()
        await session.interrupt()
        self._log.end(Act("interrupted", "", now_ms, now_ms))
        await self._to_bot.until(lambda: not self._log.speaking, now_ms + TOLD_MS)

    # what comes of it

    async def expect_words(self, *phrases: str, within_ms: int | None = None) -> str:
        """Waits until each of the phrases was heard since the user said something.

        Args:
            phrases: Words that are heard one after the other; case and marks do not matter.
            within_ms: So long after the user was done; None = the time of the fixture, from now on.

        Returns:
            All that was heard meanwhile.

        Raises:
            AssertionError: One was not heard, or too late.
        """
        __tracebackhide__ = True
        await self.open()
        until_ms = self._deadline_ms(within_ms)

        def missing() -> list[str]:
            heard = {phrase: self._log.heard_at_ms(phrase) for phrase in phrases}
            return [it for it, at_ms in heard.items() if at_ms is None or at_ms > until_ms]

        await self._to_bot.until(lambda: not missing(), until_ms)
        if left := missing():
            self._fail(self._not_heard(left[0], within_ms))
        return self.heard

    async def expect_tool(
        self, name: str, /, *, within_ms: int | None = None, **arguments: Any
    ) -> ToolCallStarted:
        """Waits until the bot has called a tool since the user said something.

        Each expectation takes a call of its own.

        Args:
            name: Of the tool.
            within_ms: As in `expect_words`.
            arguments: Some of the call's; others do not matter.

        Returns:
            The call.

        Raises:
            AssertionError: It has not.
        """
        __tracebackhide__ = True
        await self.open()
        found: list[ToolCallStarted] = []
        until_ms = self._deadline_ms(within_ms)

        def called() -> bool:
            if (call := self._log.claim(name, arguments, until_ms)) is not None:
                found.append(call)
            return bool(found)

        if not await self._to_bot.until(called, until_ms):
            self._fail(self._not_called(name, arguments, within_ms))
        return found[0]

    async def expect_heard(self, text: str, *, within_ms: int | None = None) -> None:
        """Waits until the bot's turn is over, and compares all that was heard of it.

        What was cut off before it sounded was not heard.

        Args:
            text: The words, no more and no fewer; case and marks do not matter.
            within_ms: As in `expect_words`.

        Raises:
            AssertionError: Something else was heard, or the turn has not ended.
        """
        __tracebackhide__ = True
        await self.open()

        def over() -> bool:
            if not begins_with(text, self.heard):
                return True
            return not self._log.speaking and self._log.answering and self._turn_cut_or_over()

        until_ms = self._deadline_ms(within_ms)
        ended = await self._to_bot.until(over, until_ms + SETTLE_MS)
        if not same_words(self.heard, text):
            self._fail(f'expected that "{text}" is what is heard, and no more')
        if not ended or self._log.answered_at_ms > until_ms:
            self._fail(f'"{text}" was heard, but the turn has not ended{_within(within_ms)}')

    @property
    def server(self) -> FakeServer | None:
        """The server in memory, once it is connected and where the bot is a script; else None."""
        return self._to_bot.server

    @property
    def session(self) -> Session:
        """The session, for whatever is not here.

        Raises:
            UsageError: INVALID_STATE: it is not connected yet.
        """
        if self._to_bot.session is None:
            reason = "not connected yet: await voice_session.open()"
            raise UsageError(ErrorCode.INVALID_STATE, reason)
        return self._to_bot.session

    @property
    def conversation(self) -> Conversation:
        """Who said what so far, and what of it was heard."""
        session = self._to_bot.session
        return Conversation() if session is None else session.conversation

    @property
    def heard(self) -> str:
        """What the user has heard since he said something."""
        return self._log.heard(self.conversation)

    @property
    def unheard(self) -> str:
        """What the bot has said since then, and the user has not, or not yet, heard."""
        return self._log.unheard(self.conversation)

    @property
    def tools(self) -> list[ToolCallStarted]:
        """The tools that the bot has called since then."""
        return self._log.tool_calls

    @property
    def events(self) -> list[tuple[float, Event]]:
        """Every event so far, with its moment on the session's clock, milliseconds."""
        return list(self._log.happened)

    def picture(self, title: str = "voice session") -> str:
        """All of it so far as an SVG: sounds, words heard and not heard, tools, cuts."""
        failure = Mark(self.failure, self._failed_at_ms) if self.failure else None
        scene = scene_of(
            self._log,
            self.conversation,
            user_levels=self._to_bot.mouth.levels,
            bot_levels=self._to_bot.ear.levels,
            failure=failure,
        )
        return picture(scene, title)

    # how it ends

    async def close(self) -> None:
        """Ends the session, and the server in memory.

        Raises:
            Exception: What the script of the bot has raised.
        """
        await self._to_bot.close()

    async def __aenter__(self) -> "AsyncVoiceSession":
        """Connects."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends it; an error of the body is not hidden by one of the bot's."""
        try:
            await self.close()
        except Exception:
            if error is None:
                raise

    def _deadline_ms(self, within_ms: int | None) -> float:
        if within_ms is None:
            return self._to_bot.now_ms() + self._within_ms
        return self._log.act.end_ms + within_ms

    def _has_floor(self) -> bool:
        """Whether it is the user's turn."""
        if self._log.act.kind == "interrupted":
            return not self._log.speaking
        return not (self._asked or self._log.watch.spoke) or self._turn_over()

    def _turn_over(self) -> bool:
        return self._log.watch.ended(round(self._to_bot.now_ms()))

    def _turn_cut_or_over(self) -> bool:
        return self._log.act.kind == "interrupted" or self._turn_over()

    def _not_heard(self, phrase: str, within_ms: int | None) -> str:
        act = self._log.act
        said = f'expected to hear "{phrase}"{_within(within_ms)} after {act}'
        if (at_ms := self._log.heard_at_ms(phrase)) is not None:
            return f"{said}; it was heard after {at_ms - act.end_ms:.0f} ms"
        if has_phrase(self.unheard, phrase):
            return f"{said}; it was said, but not heard"
        return said

    def _not_called(self, name: str, arguments: dict[str, Any], within_ms: int | None) -> str:
        calls = self._log.tool_calls
        came = [call_text(call.name, call.arguments) for call in calls]
        said = f"there was {', '.join(came)}" if came else "no tool was called"
        if any(call.name == name and call.arguments is None for call in calls):
            said += "; the bot does not show arguments: session.report_tools(ToolReport.FULL)"
        wanted = call_text(name, arguments)
        return f"expected the tool {wanted}{_within(within_ms)} after {self._log.act}; {said}"

    def _fail(self, reason: str) -> NoReturn:
        __tracebackhide__ = True
        self.failure, self._failed_at_ms = reason, self._to_bot.now_ms()
        lines = [reason, f'  heard: "{self.heard}"' if self.heard else "  heard: nothing"]
        if self.unheard:
            lines.append(f'  said, not heard: "{self.unheard}"')
        if self._to_bot.ended:
            lines.append(f"  {self._to_bot.ended}")
        server = self._to_bot.server
        cause = server.failures[0] if server and server.failures else None
        raise AssertionError("\n".join(lines)) from cause


def _within(within_ms: int | None) -> str:
    return "" if within_ms is None else f" within {within_ms} ms"
