"""OpenAI's audio API: `POST /v1/audio/transcriptions` and `POST /v1/audio/speech`."""

import contextlib
import io
import json
import wave
from collections.abc import AsyncGenerator

from aiohttp import web

from tests.support.providers.chat import openai_refusal
from tests.support.providers.hearing import Hears, heard
from tests.support.providers.peer import Peer
from tests.support.providers.tones import loud, speak

__all__ = ["SPEECH_RATE", "speech_peer", "transcribing_peer"]

URL = "http://127.0.0.1:{port}/v1"
SPEECH_RATE = 24_000
"""Of the PCM that speech is, in Hz."""


@contextlib.asynccontextmanager
async def transcribing_peer(*, hears: Hears = ("hello",)) -> AsyncGenerator[Peer]:
    """Run a transcription API until the block ends.

    `asked` has the form's fields, with the seconds of the file as `seconds`. A file without sound
    is an empty text, and no sentence of `hears` is used up.
    """
    peer = Peer(url=URL, refusal=openai_refusal)
    utterances = 0

    async def transcribe(request: web.Request) -> web.StreamResponse:
        nonlocal utterances
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        with wave.open(io.BytesIO(file.file.read())) as opened:
            rate, pcm = opened.getframerate(), opened.readframes(opened.getnframes())
        seconds = len(pcm) / 2 / rate
        asked = {name: value for name, value in form.items() if isinstance(value, str)}
        peer.asked.append({**asked, "seconds": seconds})
        text = ""
        if loud(pcm):
            text = heard(hears, pcm, utterances)
            utterances += 1
        body = {"text": text, "usage": {"type": "duration", "seconds": round(seconds)}}
        whole = json.dumps(body).encode()
        size = 1 if peer.smallest else max(len(whole) // 2, 1)
        parts = [whole[at : at + size] for at in range(0, len(whole), size)]
        return await peer.stream(request, parts, "application/json")

    async with peer.running({"POST /v1/audio/transcriptions": transcribe}):
        yield peer


@contextlib.asynccontextmanager
async def speech_peer(*, speed: float = 8.0) -> AsyncGenerator[Peer]:
    """Run a speech API until the block ends; `asked` has the requests' bodies.

    Args:
        speed: How many times faster than real time speech is sent.
    """
    peer = Peer(url=URL, refusal=openai_refusal)
    piece = SPEECH_RATE // 10 * 2

    async def say(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        peer.asked.append(body)
        pcm = speak(body["input"], SPEECH_RATE)
        size = 2 if peer.smallest else piece
        parts = [pcm[at : at + size] for at in range(0, len(pcm), size)]
        return await peer.stream(request, parts, "audio/pcm", 0.1 / speed)

    async with peer.running({"POST /v1/audio/speech": say}):
        yield peer
