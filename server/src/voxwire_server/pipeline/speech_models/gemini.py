"""Gemini Live, as it must be on a line that never loses a conversation.

Pipecat 1.14's service ignores ``goAway``, cancels its own task when it reconnects, drops what the
user says meanwhile, says nothing when the first connection fails, and speaks on with the rest of a
turn that somebody else than Gemini's own ears cut. :class:`SteadyGeminiLive` mends that; a bot
goes on using ``GeminiLiveLLMService``, whose instances are adopted where they stand.
"""

import asyncio
import re
import time
from typing import Any, Final

from google.genai.types import (  # pyright: ignore[reportMissingImports]
    LiveServerContent,
    LiveServerMessage,
)
from pipecat.frames.frames import InputAudioRawFrame, LLMMessagesAppendFrame
from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService

from voxwire_server.pipeline.output_frames import CutTurn
from voxwire_server.pipeline.speech_models.adoption import adopt_as
from voxwire_server.pipeline.speech_models.care import Care
from voxwire_server.pipeline.speech_models.gemini_connection import GeminiConnections
from voxwire_server.pipeline.speech_models.kept_voice import KEPT_SECS, Owed
from voxwire_server.pipeline.speech_models.model_turns import AllSaid

__all__ = ["SteadyGeminiLive", "adopt"]

_LEAST_TURN_SECS: Final = 0.6
_POLL_SECS: Final = 0.05
_LEAVE_SECS: Final = 0.5
"""How long before the announced end the connection is left, whatever goes on."""
_PREROLL_SECS: Final = 0.6
_NOTE: Final = 'You were interrupted. Of your last answer the user heard only: "{heard}"'
_NOTE_NOTHING: Final = "You were interrupted before the user heard anything of your last answer."


class SteadyGeminiLive(GeminiConnections):
    """Gemini Live that outlives its connections and stops where the listener stopped it."""

    tell_heard = True
    """Whether the model is told what the user heard of a turn that was cut (``clientContent``;
    the API cannot truncate)."""

    # what the server says

    def _handle_msg_resumption_update(self, message: LiveServerMessage) -> None:
        super()._handle_msg_resumption_update(message)
        update = message.session_resumption_update
        if update is not None and update.resumable and update.new_handle:
            self._since_handle.known()

    async def _push_user_transcription(self, text: str, result: Any = None) -> None:
        self._since_handle.note("user", f" {text}")
        await super()._push_user_transcription(text, result)

    async def _push_output_transcription_text_frames(self, text: str) -> None:
        self._since_handle.note("model", text)
        await super()._push_output_transcription_text_frames(text)

    async def _handle_server_message(self, message: LiveServerMessage) -> None:
        if not self._over:
            self._watch.alive()
        if message.go_away is not None and self._leaving is None and not self._over:
            left = _seconds(message.go_away.time_left)
            self._leaving = self.create_task(self._leave(left), "gemini_leave")
        for call in (message.tool_call and message.tool_call.function_calls) or ():
            self._open_calls.add(call.id or "")
            self._content_at = time.monotonic()
            self._watch.owed = Owed.CALL
            self._watch.cancel()
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
            self._since_handle.spoke()
        if not self._cut_here:
            if content.model_turn:
                self._content_at = time.monotonic()
                self._watch.answered()
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
            if self._watch.owed is not Owed.CALL and not content.interrupted:
                self._watch.answered()
        if content.input_transcription and self._user_transcription_buffer:
            self._care.said_so_far(self._user_transcription_buffer)

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
        at_work = self._turn_open or self._care.busy or self._since_handle
        return self._harmless and not at_work

    @property
    def _harmless(self) -> bool:
        """Whether a change of the connection costs no answer: what the user says is said again."""
        owed = self._watch.owed in (Owed.CALL, Owed.RESULT, Owed.TEXT)
        return not (self._generating or self._open_calls or owed)

    # interruptions

    async def _handle_interruption(self) -> None:
        """Somebody cut the bot; if Gemini speaks on, that belongs to the turn that was cut."""
        self._cut_here = self._turn_open
        self._open_calls.clear()
        await super()._handle_interruption()

    async def turn_cut(self, turn: CutTurn) -> None:
        """Tell the model what was heard: it cannot be made to forget the rest."""
        self._since_handle.cut(turn.heard)
        if turn.whole or not self.tell_heard:
            return
        note = _NOTE.format(heard=turn.heard) if turn.heard else _NOTE_NOTHING

        async def send() -> None:
            if self._session is not None:
                parts: Any = {"role": "user", "parts": [{"text": note}]}
                await self._try(self._session.send_client_content(turns=parts, turn_complete=False))

        await self._when_ready(send)

    async def broadcast_interruption(self) -> None:
        """Gemini heard the user: its turn is over, for everybody."""
        self._open_calls.clear()
        await super().broadcast_interruption()

    # what the user says

    async def _send_user_audio(self, frame: InputAudioRawFrame) -> None:
        waiting = self._care.busy or self._watch.owed is Owed.TURN
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
        if not self._care.user_speaks and (self._watch.owed is not Owed.TURN or self._resent):
            return
        self._resent = True
        self._since_handle.drop_user()
        self._unsent.take()
        for frame in self._turn_audio.take():
            self._unsent.keep(frame)

    async def _handle_user_started_speaking(self, frame: Any) -> None:
        self._turn_began_at = time.monotonic()
        self._watch.answered()
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


def _seconds(duration: str | None) -> float:
    """Seconds of a protobuf duration in JSON ("9.5s")."""
    match = re.match(r"[\d.]+", duration or "")
    return float(match.group()) if match else 0.0


def adopt(service: GeminiLiveLLMService, care: Care) -> SteadyGeminiLive:
    """Turn an instance, of whatever subclass, into one that is steady."""
    steadied = adopt_as(service, SteadyGeminiLive, GeminiLiveLLMService)
    steadied.begin_care(care)
    return steadied
