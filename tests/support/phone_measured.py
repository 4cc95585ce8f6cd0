"""What ``voxwire call`` has heard, against what the server believed meanwhile, on real sockets.

The caller is a process of its own. Where he was is read from the clicks in the samples that came
out of his telephone, by the monotonic clock, which is that of the whole machine.
"""

import asyncio
import json
import sys
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tests.support.phone_clicks import CLICK_MS, clicking, clicks_in
from tests.support.phone_line import KNOWN
from tests.support.phone_socket import PUBLIC
from tests.support.phone_vendors import PASSWORD, SECRET, TOKEN
from tests.support.waiting import PATIENT, until
from voxwire_server import BotSession
from voxwire_server.session.session import Session
from voxwire_server.testing import running_server

__all__ = ["JITTER_MS", "REASON", "Cut", "Measured", "measured"]

JITTER_MS: Final = 20
REASON: Final = "where the caller is, within 20 and 50 ms, is what the telephone promises"
_SECRETS: Final = {"telnyx": SECRET, "vonage": SECRET, "exotel": PASSWORD}
_LOOK_MS: Final = 23
_HUM: Final = 600
_SPOKEN_MS: Final = 4000
_CUTS_MS: Final = (650, 1130, 1470)


@dataclass(frozen=True)
class Cut:
    """A cut.

    Attributes:
        at_ms: When the server had it done.
        heard_ms: How much of what was said it believed to be heard.
    """

    at_ms: float
    heard_ms: float


@dataclass
class _Believed:
    """What the server believed of what was said.

    Attributes:
        placed_ms: When it was given to the voice.
        positions: Time, and how much was heard by then, ms.
        cut: Where it was cut.
    """

    placed_ms: float
    positions: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    cut: Cut | None = None


@dataclass(frozen=True)
class Measured:
    """Of one call.

    Attributes:
        f1_ms: Believed position - true position, while the caller heard something.
        cuts_ms: The same of what was cut.
        f2_ms: From each cut to the last sample that the caller heard.
    """

    f1_ms: NDArray[Any]
    cuts_ms: list[float]
    f2_ms: list[float]

    def __str__(self) -> str:
        p5, p50, p95 = np.percentile(self.f1_ms, [5, 50, 95])
        cuts = ", ".join(f"{each:.0f}" for each in self.cuts_ms)
        f2 = ", ".join(f"{each:.0f}" for each in self.f2_ms)
        return f"F1 p5 {p5:.0f}, p50 {p50:.0f}, p95 {p95:.0f} ms; cuts {cuts} ms off; F2 {f2} ms"

    def check(self, delay_ms: int, *, more_f2_ms: int = 0) -> None:
        """Hold it against what is promised.

        Args:
            delay_ms: Each way.
            more_f2_ms: What a flush may take longer than a round trip and 60 ms.
        """
        p5, p50, p95 = np.percentile(self.f1_ms, [5, 50, 95])
        assert abs(p50) <= 20
        assert -50 <= p5 <= p95 <= 50
        assert max(self.f2_ms) <= 2 * delay_ms + 60 + more_f2_ms


def _now_ms() -> float:
    return time.monotonic() * 1000


async def _bot(session: BotSession) -> None:
    await session.run([session.input(), session.output()])


async def _speak(session: Session, cut_after_ms: int | None) -> _Believed:
    """Say clicks on a hum, to their end or until they are cut."""
    rate = session.settings.audio_out_sample_rate
    pcm = np.maximum(clicking(_SPOKEN_MS, rate), _HUM).astype("<i2").tobytes()
    believed = _Believed(_now_ms())
    start_ms = session.voice.place(pcm, new_stretch=True) * 1000 / rate
    while session.voice.backlog_ms() > 0:
        since_ms = _now_ms() - believed.placed_ms
        if cut_after_ms is not None and since_ms >= cut_after_ms:
            at_ms = _now_ms()
            result = await session.voice.flush("u1")
            assert result is not None
            believed.cut = Cut(at_ms, result[0] - start_ms)
            break
        believed.positions.append((_now_ms(), session.voice.heard_ms() - start_ms))
        await asyncio.sleep(_LOOK_MS / 1000)
    return believed


class _Playout:
    """What came out of a telephone."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / "events.jsonl").read_text().splitlines()
        [self._began_ms] = [
            event["clock_ms"] for event in map(json.loads, lines) if event["type"] == "began"
        ]
        with wave.open(str(folder / "heard.wav")) as file:
            self._rate = file.getframerate()
            self._samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(int)

    def between(self, first_ms: float, last_ms: float) -> NDArray[Any]:
        """What was heard between two times."""
        first, last = (int((at - self._began_ms) * self._rate / 1000) for at in (first_ms, last_ms))
        return self._samples[first:last]

    def heard_ms(self, since_ms: float, at_ms: float) -> float | None:
        """How much was heard of what began after a time; None = nothing, or no more of it."""
        samples = self.between(since_ms, at_ms)
        clicks = clicks_in(samples)
        if not clicks or not np.any(np.abs(samples[-self._rate // 50 :]) > _HUM // 2):
            return None
        rest_ms = (len(samples) - clicks[-1]) * 1000 / self._rate
        return (len(clicks) - 1) * CLICK_MS + min(rest_ms, CLICK_MS)

    def last_ms(self, since_ms: float, until_ms: float) -> float:
        """When the last sound within that time was heard."""
        loud = np.flatnonzero(np.abs(self.between(since_ms, until_ms)) > _HUM // 2)
        return since_ms + int(loud[-1]) * 1000 / self._rate


def _compared(playout: _Playout, said: list[tuple[_Believed, float]]) -> Measured:
    """Args: What was believed, and when the next thing was said."""
    f1_ms: list[float] = []
    cuts_ms: list[float] = []
    f2_ms: list[float] = []
    for believed, until_ms in said:
        for at_ms, heard_ms in believed.positions:
            true_ms = playout.heard_ms(believed.placed_ms, at_ms)
            if true_ms is not None:
                f1_ms.append(heard_ms - true_ms)
        if believed.cut is not None:
            last_ms = playout.last_ms(believed.placed_ms, until_ms)
            true_ms = playout.heard_ms(believed.placed_ms, last_ms)
            assert true_ms is not None
            cuts_ms.append(believed.cut.heard_ms - true_ms)
            f2_ms.append(last_ms - believed.cut.at_ms)
    return Measured(np.array(f1_ms), cuts_ms, f2_ms)


async def _conversation(session: Session) -> list[tuple[_Believed, float]]:
    await until(lambda: session.path is not None)
    await asyncio.sleep(1)  # real time: slow; the way is measured
    said: list[tuple[_Believed, float]] = []
    for cut_after_ms in (None, *_CUTS_MS):
        believed = await _speak(session, cut_after_ms)
        await asyncio.sleep(0.8)  # real time: slow; less than what the caller takes for its end
        said.append((believed, _now_ms()))
    return said


async def measured(vendor: str, delay_ms: int, folder: Path) -> Measured:
    """Call, hear one thing whole and three that are cut, and compare.

    Args:
        vendor: By whose wire.
        delay_ms: Each way, with :data:`JITTER_MS` of jitter.
        folder: Where the caller writes what he hears.
    """
    settings: dict[str, Any] = {"key": "k" * 40, "public_url": PUBLIC, **KNOWN, **PATIENT}
    async with running_server(_bot, **settings) as server, asyncio.timeout(120):
        caller = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voxwire.cli", "call", f"http://127.0.0.1:{server.port}"),
            *("--vendor", vendor, "--secret", _SECRETS.get(vendor, TOKEN), "--public-url", PUBLIC),
            *("--delay", str(delay_ms), "--jitter", str(JITTER_MS)),
            *("--out", str(folder / "heard.wav"), "--events", str(folder / "events.jsonl")),
            stdout=asyncio.subprocess.DEVNULL,
        )
        registry: Any = server.registry
        await until(lambda: len(registry))
        [session] = registry
        said = await _conversation(session)
        assert await caller.wait() == 0
    return _compared(_Playout(folder), said)
