"""`voxwire talk` end to end: the headless contract against a scripted server."""

import asyncio
import io
import json
import re
import signal
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peer import RATE, UNIT_S, Peer, serving, tone

from voxwire.cli import main
from voxwire.cli.arguments import Step, parser
from voxwire.cli.lines import quality_line
from voxwire.cli.live import PlainView, make_view
from voxwire.cli.turns import NO_ANSWER_MS, SETTLE_MS, TurnWatch
from voxwire_protocol import events, wire


def clip(path: Path, duration_ms: int, *, rate: int = 22_050) -> Path:
    """A WAV of a loud tone."""
    samples = tone(duration_ms)[:: RATE // rate or 1]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


async def talk(*arguments: str) -> tuple[int, str, str]:
    """Runs the program; exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voxwire.cli", "talk", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60 * UNIT_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def read_events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def only(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["type"] == kind]


class Bot:
    """What a bot does, on the media clock; `say` places audio behind what was placed."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.end_ms = 100
        self.count = 0

    async def say(self, words: int, *, wait: bool = True) -> str:
        peer = self.peer
        self.count += 1
        name = f"u{self.count}"
        start = self.end_ms
        self.end_ms += words * 100
        text = await peer.utterance(name, start, words=words, word_ms=100)
        await peer.state("SPEAKING", media_ms=start)
        await peer.audio(start, tone(words * 100))
        if wait:
            await peer.reported(self.end_ms)
            await peer.end_utterance(name, self.end_ms, text=text)
            await peer.state("IDLE", media_ms=self.end_ms)
        return name

    async def listen(self, seconds_loud: float) -> None:
        """Waits until that much loud audio has come since the last time, then for its end."""
        seen = len(self.peer.received)
        loud = 0
        async with asyncio.timeout(20 * UNIT_S):
            while loud < seconds_loud * 50:
                self.peer.arrived.clear()
                await self.peer.arrived.wait()
                for envelope in self.peer.received[seen:]:
                    seen += 1
                    if envelope.WhichOneof("payload") == "audio":
                        loud += int(np.frombuffer(envelope.audio.data, "<i2").max() > 3000)


async def test_a_question_with_a_tool_and_a_barge_in_to_the_contract(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        bot = Bot(peer)
        await peer.ready()
        await bot.say(5)
        await bot.listen(0.35)
        await peer.say(
            transcript=wire.Transcript(text="hello there", final=True, transcript_id="t")
        )
        await peer.state("THINKING")
        await bot.say(3)  # a filler, then a tool, then the answer
        await peer.say(
            tool_call_started=wire.ToolCallStarted(
                call_id="c", name="get_weather", arguments_json='{"city": "Paris"}'
            )
        )
        await asyncio.sleep(0.9)  # real time: pace
        outcome = wire.ToolOutcome.TOOL_OUTCOME_DONE
        await peer.say(
            tool_call_ended=wire.ToolCallEnded(call_id="c", name="get_weather", outcome=outcome)
        )
        name = await bot.say(30, wait=False)
        await bot.listen(0.35)  # the barge-in
        await peer.state("SPEAKING", user="SPEAKING")
        await peer.say(
            flush=wire.Flush(path_id=peer.path_id, flush_id=1, until_media_ms=bot.end_ms)
        )
        report = await peer.flushed(1)
        await peer.say(
            utterance_ended=wire.UtteranceEnded(
                utterance_id=name,
                end=wire.UtteranceEnd.UTTERANCE_END_INTERRUPTED,
                heard_media_ms=report.media_ms,
                heard_char_end=5,
            )
        )
        await peer.say(interrupted=wire.Interrupted(source=1, utterance_id=name))
        await peer.state("LISTENING", user="SPEAKING")
        await asyncio.sleep(0.8)  # real time: pace
        await peer.state("THINKING")
        await bot.say(4)
        await peer.until_bye()

    first = clip(tmp_path / "a.wav", 400)
    second = clip(tmp_path / "b.wav", 400, rate=8000)
    out, log = tmp_path / "bot.wav", tmp_path / "events.jsonl"
    async with serving(script) as url:
        code, stdout, stderr = await talk(
            *(url, "--transport", "websocket", "--in", str(first), "--in", f"{second}@1800"),
            *("--out", str(out), "--events", str(log), "--timeout", "40"),
        )
    assert (code, stderr) == (0, "")
    assert "you: hello there" in stdout
    assert "bot: word0 word1 word2 word3 word4" in stdout
    assert re.search(r"\n-- line \w+, .*\d+ ms of sound made up\n$", stdout)

    rows = read_events(log)
    assert all(isinstance(row["t_ms"], int) for row in rows)
    assert rows[-1]["type"] == "session_ended"
    words = only(rows, "bot_word")
    assert set(words[0]) == {
        *("t_ms", "type", "utterance_id", "index", "text", "char_start", "char_end"),
        *("start_ms", "end_ms", "source"),
    }
    assert [w["index"] for w in words if w["utterance_id"] == "u1"] == [0, 1, 2, 3, 4]
    assert [w["index"] for w in words if w["utterance_id"] == "u4"] == [0, 1, 2, 3]
    assert only(rows, "tool_call_started")[0]["arguments"] == {"city": "Paris"}
    assert only(rows, "user_transcript")[0]["text"] == "hello there"

    playout = np.array([(r["t_ms"], r["media_ms"]) for r in only(rows, "playout")])
    assert (np.diff(playout, axis=0) >= 0).all()  # real time: order

    (flush,) = only(rows, "flush")
    inputs = only(rows, "input_started")
    filler = next(w for w in words if w["utterance_id"] == "u2")
    assert inputs[1]["t_ms"] > filler["t_ms"]

    with wave.open(str(out)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        timeline = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert not timeline[: 100 * RATE // 1000].any()
    assert np.abs(timeline[100 * RATE // 1000 :][:2000]).max() > 3000
    cut = slice((flush["media_ms"] + 1) * RATE // 1000, flush["until_media_ms"] * RATE // 1000)
    assert not timeline[cut].any()
    assert np.abs(timeline[flush["until_media_ms"] * RATE // 1000 :]).max() > 3000


async def test_text_and_a_bot_that_says_goodbye_by_itself(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        bot = Bot(peer)
        await peer.ready()
        await bot.say(2)
        assert (await peer.heard("send_text")).send_text.text == "goodbye"
        await bot.say(2)
        await peer.goodbye()
        await peer.socket.wait_closed()

    log = tmp_path / "events.jsonl"
    async with serving(script) as url:
        code, _, stderr = await talk(
            *(url, "--transport", "websocket", "--text", "goodbye", "--text", "never said"),
            *("--events", str(log)),
        )
    assert (code, stderr) == (0, "")
    assert only(read_events(log), "session_ended")[0]["reason"] == "bot"


async def test_a_failure_is_one_typed_line_and_an_exit_code(tmp_path: Path) -> None:
    async def refuse(peer: Peer) -> None:
        code = wire.ErrorCode.ERROR_CODE_UNAUTHORIZED
        await peer.heard("hello")
        await peer.say(error=wire.Error(code=code, reason="a token is needed", fatal=True))
        await peer.socket.wait_closed()

    async def mute(peer: Peer) -> None:
        await peer.ready()
        await peer.until_bye()

    async with serving(refuse) as url:
        code, _, stderr = await talk(url, "--transport", "websocket", "--text", "hi")
    assert (code, stderr) == (3, "voxwire: UNAUTHORIZED: a token is needed\n")
    async with serving(mute) as url:
        code, _, stderr = await talk(
            *(url, "--transport", "websocket", "--text", "hi", "--timeout", "1")
        )
    assert code == 5
    assert stderr.startswith("voxwire: TIMEOUT: ")
    assert stderr.count("\n") == 1
    code, _, stderr = await talk("ws://127.0.0.1:1", "--in", str(tmp_path / "none.wav"))
    assert code == 6
    assert stderr.startswith("voxwire: DEVICE: ")
    code, _, stderr = await talk("ws://127.0.0.1:1", "--text", "hi")
    assert code == 5
    code, _, stderr = await talk("ws://127.0.0.1:1", "--no-microphone", "--no-speaker")
    assert code == 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
async def test_ctrl_c_and_a_kill_leave_files_that_can_be_read(
    tmp_path: Path, number: int, code: int
) -> None:
    async def script(peer: Peer) -> None:
        bot = Bot(peer)
        await peer.ready()
        await bot.say(50, wait=False)
        await (peer.socket.wait_closed() if code < 0 else peer.until_bye())

    out, log = tmp_path / "bot.wav", tmp_path / "events.jsonl"
    async with serving(script) as url:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voxwire.cli", "talk", url, "--transport", "websocket"),
            *("--text", "hi", "--out", str(out), "--events", str(log)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20 * UNIT_S):
            while not log.exists() or log.read_text().count("bot_word") < 3:
                await asyncio.sleep(0.05)
            process.send_signal(number)
            _, stderr = await process.communicate()
    assert (process.returncode, stderr) == (code, b"")
    with wave.open(str(out)) as file:
        assert file.getnframes() > 4000
    assert only(read_events(log), "bot_word")


def test_arguments_keep_the_order_in_which_they_were_given() -> None:
    options = parser().parse_args(
        ["talk", "ws://x", "--in", "a.wav", "--text", "t", "--in", "b@c.wav", "--in", "d.wav@1500"]
    )
    assert options.steps == [
        Step("in", "a.wav"),
        Step("text", "t"),
        Step("in", "b@c.wav"),
        Step("in", "d.wav", 1500),
    ]


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    for arguments in (["--version"], ["talk", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("voxwire ")
    for word in ("--in", "--out", "--events", "--text", "--timeout", "exit codes", "examples"):
        assert word in text


def state(bot: str, user: str = "silent") -> events.StateChanged:
    return events.StateChanged(bot=events.BotState(bot), user=events.UserState(user))


def started(name: str) -> events.UtteranceStarted:
    return events.UtteranceStarted(name, "", "", 0, events.TimingSource.ESTIMATED, "")


def ended(name: str) -> events.UtteranceEnded:
    completed, report = events.UtteranceEnd.COMPLETED, events.HeardSource.CLIENT_REPORT
    return events.UtteranceEnded(name, completed, 0, 0, 0, report)


def test_a_turn_goes_on_through_a_filler_and_a_tool() -> None:
    watch = TurnWatch()
    watch.arm(0)
    watch.feed(state("thinking"), 100)
    watch.feed(started("a"), 200)
    watch.feed(state("speaking"), 200)
    watch.feed(ended("a"), 900)
    watch.feed(state("idle"), 900)
    watch.feed(events.ToolCallStarted("c", "t", None, ""), 1000)
    assert not watch.ended(5000)
    watch.feed(events.ToolCallEnded("c", "t", events.ToolOutcome.DONE, None, 0), 5000)
    watch.feed(state("thinking"), 5001)
    assert not watch.ended(9000)
    watch.feed(started("b"), 9000)
    watch.feed(state("speaking"), 9000)
    watch.feed(ended("b"), 9500)
    watch.feed(state("idle"), 9500)
    assert not watch.ended(9500 + SETTLE_MS - 1)
    assert watch.ended(9500 + SETTLE_MS)


def test_what_is_left_of_an_interrupted_turn_is_not_the_answer() -> None:
    watch = TurnWatch()
    watch.feed(started("old"), 0)
    watch.feed(state("speaking"), 0)
    watch.arm(100)
    watch.feed(state("speaking", "speaking"), 200)
    watch.feed(started("next sentence"), 300)
    watch.feed(events.Interrupted(events.InterruptionSource.USER, "old"), 400)
    watch.feed(state("listening", "speaking"), 400)
    assert not watch.ended(20_000)
    watch.feed(state("listening"), 1000)
    assert not watch.ended(1000 + SETTLE_MS)
    assert watch.ended(1000 + NO_ANSWER_MS)
    assert watch.first_word_ms is None


def word(utterance_id: str) -> events.BotWord:
    return events.BotWord(utterance_id, 0, "w", 0, 1, 0, 100, events.TimingSource.ESTIMATED)


def test_a_barge_in_waits_for_a_word_but_not_for_one_that_nobody_says() -> None:
    """The answer was cut before its first word: a talk hung on a machine that stood still."""
    watch = TurnWatch()
    watch.arm(0)
    watch.feed(state("thinking"), 100)
    watch.feed(started("u"), 200)
    watch.feed(state("speaking"), 200)
    assert not watch.barges_in(1500, 60_000)
    watch.feed(word("u"), 1000)
    assert not watch.barges_in(1500, 2499)
    assert watch.barges_in(1500, 2500)
    watch.feed(ended("u"), 2600)
    watch.feed(events.Interrupted(events.InterruptionSource.GAP, "u"), 2600)
    watch.feed(state("idle"), 2600)
    assert not watch.barges_in(1500, 2600 + NO_ANSWER_MS - 1)
    assert watch.barges_in(1500, 2600 + NO_ANSWER_MS)


def lost_and_found() -> tuple[events.ConnectionChanged, ...]:
    reconnecting = events.ConnectionState.RECONNECTING
    return (
        events.ConnectionChanged(reconnecting, 1, 1),
        events.ConnectionChanged(reconnecting, 2, 1),
        events.ConnectionChanged(events.ConnectionState.CONNECTED, 2, 2, 1234),
        events.ConnectionChanged(events.ConnectionState.CONNECTED, 0, 3),
    )


def test_a_turn_does_not_end_while_the_connection_is_lost() -> None:
    watch = TurnWatch()
    watch.feed(state("idle"), 0)
    watch.arm(0)
    first, _, back, _ = lost_and_found()
    watch.feed(first, 1000)
    assert not watch.ended(60_000)
    watch.feed(back, 60_000)
    assert not watch.ended(69_000)
    assert watch.ended(70_000)


def test_without_a_terminal_there_are_plain_lines() -> None:
    out = io.StringIO()
    with make_view(out) as view:
        assert isinstance(view, PlainView)
        error = wire.Error(code=82, reason="no")
        from voxwire_protocol.event_codec import from_envelope

        for event in (
            from_envelope(wire.Envelope(welcome=wire.Welcome(bot="b", examples=["x"]))),
            events.PathChanged(1, events.Carrier.WEBRTC),
            events.UserTranscript("hi", True, "t", "", "", False),
            events.ToolCallStarted("c", "t", {"a": 1}, ""),
            events.ToolCallEnded("c", "t", events.ToolOutcome.DONE, None, 5),
            events.TurnMetrics("t", 200, 50),
            events.TurnMetrics("t", 200, 50, vad_ms=0, llm_ms=190, total_ms=240, typed=True),
            events.Interrupted(events.InterruptionSource.USER, "u"),
            from_envelope(wire.Envelope(error=error)),
            *lost_and_found(),
            events.EventsSkipped(1),
            events.EventsSkipped(0),
            events.SessionEnded(events.EndReason.BOT, 1500),
        ):
            assert event is not None
            view.show(event)
    assert out.getvalue().splitlines() == [
        "-- connected to the bot 'b'. Try: x",
        "-- audio over webrtc",
        "you: hi",
        "     [t {'a': 1}]",
        "     [t: done, 5 ms]",
        "     (250 ms from your last word to the bot's first sound)",
        "     (240 ms from your text to the bot's first sound: llm 190, playout_delay 50)",
        "     [interrupted]",
        "error: TOOL_FAILED: no",
        "-- reconnecting...",
        "-- back after 1.2 s",
        "-- 1 events were lost",
        "-- some events were lost",
        "-- ended by the bot after 1.5 s",
    ]


def test_the_live_view_lights_up_what_was_heard() -> None:
    from rich.console import Console

    from voxwire.cli.rich_view import RichView

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, color_system="truecolor")
    placed = events.PlacedWord(0, "Hello", 0, 5, 0, 10, False)
    source = events.TimingSource.PROVIDER_WORD
    with RichView(console) as view:
        for event in (
            events.SessionStarted("s", "concierge", "x", False, ("a", "b")),
            state("speaking"),
            events.UserTranscript("hel", False, "t", "", "", False),
            events.UserTranscript("hello", True, "t", "", "", False),
            events.UtteranceWords("u", 0, "Hello you", (placed,), 0, source),
            events.BotWord("u", 0, "Hello", 0, 5, 0, 10, source),
            events.ToolCallStarted("c", "tool", None, ""),
            events.TurnMetrics("t", 200, 50),
            *lost_and_found(),
            events.EventsSkipped(1),
        ):
            view.show(event)
        view.show(ended("u"))
    text = out.getvalue()
    for word in ("concierge", "hello", "[tool]", "250 ms", "● speaking", "back after 1.2 s"):
        assert word in text, word


def test_the_line_is_told_in_what_is_known_of_it() -> None:
    full = events.Quality("webrtc", events.Grade.GOOD, 41.4, 3.2, 0.015, 40, 120)
    assert quality_line(full) == (
        "-- line good, round trip 41 ms, jitter 3 ms, 1.5% lost, 120 ms of sound made up"
    )
    least = events.Quality("none", events.Grade.LOST, None, None, None, 0, 0)
    assert quality_line(least) == "-- line lost, 0 ms of sound made up"
