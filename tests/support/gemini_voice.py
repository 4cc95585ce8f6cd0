"""The voice of the local Gemini Live peer: espeak-ng at 24 kHz, with true word times."""

from dataclasses import dataclass

import numpy as np

from tests.support.espeak import EspeakClient, render_pcm
from tests.support.gemini_brain import sentences

__all__ = ["RATE", "Speech", "TrueWord", "speak", "timed_pieces"]

RATE = 24000
_GAP_MS = 200


@dataclass(frozen=True)
class TrueWord:
    """A word and where it sounds, in ms from the first sample of its turn's audio."""

    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Speech:
    """What is said in one turn: int16 little-endian PCM, mono, 24 kHz."""

    text: str
    pcm: bytes
    words: tuple[TrueWord, ...]

    @property
    def duration_ms(self) -> int:
        return len(self.pcm) // 2 * 1000 // RATE


async def speak(
    text: str, client: EspeakClient, *, voice: str = "en-us", rate: int = 160, lead_ms: int = 60
) -> Speech:
    """Speak a text; `lead_ms` of near silence come first, as the real voice has them."""
    audio = bytearray(_hush(lead_ms))
    words: list[TrueWord] = []
    for sentence in sentences(text):
        start_ms = len(audio) // 2 * 1000 / RATE
        pcm, spans = await render_pcm(
            sentence, voice=voice, rate=rate, sample_rate=RATE, gain=0.8, client=client
        )
        words += [
            TrueWord(
                span.text,
                round(start_ms + span.start_sample * 1000 / RATE),
                round(start_ms + span.end_sample * 1000 / RATE),
            )
            for span in spans
        ]
        audio += pcm + _hush(_GAP_MS)
    return Speech(text, bytes(audio), tuple(words))


def _hush(duration_ms: int) -> bytes:
    """Near silence: a neural voice is never exactly zero between its words."""
    count = duration_ms * RATE // 1000
    noise = np.random.default_rng(1).normal(0, 4, count)
    return noise.astype("<i2").tobytes()


def timed_pieces(speech: Speech) -> list[tuple[int, str]]:
    """The transcription of a turn in pieces of one to four words, and when the last one begins.

    A piece ends with a punctuation mark, as the real transcription mostly does.
    """
    found: list[tuple[int, str]] = []
    words: list[str] = []
    for word in speech.words:
        words.append(word.text)
        if len(words) == 4 or word.text[-1] in ".!?,":
            text = " ".join(words)
            found.append((word.start_ms, f" {text}" if found else text))
            words = []
    if words:
        found.append((speech.words[-1].start_ms, f" {' '.join(words)}"))
    return found
