"""The real `voxwire talk` against the real server, each in a process of its own."""

import asyncio
import re
import signal
import sys
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

import voxwire
from tests.conftest import TRANSPORTS
from tests.support.clients import OTHER
from tests.support.espeak import render_wav, shared_espeak
from tests.support.listening import QUIET
from tests.support.talked import Talk, firing_errors, talk

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHRASES = {
    "q": "what is the weather in paris tomorrow",
    "story": "tell me a long story",
    "b": "what time is it",
}
FIRING_P95_MS = 40
LOUD = 600


@dataclass
class Server:
    """A server in a process of its own."""

    process: asyncio.subprocess.Process
    url: str


async def start_server() -> Server:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voxwire_server.cli", "run", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        async for line in process.stdout:
            if found := re.search(rb"listens on (ws://\S+)", line):
                return Server(process, found[1].decode())
    raise AssertionError("the server named no address")


async def stop_server(server: Server) -> None:
    if server.process.returncode is None:
        server.process.terminate()
    async with asyncio.timeout(60):
        await server.process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    started = await start_server()
    yield started
    await stop_server(started)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wavs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Path]]:
    """The user's side, spoken at this moment."""
    folder = tmp_path_factory.mktemp("user")
    try:
        for name, text in PHRASES.items():
            await render_wav(folder / f"{name}.wav", text)
    finally:
        await shared_espeak().aclose()
    yield {name: folder / f"{name}.wav" for name in PHRASES}


async def until_event(events: Path, kind: str, count: int = 1) -> None:
    """Waits until the program has written that many events of a type."""
    while not events.exists() or events.read_text().count(f'"type": "{kind}"') < count:
        await asyncio.sleep(0.02)


def one_line(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("voxwire: "), text
    return lines[0]


def check_firing(name: str, run: Talk) -> None:
    errors = np.abs(firing_errors(run))
    p50, p95, most = np.percentile(errors, [50, 95, 100])
    print(f"{name}: {len(errors)} words fired, error p50 {p50:.1f} p95 {p95:.1f} max {most:.1f} ms")
    assert p95 <= FIRING_P95_MS, sorted(errors)[-10:]


def check_words(run: Talk) -> None:
    """One `bot_word` per word that was heard, in order, their spans apart."""
    spoken = run.of("bot_word")
    for first, second in pairwise(spoken):
        assert first["end_ms"] <= second["start_ms"], (first, second)
        assert first["t_ms"] <= second["t_ms"], (first, second)
    assert all(word["start_ms"] < word["end_ms"] for word in spoken)
    ends = {row["utterance_id"]: row for row in run.of("utterance_ended")}
    known: dict[str, dict[int, str]] = {}
    for row in run.of("utterance_words"):
        for word in row["words"]:
            known.setdefault(row["utterance_id"], {})[word["index"]] = word["text"]
    for utterance, words in known.items():
        fired = [row for row in spoken if row["utterance_id"] == utterance]
        assert [row["index"] for row in fired] == list(range(len(fired)))
        assert all(row["text"] == words[row["index"]] for row in fired)
        if ends[utterance]["end"] == "completed":
            assert len(fired) == len(words), (utterance, words)
        else:
            assert abs(len(fired) - ends[utterance]["heard_words"]) <= 1, ends[utterance]


def check_playout_lines(run: Talk) -> None:
    """At least every 100 ms (and a block)."""
    lines = run.of("playout")
    steps = [second["t_ms"] - first["t_ms"] for first, second in pairwise(lines)]
    assert np.percentile(steps, 95) <= 130, sorted(steps)[-10:]
    assert max(steps) <= 400, sorted(steps)[-5:]


def read_wav(path: Path) -> tuple[NDArray[np.int_], int]:
    """Samples and rate of a file that must be 16 bit and mono."""
    with wave.open(str(path)) as file:
        assert (file.getsampwidth(), file.getnchannels()) == (2, 1)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(int)
        return samples, file.getframerate()


def check_wav(path: Path, run: Talk) -> None:
    """16 bit, mono, on the media clock: what is loud lies inside the words."""
    samples, rate = read_wav(path)
    loud = np.abs(samples) > LOUD
    inside = np.zeros(len(loud), bool)
    stops = {row["utterance_id"]: row["heard_media_ms"] for row in run.of("utterance_ended")}
    for word in run.of("bot_word"):
        span = slice(word["start_ms"] * rate // 1000, word["end_ms"] * rate // 1000)
        inside[span] = True
        end_ms = min(word["end_ms"], stops.get(word["utterance_id"], word["end_ms"]))
        whole = word["end_ms"] * rate // 1000 <= len(loud)
        if whole and end_ms - word["start_ms"] > 60:  # more of it than an onset sounds
            assert (np.abs(samples[span]) > 100).any(), f"{word['text']!r} stands in silence"
    assert loud.any()
    share = (loud & inside).sum() / loud.sum()
    print(f"{path.name}: {100 * share:.1f} % of the loud samples lie inside words")
    assert share >= 0.9


def check_silence(path: Path, flush: dict[str, Any], next_ms: int) -> None:
    """Nothing of what was cut sounds behind the flush, until the next utterance."""
    samples, rate = read_wav(path)
    after = samples[(flush["media_ms"] + 1) * rate // 1000 : next_ms * rate // 1000]
    loud_ms = (np.abs(after) > QUIET).sum() * 1000 / rate
    assert loud_ms == 0, f"{loud_ms:.0f} ms of the cut utterance sound after the flush"


def check_record(run: Talk, wav: Path) -> None:
    """What every record of a conversation must hold."""
    assert run.code == 0, run.err
    assert run.err == ""
    check_words(run)
    lines = run.of("playout")
    assert all(a["media_ms"] <= b["media_ms"] for a, b in pairwise(lines))
    check_wav(wav, run)


async def on_both(one: Callable[[str], Awaitable[None]]) -> None:
    """Runs a case on both transports at once; each reports on its own."""
    results = await asyncio.gather(*(one(name) for name in TRANSPORTS), return_exceptions=True)
    failed = [result for result in results if isinstance(result, Exception)]
    if failed:
        raise ExceptionGroup("on one transport or both", failed)


async def test_a_question_is_on_record_with_every_word_in_its_sound(
    server: Server, wavs: dict[str, Path], tmp_path: Path
) -> None:
    async def one(transport: str) -> None:
        wav, events = tmp_path / f"{transport}.wav", tmp_path / f"{transport}.jsonl"
        run = await talk(
            server.url,
            *("--transport", transport, "--in", wavs["q"], "--out", wav),
            events=events,
        )
        check_record(run, wav)
        [carrier] = [row["carrier"] for row in run.of("path_changed")]
        assert carrier == transport
        finals = [row["text"] for row in run.of("user_transcript") if row["final"]]
        assert finals == [PHRASES["q"]]
        states = [row["bot"] for row in run.of("state_changed")]
        assert {"thinking", "speaking", "idle"} <= set(states)
        [started], [ended] = run.of("tool_call_started"), run.of("tool_call_ended")
        assert started["name"] == ended["name"] == "get_weather"
        assert (started["call_id"], ended["outcome"]) == (ended["call_id"], "done")
        assert "Paris" in " ".join(row["text"] for row in run.of("bot_word"))

    await on_both(one)


async def test_a_barge_in_cuts_the_story_and_is_answered(
    server: Server, wavs: dict[str, Path], tmp_path: Path
) -> None:
    async def one(transport: str) -> None:
        wav, events = tmp_path / f"{transport}.wav", tmp_path / f"{transport}.jsonl"
        run = await talk(
            server.url,
            *("--transport", transport, "--in", f"{wavs['story']}", "--in", f"{wavs['b']}@1500"),
            *("--out", wav),
            events=events,
        )
        [flush] = run.of("flush")
        cut = [row for row in run.of("utterance_ended") if row["end"] == "interrupted"]
        assert len(cut) == 1
        first = next(
            row for row in run.of("bot_word") if row["utterance_id"] == cut[0]["utterance_id"]
        )
        [barge_in] = [row for row in run.of("input_started") if row["path"] == str(wavs["b"])]
        assert barge_in["t_ms"] > first["t_ms"]
        words, cut_id = run.of("bot_word"), cut[0]["utterance_id"]
        heard = [row for row in words if row["utterance_id"] == cut_id]
        assert heard[-1]["start_ms"] <= flush["media_ms"], "a word that never sounded"
        after = words[words.index(heard[-1]) + 1 :]
        assert " ".join(row["text"] for row in after).startswith("It is")
        finals = [row["text"] for row in run.of("user_transcript") if row["final"]]
        assert finals == [PHRASES["story"], PHRASES["b"]]
        check_record(run, wav)
        answer = next(row for row in run.of("utterance_started") if row["t_ms"] > flush["t_ms"])
        check_silence(wav, flush, answer["media_ms"])

    await on_both(one)


@pytest.mark.skipif(OTHER is not None, reason="it is the Python client that plays")
async def test_a_program_asks_by_voice_and_is_answered(
    server: Server, wavs: dict[str, Path]
) -> None:
    """Twice in one session that has no microphone, a file and then a generator."""

    def pieces() -> Iterator[bytes]:
        with wave.open(str(wavs["b"])) as file:
            while data := file.readframes(1000):
                yield data

    async def one(transport: str) -> None:
        with wave.open(str(wavs["b"])) as file:
            rate, length_ms = file.getframerate(), file.getnframes() * 1000 // file.getframerate()
        async with voxwire.connect(server.url, transport=transport) as session:
            assert (await session.play(wavs["q"])).lost_ms == 0
            assert "Paris" in " ".join([word async for word in answer(session)])
            played = await session.play(voxwire.Audio(pieces(), sample_rate=rate))
            assert abs(played.sent_ms - length_ms) <= 20
            assert "It is" in " ".join([word async for word in answer(session)])
            line = session.quality
            assert (line.transport, line.grade == "lost") == (transport, False)
            known = [line.round_trip_ms, line.jitter_ms, line.loss]
            unknown = [False, True, True] if transport == "websocket" else [False, False, False]
            assert [it is None for it in known] == unknown
            said = [turn.text for turn in session.conversation.turns if turn.role == "user"]
            assert said == [PHRASES["q"], PHRASES["b"]]

    async with asyncio.timeout(60):
        await on_both(one)


async def answer(session: voxwire.Session) -> AsyncIterator[str]:
    """The words of the bot until it has said something to its end and listens again."""
    spoken = False
    async for event in session:
        if isinstance(event, voxwire.BotWord):
            spoken = True
            yield event.text
        elif spoken and isinstance(event, voxwire.StateChanged) and event.bot == "idle":
            return


@pytest.mark.timing(reason="each word is on record at the moment of its sound")
async def test_text_is_answered_aloud(server: Server, tmp_path: Path) -> None:
    async def one(transport: str) -> None:
        wav, events = tmp_path / f"{transport}.wav", tmp_path / f"{transport}.jsonl"
        run = await talk(
            server.url,
            *("--transport", transport, "--text", "what time is it", "--out", wav),
            events=events,
        )
        check_record(run, wav)
        check_firing(f"{transport}, text", run)
        check_playout_lines(run)
        [typed] = [row for row in run.of("user_transcript") if row["typed"] and row["final"]]
        assert typed["text"] == "what time is it"
        assert "It is" in " ".join(row["text"] for row in run.of("bot_word"))

    await on_both(one)


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:1", "http//nonsense", "ftp://127.0.0.1", "ws://no-such-host.invalid"]
)
async def test_a_wrong_url_is_one_line_and_an_exit_code(url: str, tmp_path: Path) -> None:
    run = await talk(url, "--text", "hello", events=tmp_path / "events.jsonl")
    assert run.code in (2, 5), run.err
    one_line(run.err)


async def test_a_server_that_vanishes_ends_the_program_with_one_line(
    wavs: dict[str, Path], tmp_path: Path
) -> None:
    """SIGKILL while the bot speaks: no goodbye on any wire."""
    doomed = await start_server()
    events = {name: tmp_path / f"{name}.jsonl" for name in TRANSPORTS}
    killed = asyncio.Event()

    async def kill_once_all_speak() -> None:
        for path in events.values():
            await until_event(path, "bot_word", 3)
        doomed.process.kill()
        killed.set()

    async def wait_killed(_: asyncio.subprocess.Process) -> None:
        await killed.wait()

    async def one(transport: str) -> None:
        run = await talk(
            doomed.url,
            *("--transport", transport, "--in", wavs["q"], "--resume-timeout", "3"),
            events=events[transport],
            meanwhile=wait_killed,
        )
        print(f"{transport}: ended {run.elapsed_s:.1f} s after the server: {run.err.strip()}")
        assert run.code == 3, run.err
        assert "SESSION_EXPIRED" in one_line(run.err)

    killer = asyncio.create_task(kill_once_all_speak())
    try:
        await on_both(one)
    finally:
        killer.cancel()
        await asyncio.gather(killer, return_exceptions=True)
        await stop_server(doomed)


async def test_the_timeout_ends_a_conversation_that_is_too_long(
    server: Server, wavs: dict[str, Path], tmp_path: Path
) -> None:
    run = await talk(
        server.url, "--in", wavs["story"], "--timeout", "3", events=tmp_path / "events.jsonl"
    )
    assert run.code == 5
    assert "3 s" in one_line(run.err)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_ctrl_c_ends_it_and_completes_the_files(
    transport: str, server: Server, wavs: dict[str, Path], tmp_path: Path
) -> None:
    events, wav = tmp_path / "events.jsonl", tmp_path / "bot.wav"

    async def interrupt(process: asyncio.subprocess.Process) -> None:
        await until_event(events, "bot_word", 3)
        process.send_signal(signal.SIGINT)

    run = await talk(
        server.url,
        *("--transport", transport, "--text", PHRASES["story"], "--out", wav),
        events=events,
        meanwhile=interrupt,
    )
    assert run.code == 130, run.err
    assert "Traceback" not in run.err
    with wave.open(str(wav)) as file:
        assert file.getnframes() > file.getframerate() // 4
