"""One connection to the local Gemini Live peer: hears, thinks, speaks, calls tools."""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.support import gemini_wire as wire
from tests.support.gemini_brain import Brain, Call, Say
from tests.support.gemini_ears import Ears, SpeechEnded, SpeechStarted, as_written, pieces
from tests.support.gemini_records import Fault, Received, SpokenTurn
from tests.support.gemini_voice import RATE, Speech, speak, timed_pieces
from voxwire_server.bots.offline.replies import FILLER

if TYPE_CHECKING:
    from tests.support.gemini_live_peer import GeminiPeer

__all__ = ["LiveSession", "PeerClosed"]


class PeerClosed(Exception):
    """The peer ends the connection with a close frame."""

    def __init__(self, close: wire.Close) -> None:
        super().__init__(close[1])
        self.close = close


class LiveSession:
    """Serves one connection whose setup was accepted."""

    def __init__(
        self, peer: "GeminiPeer", socket: ServerConnection, record: Received, brain: Brain
    ) -> None:
        self.peer = peer
        self.record = record
        self.brain = brain
        self._socket = socket
        self._settings = peer.settings
        activity = record.setup.get("realtimeInputConfig", {}).get("automaticActivityDetection", {})
        self._ears = Ears(
            peer.decoders,
            silence_ms=int(activity.get("silenceDurationMs") or peer.settings.silence_ms),
            automatic=not activity.get("disabled", False),
        )
        self._turn: asyncio.Task[None] | None = None
        self._answering = asyncio.Lock()
        self._calls: dict[str, Call] = {}
        self._pending_contents = False
        self._num_messages = 0
        self._hung = False

    # reading

    async def run(self) -> None:
        """Serve until the connection closes.

        Raises:
            PeerClosed: The client said something that ends the connection.
        """
        if self._settings.handle_at_setup:
            await self._send_handle()
        try:
            async for data in self._socket:
                self._num_messages += 1
                await self._take(wire.decode(data))
        except ValueError as error:
            raise PeerClosed((1007, f"Invalid JSON payload received. {error}"[:120])) from error
        finally:
            self._ears.close()
            if self._turn is not None:
                self._turn.cancel()
                await asyncio.wait({self._turn})
            self.record.history = self.brain.history

    async def _take(self, message: Mapping[str, Any]) -> None:
        match message:
            case {"realtimeInput": dict(realtime)}:
                await self._take_realtime(realtime)
            case {"clientContent": dict(contents)}:
                self.record.client_contents.append(contents)
                await self._take_contents(contents)
            case {"toolResponse": dict(response)}:
                for item in response.get("functionResponses", ()):
                    self.record.tool_responses.append(item)
                    self._take_result(item)
            case {"setup": _}:
                raise PeerClosed(wire.CLOSE_SETUP)
            case _:
                raise PeerClosed((1007, f"Unknown name {', '.join(message)}: Cannot find field."))

    async def _take_realtime(self, realtime: Mapping[str, Any]) -> None:
        blobs = [realtime.get("audio"), *realtime.get("mediaChunks", ())]
        for blob in blobs:
            if blob and str(blob.get("mimeType", "")).startswith("audio/pcm"):
                await self._take_audio(blob)
        if "activityStart" in realtime and not self._ears.automatic:
            self.record.activities.append("start")
            await self._on_speech(self._ears.begin())
        if "activityEnd" in realtime and self._ears.hearing and not self._ears.automatic:
            self.record.activities.append("end")
            await self._on_speech(self._ears.end())
        if realtime.get("audioStreamEnd") and self._ears.hearing:
            self.record.activities.append("streamEnd")
            await self._on_speech(self._ears.end())
        if "text" in realtime:
            await self._take_text(str(realtime["text"]))

    async def _take_audio(self, blob: Mapping[str, Any]) -> None:
        pcm = wire.pcm_of(blob)
        rate = int(str(blob["mimeType"]).partition("rate=")[2] or 16000)
        self.record.audio_ms += len(pcm) // 2 * 1000 // rate
        for event in self._ears.feed(pcm, rate):
            await self._on_speech(event)

    async def _on_speech(self, event: SpeechStarted | SpeechEnded) -> None:
        if isinstance(event, SpeechStarted):
            await self._interrupt()
            return
        text = as_written(event.text)
        self.record.heard.append(text)
        self.brain.hear(text)
        for piece in pieces(text):
            await self._send(wire.content(inputTranscription={"text": piece}))
        self._pending_contents = False
        self._begin(self.brain.answer(event.text))

    async def _take_text(self, text: str) -> None:
        self.record.texts.append(text)
        if text.strip():
            await self._interrupt()
            self.brain.hear(text)
            self._begin(self.brain.answer(text))
        elif self._pending_contents:
            self._begin(self.brain.seeded())
        self._pending_contents = False

    async def _take_contents(self, contents: Mapping[str, Any]) -> None:
        await self._interrupt()  # client content ends what is being said, whatever it is
        self.brain.history += contents.get("turns", ())
        if not contents.get("turnComplete"):
            return
        if wire.model_version(self.brain.model)[0] == 3:
            self._pending_contents = True  # these models answer only to realtime input
        else:
            self._begin(self.brain.seeded())

    def _take_result(self, item: Mapping[str, Any]) -> None:
        call = self._calls.get(str(item.get("id", "")))
        if call is None or item.get("willContinue"):
            return
        del self._calls[call.id]
        answer = self.brain.result(call, item.get("response") or {})
        if item.get("scheduling") != "SILENT":
            self._begin(answer, after_turn=not call.blocking)

    # speaking

    def _begin(self, answer: Say | Call, *, after_turn: bool = False) -> None:
        """Answer in a task; a turn that runs is finished first only for results that may wait."""
        before, self._turn = self._turn, None
        if before is not None and not after_turn:
            before.cancel()
        self._turn = asyncio.get_running_loop().create_task(
            self._answer(answer, before if after_turn else None)
        )
        self._turn.add_done_callback(_say_why)

    async def _answer(self, answer: Say | Call, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            try:
                await asyncio.wait({before})
            except asyncio.CancelledError:
                before.cancel()
                raise
        await asyncio.sleep(self._settings.think_ms / 1000)  # real time: slow
        await self._send(wire.resumption())
        if isinstance(answer, Call):
            if await self._fails("tool"):
                return
            self._calls[answer.id] = answer
            call = {"id": answer.id, "name": answer.name, "args": dict(answer.args)}
            self.record.tool_calls.append(call)
            await self._send(wire.tool_call(call))
            if answer.blocking:
                return
            answer = Say(FILLER)
        settings = self._settings
        voice, rate = settings.voice, settings.rate
        await self._speak(await speak(answer.text, self.peer.espeak, voice=voice, rate=rate))

    async def _speak(self, speech: Speech) -> None:
        turn = SpokenTurn(speech.text, speech.words, speech.duration_ms)
        self.record.spoken.append(turn)
        loop = asyncio.get_running_loop()
        turn.began_at = loop.time()
        try:
            if not await self._stream(speech, turn):
                return
            await self._send(wire.content(generationComplete=True))
            if self._settings.waits_for_playback:
                until = turn.began_at + speech.duration_ms / 1000
                await asyncio.sleep(max(0.0, until - loop.time()))  # real time: pace
        finally:
            # what was sent is kept, as the API's documentation says of interruptions
            self.brain.said(turn.transcribed.strip())
        await self._complete(turn)

    async def _stream(self, speech: Speech, turn: SpokenTurn) -> bool:
        """Send a turn's audio and its transcription between; False when a fault cut it."""
        settings, loop = self._settings, asyncio.get_running_loop()
        waiting = timed_pieces(speech)
        step = settings.chunk_ms * RATE // 1000 * 2
        for at in range(0, len(speech.pcm), step):
            due = turn.began_at + turn.sent_ms / 1000 / settings.speed
            await asyncio.sleep(max(0.0, due - loop.time()))  # real time: pace
            if await self._fails("turn", turn.sent_ms):
                return False
            reached = turn.sent_ms + settings.chunk_ms + settings.transcript_lead_ms
            while waiting and settings.transcript_lead_ms > 0 and waiting[0][0] < reached:
                await self._transcribe(turn, waiting.pop(0)[1])
            await self._send(wire.audio(speech.pcm[at : at + step], RATE))
            turn.sent_ms = min(turn.sent_ms + settings.chunk_ms, speech.duration_ms)
            while waiting and settings.transcript_lead_ms <= 0 and waiting[0][0] < reached:
                await self._transcribe(turn, waiting.pop(0)[1])
        for _, piece in waiting:
            await self._transcribe(turn, piece)
        return True

    async def _transcribe(self, turn: SpokenTurn, piece: str) -> None:
        if "outputAudioTranscription" in self.record.setup:
            await self._send(wire.content(outputTranscription={"text": piece}))
        turn.transcribed += piece

    async def _complete(self, turn: SpokenTurn) -> None:
        turn.complete = True
        fields: dict[str, Any] = {"turnComplete": True}
        if wire.model_version(self.brain.model) >= (3, 8):
            fields["interactionStatus"] = "IDLE"
        usage = wire.usage(self.brain.num_tokens, turn.sent_ms)
        await self._send({**wire.content(**fields), "usageMetadata": usage})
        await self._send_handle()

    async def _interrupt(self) -> None:
        """The user speaks: what is being said, or waits for a blocking call, ends."""
        withdrawn = [call.id for call in self._calls.values() if call.blocking]
        for call_id in withdrawn:
            del self._calls[call_id]
        task, self._turn = self._turn, None
        speaking = task is not None and not task.done()
        if task is not None and speaking:
            task.cancel()
            await asyncio.wait({task})
        if withdrawn:
            self.record.cancelled_calls += withdrawn
            await self._send(wire.tool_cancellation(withdrawn))
        turn = self.record.spoken[-1] if self.record.spoken else None
        if speaking and turn is not None and not turn.complete:
            turn.interrupted = True
            self.record.interruptions += 1
            await self._send(wire.content(interrupted=True))
            await self._complete(turn)

    # the connection

    async def _send(self, message: Mapping[str, Any]) -> None:
        if self._hung:
            return
        self.record.note_sent(message)
        try:
            await self._socket.send(wire.encode(message))
        except ConnectionClosed:
            pass

    async def _send_handle(self) -> None:
        if "sessionResumption" not in self.record.setup:
            return
        handle = self.peer.keep(self.record.session_id, self.brain.history)
        self.record.handles.append(handle)
        transparent = self.record.setup["sessionResumption"].get("transparent")
        await self._send(
            wire.resumption(handle, consumed=self._num_messages if transparent else None)
        )

    async def go_away(self, time_left_s: float) -> None:
        """Announce the end of the connection."""
        await self._send(wire.go_away(time_left_s))

    async def close(self, close: wire.Close) -> None:
        """End the connection."""
        await self._socket.close(*close)

    async def _fails(self, at: str, sent_ms: int = 0) -> bool:
        fault = self.peer.fault(at, sent_ms)
        return fault is not None and await self.fail(fault)

    async def fail(self, fault: Fault) -> bool:
        """Let something go wrong; False when the session goes on all the same."""
        match fault.kind:
            case "quota":
                await self.close(wire.CLOSE_QUOTA)
            case "close":
                await self.close(fault.close)
            case "drop":
                self._socket.transport.abort()
            case "hang":
                self._hung = True
            case "malformed":
                await self._socket.send(fault.data)
            case _:
                raise ValueError(f"no fault {fault.kind!r}")
        return True


def _say_why(turn: asyncio.Task[None]) -> None:
    """A turn that fails by a fault of the peer itself is in the log of the test."""
    if not turn.cancelled() and (error := turn.exception()) is not None:
        logging.getLogger("gemini-peer").error("a turn failed", exc_info=error)
