"""A session of a `FakeServer`, as its bot and the test hold it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from voxwire.playout import Samples
from voxwire.testing.conversation import Conversation
from voxwire.testing.file_shelf import FakeFile, FileShelf
from voxwire.testing.line import Line
from voxwire.testing.messages import Answers, Messages, block_format, path_close, wire_error
from voxwire.testing.network import End
from voxwire.testing.sound import PLAYOUT_RATE
from voxwire.testing.speech import Heard
from voxwire.testing.tool_calls import ToolAnswer, ToolCalls
from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.clock import ClockSync
from voxwire_protocol.clocks import Clock, Timer
from voxwire_protocol.errors import ErrorCode

__all__ = ["FakeSession", "ScriptedBot"]

ScriptedBot = Callable[["FakeSession"], Awaitable[None]]
"""What a bot does: begun with the first media path; when it returns, the session ends."""

_SOURCES: Final = {
    "user": wire.InterruptionSource.INTERRUPTION_SOURCE_USER,
    "client": wire.InterruptionSource.INTERRUPTION_SOURCE_CLIENT,
    "server": wire.InterruptionSource.INTERRUPTION_SOURCE_SERVER,
}


class Host(Protocol):
    """What a session asks of its server; see `FakeServer` for what each is."""

    bot: ScriptedBot
    answers: Answers
    clock: Clock
    features: set["wire.Feature"]
    accepts: tuple[str, ...]
    file_max_bytes: int
    deaf_to: set["wire.Carrier"]
    refused_paths: dict["wire.Carrier", ErrorCode]
    webrtc: Callable[["FakeSession", wire.PathOpen], object] | None
    grace_ms: int
    heartbeat_ms: int
    failures: list[Exception]


class FakeSession:
    """One session. Its verbs are the bot's and the test's; the server calls the rest.

    Attributes:
        hello: What the client said first.
        received: Everything that the client has said since, in order.
        over: True once it has ended.
        files: The files that are on their way.
    """

    def __init__(self, session_id: str, hello: wire.Hello, server: Host) -> None:
        """Made by the server."""
        self.id = session_id
        self.hello = hello
        self.received: list[wire.Envelope] = []
        self.over = False
        self.nonces = {hello.attach_nonce}
        self.tokens: list[bytes] = []
        self._server = server
        self._clock = server.clock
        self._line = Line(
            clock=self._clock, take=self._take, lost=self._lost, bad=self._refuse_message
        )
        self._talk = Conversation(self.send, self._clock)
        self._tools = ToolCalls(self.send, self._clock)
        self.files = FileShelf(self.send)
        self._messages = Messages(self.send, server.answers)
        self._running: asyncio.Task[None] | None = None
        self._began_ms = self._clock.now_ms()
        self._grace: Timer | None = None

    # what a bot does

    async def say(self, text: str, *, word_ms: int = 200, audio: Samples | None = None) -> Heard:
        """Says words, a tone each, and waits until they were heard or cut.

        Cancelled, it goes on being said: use `interrupt`.

        Args:
            text: The words.
            word_ms: Length of each, milliseconds.
            audio: Another sound, int16 mono at 24 kHz; the words stand in it all the same.
        """
        return await self._talk.say(text, word_ms=word_ms, audio=audio)

    async def text(self) -> str:
        """Waits for the next thing that the user types. Cancel-safe."""
        return await self._talk.texts.get()

    async def file(self) -> FakeFile:
        """Waits for the next file that the user sends. Cancel-safe."""
        return await self.files.came.get()

    async def listen(self, transcript: str = "") -> str:
        """Waits until the user has spoken and is quiet again. Cancel-safe.

        Args:
            transcript: What he is taken to have said; it is told to the client.

        Returns:
            The transcript.
        """
        await self._talk.listen(transcript)
        return transcript

    async def message(self) -> tuple[str, Any]:
        """Waits for the next message of the application: its type and its data. Cancel-safe."""
        return await self._messages.came.get()

    async def request(self, type: str, data: Any = None) -> Any:
        """Asks the client's program and waits for its answer.

        Raises:
            RuntimeError: It answered with an error.
        """
        return await self._messages.ask(type, data)

    async def call_tool(
        self, name: str, arguments: dict[str, Any] | None = None, *, timeout_ms: int = 10_000
    ) -> ToolAnswer:
        """Has a tool of the client run. Cancelled, it is withdrawn."""
        return await self._tools.call(name, arguments or {}, timeout_ms)

    def send_message(self, type: str, data: Any = None) -> None:
        """Sends a message of the application that asks nothing."""
        self._messages.send(type, data)

    def transcript(self, text: str, *, final: bool = True, typed: bool = False) -> None:
        """Tells what the user is taken to have said."""
        self._talk.transcript(text, final=final, typed=typed)

    def interrupt(self, source: str = "user") -> None:
        """Cuts off what is being said.

        Args:
            source: Who does it: ``user``, ``client`` or ``server``.
        """
        self._talk.speech.cut(_SOURCES[source])

    def mute_user(self, muted: bool = True) -> None:
        """Listens to the user no more, or again, as by a mute strategy of Pipecat."""
        self._talk.mute_user(muted)

    def end(self) -> None:
        """Ends the session as a bot that has said all it had to say."""
        self.finish(wire.EndReason.END_REASON_BOT)

    # what a test does to it

    @property
    def attached(self) -> bool:
        """Whether a socket carries it."""
        return self._line.end is not None

    @property
    def muted(self) -> bool:
        """Whether the client has closed its microphone."""
        return self._talk.muted

    @property
    def path_id(self) -> int:
        """The media path in use; 0 = none."""
        return self._talk.speech.path_id

    @property
    def heard_ms(self) -> int:
        """How far the client has reported to be, milliseconds of the media clock."""
        return self._talk.speech.heard_ms

    @property
    def user_samples(self) -> Samples:
        """All that came of the user, int16 mono at 16 kHz."""
        return self._talk.ears.samples

    @property
    def open_calls(self) -> list[str]:
        """Ids of the tool calls that have not ended."""
        return self._tools.open

    def said(self, payload: str) -> list[Any]:
        """The client's payloads of one name, for instance ``said("send_text")``."""
        found = (it for it in self.received if it.WhichOneof("payload") == payload)
        return [getattr(envelope, payload) for envelope in found]

    def send(self, **payload: Any) -> None:
        """Sends one payload, as ``send(flush=wire.Flush())``; later where nobody is there."""
        if not self.over:
            self._line.send(payload)

    def error(self, code: ErrorCode, reason: str = "the test says so", **more: Any) -> None:
        """Tells the client what went wrong; `more` are fields of ``wire.Error``."""
        self.send(error=wire_error(code, reason, **more))

    def fail(self, code: ErrorCode, reason: str = "the test says so") -> None:
        """Ends the session with an error."""
        self.error(code, reason, fatal=True)
        self.finish(wire.EndReason.END_REASON_ERROR, 4000 + code.value)

    def go_away(self, *, time_left_ms: int = 0, resume_url: str = "", reason: str = "") -> None:
        """Announces that its socket will be closed."""
        self.send(
            go_away=wire.GoAway(reason=reason, time_left_ms=time_left_ms, resume_url=resume_url)
        )

    def drop(self) -> None:
        """Breaks its socket; both sides learn it at once."""
        if self._line.end is not None:
            self._line.end.break_off()

    def hang(self) -> None:
        """Has its socket carry nothing any more, either way, and tell nobody."""
        if self._line.end is not None:
            self._line.end.hanging = True

    def close_socket(self, code: int = 1000, reason: str = "") -> None:
        """Closes its socket; the session goes on."""
        if self._line.end is not None:
            self._line.end.shut(code, reason)

    def close_path(self, code: ErrorCode = ErrorCode.CONNECTION_LOST, reason: str = "") -> None:
        """Gives the media path in use up."""
        path_id = self.path_id
        self._talk.detach()
        self.send(path_close=path_close(path_id, code, reason))

    def path_answer(self, path_id: int, sdp: str = "") -> None:
        """Answers a path that was asked for."""
        answer = wire.PathAnswer(path_id=path_id, sdp_answer=sdp, capture=block_format(16_000))
        answer.playout.CopyFrom(block_format(PLAYOUT_RATE))
        self.send(path_answer=answer)

    def path_ready(self, path_id: int, **more: Any) -> None:
        """Puts a path in use; the bot begins with the first. `more` are fields of ``PathReady``."""
        self.send(path_ready=wire.PathReady(path_id=path_id, **more))
        self._talk.attach(path_id)
        if self._running is None:
            self._talk.show(bot=wire.BotState.BOT_STATE_IDLE)
            self._running = asyncio.create_task(self._run(), name=f"bot of {self.id}")

    # what the server does with it

    def attach(self, end: End, hello: wire.Hello, *, forget: bool) -> None:
        """Carries the session over that socket, for the first time or again.

        Args:
            end: The server's end.
            hello: What was said on it.
            forget: Act as if what the client has missed were not kept any more.

        Raises:
            ChannelError: The Hello says that something was received that was never sent.
        """
        again = bool(self.tokens)
        missing = self._line.missing(hello.last_seq) if again and not forget else []
        welcome = self._welcome(hello, resumed=again)
        if missing is None or (again and forget):
            missing = []
            self._line.channel.restart()
            welcome.resumed, welcome.last_seq = False, 0
            welcome.snapshot.CopyFrom(self._snapshot())
        if self._grace is not None:
            self._grace.cancel()
        self._talk.detach()
        data = wire.Envelope(welcome=welcome).SerializeToString()
        self._line.attach(end, [data, *missing])

    def finish(self, reason: wire.EndReason.ValueType, code: int = 1000) -> None:
        """Ends it; the first reason counts."""
        if self.over:
            return
        duration_ms = round(self._clock.now_ms() - self._began_ms)
        self.send(session_ended=wire.SessionEnded(reason=reason, duration_ms=duration_ms))
        self.over = True
        self._line.close(code)
        self._tools.close()
        self._talk.close()
        if self._grace is not None:
            self._grace.cancel()
        if self._running is not None and self._running is not asyncio.current_task():
            self._running.cancel()

    async def wait_over(self) -> None:
        """Waits until nothing of its bot runs."""
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    def _welcome(self, hello: wire.Hello, *, resumed: bool) -> wire.Welcome:
        if not self.tokens or hello.attach_nonce not in self.nonces:
            self.nonces = {hello.attach_nonce}
            self.tokens.append(f"token {len(self.tokens) + 1}".encode().ljust(16, b"."))
        common = [it for it in self._server.features if it in hello.features]
        accepts = None
        if self._server.accepts:
            limit = self._server.file_max_bytes
            accepts = wire.FileAcceptance(types=self._server.accepts, max_bytes=limit)
        return wire.Welcome(
            protocol_version=wire.PROTOCOL_VERSION,
            session_id=self.id,
            epoch=len(self.tokens),
            resumed=resumed,
            resume_token=self.tokens[-1],
            last_seq=self._line.channel.last_received if resumed else 0,
            features=common,
            heartbeat_ms=self._server.heartbeat_ms,
            grace_ms=self._server.grace_ms,
            max_message_bytes=wire.DEFAULT_MAX_MESSAGE_BYTES,
            bot=hello.bot or "scripted",
            server="voxwire.testing",
            accepts=accepts,
        )

    def _snapshot(self) -> wire.Snapshot:
        shown = self._talk.speech.snapshot()
        shown.tool_calls.extend(self._tools.snapshot())
        shown.state.CopyFrom(self._talk.state)
        shown.user_muted = self.muted
        return shown

    def _lost(self) -> None:
        """Its socket is gone: it waits for its client, or ends."""
        self._talk.detach()
        resume = wire.Feature.FEATURE_RESUME
        if resume not in self.hello.features or resume not in self._server.features:
            self.finish(wire.EndReason.END_REASON_ERROR)
            return
        expire = wire.EndReason.END_REASON_EXPIRED
        self._grace = self._clock.call_later(self._server.grace_ms, lambda: self.finish(expire))

    def _refuse_message(self, error: ChannelError) -> None:
        self.send(error=wire.Error(code=error.code, reason=error.reason))

    def _take(self, envelope: wire.Envelope) -> None:
        self.received.append(envelope)
        match envelope.WhichOneof("payload"):
            case "ping":
                now_us = int(self._clock.now_ms() * 1000)
                self.send(pong=ClockSync.pong(envelope.ping, now_us, now_us))
            case "path_open":
                self._open(envelope.path_open)
            case "path_close" if envelope.path_close.path_id == self.path_id:
                self._talk.detach()
            case "playout_report":
                self._talk.speech.report(envelope.playout_report)
            case "audio":
                self._talk.hear(envelope.audio)
            case "send_text":
                self._talk.type(envelope.send_text)
            case "file_begin" | "file_piece" | "file_cancel":
                self.files.take(envelope)
            case "app_message":
                self._messages.take(envelope.app_message)
            case "tool_result":
                self._tools.receive(envelope.tool_result)
            case "error":
                self._messages.fail(envelope.error)
            case "interrupt":
                self.interrupt("client")
            case "mute":
                self._talk.muted = envelope.mute.muted
            case "bye":
                self.finish(wire.EndReason.END_REASON_CLIENT)
            case _:
                return

    def _open(self, asked: wire.PathOpen) -> None:
        if asked.carrier in self._server.deaf_to:
            return
        code = self._server.refused_paths.get(asked.carrier)
        rtc = self._server.webrtc if asked.carrier == wire.Carrier.CARRIER_WEBRTC else None
        if code is None and rtc is not None:
            rtc(self, asked)
            return
        if code is None and asked.carrier != wire.Carrier.CARRIER_WEBSOCKET:
            code = ErrorCode.UNSUPPORTED
        if code is not None:
            reason = "this server does not carry audio that way"
            self.send(path_close=path_close(asked.path_id, code, reason))
            return
        self.path_answer(asked.path_id)
        self.path_ready(asked.path_id, capture_index=self._talk.ears.next_index)

    async def _run(self) -> None:
        try:
            await self._server.bot(self)
        except Exception as error:
            self._server.failures.append(error)
            self.fail(ErrorCode.BOT_FAILED, f"the bot failed: {error!r}")
        else:
            self.end()
