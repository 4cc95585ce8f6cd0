"""The helper process of the second ears: ``python -m voxwire_server.bots.offline.ears_worker``.

A request is the audio of an utterance (int16 little-endian PCM, mono, 16 kHz); the reply says what
was heard, how sure the model is, and how likely it is that nobody spoke.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

import numpy as np

from voxwire_server.bots.offline.helper_worker import Job, serve
from voxwire_server.bots.offline.intents import INTENTS, SLOTS
from voxwire_server.bots.offline.whisper import Whisper

_NAMES = ", ".join(name.capitalize() for slot in ("city", "cuisine") for name in SLOTS[slot])
_PROMPT = f"{_NAMES}. {'. '.join(i.example[0].upper() + i.example[1:] for i in INTENTS)}."


class _Listener:
    """Hears one utterance after the other."""

    def __init__(self) -> None:
        self._model = Whisper(_PROMPT)
        self._model.hear(np.zeros(1600, np.float32))

    def waits_s(self, job: Job) -> float:
        """Return that somebody waits for it."""
        return 0.0

    def steps(self, job: Job) -> Generator[float, None, dict[str, Any]]:
        """Hear one utterance, in one step."""
        samples = np.frombuffer(job.payload, "<i2").astype(np.float32) / np.float32(32768)
        guess = self._model.hear(samples)
        job.note([guess.text, guess.score, guess.no_speech])
        return {}
        yield


if __name__ == "__main__":
    sys.exit(serve(_Listener))
