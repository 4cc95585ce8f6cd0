"""Gemini Live, as it must be on a line that never loses a conversation.

Pipecat 1.14's service ignores ``goAway``, cancels its own task when it reconnects, drops what the
user says meanwhile, says nothing when the first connection fails, and speaks on with the rest of a
turn that somebody else than Gemini's own ears cut. :class:`SteadyGeminiLive` mends that; a bot
goes on using ``GeminiLiveLLMService``, whose instances are adopted where they stand.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

from google.genai.errors import APIError  # pyright: ignore[reportMissingImports]
from google.genai.types import (  # pyright: ignore[reportMissingImports]
    LiveConnectConfig,
    LiveServerContent,
    LiveServerMessage,
)
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    TTSStoppedFrame,
)
from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService
from pipecat.utils.errors import ErrorCategory
from websockets.exceptions import ConnectionClosed

from voxwire_server.pipeline.kept_voice import KEPT_SECS, KeptVoice, Owed
from voxwire_server.pipeline.model_turns import AllSaid
from voxwire_server.pipeline.output import CutTurn
from voxwire_server.pipeline.troubles import MALFORMED, SILENT, Trouble, trouble_of

if TYPE_CHECKING:
    from voxwire_server.pipeline.live import Live

__all__ = ["SteadyGeminiLive", "adopt"]

_log = logging.getLogger("voxwire.gemini")

_SETUP_SECS: Final = 4.0
_ANSWER_SECS: Final = 4.0
_HUNG_SECS: Final = 8.0
_LEAST_TURN_SECS: Final = 0.6
_POLL_SECS: Final = 0.05
_LEAVE_SECS: Final = 0.5
"""How long before the announced end the connection is left, whatever goes on."""
_PAUSES_SECS: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
_MOST_UNREADABLE: Final = 5
_PREROLL_SECS: Final = 0.6
_NOTE: Final = 'You were interrupted. Of your last answer the user heard only: "{heard}"'
_NOTE_NOTHING: Final = "You were interrupted before the user heard anything of your last answer."


class SteadyGeminiLive(GeminiLiveLLMService):
    """Gemini Live that outlives its connections and stops where the listener stopped it."""

    tell_heard = True
    """Whether the model is told what the user heard of a turn that was cut (``clientContent``;
    the API cannot truncate)."""

    def begin_care(self, live: "Live") -> None:
        """Start to look after this instance, in place of a constructor."""
        self._live = live
        self._unsent = KeptVoice()
        self._turn_audio = KeptVoice()
        self._later: list[Callable[[], Awaitable[None]]] = []
        self._turn_open = False
        self._cut_here = False
        self._generating = False
        self._told = ""
        self._leaving: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._away = False
        self._given_up = False
        self._tries = 0
        self._send_failed = False
        self._turn_began_at = 0.0
        self._content_at = 0.0
        self._owed: Owed | None = None
        self._over = False
        self._resent = False
        self._open_calls: set[str] = set()
        self._since_handle: list[tuple[str, str]] = []

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
        self._away = self._given_up = False
        self._generating = self._turn_open = self._cut_here = False
        await self._handle_session_ready(session)
        if self._session_resumption_handle is not None:
            await self._tell_what_came_since(session)
        later, self._later = self._later, []
        for send in later:
            await send()

    async def _tell_what_came_since(self, session: Any) -> None:
        """A session is resumed as it was when its handle was made: tell it what was said since."""
        said, self._since_handle = self._since_handle, []
        turns = [
            {"role": role, "parts": [{"text": text.strip()}]} for role, text in said if text.strip()
        ]
        if turns:
            await self._try(session.send_client_content(turns=turns, turn_complete=False))
            self._since_handle = said  # until a handle knows of it

    def _note_said(self, role: str, text: str) -> None:
        if self._since_handle and self._since_handle[-1][0] == role:
            text = self._since_handle.pop()[1] + text
        self._since_handle.append((role, text))

    def _handle_msg_resumption_update(self, message: LiveServerMessage) -> None:
        super()._handle_msg_resumption_update(message)
        update = message.session_resumption_update
        if update is not None and update.resumable and update.new_handle:
            self._since_handle.clear()

    async def _push_user_transcription(self, text: str, result: Any = None) -> None:
        self._note_said("user", f" {text}")
        await super()._push_user_transcription(text, result)

    async def _push_output_transcription_text_frames(self, text: str) -> None:
        self._note_said("model", text)
        await super()._push_output_transcription_text_frames(text)

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
        self._cancel_watch()
        await self._end_turn()
        serious = trouble.kind in ("quota", "silent") or not trouble.retryable
        if (self._tries or serious) and self._told != trouble.kind:
            self._told = trouble.kind
            await self._tell(trouble, error)
        self._owed = self._owed if trouble.retryable else None
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
        self._cancel_watch()
        await super()._disconnect()

    def _cancel_leaving(self) -> None:
        task, self._leaving = self._leaving, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    # what the server says

    async def _handle_server_message(self, message: LiveServerMessage) -> None:
        if self._watch is not None and self._owed is not None:
            self._expect_answer(self._owed)  # it is alive: the time begins anew
        if message.go_away is not None:
            self._away = True
            if self._leaving is None and not self._over:
                left = _seconds(message.go_away.time_left)
                self._leaving = self.create_task(self._leave(left), "gemini_leave")
        for call in (message.tool_call and message.tool_call.function_calls) or ():
            self._open_calls.add(call.id or "")
            self._content_at = time.monotonic()
            self._owed = Owed.CALL
            self._cancel_watch()
        for call_id in (
            message.tool_call_cancellation and message.tool_call_cancellation.ids
        ) or ():
            self._open_calls.discard(call_id)
        content = message.server_content
        if content is not None:
            self._note_content(content)
        await super()._handle_server_message(message)
        if content is not None:
            await self._after_content(content)

    def _note_content(self, content: LiveServerContent) -> None:
        """Take out of a message what belongs to a turn that was cut here already."""
        if content.model_turn or content.output_transcription:
            self._generating = self._turn_open = True
        if not self._cut_here:
            if content.model_turn:
                self._content_at = time.monotonic()
                self._answered()
            return
        content.model_turn = content.output_transcription = None
        if content.interrupted or content.turn_complete:
            self._cut_here = False
            content.interrupted = None  # it was cut here before, and told to everybody

    async def _after_content(self, content: LiveServerContent) -> None:
        if content.generation_complete and self._bot_is_responding:
            self._generating = False
            await self.push_frame(AllSaid())
        if content.turn_complete or content.interrupted:
            self._generating = self._turn_open = False
            if self._owed is not Owed.CALL and not content.interrupted:
                self._answered()
        if content.input_transcription and self._user_transcription_buffer:
            self._live.said_so_far(self._user_transcription_buffer)

    async def _leave(self, left_secs: float) -> None:
        """Change the connection before it ends: at a quiet moment, or else at a harmless one."""
        began = time.monotonic()
        left_secs = max(0.0, left_secs - _LEAVE_SECS)
        while (waited := time.monotonic() - began) < left_secs:
            if self._quiet or (self._harmless and waited > left_secs / 2):
                break
            await asyncio.sleep(_POLL_SECS)
        self._resend_turn()
        self._leaving = None
        await self._swap()

    @property
    def _quiet(self) -> bool:
        at_work = self._turn_open or self._live.busy or self._since_handle
        return self._harmless and not at_work

    @property
    def _harmless(self) -> bool:
        """Whether a change of the connection costs no answer: what the user says is said again."""
        owed = self._owed in (Owed.CALL, Owed.RESULT, Owed.TEXT)
        return not (self._generating or self._open_calls or owed)

    # interruptions

    async def _handle_interruption(self) -> None:
        """Somebody cut the bot; if Gemini speaks on, that belongs to the turn that was cut."""
        self._cut_here = self._turn_open
        self._open_calls.clear()
        await super()._handle_interruption()

    async def turn_cut(self, turn: CutTurn) -> None:
        """Tell the model what was heard: it cannot be made to forget the rest."""
        if self._since_handle and self._since_handle[-1][0] == "model":
            self._since_handle[-1] = ("model", turn.heard)
        if turn.whole or not self.tell_heard:
            return
        note = _NOTE.format(heard=turn.heard) if turn.heard else _NOTE_NOTHING

        async def send() -> None:
            if self._session is not None:
                parts = {"role": "user", "parts": [{"text": note}]}
                await self._try(self._session.send_client_content(turns=parts, turn_complete=False))

        await self._when_ready(send)

    async def broadcast_interruption(self) -> None:
        """Gemini heard the user: its turn is over, for everybody."""
        self._open_calls.clear()
        await super().broadcast_interruption()

    # what the user says

    async def _send_user_audio(self, frame: InputAudioRawFrame) -> None:
        waiting = self._live.busy or self._owed is Owed.TURN
        self._turn_audio.keep(frame, KEPT_SECS if waiting else _PREROLL_SECS)
        if self._vad_disabled or self._audio_input_paused:
            await super()._send_user_audio(frame)
            return
        self._unsent.keep(frame, KEPT_SECS if self._context is not None else _PREROLL_SECS)
        if self._session is None or not self._ready_for_realtime_input or self._disconnecting:
            return
        blocks = self._unsent.take()
        for index, block in enumerate(blocks):
            self._send_failed = False
            await super()._send_user_audio(block)
            if self._send_failed:
                for unsent in blocks[index:]:
                    self._unsent.keep(unsent)
                return

    def _resend_turn(self) -> None:
        """If the server may not have heard the user's turn, send it again before what follows."""
        if not self._live.user_speaks and (self._owed is not Owed.TURN or self._resent):
            return
        self._resent = True
        if self._since_handle and self._since_handle[-1][0] == "user":
            self._since_handle.pop()  # its words come again
        self._unsent.take()
        for frame in self._turn_audio.take():
            self._unsent.keep(frame)

    async def _handle_user_started_speaking(self, frame: Any) -> None:
        self._turn_began_at = time.monotonic()
        self._answered()
        self._resent = False
        if self._given_up and self._session is None:
            self._given_up = False
            self._tries = 0
            await self._dial(fresh=False)
        await super()._handle_user_started_speaking(frame)

    async def _handle_user_stopped_speaking(self, frame: Any) -> None:
        await super()._handle_user_stopped_speaking(frame)
        answered = self._content_at > self._turn_began_at and not self._cut_here
        if time.monotonic() - self._turn_began_at >= _LEAST_TURN_SECS and not answered:
            self._expect_answer(Owed.TURN)

    async def _send_user_text(self, text: str) -> None:
        await self._when_ready(lambda: super(SteadyGeminiLive, self)._send_user_text(text))
        self._expect_answer(Owed.TEXT)

    async def _handle_messages_append(self, frame: LLMMessagesAppendFrame) -> None:
        await self._when_ready(lambda: super(SteadyGeminiLive, self)._handle_messages_append(frame))

    async def _complete_turn(self) -> None:
        await self._when_ready(super()._complete_turn)
        self._expect_answer(Owed.TEXT)

    async def _tool_result(self, tool_call_id: str, *args: Any, **kwargs: Any) -> None:
        self._open_calls.discard(tool_call_id)

        async def send() -> None:
            await super(SteadyGeminiLive, self)._tool_result(tool_call_id, *args, **kwargs)

        await self._when_ready(send)
        if kwargs.get("is_final", True) and kwargs.get("spoken", True):
            self._expect_answer(Owed.RESULT)

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

    # silence

    def _expect_answer(self, owed: Owed) -> None:
        self._cancel_watch()
        self._owed = owed
        if not self._over:
            self._watch = self.create_task(self._await_answer(), "gemini_answer")

    def _answered(self) -> None:
        self._owed = None
        self._cancel_watch()

    def _cancel_watch(self) -> None:
        task, self._watch = self._watch, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _await_answer(self) -> None:
        """Say so when no answer comes; when nothing at all comes, try another connection."""
        await asyncio.sleep(_ANSWER_SECS)
        await self._tell(SILENT, None)
        await asyncio.sleep(_HUNG_SECS - _ANSWER_SECS)
        self._watch = None
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


def _seconds(duration: str | None) -> float:
    """Seconds of a protobuf duration in JSON ("9.5s")."""
    match = re.match(r"[\d.]+", duration or "")
    return float(match.group()) if match else 0.0


def adopt(service: GeminiLiveLLMService, live: "Live") -> SteadyGeminiLive:
    """Turn an instance, of whatever subclass, into one that is steady."""
    kind = type(service)
    if not isinstance(service, SteadyGeminiLive):
        plain = kind is GeminiLiveLLMService
        steady = SteadyGeminiLive if plain else type(kind.__name__, (SteadyGeminiLive, kind), {})
        service.__class__ = steady
    steadied = cast(SteadyGeminiLive, service)
    steadied.begin_care(live)
    return steadied
