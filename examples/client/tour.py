"""Every name of `voxwire`, used once: what clients/python/API.md links to.

Run a server (make run), then: .venv/bin/python examples/client/tour.py
"""

import asyncio
from collections.abc import Iterator
from typing import assert_never

import numpy as np

import voxwire

URL = "ws://127.0.0.1:7860"


def describe(event: voxwire.Event) -> str:
    """A line on each kind of event; the type checker sees that none is forgotten."""
    match event:
        case voxwire.SessionStarted(bot=bot, examples=examples):
            return f"{bot} understands {', '.join(examples)}"
        case voxwire.SessionEnded(reason=reason, duration_ms=duration_ms):
            return f"over after {duration_ms} ms" if reason is voxwire.EndReason.CLIENT else reason
        case voxwire.Waiting(position=position):
            return f"place {position} in the queue"
        case voxwire.GoingAway(time_left_ms=time_left_ms):
            return f"the server stops in {time_left_ms} ms"
        case voxwire.ConnectionChanged(state=state, attempt=attempt):
            lost = state is voxwire.ConnectionState.RECONNECTING
            return f"dialling, attempt {attempt}" if lost else "connected"
        case voxwire.PathChanged(carrier=carrier, lost_ms=lost_ms, fallback=fallback):
            over = "WebRTC" if carrier is voxwire.Carrier.WEBRTC else carrier.value
            blocked = fallback is voxwire.FallbackReason.ICE_FAILED
            why = ", since UDP is blocked" if blocked else ""
            return f"sound goes over {over}{why}; {lost_ms} ms of the user's were lost"
        case voxwire.EventsSkipped(count=count, snapshot=snapshot):
            return f"{count} events are gone; {'' if snapshot is None else summary(snapshot)}"
        case voxwire.DeviceChanged(kind=kind, state=state, name=name):
            what = "speaker" if kind is voxwire.DeviceKind.SPEAKER else "microphone"
            return f"{what} {name}: {'lost' if state is voxwire.DeviceState.LOST else 'in use'}"
        case voxwire.EchoControlChanged(control=control, reason=reason):
            half = control is voxwire.EchoControl.GATE
            return f"the microphone is off while the bot speaks: {reason}" if half else control
        case voxwire.CaptureDropped(dropped_ms=dropped_ms, reason=reason):
            return f"{dropped_ms} ms of the user were dropped: {reason}"
        case voxwire.StateChanged(user_muted=True):
            return "the bot does not listen now"
        case voxwire.StateChanged(bot=bot, user=user):
            turn = "user" if user is voxwire.UserState.SPEAKING else "bot"
            return f"the {turn} has the floor" if bot is voxwire.BotState.LISTENING else bot.value
        case voxwire.UserTranscript(text=text, final=final):
            return f"user: {text}{'' if final else ' …'}"
        case voxwire.BotResponseStarted(turn_id=turn_id):
            return f"the model answers in turn {turn_id}"
        case voxwire.BotResponseText(text=text):
            return f"it writes: {text}"
        case voxwire.BotResponseEnded(response_id=response_id):
            return f"response {response_id} is written"
        case voxwire.UtteranceStarted(media_ms=media_ms, source=source):
            guessed = source is voxwire.TimingSource.ESTIMATED
            return f"it speaks from {media_ms} ms on{', words by estimate' if guessed else ''}"
        case voxwire.UtteranceWords(words=words):
            return " ".join(placed(word) for word in words)
        case voxwire.BotWord(text=text, start_ms=start_ms, end_ms=end_ms):
            return f"heard: {text}, {end_ms - start_ms} ms"
        case voxwire.UtteranceEnded(end=end, heard_words=heard_words, heard_source=source):
            whole = end is voxwire.UtteranceEnd.COMPLETED
            sure = source is voxwire.HeardSource.CLIENT_REPORT
            return f"{'all' if whole else heard_words} words heard{'' if sure else ', probably'}"
        case voxwire.Interrupted(source=source):
            voice = source is voxwire.InterruptionSource.USER
            return "cut off by the user's voice" if voice else f"cut off by the {source}"
        case voxwire.Flushed(media_ms=media_ms):
            return f"silent at {media_ms} ms"
        case voxwire.ToolCallStarted(name=name, arguments=arguments):
            return f"{name}({arguments})"
        case voxwire.ToolCallEnded(name=name, outcome=outcome, result=result):
            return f"{name}: {result if outcome is voxwire.ToolOutcome.DONE else outcome.value}"
        case voxwire.TurnMetrics(total_ms=total_ms):
            return f"the user waited {total_ms} ms"
        case voxwire.ServiceMetrics(metrics=metrics):
            return ", ".join(measured(metric) for metric in metrics)
        case voxwire.Quality(grade=grade, round_trip_ms=round_trip_ms):
            poor = grade is voxwire.Grade.POOR
            return f"the connection is {'poor' if poor else grade}, {round_trip_ms} ms round trip"
        case voxwire.AppMessage(type=kind, data=data):
            return f"{kind}: {data}"
        case voxwire.ErrorEvent(code=code, reason=reason, action=action):
            again = action is voxwire.RecoveryAction.RECONNECT
            return f"{code.name}: {reason}{', connect again' if again else ''}"
        case _:
            assert_never(event)


def placed(word: voxwire.PlacedWord) -> str:
    """A word and its moment on the media clock."""
    return f"{word.text}@{word.start_ms}"


def measured(metric: voxwire.ServiceMetric) -> str:
    """What a service took: milliseconds, or a count."""
    unit = " ms" if metric.kind in (voxwire.MetricKind.TTFB, voxwire.MetricKind.PROCESSING) else ""
    return f"{metric.processor} {metric.kind}: {metric.value:.0f}{unit}"


def summary(snapshot: voxwire.Snapshot) -> str:
    """The conversation as the server has it."""

    def line(turn: voxwire.Turn) -> str:
        return f"{'bot' if turn.role is voxwire.TurnRole.BOT else 'user'}: {turn.text}"

    return "\n".join(line(turn) for turn in snapshot.turns)


def told(conversation: voxwire.Conversation) -> Iterator[str]:
    """The turn log, piece by piece."""

    def heard(word: voxwire.LoggedWord) -> str:
        return word.text if word.state == "heard" else f"[{word.text}]"

    def spoken(utterance: voxwire.LoggedUtterance) -> str:
        return " ".join(heard(word) for word in utterance.words)

    def ran(call: voxwire.LoggedToolCall) -> str:
        return f"({call.name}: {call.status})"

    for turn in conversation.turns:
        match turn:
            case voxwire.UserTurn():
                yield f"user: {turn.text}"
            case voxwire.BotTurn():
                parts = [*map(ran, turn.tool_calls), *map(spoken, turn.utterances)]
                yield f"bot: {' '.join(parts)}"


def waits(latency: voxwire.Latency) -> str:
    """How long the user waited, and how often how long."""

    def bar(bucket: voxwire.LatencyBucket) -> str:
        return f"{bucket.from_ms} ms: {'#' * bucket.turns}"

    return "\n".join([f"p50 {latency.p50_ms} ms", *map(bar, latency.histogram)])


class Tone:
    """A microphone of one's own: a `voxwire.Microphone`."""

    def read(self, num_samples: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        """The next samples, int16 mono at 16 kHz."""
        return np.full(num_samples, 100, np.int16)

    async def run(self) -> None:
        """Nothing to do beside the session."""


class Meter:
    """A speaker of one's own, a `voxwire.Speaker`: how much was played, and how much made up."""

    played = concealed = 0

    def open(self, sample_rate: int) -> None:
        """Blocks come at this rate, Hz."""

    def write(self, block: voxwire.Block, at: float) -> None:
        """Count the samples of 20 ms."""
        for span in block.spans:
            self._count(span)

    def _count(self, span: voxwire.Span) -> None:
        self.played += span.length if span.kind is voxwire.SpanKind.PLAYED else 0
        self.concealed += span.length if span.kind is voxwire.SpanKind.CONCEALED else 0

    def close(self) -> None:
        """The session is over."""


async def devices() -> str:
    """What of sound there is, and how a device is named."""
    listed: list[voxwire.DeviceInfo] = voxwire.list_devices()
    voxwire.connect(
        URL,
        microphone=voxwire.Device("USB"),
        speaker=listed[0].index,
        remember_devices=True,  # from now on microphone=True means these
    )
    return ", ".join(f"{device.index} {device.name}" for device in listed)


async def lobby() -> list[str]:
    """What to tell the user before he connects."""
    found: list[voxwire.DeviceStatus] = [*(await voxwire.device_states()).values()]
    return [
        f"{status.kind}: {status.reason}; {status.advice}"
        for status in found
        if status.state is not voxwire.DeviceReadiness.READY
    ]


async def live(session: voxwire.Session) -> float | None:
    """Live devices during a conversation: volume, level, another microphone."""
    audio: voxwire.LiveAudio = session.audio
    audio.volume = 0.5
    await session.set_microphone(voxwire.Device("USB"))
    await session.set_speaker(True)
    levels: voxwire.Levels = audio.levels
    async for now in audio.levels_every(100):
        if now.microphone_db > levels.microphone_db:
            break  # the user has become louder
    return levels.microphone_db


async def loudest(session: voxwire.Session) -> int:
    """The bot's voice for a listener beside the speaker."""
    stream: voxwire.SoundStream = session.sound()
    return max([int(np.abs(block.samples).max()) async for block in stream], default=0)


async def early() -> voxwire.Connection:
    """What takes time, done before somebody presses a button."""
    prepared: voxwire.Prepared = await voxwire.prepare(URL)
    return prepared.connect(speaker=Meter())


async def spoken(session: voxwire.Session) -> str:
    """A program in the user's place."""
    played: voxwire.PlayResult = await session.play(
        voxwire.Audio(np.zeros(1600, np.int16), sample_rate=16_000)
    )
    return f"{played.sent_ms} ms were sent"


def watched(session: voxwire.Session) -> str:
    """Every message as it goes, and how well the sound flows."""

    def note(message: voxwire.TappedMessage) -> None:
        print(f"{message.direction} {message.envelope.WhichOneof('payload')}")

    off = session.tap(note)
    off()
    return session.quality.grade


def token(request: voxwire.TokenRequest) -> str:
    """A token, or `voxwire.TokenEndpoint(url=...)`, which asks a backend of yours for one."""
    return "of the cache" if request.reason == "connect" else "a fresh one"


def sources() -> list[voxwire.Connection]:
    """Some of what `connect` takes; none of these is dialled."""
    noise = np.zeros(48_000, np.int16)
    relay = voxwire.IceServer(["turn:turn.example"], username="ada", credential="secret")
    asks = voxwire.TokenEndpoint(url="https://app.example/token")
    return [
        voxwire.connect(URL, microphone=voxwire.Audio(noise, sample_rate=48_000)),
        voxwire.connect(URL, microphone=Tone(), speaker=Meter(), token=token, auto_gain=True),
        voxwire.connect(
            URL, speaker=voxwire.FileSpeaker("bot.wav"), token=asks, tools=[show_on_map]
        ),
        voxwire.connect(URL, ice_servers=[relay], timeouts=voxwire.Timeouts(connect_ms=5000)),
    ]


@voxwire.tool
async def show_on_map(place: str, call: voxwire.ToolCall) -> str:
    """Show a place on the user's map."""
    if place == "Rome":
        raise voxwire.ToolError("all roads lead there already")
    return f"{place}, {call.remaining_ms} ms before it was late"


def offered(tool: voxwire.Tool) -> str:
    """What the bot is told of a tool."""
    return f"{tool.name}: {tool.spec.description}"


def advice(error: voxwire.VoxwireError) -> str:
    """What to do about an error, by its family."""
    if error.code is voxwire.ErrorCode.CAPACITY:
        return f"ask again in {error.retry_after_ms} ms"
    families: dict[type[voxwire.VoxwireError], str] = {
        voxwire.UsageError: "change the call",
        voxwire.SessionError: "get a token, wait, or connect anew",
        voxwire.SignalingError: "use another transport",
        voxwire.TransportError: "try again",
        voxwire.MediaError: "choose another device or file",
        voxwire.ProtocolError: "update one side",
        voxwire.BotError: "look at the bot's log",
    }
    return families[type(error)]


async def troubles(simulate: voxwire.Simulation) -> None:
    """Trouble on demand."""
    simulate.drop_control()
    simulate.drop_media()


async def check() -> str:
    """What stands between this machine and a conversation."""
    found: voxwire.Diagnosis = await voxwire.diagnose(URL)

    def line(one: voxwire.Check) -> str:
        return f"{one.name}: {one.state} {one.detail}"

    return "\n".join(line(one) for one in found.checks)


def facts(session: voxwire.Session) -> str:
    """What a session says of itself."""
    takes: voxwire.FileAcceptance | None = session.accepts
    cut = voxwire.Feature.INTERRUPT in session.features
    return (
        f"{session.id} with {session.bot} over {session.transport}, {session.connection}; "
        f"usable: {session.status is voxwire.ClientStatus.READY}; "
        f"files: {takes}; can be cut off: {cut}; listens: {not session.state.user_muted}; "
        f"at {session.position_ms} ms, "
        f"{session.concealed_ms} ms made up, round trip {session.round_trip_ms} ms; "
        f"report: {len(session.report())} parts"
    )


async def verbs(session: voxwire.Session) -> None:
    """What a program can say and ask, but for what the rest of this file shows."""
    session.handle("where are you", lambda _: "at home")
    await session.send_context("the user looks at a map")
    await session.send_message("hint", {"colour": "blue"})
    await session.send_dtmf("12#")
    await session.acknowledged()  # the server has all of that
    if session.accepts is not None:
        await session.send_file("list.txt", "text/plain", b"milk", run=False)
    await session.user_activity()  # he reads the list
    await session.mute()
    async with session.push_to_talk():
        pass  # the user is heard
    try:
        await session.call("no such method", timeout_ms=5000)
    except voxwire.VoxwireError as error:
        print(f"{error.code.name}: {advice(error)}")


async def main() -> None:
    """Hold one turn with all of it."""
    print(await check())
    ears, meter = voxwire.ClipMicrophone(), Meter()
    async with voxwire.connect(URL, microphone=ears, speaker=meter, tools=[show_on_map]) as session:
        print(facts(session))
        listening = asyncio.create_task(loudest(session))
        off = session.on(voxwire.Interrupted, lambda event: print(f"({event.source})"))
        words: voxwire.EventStream[voxwire.BotWord] = session.events(voxwire.BotWord)
        ears.play(np.zeros(1600, np.int16))
        await verbs(session)
        await session.send_text("show Paris on the map", interrupt=True)
        async for event in session:
            print(f"{voxwire.event_name(event)}: {describe(event)}", flush=True)
            if isinstance(event, voxwire.ToolCallEnded):
                print(voxwire.to_dict(event))
                await troubles(session.simulate)
            if isinstance(event, voxwire.UtteranceEnded) and event.end == "completed":
                break
        off()
        words.close()
        print(f"{len([word async for word in words])} words, {meter.played} samples")
        print("\n".join(told(session.conversation)))
        print(waits(session.latency))
        await session.interrupt()
        await session.close("the tour is over")
        print(f"closed by the {session.close_reason}")
        print(f"the bot's loudest sample: {await listening}")


if __name__ == "__main__":
    asyncio.run(main())
