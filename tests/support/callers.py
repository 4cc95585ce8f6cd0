"""Calls of the Python client in a process of their own, told as JSON lines.

``callers.py`` imports once; every line on stdin begins a call: ``{"name", "url", "transport",
"words"}`` and what ``connect`` takes besides. The bot is asked to say so many words, and again
when it has said them, or once (``"once": true``). Each line on stdout has ``name``, ``event`` and
``at_s``, which is the machine's monotonic clock.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import voxwire

__all__ = ["Callers", "callers"]

WAITS_S = 60.0
ENDS_S = 1.0
"""So long a process has to end by itself, seconds."""


class Ear:
    """A speaker that notes how long the bot's voice broke off."""

    def __init__(self) -> None:
        self._rate = 1
        self._silent = 0
        self._spoke = False
        self.gap_ms = 0.0
        self.gap_at_s = 0.0
        self.sound_ms = 0.0

    def open(self, sample_rate: int) -> None:
        """Note the rate."""
        self._rate = sample_rate

    def write(self, block: voxwire.Block, at: float) -> None:
        """Look for silence between sounds."""
        if not block.samples.any():
            self._silent += len(block.samples)
            return
        gap_ms = self._silent * 1000 / self._rate
        if self._spoke and gap_ms > self.gap_ms:
            self.gap_ms, self.gap_at_s = gap_ms, time.monotonic()
        self._spoke, self._silent = True, 0
        self.sound_ms += len(block.samples) * 1000 / self._rate

    def close(self) -> None:
        """Nothing to do."""


def tell(name: str, event: str, **more: Any) -> None:
    """One line on stdout."""
    line = {"name": name, "event": event, "at_s": time.monotonic(), **more}
    print(json.dumps(line, default=str), flush=True)


async def _follow(session: voxwire.Session, name: str, words: int, *, once: bool, ear: Ear) -> None:
    heard: list[str] = []
    async for event in session:
        match event:
            case voxwire.BotWord():
                if not heard:
                    tell(name, "Speaking")
                heard.append(event.text.strip("."))
            case voxwire.UtteranceEnded() if not once:
                await session.send_text(f"say {words}")
            case voxwire.UtteranceEnded():
                more = {"end": event.end, "concealed_ms": session.concealed_ms}
                tell(name, "Said", words=heard, gap_ms=ear.gap_ms, gap_at_s=ear.gap_at_s, **more)
            case voxwire.ConnectionChanged():
                tell(name, "ConnectionChanged", state=event.state, after_ms=event.after_ms)
            case voxwire.SessionEnded():
                reason = event.reason.name
                tell(name, "SessionEnded", reason=reason, words=heard, sound_ms=ear.sound_ms)
            case _:
                pass


async def _call(order: dict[str, Any]) -> None:
    name, words, once = order.pop("name"), order.pop("words"), order.pop("once", False)

    def see(message: voxwire.TappedMessage) -> None:
        if message.envelope.WhichOneof("payload") == "go_away" and message.direction == "in":
            tell(name, "GoAway", time_left_ms=message.envelope.go_away.time_left_ms)

    ear = Ear()
    tell(name, "Begins")
    timeouts = voxwire.Timeouts(connect_ms=WAITS_S * 1000)
    try:
        async with voxwire.connect(speaker=ear, tap=see, timeouts=timeouts, **order) as session:
            tell(name, "Connected", transport=session.transport)
            await session.send_text(f"say {words}")
            await _follow(session, name, words, once=once, ear=ear)
    except voxwire.VoxwireError as error:
        tell(name, "Failed", code=error.code.name, says=str(error))


async def _main() -> None:
    loop = asyncio.get_running_loop()
    calls: set[asyncio.Task[None]] = set()
    tell("", "Imported")
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        calls.add(asyncio.create_task(_call(json.loads(line))))
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


class Callers:
    """The calls of such a process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._news = asyncio.Condition()
        self.told: list[dict[str, Any]] = []

    def call(self, name: str, **order: Any) -> None:
        """Begin a call."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"name": name, **order}).encode() + b"\n")

    async def read(self) -> None:
        """Read what it tells, to its end."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if not line.endswith(b"\n"):
                return  # it was killed in mid-line
            async with self._news:
                self.told.append(json.loads(line))
                self._news.notify_all()

    def of(self, event: str) -> dict[str, dict[str, Any]]:
        """The last line of that kind of each call."""
        return {line["name"]: line for line in self.told if line["event"] == event}

    async def wait_for(self, event: str, count: int = 1, *, timeout_s: float = WAITS_S) -> None:
        """Wait until so many calls have told that."""
        try:
            async with asyncio.timeout(timeout_s), self._news:
                await self._news.wait_for(lambda: len(self.of(event)) >= count or self.failures)
        except TimeoutError:
            raise AssertionError(f"{event} of {len(self.of(event))}: {self.told}") from None
        assert not self.failures, self.failures

    @property
    def failures(self) -> dict[str, dict[str, Any]]:
        """Calls that could not be, or broke."""
        return self.of("Failed")


@asynccontextmanager
async def callers(command: Sequence[str | Path], folder: Path) -> AsyncIterator[Callers]:
    """Such a process, which ends with the block.

    Args:
        command: What it is run by: ``(sys.executable,)``, or a command that goes to another place.
        folder: For its log.
    """
    with (folder / "callers.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *map(str, (*command, Path(__file__))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            limit=1 << 20,
        )
    made = Callers(process)
    reading = asyncio.create_task(made.read())
    try:
        await made.wait_for("Imported")
        yield made
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), ENDS_S)
        finally:
            if process.returncode is None:
                process.kill()
        await process.wait()
        await reading


if __name__ == "__main__":
    asyncio.run(_main())
