"""Writes docs/conversation.wav, the sound of docs/conversation.png: `sample.py`, after `make talk`.

The first question of what out/ has and its answer: the user and the bot as they were heard.
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
BEFORE_MS, AFTER_MS = 300, 500
"""Silence around them."""


def first_answer(record: Record) -> tuple[float, float]:
    """When the first question begins and the last word of its answer ends, ms."""
    start_ms, until_ms = record.said[0].start_ms, record.said[1].start_ms
    ends = [w.end_t_ms for w in record.words if w.heard and start_ms < w.t_ms < until_ms]
    return start_ms, max(ends)


def mixed(record: Record, start_ms: float, end_ms: float) -> NDArray[np.int16]:
    """Both voices from one moment of the conversation to another, mono at `RATE`."""
    out = np.zeros(int((end_ms - start_ms) * RATE / 1000), np.float32)

    def lay(at_ms: float, samples: NDArray[np.float32]) -> None:
        first = int((at_ms - start_ms) * RATE / 1000)
        piece = samples[max(0, -first) : max(0, len(out) - first)]
        first = max(0, first)
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
    asked_ms, answered_ms = first_answer(record)
    start_ms, end_ms = asked_ms - BEFORE_MS, answered_ms + AFTER_MS
    path = ROOT / "docs/conversation.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(mixed(record, start_ms, end_ms).astype("<i2").tobytes())
    print(f"wrote {path.relative_to(Path.cwd())}, {(end_ms - start_ms) / 1000:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
