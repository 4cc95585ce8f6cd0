"""The session behind an `AsyncVoiceSession`: dialled, followed, waited for, closed."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from voxwire._arguments import invalid
from voxwire._connect import connect
from voxwire.audio import as_speaker
from voxwire.session import Session
from voxwire.testing.recording import record
from voxwire.testing.server import FakeServer
from voxwire.testing.voice.bots import VoiceBot, serving
from voxwire.testing.voice.log import Act, VoiceLog
from voxwire.testing.voice.taps import Ear, Mouth
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_protocol.errors import ErrorCode, UsageError, VoxwireError

__all__ = ["VoiceConnection"]

_POLL_MS: Final = 20


class VoiceConnection:
    """A session with a bot, and what has happened in it.

    Attributes:
        log: What happened.
        mouth: What the user speaks with.
        ear: What he hears with.
        server: The server in memory, where the bot is a script; else None.
        session: None before `open`.
        ended: How the session ended; empty = it has not.
    """

    def __init__(
        self,
        bot: VoiceBot,
        *,
        options: dict[str, Any],
        recording: str | os.PathLike[str] | None,
    ) -> None:
        """Prepares; nothing is dialled."""
        self.log = VoiceLog()
        self.server: FakeServer | None = None
        self.session: Session | None = None
        self.ended = ""
        self._bot = bot
        self._options = dict(options)
        if own := sorted(options.keys() & {"environment", "microphone"}):
            raise invalid(f"{', '.join(own)}: a voice session has its own")
        self._recording = recording
        self._clock: Clock = SYSTEM_CLOCK
        self.mouth = Mouth(self._clock)
        self.ear = Ear(as_speaker(None))
        self._stack = AsyncExitStack()
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def tells_what_is_typed(self) -> bool:
        """Whether the other end says that it has got what was typed."""
        return self._options.get("peer") is None

    def now_ms(self) -> float:
        """Time, on the session's clock."""
        return self._clock.now_ms()

    async def open(self) -> Session:
        """Connects, unless that was done.

        Raises:
            VoxwireError: The session cannot be had.
        """
        if self.session is not None:
            return self.session
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            reason = "voice_session runs on asyncio: have anyio_backend return 'asyncio'"
            raise UsageError(ErrorCode.UNSUPPORTED, reason) from None
        async with AsyncExitStack() as stack:
            self.session = await self._dial(stack)
            now_ms = self.now_ms()
            self.log.end(Act("connected", "", now_ms, now_ms))
            self._reader = asyncio.create_task(self._read(self.session), name="voice-session")
            self._stack = stack.pop_all()
        return self.session

    async def close(self) -> None:
        """Ends the session, and the server in memory.

        Raises:
            Exception: What the script of the bot has raised.
        """
        stack, self._stack = self._stack, AsyncExitStack()
        async with stack:
            if self.session is not None:
                await self.session.close()
            if self._reader is not None:
                await self._reader

    async def until(self, condition: Callable[[], bool], until_ms: float) -> bool:
        """Waits for it; False when it cannot come any more, or has not by then. Cancel-safe."""
        while not condition():
            left_ms = until_ms - self.now_ms()
            if left_ms <= 0 or self.ended:
                return condition()
            self._changed.clear()
            try:
                async with asyncio.timeout(min(_POLL_MS, left_ms) / 1000):
                    await self._changed.wait()
            except TimeoutError:
                pass
        return True

    async def _dial(self, stack: AsyncExitStack) -> Session:
        place = await stack.enter_async_context(serving(self._bot))
        environment = place.environment
        self.server, self._clock = place.server, environment.clock
        if self._recording is not None:
            environment = stack.enter_context(record(self._recording, environment))
        options = dict(self._options)
        self.mouth = Mouth(self._clock)
        self.ear = Ear(as_speaker(options.pop("speaker", None)))
        return await stack.enter_async_context(
            connect(
                place.url,
                microphone=self.mouth,
                speaker=self.ear,
                environment=environment,
                **options,
            )
        )

    async def _read(self, session: Session) -> None:
        try:
            async for event in session:
                self.log.take(event, self.now_ms())
                self._changed.set()
        except VoxwireError as error:
            self.ended = f"the session failed: {error}"
        else:
            self.ended = "the session has ended"
        self._changed.set()
