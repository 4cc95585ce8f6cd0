"""Speech that can be read back: each word is a tone, and its pitch says which word it is.

A character lasts 60 ms, a space too. A tone ends 40 ms before its word does, so words are apart,
also where texts follow each other without a space. PCM is int16 little-endian, mono.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["CHAR_MS", "Word", "loud", "speak", "spoken_words", "timed", "word_numbers"]

CHAR_MS = 60
GAP_MS = 40
LOWEST_HZ, STEP_HZ, PITCHES = 400, 50, 60
"""Word n sounds at 400 Hz + 50 Hz × (n mod 60): 3350 Hz at most, which 8 kHz can carry."""

AMPLITUDE = 8000
LOUD = 500
"""The root mean square from which on a window of 10 ms is no silence."""


@dataclass(frozen=True)
class Word:
    """A word of a text and its time, in ms from the text's first sample."""

    text: str
    number: int
    start_ms: int
    end_ms: int


def timed(text: str, first: int = 0, at_ms: int = 0) -> list[Word]:
    """When each word of a text sounds; words are what spaces part."""
    words: list[Word] = []
    for at, char in enumerate(text):
        if char.isspace():
            continue
        start_ms = at_ms + at * CHAR_MS
        if words and words[-1].end_ms == start_ms:
            last = words.pop()
            words.append(Word(last.text + char, last.number, last.start_ms, start_ms + CHAR_MS))
        else:
            words.append(Word(char, first + len(words), start_ms, start_ms + CHAR_MS))
    return words


def speak(text: str, rate: int, first: int = 0) -> bytes:
    """A text as PCM: 60 ms for each character, spaces included.

    Args:
        text: What is said.
        rate: In Hz.
        first: The number of its first word, where a text goes on.
    """
    samples = np.zeros(len(text) * CHAR_MS * rate // 1000, np.int16)
    for word in timed(text, first):
        begin, end = word.start_ms * rate // 1000, (word.end_ms - GAP_MS) * rate // 1000
        hz = LOWEST_HZ + STEP_HZ * (word.number % PITCHES)
        wave = np.sin(2 * np.pi * hz * np.arange(end - begin) / rate)
        samples[begin:end] = (AMPLITUDE * wave).astype(np.int16)
    return samples.astype("<i2").tobytes()


def loud(pcm: bytes) -> bool:
    """Whether there is energy in some PCM."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float64)
    return samples.size > 0 and float(np.sqrt(np.mean(samples**2))) >= LOUD


def _runs(pcm: bytes, rate: int) -> Iterator[bytes]:
    """The stretches of sound, as 30 ms of silence part them."""
    window = rate // 100 * 2
    pcm = pcm[: len(pcm) // 2 * 2]
    run, quiet = bytearray(), 0
    for at in range(0, len(pcm), window):
        piece = pcm[at : at + window]
        if loud(piece):
            run += piece
            quiet = 0
        elif run:
            quiet += 1
            if quiet == 3:
                yield bytes(run)
                run.clear()
    if run:
        yield bytes(run)


def spoken_words(pcm: bytes, rate: int) -> int:
    """How many words' tones are in some PCM; one that is cut counts."""
    return sum(1 for _ in _runs(pcm, rate))


def word_numbers(pcm: bytes, rate: int) -> list[int]:
    """Which words' tones are in some PCM, in order (numbers start again after 60)."""
    numbers = []
    for run in _runs(pcm, rate):
        signs = np.signbit(np.frombuffer(run, "<i2"))
        crossings = np.flatnonzero(signs[1:] != signs[:-1])
        halves = len(crossings) - 1
        hz = halves * rate / 2 / max(int(crossings[-1] - crossings[0]), 1) if halves > 0 else 0.0
        numbers.append(round((hz - LOWEST_HZ) / STEP_HZ))
    return numbers
