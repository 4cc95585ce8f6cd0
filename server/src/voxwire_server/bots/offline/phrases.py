"""Phrases that the bot understands, drawn at random, and the bot's own voice as a user's."""

from __future__ import annotations

import random
import wave
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from voxwire_server.bots.offline.intents import INTENTS, SLOTS
from voxwire_server.bots.offline.voice import SAMPLE_RATE, PcmPiece, VoiceClient, shared_voice

__all__ = ["Phrase", "random_phrases", "speak_pcm", "speak_wav"]


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


async def speak_pcm(
    text: str, *, speed: float = 1.0, sample_rate: int = 16000, client: VoiceClient | None = None
) -> bytes:
    """Speak a text with the bot's own voice.

    Args:
        text: What to say.
        speed: 0.5 to 2; 1 is the voice's own.
        sample_rate: Of the result, in Hz.
        client: The helper's client; the event loop's shared one by default.

    Returns:
        int16 little-endian PCM, mono.
    """
    audio = bytearray()
    source = client or shared_voice()
    async with aclosing(source.synthesize(text, speed=speed)) as pieces:
        async for piece in pieces:
            if isinstance(piece, PcmPiece):
                audio += piece.pcm
    samples = np.frombuffer(bytes(audio), np.int16)
    if sample_rate != SAMPLE_RATE and len(samples):
        samples = soxr.resample(samples, SAMPLE_RATE, sample_rate)
    return samples.astype("<i2").tobytes()


async def speak_wav(
    path: str | Path, text: str, *, speed: float = 1.0, sample_rate: int = 16000
) -> None:
    """Speak a text into a WAV file (16-bit mono); the arguments are those of ``speak_pcm``."""
    pcm = await speak_pcm(text, speed=speed, sample_rate=sample_rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(pcm)
