"""Deepgram's live transcription over a WebSocket: `/v1/listen`.

PCM comes in; interim Results go out every 300 ms of an utterance, one more word each, and a final
one at its end, which 300 ms of silence or `Finalize` are. `Finalize` is answered where nothing was
said too; `CloseStream` with what is left, Metadata and a close.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from tests.support.providers.hearing import Hears, Utterances, heard
from tests.support.providers.peer import Fault, Peer
from tests.support.providers.sockets import converse

__all__ = ["deepgram_peer"]

INTERIM_MS = 300
CODES = {401: "INVALID_AUTH", 429: "TOO_MANY_REQUESTS", 500: "INTERNAL_SERVER_ERROR"}
CLOSES = {401: (1008, b"DATA-0000"), 429: (1008, b"DATA-0000"), 500: (1011, b"NET-0000")}
"""How a connection that is open is closed for each status."""

METADATA = {
    "request_id": "00000000-0000-0000-0000-000000000001",
    "model_info": {"name": "general-nova-3", "version": "2025-04-17.0", "arch": "nova-3"},
    "model_uuid": "00000000-0000-0000-0000-000000000002",
}


def _refusal(status: int) -> dict[str, Any]:
    return {"err_code": CODES[status], "err_msg": CODES[status], "request_id": "1"}


def _results(
    text: str, start_s: float, duration_s: float, *, final: bool = False, asked: bool = False
) -> str:
    """A Results message; the words share its time evenly."""
    said = text.split()
    each = duration_s / max(len(said), 1)
    words = [
        {
            "word": word.strip(".,?!").lower(),
            "punctuated_word": word,
            "start": start_s + at * each,
            "end": start_s + (at + 1) * each,
            "confidence": 0.99,
        }
        for at, word in enumerate(said)
    ]
    alternative = {"transcript": text, "confidence": 0.99 if text else 0.0, "words": words}
    times = {"start": start_s, "duration": duration_s, "channel_index": [0, 1]}
    ends = {"is_final": final, "speech_final": final, "from_finalize": asked}
    told = {"type": "Results", **times, **ends, "channel": {"alternatives": [alternative]}}
    return json.dumps({**told, "metadata": METADATA})


class _Session:
    def __init__(
        self,
        peer: Peer,
        socket: web.WebSocketResponse,
        group: asyncio.TaskGroup,
        query: dict[str, str],
        hears: Hears,
    ) -> None:
        self._peer, self._socket, self._hears = peer, socket, hears
        self._rate = int(query["sample_rate"])
        self._ears = Utterances(self._rate)
        self._number = self._taken = self._interims = 0
        self._interim = query.get("interim_results") == "true"
        self._out: asyncio.Queue[list[str] | None] = asyncio.Queue()
        self._sending = group.create_task(self._send())

    async def take(self, message: WSMessage) -> None:
        if message.type is WSMsgType.BINARY:
            self._note_audio(len(message.data))
            await self._hear(message.data)
        elif message.type is WSMsgType.TEXT:
            asked = json.loads(message.data)
            self._peer.asked.append(asked)
            if asked["type"] == "Finalize":
                await self._finish(asked=True)
            elif asked["type"] == "CloseStream":
                if self._ears.pcm:
                    await self._finish()
                self._out.put_nowait([self._metadata()])
                self._out.put_nowait(None)

    def close(self) -> None:
        self._sending.cancel()

    def _note_audio(self, size: int) -> None:
        """PCM is one entry of `asked` until something else comes."""
        self._taken += size
        if not (self._peer.asked and "audio_bytes" in self._peer.asked[-1]):
            self._peer.asked.append({"audio_bytes": 0})
        self._peer.asked[-1]["audio_bytes"] += size

    async def _hear(self, pcm: bytes) -> None:
        for event in self._ears.feed(pcm):
            if event == "ended":
                await self._finish()
            elif self._interim and self._peer.fault is Fault.NONE:
                length_ms = len(self._ears.pcm) * 500 // self._rate
                if length_ms // INTERIM_MS > self._interims:
                    self._interims += 1
                    words = self._text().split()[: self._interims]
                    self._out.put_nowait([_results(" ".join(words), *self._times())])

    def _text(self) -> str:
        return heard(self._hears, bytes(self._ears.pcm), self._number)

    def _times(self) -> tuple[float, float]:
        """When the utterance began, and how long it is, in s."""
        length_s = len(self._ears.pcm) / 2 / self._rate
        return self._taken / 2 / self._rate - length_s, length_s

    async def _finish(self, *, asked: bool = False) -> None:
        """The utterance that runs is over; there may be none when `Finalize` asked."""
        if self._peer.status != 200:
            code, reason = CLOSES[self._peer.status]
            await self._socket.close(code=code, message=reason)
            return
        text = self._text() if self._ears.pcm else ""
        times = self._times()
        cuts = range(1, len(text) + 1) if self._peer.smallest else [len(text)]
        before = [_results(text[:cut], *times) for cut in cuts if self._interim and text]
        self._out.put_nowait([*before, _results(text, *times, final=True, asked=asked)])
        self._number += bool(self._ears.pcm)
        self._interims = 0
        self._ears.end()

    def _metadata(self) -> str:
        about = {"transaction_key": "deprecated", "request_id": METADATA["request_id"]}
        rest = {"sha256": "0" * 64, "created": "2026-01-01T00:00:00.000Z", "channels": 1}
        seconds = self._taken / 2 / self._rate
        return json.dumps({"type": "Metadata", **about, **rest, "duration": seconds})

    async def _send(self) -> None:
        while (parts := await self._out.get()) is not None:
            async for part in self._peer.paced(parts):
                await self._socket.send_str(part)
        await self._socket.close()


@contextlib.asynccontextmanager
async def deepgram_peer(*, hears: Hears = ("hello",)) -> AsyncGenerator[Peer]:
    """Run Deepgram's WebSocket until the block ends.

    `asked` has each connection's query, the control messages, and PCM as `{"audio_bytes": n}`.
    """
    peer = Peer(url="ws://127.0.0.1:{port}", refusal=_refusal)

    async def listen(request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        peer.asked.append({"query": query})
        return await converse(
            request, lambda socket, group: _Session(peer, socket, group, query, hears)
        )

    async with peer.running({"GET /v1/listen": listen}):
        yield peer
