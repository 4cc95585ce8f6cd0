"""Speech-to-speech services in a pipeline: what they share, whoever makes the model.

A service that announces itself as a realtime service (``LLMServiceMetadataFrame``) hears, thinks
and speaks in one block. Nothing is asked of the bot's author: the transport finds it in the
pipeline, makes contexts of its turns (:mod:`model_turns`) and, for the providers it knows, puts
what Pipecat 1.14 leaves out into the service itself (:func:`adopt`).
"""

import sys
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from pipecat.frames.frames import InterimTranscriptionFrame
from pipecat.services.llm_service import LLMService

from voxwire_protocol import wire
from voxwire_server.pipeline.output_frames import CutTurn
from voxwire_server.pipeline.speech_models.model_turns import ModelTurns
from voxwire_server.session.session import Session

__all__ = ["Live", "LiveService", "is_speech_to_speech"]

_GEMINI: Final = "pipecat.services.google.gemini_live.llm"
_OPENAI: Final = "pipecat.services.openai.realtime.llm"


class LiveService(Protocol):
    """What is asked of a service that was adopted."""

    async def turn_cut(self, turn: CutTurn) -> None:
        """The listener cut a turn off; the model's memory of it should end there, too."""
        ...


def is_speech_to_speech(service: LLMService[Any]) -> bool:
    """Whether a service hears and speaks by itself."""
    return service.service_metadata_frame().is_realtime_service


class Live:
    """The speech-to-speech service of one session.

    Args:
        session: The session.
        said_so_far: Told what the user has said of a sentence so far.
    """

    def __init__(self, session: Session, *, said_so_far: Callable[[str], None]) -> None:
        self._session = session
        self.said_so_far = said_so_far
        self.turns = ModelTurns()
        self.service: LLMService[Any] | None = None
        """The service, once it was found."""
        self.watched = False
        """Whether the service sees by itself to it that it answers in time."""
        self._adopted: LiveService | None = None
        self._item = ""
        self._text = ""

    def adopt(self, service: LLMService[Any]) -> None:
        """Take a service into care, once; one of an unknown provider is left as it is."""
        if self.service is service:
            return
        self.service = service
        modules = {kind.__module__ for kind in type(service).__mro__}
        if _GEMINI in modules and _GEMINI in sys.modules:
            from voxwire_server.pipeline.speech_models import gemini as gemini_live

            self._adopted = gemini_live.adopt(cast(Any, service), self)
            self.watched = True
        elif _OPENAI in modules and _OPENAI in sys.modules:
            from voxwire_server.pipeline.speech_models import openai as openai_realtime

            self._adopted = openai_realtime.adopt(cast(Any, service), self)

    async def cut(self, turn: CutTurn) -> None:
        """The output has cut a turn."""
        if self._adopted is not None:
            await self._adopted.turn_cut(turn)

    # what an adopted service asks

    @property
    def user_speaks(self) -> bool:
        """Whether the user has the floor."""
        return self._session.state.user == wire.UserState.USER_STATE_SPEAKING

    @property
    def bot_speaks(self) -> bool:
        """Whether the bot's voice is placed and not heard to its end."""
        return self._session.state.bot == wire.BotState.BOT_STATE_SPEAKING

    @property
    def busy(self) -> bool:
        """Whether the user speaks, waits for an answer, or a tool runs."""
        state = self._session.state
        waits = state.bot == wire.BotState.BOT_STATE_THINKING
        return self.user_speaks or waits or bool(self._session.tools.snapshot())

    def interim(self, frame: InterimTranscriptionFrame) -> str:
        """What was recognised so far, of a service that pushes only what is new (OpenAI)."""
        item = str(getattr(frame.result, "item_id", ""))
        if not item:
            return frame.text
        if item != self._item:
            self._item, self._text = item, ""
        self._text += frame.text
        return self._text
