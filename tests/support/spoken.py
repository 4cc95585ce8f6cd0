"""What is said in a page's test, as files that the page and its test read."""

import json
import wave
from contextlib import aclosing
from pathlib import Path
from typing import Any

from tests.support.espeak import render_pcm, shared_espeak
from voxwire_server.bots.offline import tools
from voxwire_server.bots.offline.voice import SAMPLE_RATE, PcmPiece, shared_voice

__all__ = ["speak"]

RATE = SAMPLE_RATE
GAP_MS = 150
"""Silence behind every sentence of the offline bot."""


async def speak(folder: Path, texts: dict[str, str]) -> None:
    """Speak texts and the bot's long story into a folder.

    ``NAME.wav`` is a text as a user says it. ``story.wav`` is the story as the offline bot says it,
    ``story.json`` its words: ``[[text, start_ms, end_ms], …]``.
    """
    try:
        for name, text in texts.items():
            pcm, _ = await render_pcm(text, voice="en-us+f2", rate=150, sample_rate=RATE)
            _write(folder / f"{name}.wav", pcm)
        await _tell(folder)
    finally:
        await shared_espeak().aclose()
        await shared_voice().aclose()


async def _tell(folder: Path) -> None:
    story, words = bytearray(), list[list[Any]]()
    for sentence in tools.story():
        began_ms = len(story) * 1000 / (2 * RATE)
        async with aclosing(shared_voice().synthesize(sentence)) as pieces:
            async for piece in pieces:
                if isinstance(piece, PcmPiece):
                    story += piece.pcm
                    continue
                edges = (round(at * 1000 / RATE) for at in (piece.start_sample, piece.end_sample))
                words.append([piece.text, *(round(began_ms) + at for at in edges)])
        story += bytes(2 * RATE * GAP_MS // 1000)
    _write(folder / "story.wav", bytes(story))
    (folder / "story.json").write_text(json.dumps(words), "utf-8")


def _write(path: Path, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)
