"""The offline bot's voice: hibari-tts with the model's own durations. Blocking; not thread safe.

hibari (Apache-2.0) has its model, its lexicon and its pronunciation rules inside the wheel. Its
graph keeps how long each phoneme lasts to itself: one more output, appended to the serialised
graph, shows it (protobuf merges concatenated messages, so the package ``onnx`` is not needed).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxwire_server.bots.offline.voice_words import (
    LATE_MS,
    SpokenWord,
    has_sound,
    parts_of,
    spans_of,
    spoken_words,
)
from voxwire_server.bots.offline.word_spans import WordSpan

__all__ = ["SAMPLE_RATE", "Spoken", "VoiceModel", "has_durations"]

SAMPLE_RATE = 24000
"""Hz; the model's own rate."""

_DURATIONS = "/Clip_output_0"
"""The node of hibari-tts 0.2.1 whose output is the number of 25 ms frames of each phoneme."""

_MOST_PHONEMES = 400
"""What hibari gives its model at once; numbers have many more phonemes than digits."""
_LONGEST_PHONEMES = 2000
"""What is said of one piece, nearly two minutes: others wait for the second that it takes."""
_DIGITS = re.compile(r"\d{16,}")
"""Numbers for which hibari knows no words (from 36 digits on it fails) are read digit by digit."""

_GAIN = 1.6
_LEAD_MS = 20
_TAIL_MS = 40
_BLOCK_MS = 5
_ONSET_MS = 100
_NEAR_MS = 80
_LEAST_PAUSE_BLOCKS = 3
_QUIET = 0.02
"""Blocks below this share of the loudest one are silence."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A piece of speech.

    Attributes:
        samples: int16, mono, ``SAMPLE_RATE`` Hz; from 20 ms before its first sound to 40 ms after
            its last.
        words: One span for each whitespace token of its text, or none if this hibari-tts does not
            show its durations.
    """

    samples: NDArray[np.int16]
    words: list[WordSpan]


def _assets() -> Path:
    found = find_spec("hibari")
    return Path(found.origin or "").parent / "assets" if found else Path()


@cache
def has_durations() -> bool:
    """Whether the hibari-tts that is installed shows its durations; imports nothing of it."""
    try:
        return _DURATIONS.encode() in (_assets() / "hibari.onnx").read_bytes()
    except OSError:
        return False


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _with_output(model: bytes, name: str) -> bytes:
    """A serialised ONNX model with one more output: ModelProto.graph(7).output(12).name(1)."""
    return model + _field(7, _field(12, _field(1, name.encode())))


class VoiceModel:
    """Speaks short texts; the same text gives the same samples."""

    def __init__(self) -> None:
        """Load the model, the lexicon and the rules (half a second), and speak once.

        Nothing is fetched: hibari fetches other voices than the one in its wheel, on demand.
        """
        import onnxruntime
        from hibari.g2p import G2P
        from hibari.g2p.normalize import normalize

        self._normalize: Any = normalize
        self._g2p: Any = G2P()
        self._vocab: dict[str, int] = json.loads((_assets() / "vocab.json").read_text("utf-8"))
        self._timed = has_durations()
        model = (_assets() / "hibari.onnx").read_bytes()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._model: Any = onnxruntime.InferenceSession(
            _with_output(model, _DURATIONS) if self._timed else model,
            options,
            providers=["CPUExecutionProvider"],
        )
        self.speak("Warm up.")

    def speak(self, text: str, speed: float = 1.0) -> Spoken:
        """Speak a text of at most a few hundred characters.

        Args:
            text: The text.
            speed: 0.5 to 2; 1 is the voice's own.
        """
        texts, marks = self._read(text)
        if not has_sound(marks):
            return Spoken(np.zeros(0, np.int16), spans_of(text, [], 0) if self._timed else [])
        wave, durations = self._synthesise([phoneme for phoneme, _ in marks], speed)
        first, last = _sound(wave)
        words: list[SpokenWord] = []
        if self._timed:
            edges = np.cumsum(durations) * (len(wave) / durations.sum())
            words = spoken_words(marks, texts, [int(edge) for edge in edges[: len(marks) + 1]])
            words = _calibrated(words, wave, first)
        lead = SAMPLE_RATE * _LEAD_MS // 1000
        begin = max(0, min([first, *(word.start for word in words[:1])]) - lead)
        end = min(len(wave), last + SAMPLE_RATE * _TAIL_MS // 1000)
        samples = np.clip(wave[begin:end] * (32767 * _GAIN), -32768, 32767).astype(np.int16)
        moved = [SpokenWord(w.text, w.start - begin, w.end - begin) for w in words]
        return Spoken(samples, spans_of(text, moved, len(samples)) if self._timed else [])

    def _read(self, text: str) -> tuple[list[str], list[tuple[str, int]]]:
        """The words as the rules read them, and the phonemes with the word of each."""
        g2p = self._g2p
        texts: list[str] = []
        marks: list[tuple[str, int]] = []
        joined = False
        said = _DIGITS.sub(lambda found: " ".join(found[0]), text)
        for token in g2p.phonemize_tokens(g2p.tokenize(self._normalize(said))):
            if joined:
                texts[-1] += token.text
            else:
                texts.append(token.text)
            marks += [
                (phoneme, len(texts) - 1)
                for phoneme in token.phonemes or ""
                if phoneme in self._vocab
            ]
            joined = not token.whitespace
            if token.whitespace and " " in self._vocab:
                marks.append((" ", -1))
        del marks[_LONGEST_PHONEMES:]
        while marks and marks[-1][0] == " ":
            marks.pop()
        return texts, marks

    def _synthesise(
        self, phonemes: Sequence[str], speed: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """The sound, and how long the silence before, each phoneme and the rest last, in frames."""
        made = [self._run(part, speed) for part in parts_of(phonemes, _MOST_PHONEMES)]
        wave = np.concatenate([wave for wave, _ in made])
        durations = made[0][1]
        for _, more in made[1:]:  # the silences where two parts meet belong to the phonemes there
            durations[-2] += durations[-1]
            more[1] += more[0]
            durations = np.concatenate([durations[:-1], more[1:]])
        return wave, durations

    def _run(
        self, phonemes: Sequence[str], speed: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        from hibari import dsp

        ids = [0, *(self._vocab[phoneme] for phoneme in phonemes), 0]
        feed = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
        out = self._model.run(None, feed)
        lh, th, ln, lr, phi, f0 = (each[0] for each in out[:6])
        wave = dsp.synth(lh, th, ln, lr, phi, f0, np.random.default_rng(0))
        durations = out[6].reshape(-1).astype(np.float64) if self._timed else np.ones(len(ids))
        return wave, durations


def _blocks(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """The loudness of every 5 ms."""
    size = SAMPLE_RATE * _BLOCK_MS // 1000
    return np.sqrt(np.mean(wave[: len(wave) // size * size].reshape(-1, size) ** 2, axis=1))


def _sound(wave: NDArray[np.float32]) -> tuple[int, int]:
    """The first sample of the sound, and one past its last."""
    loud = _blocks(wave)
    size = SAMPLE_RATE * _BLOCK_MS // 1000
    above = np.flatnonzero(loud > loud.max(initial=0) * _QUIET)
    return (int(above[0]) * size, int(above[-1] + 1) * size) if len(above) else (0, len(wave))


def _calibrated(
    words: Sequence[SpokenWord], wave: NDArray[np.float32], first: int
) -> list[SpokenWord]:
    """Starts are late by a constant; round a pause both words end where the sound does."""
    late = SAMPLE_RATE * LATE_MS // 1000
    loud = _blocks(wave)
    quiet = loud.max(initial=0) * _QUIET
    size = SAMPLE_RATE * _BLOCK_MS // 1000
    found: list[SpokenWord] = []
    for index, word in enumerate(words):
        if word.start == word.end:
            at = found[-1].end if found else first
            found.append(SpokenWord(word.text, at, at))
            continue
        start = max(0, word.start - late)
        if index == 0 and start - first < SAMPLE_RATE * _ONSET_MS // 1000:
            start = first  # the first sound is the first word's
        end = max(start, word.end)
        pause = index + 1 == len(words) or words[index + 1].start > word.end
        if pause:
            above = np.flatnonzero(loud[start // size : end // size] > quiet)
            end = start + int(above[-1] + 1) * size if len(above) else end
        if found and words[index - 1].end < word.start:
            found[-1], start = _apart(found[-1], start, end, loud)
        found.append(SpokenWord(word.text, start, max(start, end)))
    return found


def _apart(
    before: SpokenWord, start: int, end: int, loud: NDArray[np.float32]
) -> tuple[SpokenWord, int]:
    """Where the word before a pause ends and the next one starts: round the longest silence near,
    or where it is least loud between them.

    Args:
        before: The word before the pause.
        start: The first sample of the word behind it.
        end: One past its last.
        loud: The loudness of each block.
    """
    size, near = SAMPLE_RATE * _BLOCK_MS // 1000, SAMPLE_RATE * _NEAR_MS // 1000
    low = max(before.start, before.end - near) // size + 1
    quiet = loud[low : min(end, start + near) // size] <= loud.max() * _QUIET
    edges = np.flatnonzero(np.diff(quiet, prepend=False, append=False))
    lengths = edges[1::2] - edges[::2]
    if len(lengths) and lengths.max() >= _LEAST_PAUSE_BLOCKS:
        at = int(lengths.argmax())
        silence, sound = ((low + int(edge)) * size for edge in edges[2 * at : 2 * at + 2])
    elif start > before.end:
        between = loud[before.end // size : start // size + 1]
        silence = sound = min(start, before.end + int(between.argmin()) * size)
    else:
        return before, start
    return SpokenWord(before.text, before.start, silence), sound
