"""ElevenLabs' text to speech over a WebSocket with several contexts: `multi-stream-input`.

What comes for a text: pieces of at most 5 characters with their PCM and when each character
sounds, counted from the piece's own first sample, faster than real time; `isFinal` behind a
context that was closed. A wrong key is told as ElevenLabs does: the handshake succeeds, then the
connection is closed with 1008 (pipecat issue 1006).
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
from tests.support.providers.tones import CHAR_MS, speak, timed

__all__ = ["elevenlabs_peer"]

PATH = "/v1/text-to-speech/{voice}/multi-stream-input"
PIECE_CHARS = 5
NAMES = {401: "invalid_api_key", 429: "too_many_concurrent_requests", 500: "internal_server_error"}
CLOSES = {401: 1008, 429: 1008, 500: 1011}
"""How a connection that is open is closed for each status."""


def _refusal(status: int) -> dict[str, Any]:
    return {"detail": {"status": NAMES[status], "message": MESSAGES[status]}}


class _Session:
    def __init__(
        self,
        peer: Peer,
        socket: web.WebSocketResponse,
        group: asyncio.TaskGroup,
        query: dict[str, str],
        speed: float,
    ) -> None:
        self._peer, self._socket, self._speed = peer, socket, speed
        self._rate = int(query["output_format"].removeprefix("pcm_"))
        self._auto = query.get("auto_mode") == "true"
        self._waiting: dict[str, str] = {}
        self._contexts = Contexts(group, self._speak)
        if peer.status != 200:
            group.create_task(self._refuse())

    async def take(self, message: WSMessage) -> None:
        if message.type is not WSMsgType.TEXT:
            return
        asked = json.loads(message.data)
        self._peer.asked.append(asked)
        name = asked.get("context_id", "default")
        if self._peer.status != 200:
            await self._refuse()
        elif asked.get("close_socket"):
            await self._socket.close()
        else:
            self._hold(name, asked.get("text") or "")
            if self._auto or asked.get("flush") or asked.get("close_context"):
                self._begin(name)
            if asked.get("close_context"):
                self._contexts.say(name, "")
                self._contexts.end(name)

    def close(self) -> None:
        self._contexts.close()

    def _hold(self, name: str, text: str) -> None:
        """Keep a text until it is to be spoken; a lone space only opens a context."""
        before = self._waiting.get(name, "")
        self._waiting[name] = before + ("" if text == " " and not before else text)

    def _begin(self, name: str) -> None:
        if text := self._waiting.pop(name, ""):
            self._contexts.say(name, text)

    async def _refuse(self) -> None:
        status = self._peer.status
        told = {"message": MESSAGES[status], "error": NAMES[status], "code": CLOSES[status]}
        await self._socket.send_json(told)
        await self._socket.close(code=CLOSES[status], message=NAMES[status].encode())

    async def _speak(self, name: str, texts: AsyncIterator[str]) -> None:
        words = 0
        async for text in texts:
            if words and text and not text.startswith(" "):
                text = " " + text  # as between any two sentences of a context
            parts = self._parts(name, text, words)
            step_s = PIECE_CHARS * CHAR_MS / 1000 / self._speed
            async for part in self._peer.paced(parts, step_s, begins=not words):
                await self._socket.send_str(part)
            words += len(timed(text))
        final = json.dumps({"audio": None, "isFinal": True, "contextId": name})
        async for part in self._peer.paced([final], begins=False):
            await self._socket.send_str(part)

    def _parts(self, name: str, text: str, first: int) -> list[str]:
        """The messages that a text is answered with."""
        pcm = speak(text, self._rate, first)
        each = CHAR_MS * self._rate // 1000 * 2
        size = 1 if self._peer.smallest else PIECE_CHARS
        parts = []
        for begin in range(0, len(text), size):
            chars = list(text[begin : begin + size])
            alignment = {
                "chars": chars,
                "charStartTimesMs": [at * CHAR_MS for at in range(len(chars))],
                "charDurationsMs": [CHAR_MS] * len(chars),
            }
            audio = base64.b64encode(pcm[begin * each : (begin + size) * each]).decode()
            told = {"audio": audio, "isFinal": None, "contextId": name}
            both = {"alignment": alignment, "normalizedAlignment": alignment}
            parts.append(json.dumps({**told, **both}))
        return parts


@contextlib.asynccontextmanager
async def elevenlabs_peer(*, speed: float = 8.0) -> AsyncGenerator[Peer]:
    """Run ElevenLabs' WebSocket until the block ends; `asked` has the messages.

    Args:
        speed: How many times faster than real time speech is sent.
    """
    peer = Peer(url="ws://127.0.0.1:{port}", refusal=_refusal)
    peer.door = frozenset({429, 500})

    async def speaks(request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        return await converse(
            request, lambda socket, group: _Session(peer, socket, group, query, speed)
        )

    async with peer.running({f"GET {PATH}": speaks}):
        yield peer
