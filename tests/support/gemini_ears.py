"""The ears of the local Gemini Live peer: automatic activity detection and a recogniser.

Everything is counted in audio, not on a clock: silence that was not sent has not been heard.
"""

import re
from collections import deque
from dataclasses import dataclass

import numpy as np
import soxr

from voxwire_server.bots.offline.decoders import MIN_SCORE, SAMPLE_RATE, SLICE_BYTES, Decoder

__all__ = ["NOISE_TEXT", "Decoders", "Ears", "SpeechEnded", "SpeechStarted", "as_written", "pieces"]

NOISE_TEXT = "<noise>"
"""What Gemini writes for sound in which it heard no words."""

_LOUD = 500.0  # -36 dBFS
_ONSET = 4  # loud ones among the last ...
_ONSET_OF = 7  # ... slices of 20 ms
_QUESTION = re.compile(r"^(what|what's|how|is|where|can|could|who)\b")


@dataclass(frozen=True)
class SpeechStarted:
    """The user began to speak."""


@dataclass(frozen=True)
class SpeechEnded:
    """The user stopped; ``text`` is what was heard, "" when it fits nothing."""

    text: str
    ended_ms: int


class Decoders:
    """Decoders of one process, one for each user who speaks at the moment."""

    def __init__(self) -> None:
        self._idle: list[Decoder] = [Decoder()]

    def take(self) -> Decoder:
        return self._idle.pop() if self._idle else Decoder()

    def give(self, decoder: Decoder) -> None:
        decoder.abandon()
        self._idle.append(decoder)


class Ears:
    """Listens to one user."""

    def __init__(self, decoders: Decoders, *, silence_ms: int = 500, automatic: bool = True):
        self._decoders = decoders
        self._decoder: Decoder | None = None
        self._speaker: str | None = None
        self._silence_slices = max(5, silence_ms // 20)
        self.automatic = automatic
        self._rest = b""
        self._before: deque[bytes] = deque(maxlen=40)  # 800 ms, as the offline recogniser keeps
        self._onset: deque[bool] = deque(maxlen=_ONSET_OF)
        self._quiet = 0
        self._slices = 0

    @property
    def hearing(self) -> bool:
        return self._decoder is not None

    @property
    def heard_ms(self) -> int:
        return self._slices * 20

    def feed(self, pcm: bytes, sample_rate: int) -> list[SpeechStarted | SpeechEnded]:
        """Take audio in: int16 little-endian PCM, mono. What began or ended in it."""
        if sample_rate != SAMPLE_RATE:
            samples = soxr.resample(np.frombuffer(pcm, np.int16), sample_rate, SAMPLE_RATE)
            pcm = samples.astype("<i2").tobytes()
        pcm = self._rest + pcm
        events: list[SpeechStarted | SpeechEnded] = []
        whole = len(pcm) // SLICE_BYTES * SLICE_BYTES
        for at in range(0, whole, SLICE_BYTES):
            events += self._slice(pcm[at : at + SLICE_BYTES])
        self._rest = pcm[whole:]
        return events

    def _slice(self, piece: bytes) -> list[SpeechStarted | SpeechEnded]:
        self._slices += 1
        samples = np.frombuffer(piece, np.int16).astype(np.float32)
        loud = bool(np.sqrt(np.mean(samples**2)) > _LOUD)
        self._before.append(piece)
        self._onset.append(loud)
        if self._decoder is None:
            if self.automatic and sum(self._onset) >= _ONSET:
                return [self.begin()]
            return []
        self._decoder.feed(piece)
        self._quiet = 0 if loud else self._quiet + 1
        if self.automatic and self._quiet >= self._silence_slices:
            return [self.end()]
        return []

    def begin(self) -> SpeechStarted:
        """The user speaks from now on, the moment before included."""
        self._decoder = self._decoders.take()
        self._decoder.start(self._speaker)
        for piece in self._before:
            self._decoder.feed(piece)
        self._quiet = 0
        return SpeechStarted()

    def end(self) -> SpeechEnded:
        """The user has stopped."""
        assert self._decoder is not None
        decoder, self._decoder = self._decoder, None
        heard = decoder.finish()
        accepted = bool(heard.text) and heard.score >= MIN_SCORE
        if accepted:
            self._speaker = decoder.speaker
        self._decoders.give(decoder)
        self._onset.clear()
        self._before.clear()
        return SpeechEnded(heard.text if accepted else "", (self._slices - self._quiet) * 20)

    def close(self) -> None:
        if self._decoder is not None:
            self._decoders.give(self._decoder)
            self._decoder = None


def as_written(text: str) -> str:
    """What was heard, as Gemini writes it: a capital, and a mark at the end."""
    if not text:
        return NOISE_TEXT
    return text[0].upper() + text[1:] + ("?" if _QUESTION.match(text) else ".")


def pieces(text: str, size: int = 3) -> list[str]:
    """A text in pieces of some words; each but the first begins with its space."""
    words = text.split()
    grouped = [" ".join(words[at : at + size]) for at in range(0, len(words), size)]
    return [piece if at == 0 else f" {piece}" for at, piece in enumerate(grouped)]
