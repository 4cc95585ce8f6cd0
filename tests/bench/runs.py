"""One contender under one load: the load's figures and the server's cost, window by window."""

import asyncio
import os
import signal
from dataclasses import asdict, dataclass, replace
from dataclasses import fields as dataclass_fields
from statistics import median
from typing import Any

from tests.bench.contenders import Contender
from tests.bench.measure import Meter, Usage, process_tree, rss_mb
from tests.bench.processes import BenchError, loading, serving

STALL_S = 0.3
SATURATED_PERCENT = 90.0
ATTEMPTS = 2  # a noisy run is made again, and the quieter one kept, while there is time


@dataclass(frozen=True)
class Window:
    """What one window of a run came to."""

    name: str
    sessions: int
    sent: int
    missed: int
    p50_ms: float | None
    p99_ms: float | None
    worst_ms: float | None
    mean_ms: float | None
    load_cpu_percent: float
    usage: Usage
    base_rss_mb: float
    parts: tuple["Window", ...] = ()
    """The windows that this one is the median of."""

    @property
    def cpu_per_session(self) -> float:
        """Server CPU, percent of a core, per session."""
        return self.usage.server_percent / self.sessions

    @property
    def rss_per_session_mb(self) -> float:
        """Memory above the idle server's, per session."""
        return (self.usage.server_rss_mb - self.base_rss_mb) / self.sessions

    @property
    def doubtful(self) -> bool:
        """Whether other processes, or the load generator itself, bent the figures."""
        return self.usage.noisy or self.load_cpu_percent > SATURATED_PERCENT

    def as_dict(self) -> dict[str, Any]:
        """For bench.json."""
        plain = asdict(self)
        plain["cpu_per_session_percent"] = self.cpu_per_session
        plain["rss_per_session_mb"] = self.rss_per_session_mb
        plain["noisy"] = self.usage.noisy
        return plain


async def stall(pid: int) -> None:
    """Stops a server's whole tree for a moment, as a blocked event loop would."""
    pids = process_tree(pid)
    for each in pids:
        os.kill(each, signal.SIGSTOP)
    await asyncio.sleep(STALL_S)
    for each in pids:
        os.kill(each, signal.SIGCONT)


async def measure_once(contender: Contender, **options: Any) -> list[Window]:
    """Starts the server, puts the load on it, measures each window."""
    async with serving(contender) as (server, port):
        base_mb = rss_mb(process_tree(server))
        async with loading(contender, port, options) as (load, events):
            meter = Meter(server, [load, os.getpid()])
            usages: list[Usage] = []
            async with asyncio.timeout(120 + options.get("sessions", 1)):
                async for event in events:
                    match event:
                        case {"event": "window", "state": "start"}:
                            meter.start()
                        case {"event": "window", "state": "end"}:
                            usages.append(meter.stop())
                        case {"event": "stall"}:
                            await stall(server)
                        case {"event": "failed", "reason": reason}:
                            raise BenchError(f"{contender.name}: load failed: {reason}")
                        case {"event": "result", "windows": windows}:
                            sessions = options.get("sessions", 1)
                            return medians(
                                [
                                    to_window(window, usage, sessions, base_mb)
                                    for window, usage in zip(windows, usages, strict=True)
                                ]
                            )
                        case _:
                            pass
    raise BenchError(f"{contender.name}: the load ended without a result")


def to_window(fields: dict[str, Any], usage: Usage, sessions: int, base_mb: float) -> Window:
    """Joins what the load saw with what the server used."""
    names = {field.name for field in dataclass_fields(Window)} & fields.keys()
    return Window(
        **{name: fields[name] for name in names},
        sessions=sessions,
        usage=usage,
        base_rss_mb=base_mb,
    )


def medians(windows: list[Window]) -> list[Window]:
    """Joins the windows of each kind, in order: medians of what was measured, sums of counts."""
    kinds = {window.name: [w for w in windows if w.name == window.name] for window in windows}
    return [joined(parts) if len(parts) > 1 else parts[0] for parts in kinds.values()]


def joined(parts: list[Window]) -> Window:
    """One window for several of a kind."""

    def middle(name: str) -> Any:
        values = [value for part in parts if (value := getattr(part, name)) is not None]
        return median(values) if values else None

    names = ("p50_ms", "p99_ms", "mean_ms", "load_cpu_percent")
    usage = Usage(
        **{f.name: median(getattr(p.usage, f.name) for p in parts) for f in dataclass_fields(Usage)}
    )
    return replace(
        parts[0],
        sent=sum(part.sent for part in parts),
        missed=sum(part.missed for part in parts),
        worst_ms=max((p.worst_ms for p in parts if p.worst_ms is not None), default=None),
        usage=usage,
        parts=tuple(parts),
        **{name: middle(name) for name in names},
    )


async def measure(
    contender: Contender, *, attempts: int = ATTEMPTS, **options: Any
) -> list[Window]:
    """As `measure_once`; a noisy run is repeated and the quieter kept."""
    runs: list[list[Window]] = []
    for _ in range(attempts):
        runs.append(await measure_once(contender, **options))
        if not any(window.usage.noisy for window in runs[-1]):
            break
    return min(runs, key=lambda run: max(window.usage.other_percent for window in run))
