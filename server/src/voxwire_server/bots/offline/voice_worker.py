"""The helper process that speaks: ``python -m voxwire_server.bots.offline.voice_worker``.

The model holds the interpreter for a part of its 10 to 130 ms a sentence, which the audio of
other sessions could not wait for; it is a process of its own therefore.
"""

from __future__ import annotations

import sys
from typing import Any

from voxwire_server.bots.offline.clauses import clauses
from voxwire_server.bots.offline.helper_wire import decode
from voxwire_server.bots.offline.helper_worker import Job, serve
from voxwire_server.bots.offline.voice_model import SAMPLE_RATE, VoiceModel

_PAUSE_MS = 130
"""Silence between two pieces of a sentence."""


class _Speaker:
    """Speaks a sentence clause by clause, and looks between two of them whether anybody waits."""

    def __init__(self) -> None:
        self._model = VoiceModel()

    def work(self, job: Job) -> dict[str, Any]:
        """Speak one sentence, replying with the words and the audio of each piece."""
        asked = decode(job.payload)
        text, speed = str(asked["text"]), float(asked["speed"])
        num_samples = 0
        for index, (at, piece) in enumerate(clauses(text)):
            if job.cancelled.is_set():
                break
            spoken = self._model.speak(piece, speed)
            pause = round(SAMPLE_RATE * _PAUSE_MS / 1000 / speed) if index else 0
            before = num_samples + pause
            if spoken.words:
                job.note(
                    [
                        (
                            word.text,
                            word.start_sample + before,
                            word.end_sample + before,
                            word.char_start + at,
                            word.char_end + at,
                        )
                        for word in spoken.words
                    ]
                )
            if len(spoken.samples):
                job.audio(bytes(pause * 2) + spoken.samples.astype("<i2").tobytes())
                num_samples = before + len(spoken.samples)
        return {"num_samples": num_samples}


if __name__ == "__main__":
    sys.exit(serve(_Speaker))
