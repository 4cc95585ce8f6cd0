"""Holds a conversation with the bot from WAVs made at that moment; shows, draws and sums it up."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path

from draw_turn import draw
from steps import OUT, ROOT, Line, StepError, tail
from talk_record import Record, read_record

from voxwire_server.bots.offline.phrases import speak_wav
from voxwire_server.bots.offline.voice import shared_voice

HOST = "127.0.0.1"
READY_S = 30.0
TALK_S = 60

PHRASES = {
    "1-question": "what is the weather in paris tomorrow",
    "2-story": "tell me a long story",
    "3-interruption": "what time is it",
    "4-goodbye": "goodbye",
}
BARGE_IN = ("3-interruption", 2500)
"""What is said into the story, this many milliseconds after its first word."""


def is_ready(port: int) -> bool | None:
    """Whether the Voxwire server on a port takes sessions; None = there is no such server."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=2) as answer:
            body = json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            body = json.load(error)
        except ValueError:
            return None
    except (OSError, ValueError):
        return None
    if not isinstance(body, dict) or not {"ready", "sessions"} <= body.keys():
        return None
    return bool(body["ready"])


@contextlib.contextmanager
def server() -> Generator[str]:
    """URL of the server to talk to: the one on $PORT, or one of its own that ends with it."""
    text = os.environ.get("PORT") or "7860"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise StepError(f"PORT={text} is not a port number")
    if is_ready(int(text)) is not None:
        wait_ready(int(text), Line(f"server on port {text}"), None)
        yield f"ws://{HOST}:{text}"
        return
    log = OUT / "talk-server.log"
    command = [sys.executable, "-m", "voxwire_server.cli", "run", "--host", HOST, "--port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this program, which then stops the server
        )
    try:
        line = Line(f"server of its own (none on port {text})")
        port = wait_port(process, log, line)
        wait_ready(port, line, process)
        yield f"ws://{HOST}:{port}"
    finally:
        stop(process)


def wait_port(process: subprocess.Popen[bytes], log: Path, line: Line) -> int:
    """The port that the server printed."""
    while line.elapsed_s < READY_S:
        printed = log.read_text("utf-8", errors="replace")
        if found := re.search(r"listens on ws://\S+:(\d+)\s", printed):
            return int(found[1])
        if process.poll() is not None:
            raise StepError(
                f"the server ended with exit code {process.returncode}:\n{tail(printed)}"
            )
        line.update(f"starting, {line.elapsed_s:.0f} s")
        time.sleep(0.05)
    raise StepError(f"the server named no port within {READY_S:.0f} s: see {log}")


def wait_ready(port: int, line: Line, process: subprocess.Popen[bytes] | None) -> None:
    """Waits until the server takes sessions."""
    while line.elapsed_s < READY_S:
        if is_ready(port):
            line.done("ready")
            return
        if process is not None and process.poll() is not None:
            raise StepError(f"the server ended with exit code {process.returncode}: see {OUT}")
        line.update(f"warming up, {line.elapsed_s:.0f} s")
        time.sleep(0.05)
    raise StepError(f"the server on port {port} was not ready within {READY_S:.0f} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that this program started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(8)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def render(folder: Path) -> list[Path]:
    """Speaks the user's phrases into WAV files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.wav" for name in PHRASES]
    try:
        for path, text in zip(paths, PHRASES.values(), strict=True):
            await speak_wav(path, text)
    finally:
        await shared_voice().aclose()
    return paths


def talk(url: str, clips: list[Path]) -> None:
    """Runs `voxwire talk`, whose view goes to this terminal."""
    arguments = ["--transport", os.environ.get("TRANSPORT") or "auto"]
    for clip in clips:
        name, delay_ms = BARGE_IN
        arguments += ["--in", f"{clip}@{delay_ms}" if clip.stem == name else str(clip)]
    arguments += ["--out", str(OUT / "bot.wav"), "--events", str(OUT / "events.jsonl")]
    arguments += ["--timeout", str(TALK_S)]
    process = subprocess.Popen([sys.executable, "-m", "voxwire.cli", "talk", url, *arguments])
    try:
        code = process.wait(TALK_S + 15)
    except subprocess.TimeoutExpired:
        raise StepError(f"voxwire talk did not end within {TALK_S + 15} s") from None
    except KeyboardInterrupt:  # the same Ctrl-C reached it
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)
        raise
    finally:
        stop(process)
    if code != 0:
        raise StepError(f"voxwire talk ended with exit code {code}")


def missing(record: Record) -> list[str]:
    """What the conversation should have had and did not."""
    done = [r["name"] for r in record.of("tool_call_ended") if r["outcome"] == "done"]
    ends = [r["end"] for r in record.of("utterance_ended")]
    last_ms = record.said[-1].start_ms if record.said else 0
    answer = [r["text"].lower() for r in record.of("bot_word") if r["t_ms"] > last_ms]
    return [
        what
        for what, found in {
            "the weather tool call": "get_weather" in done,
            "the interruption (flush)": record.flush is not None and "interrupted" in ends,
            "the goodbye": any(word.startswith("goodbye") for word in answer),
        }.items()
        if not found
    ]


def summary(record: Record) -> str:
    """The conversation in a few lines."""
    lines: list[str] = []
    waits = [(said, record.answered_ms(said)) for said in record.said]
    for said, answered_ms in waits:
        wait = f"{answered_ms - said.stop_ms:5.0f} ms" if answered_ms is not None else "   none"
        lines.append(f"  you: {said.text or '(nothing understood)':40} first sound after {wait}")
    calls = [f"{r['name']} ({r['outcome']})" for r in record.of("tool_call_ended")]
    lines.append(f"  tool calls: {', '.join(calls) or 'none'}")
    if record.flush is not None:
        silent_ms = record.silent_ms
        delay = "?" if silent_ms is None else f"{max(0, silent_ms - record.flush['t_ms']):.0f}"
        unheard = sum(not word.heard for word in record.words)
        lines.append(f"  flush -> silence: {delay} ms; {unheard} announced words never sounded")
    spoken = sum(word.heard for word in record.words)
    lines.append(f"  {spoken} words heard in {record.end_ms / 1000:.1f} s")
    return "\n".join(lines)


def run() -> None:
    """The whole of it."""
    OUT.mkdir(exist_ok=True)
    line = Line("your side of the conversation")
    clips = asyncio.run(render(OUT / "user"))
    line.done(f"{len(clips)} WAVs spoken")
    with server() as url:
        print()
        talk(url, clips)
        print()
    record = read_record(OUT / "events.jsonl", OUT / "bot.wav", clips)
    draw(record, OUT / "turn.png")
    print(summary(record))
    for name in ("bot.wav", "events.jsonl", "turn.png"):
        print(f"  wrote {(OUT / name).relative_to(ROOT)}")
    if lacking := missing(record):
        raise StepError(f"the conversation lacks {', '.join(lacking)}")


def main() -> int:
    """Runs it; errors are one line."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run()
    except StepError as error:
        print(f"talk: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("talk: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
