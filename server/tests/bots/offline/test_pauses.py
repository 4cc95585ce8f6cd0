"""Who falls silent is heard to do so before voice activity says it, and the ears begin then."""

from __future__ import annotations

import asyncio

import numpy as np

from voxwire_server.bots.offline import stt as stt_module
from voxwire_server.bots.offline.decoders import SLICE_BYTES, Heard
from voxwire_server.bots.offline.ears import Guess
from voxwire_server.bots.offline.pauses import Pause

SILENT = bytes(SLICE_BYTES)


def loud(seed: int = 1, level: int = 5000) -> bytes:
    samples = np.random.default_rng(seed).normal(0, level, SLICE_BYTES // 2)
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


def test_a_pause_begins_with_its_fourth_slice_and_ends_with_a_sound():
    pause = Pause()
    pause.feed(loud())
    for _ in range(3):
        pause.feed(SILENT)
        assert not pause.goes_on
    pause.feed(SILENT)
    assert pause.begins and pause.goes_on
    pause.feed(loud(level=100))  # a room is not silent
    assert pause.goes_on and not pause.begins
    pause.feed(loud())
    assert not pause.goes_on


def test_silence_before_anybody_spoke_is_no_pause():
    pause = Pause()
    for seed in range(20):
        pause.feed(loud(seed, level=20))
        assert not pause.goes_on
    pause.feed(b"")
    assert not pause.goes_on


class Ears:
    """Hears what it is told to, and counts how often it is asked."""

    pid = 1

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.ended = 0

    async def hear(self, pcm: bytes) -> Guess:
        self.asked.append(pcm)
        try:
            await asyncio.sleep(0)
            return Guess("Who won the match?", -0.1, 0.01)
        except asyncio.CancelledError:
            self.ended += 1
            raise


class Decoder:
    """Has heard a phrase with a score."""

    def __init__(self, score: float) -> None:
        self._heard = Heard("tell me a joke", score)

    def so_far(self) -> Heard:
        return self._heard


async def listened(ears: Ears, pieces: list[bytes], score: float = -40.0) -> stt_module._Utterance:
    stt = stt_module.SphinxSTTService(ears=ears)
    utterance = stt_module._Utterance(b"")
    for piece in pieces:
        utterance.audio += piece
        stt._listen_ahead(Decoder(score), utterance, piece)
        await asyncio.sleep(0)
    return utterance


async def test_the_ears_are_asked_in_the_pause_once():
    ears = Ears()
    utterance = await listened(ears, [loud()] * 10 + [SILENT] * 8)
    assert utterance.guess is not None
    assert (await utterance.guess).text == "Who won the match?"
    assert [len(pcm) for pcm in ears.asked] == [14 * SLICE_BYTES]
    utterance.forget_guess()


async def test_what_they_heard_is_forgotten_when_the_user_goes_on():
    ears = Ears()
    utterance = await listened(ears, [loud()] * 10 + [SILENT] * 4 + [loud()])
    assert utterance.guess is None and len(ears.asked) == ears.ended == 1
    ears = Ears()
    utterance = await listened(ears, ([loud()] * 10 + [SILENT] * 6) * 2)
    assert utterance.guess is not None and len(ears.asked) == 2
    await utterance.guess
    utterance.forget_guess()


async def test_they_are_not_asked_about_a_phrase_that_is_certain():
    ears = Ears()
    utterance = await listened(ears, [loud()] * 10 + [SILENT] * 8, score=-5.0)
    assert utterance.guess is None and not ears.asked


async def test_a_guess_that_failed_and_is_not_wanted_is_taken_note_of():
    class Broken(Ears):
        async def hear(self, pcm: bytes) -> Guess:
            raise RuntimeError("the helper is gone")

    utterance = await listened(Broken(), [loud()] * 10 + [SILENT] * 8)
    await asyncio.sleep(0)
    utterance.forget_guess()
    assert utterance.guess is None
