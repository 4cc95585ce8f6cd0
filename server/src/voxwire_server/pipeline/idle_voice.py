"""How long a voice detector waits for sound that does not come, before the user counts as silent.

Pipecat forces the end of speech after 1 s without audio, as a muted microphone needs it. Here a
client that was cut off keeps what its user says meanwhile and goes on in the middle of a word.
"""

from collections.abc import Iterable
from typing import Any, Final, cast

from pipecat.audio.vad.vad_controller import VADController
from pipecat.processors.frame_processor import FrameProcessor

from voxwire_protocol.capture import KEPT_MS
from voxwire_server.pipeline.words import walk

__all__ = ["IDLE_SECS", "wait_for_voice"]

_SPARE_MS: Final = 1000
IDLE_SECS: Final = (KEPT_MS + _SPARE_MS) / 1000
"""Longer than a client keeps of its microphone."""
_PIPECATS: Final = 1.0


def wait_for_voice(processors: Iterable[FrameProcessor]) -> None:
    """Have the detectors of a pipeline wait for so long, where nobody has said otherwise."""
    for processor in walk(processors):
        controller: Any = getattr(processor, "_vad_controller", None)
        if isinstance(controller, VADController):
            detector = cast(Any, controller)
            if detector._audio_idle_timeout == _PIPECATS:
                detector._audio_idle_timeout = IDLE_SECS
