"""The user's side of a test: phrases that the bot understands, spoken by the same synthesiser."""

from __future__ import annotations

import random
import wave
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from voxwire_server.bots.offline.espeak import (
    SAMPLE_RATE,
    EspeakClient,
    PcmChunk,
    WordSpan,
    shared_espeak,
)
from voxwire_server.bots.offline.intents import INTENTS, SLOTS

__all__ = [
    "VOICES",
    "Phrase",
    "Voice",
    "random_phrases",
    "random_voice",
    "render_pcm",
    "render_wav",
]

VOICES = (
    *("en-us", "en-us+m1", "en-us+m3", "en-us+f1", "en-us+f2", "en-us+f3"),
    "en-us+klatt4",
)
"""Voices that the recogniser understands in at least 98 of 100 phrases (synthetic speech)."""

_RATES = (130, 175)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something to say, and what the bot should make of it.

    Attributes:
        text: The words, lower case.
        intent: The name of the intent.
        slots: The slot values in it.
        tool: The tool that answers it, or "".
    """

    text: str
    intent: str
    slots: dict[str, str]
    tool: str


@dataclass(frozen=True, slots=True)
class Voice:
    """How to say it: an espeak-ng voice and its rate in words per minute."""

    voice: str
    rate: int


def random_phrases(
    seed: int, count: int, *, intents: Collection[str] | None = None
) -> list[Phrase]:
    """Draw phrases; the same seed draws the same ones.

    Args:
        seed: The seed.
        count: How many.
        intents: Only these intents; all by default.
    """
    rng = random.Random(seed)
    choices = [intent for intent in INTENTS if intents is None or intent.name in intents]
    phrases: list[Phrase] = []
    for _ in range(count):
        intent = rng.choice(choices)
        text, slots = rng.choice(intent.templates).sample(rng, SLOTS)
        phrases.append(Phrase(text, intent.name, slots, intent.tool))
    return phrases


def random_voice(seed: int) -> Voice:
    """Draw a voice and a rate that the recogniser copes with."""
    rng = random.Random(seed)
    return Voice(rng.choice(VOICES), rng.randint(*_RATES))


async def render_pcm(
    text: str,
    *,
    voice: str = "en-us",
    rate: int = 160,
    pitch: int = 50,
    sample_rate: int = 16000,
    gain: float = 1.0,
    client: EspeakClient | None = None,
) -> tuple[bytes, list[WordSpan]]:
    """Speak a text.

    Args:
        text: What to say.
        voice: An espeak-ng voice.
        rate: Words per minute.
        pitch: 0 to 100.
        sample_rate: Of the result, in Hz.
        gain: Linear; below 0.2 voice activity begins to miss it.
        client: The helper's client; the event loop's shared one by default.

    Returns:
        int16 little-endian PCM, mono, and the words with samples counted at ``sample_rate``.
    """
    audio = bytearray()
    spans: list[WordSpan] = []
    source = client or shared_espeak()
    pieces = source.synthesize(text, voice=voice, rate=rate, pitch=pitch)
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, PcmChunk):
                audio += piece.pcm
            else:
                spans.append(piece)
    samples = np.frombuffer(bytes(audio), np.int16)
    if sample_rate != SAMPLE_RATE:
        samples = soxr.resample(samples, SAMPLE_RATE, sample_rate)
    scaled = np.clip(samples.astype(np.float32) * gain, -32768, 32767).astype("<i2")
    return scaled.tobytes(), [_at_rate(span, sample_rate) for span in spans]


def _at_rate(span: WordSpan, sample_rate: int) -> WordSpan:
    start = round(span.start_sample * sample_rate / SAMPLE_RATE)
    end = round(span.end_sample * sample_rate / SAMPLE_RATE)
    return WordSpan(span.text, start, end, span.char_start, span.char_end)


async def render_wav(
    path: str | Path,
    text: str,
    *,
    voice: str = "en-us",
    rate: int = 160,
    pitch: int = 50,
    sample_rate: int = 16000,
    gain: float = 1.0,
) -> None:
    """Speak a text into a WAV file (16-bit mono); the arguments are those of ``render_pcm``."""
    pcm, _ = await render_pcm(
        text, voice=voice, rate=rate, pitch=pitch, sample_rate=sample_rate, gain=gain
    )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(pcm)
