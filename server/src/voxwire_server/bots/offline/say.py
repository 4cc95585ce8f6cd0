"""``python -m voxwire_server.bots.offline.say``: reads a text, writes a WAV of it.

The voice of ``voxwire eval`` for users who speak English. ``VOXWIRE_SPEECH`` may hold a JSON object
with ``language`` and ``speed`` (1 is the voice's own).
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from voxwire_server.bots.offline.extras import MissingExtraError
from voxwire_server.bots.offline.helper import HelperError
from voxwire_server.bots.offline.phrases import speak_wav
from voxwire_server.bots.offline.voice import shared_voice

__all__ = ["main"]

_RATE: Final = 16_000
_SLOWEST, _FASTEST = 0.5, 2.0


async def _say(text: str, asked: dict[str, Any]) -> bytes:
    language = str(asked.get("language") or "en")
    if language.partition("-")[0].lower() != "en":
        raise ValueError(f"this voice speaks English alone, not {language!r}: name a --voice")
    speed = min(max(float(asked.get("speed") or 1), _SLOWEST), _FASTEST)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        try:
            await speak_wav(path, text, speed=speed, sample_rate=_RATE)
        finally:
            await shared_voice().aclose()
        return path.read_bytes()


def main() -> int:
    """Speaks standard input; returns the exit code."""
    asked = json.loads(os.environ.get("VOXWIRE_SPEECH") or "{}")
    try:
        spoken = asyncio.run(_say(sys.stdin.read(), asked))
    except (HelperError, MissingExtraError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(spoken)
    return 0


if __name__ == "__main__":
    sys.exit(main())
