"""An OpenAI Realtime API on loopback, for tests: as much of it as Pipecat's service uses.

Ears, mind and voice are those of the local Gemini Live peer.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from tests.support.espeak import EspeakClient
from tests.support.gemini_brain import Brain, Call, Say
from tests.support.gemini_ears import Decoders, Ears, SpeechStarted, as_written
from tests.support.gemini_records import SpokenTurn
from tests.support.gemini_voice import RATE, speak, timed_pieces

__all__ = ["OpenAIPeer", "OpenAIRecord", "running_openai_peer"]


@dataclass
class OpenAIRecord:
    """One connection: what came in, and what was said."""

    key: str
    sessions: list[dict[str, Any]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    truncations: list[dict[str, Any]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    spoken: list[SpokenTurn] = field(default_factory=list)


class OpenAIPeer:
    """The peer's state."""

    def __init__(self, *, speed: float, rate: int) -> None:
        self.speed, self.rate = speed, rate
        self.espeak = EspeakClient()
        self.decoders = Decoders()
        self.received: list[OpenAIRecord] = []
        self.port = 0

    @property
    def env(self) -> dict[str, str]:
        """What a process needs to talk to the peer instead of OpenAI."""
        url = f"ws://127.0.0.1:{self.port}/v1/realtime"
        return {"OPENAI_API_KEY": "local-peer-key", "VOXWIRE_OPENAI_REALTIME_URL": url}

    async def handle(self, socket: ServerConnection) -> None:
        """Serve one connection."""
        assert socket.request is not None
        key = socket.request.headers.get("Authorization", "").removeprefix("Bearer ")
        record = OpenAIRecord(key)
        self.received.append(record)
        await _Session(self, socket, record).run()


class _Session:
    """One connection's conversation."""

    def __init__(self, peer: OpenAIPeer, socket: ServerConnection, record: OpenAIRecord) -> None:
        self._peer, self._socket, self._record = peer, socket, record
        self._ears = Ears(peer.decoders)
        self._brain = Brain("gpt-realtime")
        self._calls: dict[str, Call] = {}
        self._answer: Say | Call | None = None
        self._response: asyncio.Task[None] | None = None
        self._ids = count(1)

    async def run(self) -> None:
        await self._send("session.created", session={"type": "realtime"})
        try:
            async for data in self._socket:
                await self._take(json.loads(data))
        finally:
            self._ears.close()
            if self._response is not None:
                self._response.cancel()

    async def _send(self, kind: str, **fields: Any) -> None:
        event = {"event_id": f"event_{next(self._ids)}", "type": kind, **fields}
        await self._socket.send(json.dumps(event))

    async def _take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                self._record.sessions.append(event["session"])
                tools = event["session"].get("tools") or ()
                self._brain.declared = {tool["name"]: tool for tool in tools}
                await self._send("session.updated", session={"type": "realtime"})
            case "conversation.item.create":
                await self._take_item(event["item"])
            case "conversation.item.truncate":
                self._record.truncations.append(event)
                kept = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
                await self._send("conversation.item.truncated", **kept)
            case "response.create":
                self._respond(self._answer or self._brain.seeded())
            case "input_audio_buffer.append":
                await self._take_audio(base64.b64decode(event["audio"]))
            case _:
                pass

    async def _take_item(self, item: dict[str, Any]) -> None:
        self._record.items.append(item)
        await self._send("conversation.item.added", item=item)
        await self._send("conversation.item.done", item=item)
        if item["type"] == "function_call_output":
            output = json.loads(item["output"])
            self._answer = self._brain.result(self._calls.pop(item["call_id"]), output)
        elif item["role"] != "assistant":
            text = " ".join(part.get("text") or "" for part in item["content"])
            self._brain.hear(text)
            self._answer = None

    async def _take_audio(self, pcm: bytes) -> None:
        for event in self._ears.feed(pcm, RATE):
            at = {"item_id": f"item_user_{len(self._record.heard)}"}
            if isinstance(event, SpeechStarted):
                await self._send(
                    "input_audio_buffer.speech_started", audio_start_ms=self._ears.heard_ms, **at
                )
                await self._stop()
                continue
            await self._send("input_audio_buffer.speech_stopped", audio_end_ms=event.ended_ms, **at)
            text = as_written(event.text)
            item = {"id": at["item_id"], "type": "message", "role": "user", "content": []}
            await self._send("conversation.item.added", item=item)
            kind = "conversation.item.input_audio_transcription.completed"
            await self._send(kind, content_index=0, transcript=text, **at)
            self._record.heard.append(text)
            self._brain.hear(text)
            self._respond(self._brain.answer(event.text))

    # responses

    def _respond(self, answer: Say | Call) -> None:
        self._answer = None
        self._response = asyncio.get_running_loop().create_task(self._run(answer))

    async def _stop(self) -> None:
        """The user speaks: the response that runs is cancelled."""
        if self._response is not None and not self._response.done():
            self._response.cancel()
            await asyncio.wait({self._response})
            self._record.spoken[-1].interrupted = True
            await self._done("cancelled")

    async def _done(self, status: str) -> None:
        usage = {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10}
        response = {"id": "resp", "status": status, "status_details": None, "output": []}
        await self._send("response.done", response={**response, "usage": usage})

    async def _run(self, answer: Say | Call) -> None:
        number = next(self._ids)
        begun = {"id": f"resp_{number}", "status": "in_progress", "output": []}
        await self._send("response.created", response={**begun, "status_details": None})
        if isinstance(answer, Call):
            await self._call(answer)
        else:
            await self._say(answer, number)
        await self._done("completed")

    async def _call(self, call: Call) -> None:
        self._calls[call.id] = call
        item = {"id": f"item_{call.id}", "type": "function_call", "call_id": call.id}
        await self._send(
            "conversation.item.added", item={**item, "name": call.name, "arguments": ""}
        )
        at = {"response_id": "resp", "item_id": item["id"], "output_index": 0}
        arguments = json.dumps(call.args)
        await self._send(
            "response.function_call_arguments.done", call_id=call.id, arguments=arguments, **at
        )

    async def _say(self, answer: Say, number: int) -> None:
        item = {"id": f"item_{number}", "type": "message", "role": "assistant", "content": []}
        await self._send("conversation.item.added", item=item)
        at = {"response_id": f"resp_{number}", "item_id": item["id"]}
        at |= {"output_index": 0, "content_index": 0}  # type: ignore[dict-item]
        speech = await speak(answer.text, self._peer.espeak, rate=self._peer.rate)
        turn = SpokenTurn(speech.text, speech.words, speech.duration_ms)
        self._record.spoken.append(turn)
        waiting = timed_pieces(speech)
        step = RATE // 10 * 2
        try:
            for start in range(0, len(speech.pcm), step):
                delta = base64.b64encode(speech.pcm[start : start + step]).decode()
                await self._send("response.output_audio.delta", delta=delta, **at)
                turn.sent_ms = min(turn.sent_ms + 100, speech.duration_ms)
                while waiting and waiting[0][0] < turn.sent_ms:
                    piece = waiting.pop(0)[1]
                    turn.transcribed += piece
                    await self._send("response.output_audio_transcript.delta", delta=piece, **at)
                await asyncio.sleep(0.1 / self._peer.speed)  # real time: pace
        finally:
            self._brain.said(turn.transcribed)
        await self._send("response.output_audio.done", **at)
        turn.complete = True


@contextlib.asynccontextmanager
async def running_openai_peer(*, speed: float = 4.0, rate: int = 160) -> AsyncGenerator[OpenAIPeer]:
    """Run a peer until the block ends."""
    peer = OpenAIPeer(speed=speed, rate=rate)
    await peer.espeak.warm()
    async with serve(peer.handle, "127.0.0.1", 0, max_size=None, close_timeout=60) as server:
        peer.port = next(iter(server.sockets)).getsockname()[1]
        try:
            yield peer
        finally:
            await peer.espeak.aclose()
