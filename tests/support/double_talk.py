"""The bot's voice and the user's, spoken beforehand, and what a recogniser makes of the user's."""

import difflib
from dataclasses import dataclass

import numpy as np

from tests.support.espeak import render_pcm, shared_espeak
from tests.support.room import CAPTURE_RATE, GAIN, PLAYOUT_RATE, Rig
from tests.support.silero import VOICE, WINDOW, WINDOW_MS, confidences
from voxwire.playout import Samples
from voxwire_server.bots.offline.decoders import SLICE_BYTES, Decoder
from voxwire_server.bots.offline.phrases import random_phrases

LEAD_S = 4.0
"""The bot speaks alone for so long, as it does before it is interrupted."""
PAUSE = 6400
AROUND = (640, 4960)
"""What a recogniser gets around a phrase: the buffers are 60 ms late."""


@dataclass(frozen=True)
class Spoken:
    """A phrase of the user, 16 kHz."""

    text: str
    samples: Samples


async def bot_speech(seconds: float, seed: int = 3) -> Samples:
    """The bot's voice, 24 kHz, with short pauses."""
    need, said = round(seconds * PLAYOUT_RATE), [np.zeros(0, np.int16)]
    for phrase in random_phrases(seed, 60):
        if sum(map(len, said)) >= need:
            break
        pcm, _ = await render_pcm(phrase.text, sample_rate=PLAYOUT_RATE)
        said += [np.frombuffer(pcm, np.int16), np.zeros(PLAYOUT_RATE // 10, np.int16)]
    await shared_espeak().aclose()
    return np.concatenate(said)[:need]


async def user_phrases(count: int, seed: int = 8) -> list[Spoken]:
    """Phrases that the offline bot understands."""
    spoken: list[Spoken] = []
    for phrase in random_phrases(seed, count):
        pcm, _ = await render_pcm(phrase.text, sample_rate=CAPTURE_RATE)
        spoken.append(Spoken(phrase.text, np.frombuffer(pcm, np.int16)))
    await shared_espeak().aclose()
    return spoken


@dataclass(frozen=True)
class OverTalk:
    """What the session heard while the user spoke over the bot.

    Attributes:
        heard: 16 kHz.
        phrases: What he said.
        starts: Where in `heard` each of them begins; the buffers are 60 ms late.
    """

    heard: Samples
    phrases: list[Spoken]
    starts: list[int]

    @property
    def words(self) -> int:
        """How many he said."""
        return sum(len(phrase.text.split()) for phrase in self.phrases)

    def recognised(self) -> int:
        """How many of his words the offline bot's recogniser understands."""
        decoder, right = Decoder(), 0
        for phrase, start in zip(self.phrases, self.starts, strict=True):
            piece = self.heard[start - AROUND[0] : start + len(phrase.samples) + AROUND[1]]
            right += _right_words(phrase.text, _recognise(decoder, piece))
        return right

    def onsets_ms(self) -> list[float]:
        """When Silero first takes each phrase for a voice, from where it begins; inf = never."""
        voice, found = confidences(self.heard), list[float]()
        for phrase, start in zip(self.phrases, self.starts, strict=True):
            first, last = start // WINDOW, (start + len(phrase.samples) + AROUND[1]) // WINDOW
            windows = np.flatnonzero(voice[first:last] >= VOICE)
            found.append(windows[0] * WINDOW_MS if len(windows) else np.inf)
        return found


def speak_over(
    rig: Rig, far: Samples, phrases: list[Spoken], *, above_db: float | None = None
) -> OverTalk:
    """Has the user speak over the bot.

    Args:
        rig: At 16 kHz.
        far: The bot, 24 kHz; repeated or cut to the length that is needed.
        phrases: What he says.
        above_db: How much louder he is than the bot at the microphone: root mean square of his
            phrases, and of all that the bot plays. None: the bot is as loud as it is.
    """
    line, starts, at = [np.zeros(round(LEAD_S * CAPTURE_RATE), np.int16)], list[int](), 0
    at = len(line[0])
    for phrase in phrases:
        starts.append(at)
        line += [phrase.samples, np.zeros(PAUSE, np.int16)]
        at += len(phrase.samples) + PAUSE
    said = iter(np.concatenate([*line, np.zeros(CAPTURE_RATE, np.int16)]).reshape(-1))
    rig.near = lambda size: np.fromiter(said, np.float64, size)
    if above_db is not None:
        user = _rms(np.concatenate([phrase.samples for phrase in phrases]))
        wanted = far * (user / (10 ** (above_db / 20) * GAIN * _rms(far)))
        far = np.clip(np.rint(wanted), -32768, 32767).astype(np.int16)
    rig.run(np.resize(far, at * PLAYOUT_RATE // CAPTURE_RATE))
    return OverTalk(np.concatenate(rig.heard), phrases, starts)


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _recognise(decoder: Decoder, samples: Samples) -> str:
    decoder.start()
    pcm = samples.astype("<i2").tobytes()
    for start in range(0, len(pcm), SLICE_BYTES):
        decoder.feed(pcm[start : start + SLICE_BYTES])
    return decoder.finish().text


def _right_words(said: str, heard: str) -> int:
    matcher = difflib.SequenceMatcher(None, said.split(), heard.split())
    return sum(block.size for block in matcher.get_matching_blocks())
