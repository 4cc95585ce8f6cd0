"""Cartesia's text to speech over a WebSocket: `/tts/websocket`, with contexts and word times.

What comes for a text: its words' times and its PCM in pieces of 100 ms, faster than real time;
`flush_done` behind each text where the client buffers itself, `done` behind the last one. Times go
on from text to text of a context.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from tests.support.providers.faults import MESSAGES
from tests.support.providers.peer import Peer
from tests.support.providers.sockets import Contexts, converse
from tests.support.providers.tones import CHAR_MS, Word, speak, timed

__all__ = ["cartesia_peer"]

PIECE_MS = 100
TITLES = {401: "Unauthorized", 429: "Concurrency limit reached", 500: "Internal server error"}


def _refusal(status: int) -> dict[str, Any]:
    code = TITLES[status].lower().replace(" ", "_")
    return {"title": TITLES[status], "message": MESSAGES[status], "error_code": code}


def _message(kind: str, name: str, *, status: int = 206, **fields: Any) -> str:
    done = kind in ("done", "error")
    about = {"type": kind, "context_id": name, "status_code": status, "done": done}
    return json.dumps({**about, **fields})


def _timestamps(name: str, words: list[Word]) -> str:
    times = {
        "words": [word.text for word in words],
        "start": [word.start_ms / 1000 for word in words],
        "end": [word.end_ms / 1000 for word in words],
    }
    return _message("timestamps", name, word_timestamps=times)


class _Session:
    def __init__(
        self, peer: Peer, socket: web.WebSocketResponse, group: asyncio.TaskGroup, speed: float
    ) -> None:
        self._peer, self._socket, self._speed = peer, socket, speed
        self._contexts = Contexts(group, self._speak)

    async def take(self, message: WSMessage) -> None:
        if message.type is not WSMsgType.TEXT:
            return
        asked = json.loads(message.data)
        self._peer.asked.append(asked)
        name = asked["context_id"]
        if asked.get("cancel"):
            self._contexts.drop(name)
            return
        self._contexts.say(name, asked)
        if not asked.get("continue"):
            self._contexts.end(name)

    def close(self) -> None:
        self._contexts.close()

    async def _speak(self, name: str, texts: AsyncIterator[dict[str, Any]]) -> None:
        said: list[Word] = []
        at_ms = 0
        async for asked in texts:
            if self._peer.status != 200:
                status = self._peer.status
                error = _message("error", name, status=status, **_refusal(status))
                await self._socket.send_str(error)
                return
            text: str = asked["transcript"]
            if said and text and not text.startswith(" "):
                text = " " + text
            words = timed(text, len(said), at_ms)
            parts = self._parts(name, {**asked, "transcript": text}, words, at_ms)
            step_s = PIECE_MS / 1000 / self._speed
            async for part in self._peer.paced(parts, step_s, begins=not said):
                await self._socket.send_str(part)
            said += words
            at_ms += len(text) * CHAR_MS

    def _parts(self, name: str, asked: dict[str, Any], words: list[Word], at_ms: int) -> list[str]:
        """The messages that a text is answered with."""
        rate = asked["output_format"]["sample_rate"]
        text: str = asked["transcript"]
        pcm = speak(text, rate, words[0].number if words else 0)
        size = 2 if self._peer.smallest else rate * PIECE_MS // 1000 * 2
        waiting, parts = list(words), []
        for begin in range(0, len(pcm), size):
            end_ms = at_ms + (begin + size) * 500 // rate
            due = [word for word in waiting if word.start_ms < end_ms]
            waiting = waiting[len(due) :]
            if due:
                parts.append(_timestamps(name, due))
            data = base64.b64encode(pcm[begin : begin + size]).decode()
            parts.append(_message("chunk", name, data=data, step_time=1.0))
        if text and asked.get("max_buffer_delay_ms") == 0:
            parts.append(_message("flush_done", name, flush_id=1, flush_done=True))
        if not asked.get("continue"):
            parts.append(_message("done", name, status=200))
        return parts


@contextlib.asynccontextmanager
async def cartesia_peer(*, speed: float = 8.0) -> AsyncGenerator[Peer]:
    """Run Cartesia's WebSocket until the block ends; `asked` has the messages.

    Args:
        speed: How many times faster than real time speech is sent.
    """
    peer = Peer(url="ws://127.0.0.1:{port}/tts/websocket", refusal=_refusal)

    async def speaks(request: web.Request) -> web.StreamResponse:
        return await converse(request, lambda socket, group: _Session(peer, socket, group, speed))

    async with peer.running({"GET /tts/websocket": speaks}):
        yield peer
