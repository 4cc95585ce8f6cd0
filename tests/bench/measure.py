"""CPU and memory of a process tree over a window, and what everything else used (Linux)."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
NOISY_PERCENT = 40.0  # of a core, used by processes that are not part of the measurement


def process_tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        for children in Path(f"/proc/{current}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found


def cpu_s(pids: list[int]) -> float:
    """utime + stime of processes, in seconds; 0 for those that are gone."""
    ticks = 0
    for pid in pids:
        try:
            # the command's name may hold spaces and parentheses: fields count from the last one
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_S


def rss_mb(pids: list[int]) -> float:
    """Resident memory of processes, shared pages counted in each."""
    pages = 0
    for pid in pids:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * PAGE_BYTES / 1e6


def machine_cpu_s() -> float:
    """What the machine was busy for, all cores, time stolen by the hypervisor included."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


@dataclass(frozen=True)
class Usage:
    """What a window cost. Percent are of one core."""

    server_percent: float
    server_rss_mb: float
    other_percent: float
    seconds: float

    @property
    def noisy(self) -> bool:
        """Whether others used so much that the figures are not to be trusted."""
        return self.other_percent > NOISY_PERCENT


class Meter:
    """Measures a server between `start` and `stop`; `own` are the load and the orchestrator."""

    def __init__(self, server: int, own: list[int]) -> None:
        self._server = server
        self._own = own

    def start(self) -> None:
        """Begins."""
        self._pids = process_tree(self._server)
        self._at_s = time.monotonic()
        self._before = (cpu_s(self._pids), cpu_s(self._own), machine_cpu_s())

    def stop(self) -> Usage:
        """Ends; processes that the server started meanwhile are counted."""
        pids = sorted({*self._pids, *process_tree(self._server)})
        seconds = time.monotonic() - self._at_s
        server, own, machine = (
            after - before
            for after, before in zip(
                (cpu_s(pids), cpu_s(self._own), machine_cpu_s()), self._before, strict=True
            )
        )
        return Usage(
            server_percent=100 * server / seconds,
            server_rss_mb=rss_mb(pids),
            other_percent=max(0.0, 100 * (machine - server - own) / seconds),
            seconds=seconds,
        )
