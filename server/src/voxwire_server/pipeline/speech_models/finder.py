"""Speech-to-speech services in a pipeline: found, and taken into care.

A service that announces itself as a realtime service (``LLMServiceMetadataFrame``) hears, thinks
and speaks in one block. Nothing is asked of the bot's author: the transport finds it in the
pipeline, makes contexts of its turns (:mod:`model_turns`) and, for the providers it knows, puts
what Pipecat 1.14 leaves out into the service itself (:func:`adopt`).
"""

import sys
from typing import Any, Final, cast

from pipecat.services.llm_service import LLMService

from voxwire_server.pipeline.output_frames import CutTurn
from voxwire_server.pipeline.speech_models.care import Care, LiveService

__all__ = ["SpeechModel", "is_speech_to_speech"]

_GEMINI: Final = "pipecat.services.google.gemini_live.llm"
_OPENAI: Final = "pipecat.services.openai.realtime.llm"


def is_speech_to_speech(service: LLMService[Any]) -> bool:
    """Whether a service hears and speaks by itself."""
    return service.service_metadata_frame().is_realtime_service


class SpeechModel:
    """The speech-to-speech service of one pipeline, if it has one.

    Args:
        care: What an adopted service is given.
    """

    def __init__(self, care: Care) -> None:
        self._care = care
        self.service: LLMService[Any] | None = None
        """The service, once it was found."""
        self.watched = False
        """Whether the service sees by itself to it that it answers in time."""
        self._adopted: LiveService | None = None

    def adopt(self, service: LLMService[Any]) -> None:
        """Take a service into care, once; one of an unknown provider is left as it is."""
        if self.service is service:
            return
        self.service = service
        modules = {kind.__module__ for kind in type(service).__mro__}
        if _GEMINI in modules and _GEMINI in sys.modules:
            from voxwire_server.pipeline.speech_models import gemini

            self._adopted = gemini.adopt(cast(Any, service), self._care)
            self.watched = True
        elif _OPENAI in modules and _OPENAI in sys.modules:
            from voxwire_server.pipeline.speech_models import openai

            self._adopted = openai.adopt(cast(Any, service), self._care)

    async def cut(self, turn: CutTurn) -> None:
        """The output has cut a turn."""
        if self._adopted is not None:
            await self._adopted.turn_cut(turn)
