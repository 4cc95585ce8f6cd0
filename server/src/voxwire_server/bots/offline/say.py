"""``python -m voxwire_server.bots.offline.say``: reads a text, writes a WAV of it.

The voice of ``voxwire eval`` for users who speak. ``VOXWIRE_SPEECH`` may hold a JSON object with
``language`` (an espeak-ng voice) and ``speed`` (1 = 160 words per minute).
"""

import asyncio
import io
import json
import os
import sys
import wave
from typing import Any, Final

from voxwire_server.bots.offline.espeak import EspeakError, shared_espeak
from voxwire_server.bots.offline.extras import MissingExtraError
from voxwire_server.bots.offline.phrases import render_pcm

__all__ = ["main"]

_RATE: Final = 16_000
_WORDS_PER_MINUTE: Final = 160
_SLOWEST, _FASTEST = 80, 450


async def _say(text: str, asked: dict[str, Any]) -> bytes:
    language = str(asked.get("language") or "en-us")
    rate = round(_WORDS_PER_MINUTE * float(asked.get("speed") or 1))
    try:
        pcm, _ = await render_pcm(
            text,
            voice="en-us" if language == "en" else language,
            rate=min(max(rate, _SLOWEST), _FASTEST),
            sample_rate=_RATE,
        )
    finally:
        await shared_espeak().aclose()
    wav = io.BytesIO()
    with wave.open(wav, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(pcm)
    return wav.getvalue()


def main() -> int:
    """Speaks standard input; returns the exit code."""
    asked = json.loads(os.environ.get("VOXWIRE_SPEECH") or "{}")
    try:
        spoken = asyncio.run(_say(sys.stdin.read(), asked))
    except (EspeakError, MissingExtraError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(spoken)
    return 0


if __name__ == "__main__":
    sys.exit(main())
