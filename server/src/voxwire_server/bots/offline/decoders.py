"""Speech decoders and the pool that lends them out: one per user who is speaking, not per session.

A decoder holds the interpreter for the whole of a call into it, so audio goes in as slices of
20 ms at most (p50 about 1 ms of work each).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from voxwire_server.bots.offline.extras import require
from voxwire_server.bots.offline.grammar import GRAMMAR_NAME, jsgf, pronunciations
from voxwire_server.bots.offline.templates import agree_articles

__all__ = [
    "MIN_SCORE",
    "SAMPLE_RATE",
    "SLICE_BYTES",
    "Decoder",
    "DecoderPool",
    "Heard",
    "shared_decoders",
]

SAMPLE_RATE = 16000
"""Hz; what the acoustic model was trained on."""

SLICE_BYTES = SAMPLE_RATE // 50 * 2
"""The most that goes into a decoder at once: 20 ms of int16 mono PCM."""

MIN_SCORE = -38.0
"""Reject what scores lower. With synthetic speech (seven voices, no sound but theirs) it keeps
99.6 % of 917 phrases of the grammar and lets 12 of 120 other sentences through; not measured with
people. Silence scores well, so a short word needs a little of it around to pass."""

_MAX_DECODERS = 16

# Cepstral means (what cancels level, microphone and room) before anything of a speaker is known:
# the average over eight espeak-ng voices at full scale. With pocketsphinx's own start value the
# first phrases of every session were misheard 25 times as often (55 of 664 against 2 of 664).
_ANY_SPEAKER = "51.0,-2.2,-5.9,13.5,-12.9,-0.2,-10.0,-6.8,-0.1,-6.9,1.9,-3.7,0.8"

# The acoustic model has never heard digital silence, which is what clean or gated audio is made
# of. A floor of noise at -61 dBFS under it brings misheard phrases from 14 to 3 of 1048.
_NOISE = np.random.default_rng(0).normal(0, 30, SAMPLE_RATE + SLICE_BYTES).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a decoder made of an utterance.

    Attributes:
        text: The words, or "" when no whole phrase of the grammar fits (yet).
        score: Log-likelihood a frame of 10 ms; higher is better, speech that is not in the
            grammar scores low. ``-inf`` without text.
        shown: What people are shown in place of the transcript's text; "" = that text.
        free: The words are not the grammar's but were heard by the ears.
    """

    text: str
    score: float
    shown: str = ""
    free: bool = False


class Decoder:
    """One pocketsphinx decoder bound to the generated grammar. Blocking; not thread safe."""

    def __init__(self) -> None:
        """Load the acoustic model, the dictionary and the grammar (tens of ms; off the loop).

        Raises:
            MissingExtraError: pocketsphinx is not installed.
        """
        require("pocketsphinx", "speech recognition")
        import pocketsphinx

        config = pocketsphinx.Config(
            hmm=pocketsphinx.get_model_path("en-us/en-us"),
            dict=None,
            lm=None,
            samprate=float(SAMPLE_RATE),
            bestpath=False,
            loglevel="FATAL",
        )
        self._decoder: Any = pocketsphinx.Decoder(config)
        for entry, phones in pronunciations():
            self._decoder.add_word(entry, phones, False)
        self._decoder.add_jsgf_string(GRAMMAR_NAME, jsgf())
        self._decoder.activate_search(GRAMMAR_NAME)
        self._open = False
        self._noise_at = 0

    def start(self, speaker: str | None = None) -> None:
        """Begin an utterance, abandoning one that is open.

        Args:
            speaker: What ``speaker`` returned after this user's last utterance, so that the
                decoder hears them as it did then; None for a user not heard before.
        """
        self._close()
        self._decoder.set_cmn(speaker or _ANY_SPEAKER)
        self._decoder.start_utt()
        self._open = True
        self._noise_at = 0

    @property
    def speaker(self) -> str:
        """The cepstral means of the user heard last: their level, microphone and room."""
        return self._decoder.get_cmn(False)

    def feed(self, pcm: bytes) -> None:
        """Decode audio.

        Args:
            pcm: int16 little-endian PCM, mono, 16 kHz, at most ``SLICE_BYTES`` bytes.
        """
        samples = np.frombuffer(pcm, np.int16)
        at, self._noise_at = self._noise_at, (self._noise_at + len(samples)) % SAMPLE_RATE
        noisy = samples + _NOISE[at : at + len(samples)]
        self._decoder.process_raw(
            np.clip(noisy, -32768, 32767).astype("<i2").tobytes(), False, False
        )

    def partial(self) -> str:
        """Return the best words so far, not necessarily a whole phrase."""
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis is not None else ""

    def finish(self) -> Heard:
        """End the utterance and return what was heard."""
        self._close()
        return self.so_far()

    def so_far(self) -> Heard:
        """Return the best words so far, not necessarily a whole phrase, and how they score."""
        hypothesis = self._decoder.hyp()
        if hypothesis is None or not hypothesis.hypstr:
            return Heard("", -math.inf)
        frames = max(1, self._decoder.n_frames())
        # ``score`` is a likelihood; in the decoder's own log base it is an integer per frame.
        log_score = self._decoder.get_logmath().log(hypothesis.score)
        return Heard(agree_articles(hypothesis.hypstr), log_score / frames)

    def abandon(self) -> None:
        """End an utterance that nobody waits for."""
        self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._decoder.end_utt()


class DecoderPool:
    """Lends decoders out, at most ``limit`` at a time; belongs to one event loop.

    Idle decoders are kept, so the pool ends up as large as the number of users who ever spoke at
    once. It holds no task and no descriptor; dropping it frees everything.
    """

    def __init__(self, limit: int = _MAX_DECODERS) -> None:
        """Make an empty pool.

        Args:
            limit: The most decoders that may exist; further speakers wait their turn.
        """
        self._idle: list[Decoder] = []
        self._slots = asyncio.Semaphore(limit)
        self._num_lent = 0

    @property
    def num_lent(self) -> int:
        """How many decoders are lent out at the moment."""
        return self._num_lent

    @property
    def num_idle(self) -> int:
        """How many decoders are ready to be lent."""
        return len(self._idle)

    async def warm(self, count: int = 1) -> None:
        """Load decoders in a thread until at least ``count`` are idle.

        Raises:
            MissingExtraError: pocketsphinx is not installed.
        """
        while len(self._idle) < count:
            self._idle.append(await asyncio.to_thread(Decoder))

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Decoder]:
        """Lend a decoder for one utterance; waits while all are out. Cancel-safe.

        Raises:
            MissingExtraError: pocketsphinx is not installed.
        """
        async with self._slots:
            decoder = self._idle.pop() if self._idle else await asyncio.to_thread(Decoder)
            self._num_lent += 1
            try:
                yield decoder
            finally:
                self._num_lent -= 1
                decoder.abandon()
                self._idle.append(decoder)


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, DecoderPool] = WeakKeyDictionary()


def shared_decoders() -> DecoderPool:
    """Return the running event loop's pool."""
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None:
        pool = _pools[loop] = DecoderPool()
    return pool
