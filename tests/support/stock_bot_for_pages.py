"""A stock bot for a browser: ``stock_bot_for_pages.py JSON``; prints ``listening URL``.

The JSON may hold ``arguments`` of Pipecat's runner and ``speech`` (a file for each text that is to
be spoken into it). A line ``cut`` on the standard input loses every packet of the WebRTC
connections that there are, ``kill`` ends the runner without a word; all ends with the input.
"""

import asyncio
import json
import signal
import sys
import wave
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.espeak import render_pcm, shared_espeak
from tests.support.stock_bots import stock_bot

DEAF = Path(__file__).with_name("deaf_stock_bot.py")
RATE = 48_000


async def speak(texts: dict[str, str]) -> None:
    """Speak each text into its file, without silence around it."""
    try:
        for path, text in texts.items():
            pcm, _ = await render_pcm(text, voice="en-us+f2", rate=150, sample_rate=RATE)
            with wave.open(path, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE)
                file.writeframes(pcm)
    finally:
        await shared_espeak().aclose()


async def main(options: dict[str, Any]) -> None:
    """Run until the standard input ends."""
    await speak(options.get("speech", {}))
    async with stock_bot(arguments=tuple(options.get("arguments", ())), script=DEAF) as bot:
        print("listening", bot.url, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            match line.strip():
                case "cut":
                    bot.process.send_signal(signal.SIGUSR1)
                case "kill":
                    bot.kill()
                case other:
                    raise ValueError(f"no such command: {other!r}")


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
