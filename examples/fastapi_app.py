"""A web backend that talks to a voice bot for its users: text or a WAV in, words and a WAV out.

Run a server (make run), then this: .venv/bin/python examples/fastapi_app.py

    curl -H "Content-Type: application/json" -d '{"text": "what time is it"}' 127.0.0.1:8000/ask
    curl -H "Content-Type: audio/wav" --data-binary @examples/question.wav 127.0.0.1:8000/ask

An answer takes as long as the bot speaks. A user who goes away takes the conversation along, and so
does the end of the application; the bot is told in both cases.
"""

import asyncio
import base64
import contextlib
import io
import json
import os
import wave
from collections.abc import AsyncGenerator

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from numpy.typing import NDArray

import voxwire

BOT = os.environ.get("BOT_URL", "ws://127.0.0.1:7860")
MAX_CONVERSATIONS = 20
STATUS = {voxwire.ErrorCode.INVALID_ARGUMENT: 400, voxwire.ErrorCode.UNSUPPORTED_FORMAT: 415}


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """All conversations belong to the application: they end, in order, before it does."""
    app.state.running = running = set[asyncio.Task[dict[str, object]]]()
    yield
    for conversation in running:
        conversation.cancel()
    await asyncio.gather(*running, return_exceptions=True)


app = FastAPI(lifespan=lifespan)


async def talk(question: str | bytes) -> dict[str, object]:
    """Hold one turn, in writing or, with the bytes of a WAV, by voice."""
    spoken = question if isinstance(question, bytes) else None
    voice = voxwire.Recording()
    async with voxwire.connect(BOT, microphone=spoken, speaker=voice) as session:
        if isinstance(question, str):
            await session.send_text(question, interrupt=True)
        asked, words = await hear_out(session)
    start_ms = words[0].start_ms if words else 0  # of the media clock: the answer begins here
    samples = voice.samples[start_ms * voice.sample_rate // 1000 :]
    return {
        "question": asked,
        "words": [{"text": word.text, "at_ms": word.start_ms - start_ms} for word in words],
        "wav": base64.b64encode(wav_of(samples, voice.sample_rate)).decode(),
    }


async def hear_out(session: voxwire.Session) -> tuple[str, list[voxwire.BotWord]]:
    """The question, and the words of the answer once the bot has been quiet for a second."""
    asked, words = "", list[voxwire.BotWord]()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None) as quiet:
            async for event in session:
                match event:
                    case voxwire.UserTranscript(text=asked, final=True):
                        words.clear()  # what came before is the greeting
                    case voxwire.BotWord():
                        words.append(event)
                    case voxwire.StateChanged(bot=state):
                        idle = asked and words and state is voxwire.BotState.IDLE
                        now = asyncio.get_running_loop().time()
                        quiet.reschedule(now + 1 if idle else None)
                    case _:
                        pass
    return asked, words


def wav_of(samples: NDArray[np.int16], sample_rate: int) -> bytes:
    """A mono WAV in memory."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return data.getvalue()


async def left(request: Request) -> None:
    """Return when nobody waits for the answer any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


@app.post("/ask")
async def ask(request: Request) -> dict[str, object]:
    """Answer a question: ``{"text": ...}`` as JSON, or a WAV."""
    running: set[asyncio.Task[dict[str, object]]] = app.state.running
    if len(running) >= MAX_CONVERSATIONS:
        raise HTTPException(503, "too many conversations", {"Retry-After": "10"})
    body = await request.body()
    typed = request.headers.get("content-type", "").startswith("application/json")
    answer = asyncio.create_task(talk(json.loads(body)["text"] if typed else body))
    gone = asyncio.create_task(left(request))
    running.add(answer)
    answer.add_done_callback(running.discard)
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        answer.cancel()  # of one that is done, nothing
        return await answer
    except voxwire.VoxwireError as error:
        raise HTTPException(STATUS.get(error.code, 502), error.reason) from error
    finally:
        gone.cancel()
        answer.cancel()


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    uvicorn.run(app, port=port, timeout_graceful_shutdown=3)
