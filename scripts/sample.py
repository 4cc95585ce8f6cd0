"""Writes docs/conversation.wav, the sound of docs/conversation.png: `sample.py`, after `make talk`.

The first seconds of what out/ has: the user and the bot as they were heard.
"""

import sys
import wave
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from steps import OUT, ROOT
from talk import PHRASES
from talk_record import Record, Sound, read_record

RATE = 16000
USER, BOT = 0.5, 1.0
"""How loud they are beside each other: both have the bot's voice."""


def mixed(record: Record, seconds: float) -> NDArray[np.int16]:
    """Both voices on the conversation's clock, mono at `RATE`."""
    out = np.zeros(int(seconds * RATE), np.float32)

    def lay(at_ms: float, samples: NDArray[np.float32]) -> None:
        first = int(at_ms * RATE / 1000)
        piece = samples[: max(0, len(out) - first)]
        out[first : first + len(piece)] += piece

    for said in record.said:
        lay(said.start_ms, USER * _at_rate(said.sound))
    bot = BOT * _at_rate(record.bot)
    for t_ms, media_ms, _, end_ms in record.playout.runs:
        lay(t_ms, bot[int(media_ms * RATE / 1000) : int(end_ms * RATE / 1000)])
    fade = RATE // 5
    out[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return np.clip(out, -32768, 32767).astype(np.int16)


def _at_rate(sound: Sound) -> NDArray[np.float32]:
    return soxr.resample(sound.samples.astype(np.float32), sound.sample_rate, RATE)


def main() -> int:
    """Writes the file, and says how long it is."""
    clips = [OUT / "user" / f"{name}.wav" for name in PHRASES]
    record = read_record(OUT / "events.jsonl", OUT / "bot.wav", clips)
    end_ms = next(s.start_ms for s in record.said if "story" in s.text) + 5000
    path = ROOT / "docs/conversation.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(mixed(record, end_ms / 1000).astype("<i2").tobytes())
    print(f"wrote {path.relative_to(Path.cwd())}, {end_ms / 1000:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
