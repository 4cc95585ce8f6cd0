"""The user's side of a test: what is said to the bot, spoken by espeak-ng in a helper process.

Another voice than the bot's own, with variants and exact word times. ``shared_espeak()`` is the
event loop's client; tests/conftest.py closes it behind each test, other programs do so themselves.
"""

from __future__ import annotations

import asyncio
import json
import random
import wave
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import soxr

from tests.support.espeak_worker import SAMPLE_RATE
from voxwire_server.bots.offline.helper import HelperClient
from voxwire_server.bots.offline.helper_wire import Kind, decode
from voxwire_server.bots.offline.word_spans import WordSpan

__all__ = [
    "SAMPLE_RATE",
    "VOICES",
    "EspeakClient",
    "PcmChunk",
    "Voice",
    "WordSpan",
    "close_shared_espeak",
    "random_voice",
    "render_pcm",
    "render_wav",
    "shared_espeak",
]

ROOT = Path(__file__).resolve().parents[2]
MAX_CHARS = 5000

VOICES = (
    *("en-us", "en-us+m1", "en-us+m3", "en-us+f1", "en-us+f2", "en-us+f3"),
    "en-us+klatt4",
)
"""Voices that the recogniser understands in at least 98 of 100 phrases (synthetic speech)."""

_RATES = (130, 175)


@dataclass(frozen=True, slots=True)
class Voice:
    """How to say it: an espeak-ng voice and its rate in words per minute."""

    voice: str
    rate: int


def random_voice(seed: int) -> Voice:
    """Draw a voice and a rate that the recogniser copes with."""
    rng = random.Random(seed)
    return Voice(rng.choice(VOICES), rng.randint(*_RATES))


@dataclass(frozen=True, slots=True)
class PcmChunk:
    """A piece of speech.

    Attributes:
        pcm: int16 little-endian PCM, mono, ``SAMPLE_RATE`` Hz, about 60 ms.
    """

    pcm: bytes


class EspeakClient(HelperClient):
    """Speaks sentences through a helper process that it starts, restarts and ends."""

    worker = "tests.support.espeak_worker"
    name = "the espeak-ng helper"
    package = "espeakng_loader"
    purpose = "the voice of tests"
    roots = (ROOT,)

    async def warm(self, voice: str = "en-us") -> None:
        """Start the helper and speak one silent word, so that the first sentence is fast."""
        async for _ in self.synthesize("warm", voice=voice):
            pass

    async def synthesize(
        self, text: str, *, voice: str = "en-us", rate: int = 160, pitch: int = 50
    ) -> AsyncGenerator[PcmChunk | WordSpan]:
        """Speak one sentence.

        Args:
            text: The sentence, at most 5000 code points.
            voice: An espeak-ng voice, optionally with a variant, e.g. ``en-us+f3``.
            rate: Words per minute, 80 to 450.
            pitch: 0 to 100, 50 is the voice's own.

        Yields:
            Chunks of audio in order, and the spans of the words in order; every whitespace token
            of ``text`` gets exactly one, at the latest after the last chunk.

        Raises:
            ValueError: The text is too long, or a parameter is out of range.
            HelperError: The helper refused, died, or hung.
        """
        if len(text) > MAX_CHARS:
            raise ValueError(f"a sentence of {len(text)} code points exceeds {MAX_CHARS}")
        if not 80 <= rate <= 450:
            raise ValueError(f"rate must be 80 to 450 words per minute, not {rate}")
        if not 0 <= pitch <= 100:
            raise ValueError(f"pitch must be 0 to 100, not {pitch}")
        text = text.replace("\0", " ")
        asked = {"text": text, "voice": voice, "rate": rate, "pitch": pitch}
        async with aclosing(self.request(json.dumps(asked).encode())) as replies:
            async for kind, payload in replies:
                if kind is Kind.AUDIO:
                    yield PcmChunk(payload)
                elif kind is Kind.NOTE:
                    for row in decode(payload):
                        yield WordSpan(*row)


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, EspeakClient] = WeakKeyDictionary()


def shared_espeak() -> EspeakClient:
    """Return the running event loop's client; ``close_shared_espeak()`` ends it."""
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        client = _clients[loop] = EspeakClient()
    return client


async def close_shared_espeak() -> None:
    """Close the running event loop's client, if anything was spoken on that loop."""
    client = _clients.pop(asyncio.get_running_loop(), None)
    if client is not None:
        await client.aclose()


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
