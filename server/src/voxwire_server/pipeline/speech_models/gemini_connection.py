"""Gemini Live's connections: held, lost, left and dialled again.

The lower half of :class:`gemini.SteadyGeminiLive`: what must go on over whichever connection.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from google.genai.errors import APIError  # pyright: ignore[reportMissingImports]
from google.genai.types import LiveConnectConfig  # pyright: ignore[reportMissingImports]
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    LLMFullResponseEndFrame,
    TTSStoppedFrame,
)
from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService
from pipecat.utils.errors import ErrorCategory
from websockets.exceptions import ConnectionClosed

from voxwire_server.pipeline.speech_models.answer_watch import AnswerWatch
from voxwire_server.pipeline.speech_models.care import Care
from voxwire_server.pipeline.speech_models.kept_voice import KeptVoice, Owed
from voxwire_server.pipeline.speech_models.since_handle import SinceHandle
from voxwire_server.pipeline.troubles import MALFORMED, SILENT, Trouble, trouble_of

__all__ = ["GeminiConnections"]

_log = logging.getLogger("voxwire.gemini")

_SETUP_SECS: Final = 4.0
_PAUSES_SECS: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
_MOST_UNREADABLE: Final = 5


class GeminiConnections(GeminiLiveLLMService):
    """Gemini Live that outlives its connections."""

    def begin_care(self, care: Care) -> None:
        """Start to look after this instance, in place of a constructor."""
        self._care = care
        self._unsent = KeptVoice()
        self._turn_audio = KeptVoice()
        self._later: list[Callable[[], Awaitable[None]]] = []
        self._turn_open = False
        self._cut_here = False
        self._generating = False
        self._told = ""
        self._leaving: asyncio.Task[None] | None = None
        self._watch = AnswerWatch(
            self.create_task,
            late=lambda: self._tell(SILENT, None),
            hung=self._hang,
        )
        self._given_up = False
        self._tries = 0
        self._send_failed = False
        self._turn_began_at = 0.0
        self._content_at = 0.0
        self._over = False
        self._resent = False
        self._open_calls: set[str] = set()
        self._since_handle = SinceHandle()

    # the connection

    async def _connection_task_handler(self, config: LiveConnectConfig) -> None:
        """Hold one connection from the dial to its end, then see to the next."""
        error: Exception | None = None
        try:
            async with asyncio.timeout(_SETUP_SECS) as limit:
                model = cast(str, self._settings.model)
                async with self._client.aio.live.connect(model=model, config=config) as session:
                    limit.reschedule(None)
                    await self._opened(session)
                    await self._listen(session)
        except Exception as failure:
            error = failure
        self._session = None
        self._ready_for_realtime_input = False
        if not (self._disconnecting or self._over):
            await self._connection_ended(error)

    async def _opened(self, session: Any) -> None:
        self._connection_start_time = time.time()
        self._given_up = False
        self._generating = self._turn_open = self._cut_here = False
        await self._handle_session_ready(session)
        if self._session_resumption_handle is not None:
            await self._tell_what_came_since(session)
        later, self._later = self._later, []
        for send in later:
            await send()

    async def _tell_what_came_since(self, session: Any) -> None:
        """A session is resumed as it was when its handle was made: tell it what was said since."""
        turns = self._since_handle.turns()
        self._since_handle.told()
        if turns:  # they are kept until a handle knows of them
            await self._try(session.send_client_content(turns=turns, turn_complete=False))
        else:
            self._since_handle.known()

    async def _listen(self, session: Any) -> None:
        unreadable = 0
        while True:
            try:
                async for message in session.receive():
                    self._tries, self._told = 0, ""
                    await self._handle_server_message(message)
            except Exception as failure:
                unreadable += 1
                if _is_end(failure) or unreadable > _MOST_UNREADABLE:
                    raise
                await self._tell(MALFORMED, failure)

    async def _connection_ended(self, error: Exception | None) -> None:
        """Nobody meant to end it here: dial again, in the end with growing pauses."""
        trouble = trouble_of(error)
        _log.info("connection ended", extra={"kind": trouble.kind, "tries": self._tries})
        self._cancel_leaving()
        self._watch.cancel()
        await self._end_turn()
        serious = trouble.kind in ("quota", "silent") or not trouble.retryable
        if (self._tries or serious) and self._told != trouble.kind:
            self._told = trouble.kind
            await self._tell(trouble, error)
        self._watch.owed = self._watch.owed if trouble.retryable else None
        if trouble.retryable and trouble.kind != "quota" and self._tries < len(_PAUSES_SECS):
            await asyncio.sleep(_PAUSES_SECS[self._tries])
            await self._dial(fresh=self._tries > 1 or "session not found" in str(error))
        else:
            self._given_up = True

    async def _dial(self, *, fresh: bool) -> None:
        """Connect anew; ``fresh`` without the handle that may be what is refused."""
        self._tries += 1
        if fresh:
            self._session_resumption_handle = None
        self._resend_turn()
        self._connection_task = None
        await self._connect(self._session_resumption_handle)

    async def _swap(self) -> None:
        """Leave this connection and go on over a new one; nothing that was said is lost."""
        if self._end_frame_pending_bot_turn_finished is not None:
            return
        await self._end_turn()
        if self._user_transcription_buffer:
            text, self._user_transcription_buffer = self._user_transcription_buffer, ""
            await self._push_user_transcription(text)
        done, names = self._completed_tool_calls, self._tool_call_id_to_name
        await self._disconnect()
        self._completed_tool_calls, self._tool_call_id_to_name = done, names
        await self._connect(self._session_resumption_handle)

    async def _end_turn(self) -> None:
        """The rest of the turn that runs will not come over a new connection."""
        self._generating = False
        if self._bot_is_responding:
            await self._set_bot_is_responding(False)
            await self.push_frame(TTSStoppedFrame())
            await self.push_frame(LLMFullResponseEndFrame())

    async def stop(self, frame: EndFrame) -> None:
        """Pipecat's end of the service."""
        self._over = True
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """Pipecat's sudden end of the service."""
        self._over = True
        await super().cancel(frame)

    async def _disconnect(self) -> None:
        self._cancel_leaving()
        self._watch.cancel()
        await super()._disconnect()

    def _cancel_leaving(self) -> None:
        task, self._leaving = self._leaving, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _resend_turn(self) -> None:
        """If the server may not have heard the user's turn, send it again before what follows."""
        raise NotImplementedError

    # what is sent

    async def _when_ready(self, send: Callable[[], Awaitable[None]]) -> None:
        """Send now, or over the next connection."""
        if self._context is not None and (self._session is None or self._disconnecting):
            self._later.append(send)
        else:
            await send()

    async def _try(self, sending: Awaitable[Any]) -> None:
        try:
            await sending
        except Exception as failure:
            await self._handle_send_error(failure)

    async def _handle_send_error(self, error: Exception) -> None:
        """A connection that just ended is dealt with where it is read."""
        self._send_failed = True
        if not isinstance(error, ConnectionClosed | APIError | OSError):
            await super()._handle_send_error(error)

    # silence, and other trouble

    def _expect_answer(self, owed: Owed) -> None:
        self._watch.cancel()
        self._watch.owed = owed
        if not self._over:
            self._watch.expect(owed)

    async def _hang(self) -> None:
        """Nothing at all came: over another connection, perhaps."""
        if self._session is not None:
            self._resend_turn()
            await self._swap()

    async def _tell(self, trouble: Trouble, error: Exception | None) -> None:
        """Report trouble; the service stays usable, whatever its kind."""
        name = type(error).__name__ if error is not None else ""
        _log.warning("trouble with Gemini", extra={"kind": trouble.kind, "error": name})
        frame = ErrorFrame(error=trouble.reason, exception=error or TimeoutError(trouble.reason))
        frame.category = ErrorCategory.UNKNOWN
        await self.push_error_frame(frame)


def _is_end(failure: Exception) -> bool:
    """Whether the connection is over: google-genai raises close codes as API errors."""
    code = getattr(failure, "code", None)
    closed = isinstance(failure, APIError) and isinstance(code, int) and code >= 1000
    return closed or isinstance(failure, ConnectionClosed | OSError)
