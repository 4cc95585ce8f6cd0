"""A file for a browser's fake microphone: ``microphone_file.py OUT.wav LEAD_S TEXT TRAIL_S``.

The user's voice of the tests says TEXT, with silence before and behind it. A browser that plays it
again and again asks every ``LEAD_S + TRAIL_S`` seconds and what TEXT takes.
"""

import asyncio
import sys
import wave
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.espeak import render_pcm, shared_espeak

RATE = 48000


async def write(path: Path, lead_s: float, text: str, trail_s: float) -> None:
    """Speak a text into a WAV."""
    try:
        pcm, _ = await render_pcm(text, sample_rate=RATE)
    finally:
        await shared_espeak().aclose()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(int(lead_s * RATE) * 2) + pcm + bytes(int(trail_s * RATE) * 2))


if __name__ == "__main__":
    _, out, lead, said, trail = sys.argv
    asyncio.run(write(Path(out), float(lead), said, float(trail)))
