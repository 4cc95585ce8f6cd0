"""How long a synthesiser is waited for that was given a text and has made no sound since.

Pipecat takes a context for complete when nothing of it has come for ``stop_frame_timeout_s`` (3 s):
it reports that the service gave no audio, and drops the words that come with the sound all the
same. An answer's deadline is longer, and whoever is too late for that is told by name.
"""

from collections.abc import Callable
from typing import Any, Final, cast

from pipecat.services.tts_service import TTSService

__all__ = ["wait_for_sound"]

_MIN_SECS: Final = 0.05


def wait_for_sound(tts: TTSService, owes: Callable[[str], bool], *, secs: float) -> None:
    """Have ``tts`` keep a context open for ``secs`` while ``owes(context)`` is true.

    Raises:
        RuntimeError: This Pipecat waits elsewhere; words of slow voices would be lost.
    """
    service = cast(Any, tts)
    try:
        contexts, _ = service._audio_context_manager, service._next_audio_context_item
        patience = max(_MIN_SECS, float(service._stop_frame_timeout_s))
    except AttributeError as error:
        raise RuntimeError(
            "this pipecat-ai waits for audio elsewhere; voxwire-server supports pipecat-ai 1.14"
        ) from error

    async def next_item(context: str) -> Any:
        waited = 0.0
        while contexts.available(context):
            try:
                return await contexts.get(context, timeout=patience)
            except TimeoutError:
                waited += patience
            if not owes(context) or waited > secs:
                break
        return None

    service._next_audio_context_item = next_item
