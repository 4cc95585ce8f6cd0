"""OpenAI Realtime, cut where the listener cut it, on a connection that comes back.

Pipecat 1.14's service truncates at the wall clock, speaks on with audio of a response that was
cut, and falls silent for good after an error event or the end of its connection.
:class:`SteadyOpenAIRealtime` mends that in instances of ``OpenAIRealtimeLLMService``.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Final, cast

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.utils.errors import ErrorCategory

from voxwire_server.pipeline.output_frames import CutTurn
from voxwire_server.pipeline.speech_models.adoption import adopt_as
from voxwire_server.pipeline.speech_models.care import Care
from voxwire_server.pipeline.troubles import MALFORMED, SILENT, Trouble, trouble_of

__all__ = ["Item", "SteadyOpenAIRealtime", "adopt", "cut_items"]

_log = logging.getLogger("voxwire.openai")

_BYTES_PER_MS: Final = 48
_DIAL_SECS: Final = 4.0
_PAUSES_SECS: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
_MOST_ERRORS: Final = 5


@dataclass(slots=True)
class Item:
    """A piece of a turn's audio at the provider, and how much of it has come, milliseconds."""

    item_id: str
    content_index: int
    audio_ms: float = 0.0


def cut_items(items: list[Item], heard_ms: int) -> list[tuple[Item, int]]:
    """Where to cut the items of a turn, so that what was heard is left; pure.

    Returns:
        Each item that has something to lose, with how much of it is left: 0 = nothing, the API
        refuses to truncate to that and the item must go as a whole.
    """
    cuts: list[tuple[Item, int]] = []
    before = 0.0
    for item in items:
        left = min(max(0, int(heard_ms - before)), int(item.audio_ms))
        if left < int(item.audio_ms):
            cuts.append((item, left))
        before += item.audio_ms
    return cuts


class SteadyOpenAIRealtime(OpenAIRealtimeLLMService):
    """OpenAI Realtime whose memory ends where the listener stopped it."""

    def begin_care(self, care: Care) -> None:
        """Start to look after this instance, in place of a constructor."""
        self._care = care
        self._items: dict[str, list[Item]] = {}
        self._cut_responses: set[str] = set()
        self._response_id = ""
        self._tries = 0
        self._announced = False

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame; a response starts once, though asked for and again with every item."""
        if isinstance(frame, LLMFullResponseStartFrame):
            if self._announced:
                return
            self._announced = True
        elif isinstance(frame, LLMFullResponseEndFrame | InterruptionFrame):
            self._announced = False
        await super().push_frame(frame, direction)

    # the connection

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(_DIAL_SECS):
                await super()._connect()
        except TimeoutError as error:
            await self._tell(SILENT, error)

    async def _receive_task_handler(self) -> None:
        """Read for as long as the connection lasts; an error event does not end it."""
        errors, failure = 0, None
        while errors <= _MOST_ERRORS:
            failure = None
            try:
                await super()._receive_task_handler()
            except Exception as error:
                failure = error
            if getattr(self._websocket, "close_code", 1006) is not None:
                break
            errors += 1
            if failure is not None:
                await self._tell(MALFORMED, failure)
        if not self._disconnecting:
            await self._connection_ended(failure)

    async def _connection_ended(self, failure: Exception | None) -> None:
        trouble = trouble_of(failure or "connection closed")
        self._announced = False
        if self._current_audio_response is not None:
            self._current_audio_response = None
            await self.push_frame(TTSStoppedFrame())
            await self.push_frame(LLMFullResponseEndFrame())
        if self._tries or not trouble.retryable:
            await self._tell(trouble, failure)
        if not trouble.retryable or self._tries >= len(_PAUSES_SECS):
            return
        await asyncio.sleep(_PAUSES_SECS[self._tries])
        self._tries += 1
        self._receive_task = None  # this very task: it ends when the next one reads
        await self.reset_conversation()

    async def _handle_evt_session_updated(self, evt: Any) -> None:
        self._tries = 0
        if self._context is not None and self._llm_needs_conversation_setup:
            asked = self._run_llm_when_api_session_ready
            if not asked:
                await self._send_conversation()
        await super()._handle_evt_session_updated(evt)

    async def _send_conversation(self) -> None:
        adapter = self.get_llm_adapter()
        params = await adapter.get_llm_invocation_params(cast(Any, self._context))
        for item in params["messages"]:
            evt = events.ConversationItemCreateEvent(item=item)
            self._messages_added_manually[str(evt.item.id)] = True
            await self.send_client_event(evt)
        self._llm_needs_conversation_setup = False

    # what is spoken, and how much of it

    async def _handle_evt_audio_delta(self, evt: Any) -> None:
        if evt.response_id in self._cut_responses:
            return
        self._response_id = evt.response_id
        await super()._handle_evt_audio_delta(evt)
        items = self._items.setdefault(self._care.turns.context_id, [])
        if not items or items[-1].item_id != evt.item_id:
            items.append(Item(evt.item_id, evt.content_index))
        items[-1].audio_ms += len(evt.delta) * 3 // 4 / _BYTES_PER_MS
        while len(self._items) > 4:
            self._items.pop(next(iter(self._items)))

    async def _handle_evt_audio_transcript_delta(self, evt: Any) -> None:
        if evt.response_id not in self._cut_responses:
            await super()._handle_evt_audio_transcript_delta(evt)

    async def _truncate_current_audio_response(self) -> None:
        """Not by the clock: :meth:`turn_cut` knows what was heard."""
        if self._response_id:
            self._cut_responses.add(self._response_id)
        self._current_audio_response = None

    async def _handle_evt_speech_started(self, evt: Any) -> None:
        """OpenAI heard the user: if nobody else did, the bot is cut now."""
        await super()._handle_evt_speech_started(evt)
        if self._care.bot_speaks:
            await self.broadcast_interruption()

    async def turn_cut(self, turn: CutTurn) -> None:
        """Cut the provider's memory of the turn at the heard millisecond."""
        for item, left_ms in cut_items(self._items.pop(turn.context_id, []), turn.heard_ms):
            if left_ms:
                await self.send_client_event(
                    events.ConversationItemTruncateEvent(
                        item_id=item.item_id,
                        content_index=item.content_index,
                        audio_end_ms=left_ms,
                    )
                )
            else:
                await self.send_client_event(
                    events.ConversationItemDeleteEvent(item_id=item.item_id)
                )

    # errors

    async def _handle_evt_error(self, evt: Any) -> None:
        message = f"{evt.error.type} {evt.error.code} {evt.error.message}"
        await self._tell(trouble_of(message), None)

    async def _tell(self, trouble: Trouble, error: Exception | None) -> None:
        _log.warning("trouble with OpenAI", extra={"kind": trouble.kind})
        frame = ErrorFrame(error=trouble.reason, exception=error)
        frame.category = ErrorCategory.UNKNOWN
        await self.push_error_frame(frame)


def adopt(service: OpenAIRealtimeLLMService, care: Care) -> SteadyOpenAIRealtime:
    """Turn an instance, of whatever subclass, into one that is steady."""
    steadied = adopt_as(service, SteadyOpenAIRealtime, OpenAIRealtimeLLMService)
    steadied.begin_care(care)
    return steadied
