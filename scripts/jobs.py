"""Runs jobs side by side: the output of each into a file, a line when one ends, Ctrl-C ends all.

Jobs that mostly wait leave a processor time that jobs which only compute can have: `beside` takes
those. They run at a lower priority, so that they seldom make the others late.
"""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from steps import ROOT

POLL_S = 0.1
SHOW_S = 15.0
"""How often it is said what runs."""

BESIDE = 2
"""Jobs that give way and run at a time, while others wait."""

GRACE_S = 15.0
"""What a job has to end in order once it is interrupted."""


@dataclass
class Job:
    """One process to run. `log` takes what it prints; `niceness`: how far it gives way; `after`:
    the title of a job that has to end first, if it runs; `alone`: nothing else may run meanwhile.
    """

    part: str
    name: str
    command: Sequence[str | Path]
    log: Path
    niceness: int = 0
    after: str = ""
    alone: bool = False
    status: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    """Processor time of the process and of what it waited for, seconds."""
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    started: float = 0.0

    @property
    def title(self) -> str:
        """How the job is shown."""
        return f"{self.part} {self.name}".strip()

    def start(self) -> None:
        """Starts the process, in a group of its own so that Ctrl-C reaches it once."""
        self.started = time.monotonic()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(argument) for argument in self.command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self.niceness:
            self._give_way()

    def _give_way(self) -> None:
        """Puts the job behind all others. Where Linux shares a processor out by session first
        (sched_autogroup_enabled), the niceness of the session is what counts.
        """
        assert self.process is not None
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PGRP, self.process.pid, self.niceness)
            Path(f"/proc/{self.process.pid}/autogroup").write_text(str(self.niceness))

    def ended(self) -> bool:
        """Whether the process has ended; notes how."""
        assert self.process is not None
        if self.process.returncode is None:
            pid, status, used = os.wait4(self.process.pid, os.WNOHANG)
            if pid == 0:
                return False
            self.process.returncode = self.status = os.waitstatus_to_exitcode(status)
            self.seconds, self.cpu_s = (
                time.monotonic() - self.started,
                used.ru_utime + used.ru_stime,
            )
        return True

    def progress(self) -> str:
        """What pytest said last of how far it is, for instance `45%`."""
        with self.log.open("rb") as output:
            output.seek(max(0, self.log.stat().st_size - 2000))
            shares = re.findall(rb"\[ *(\d+%)\]", output.read())
        return shares[-1].decode() if shares else "started"

    def signal(self, number: int) -> None:
        """Sends a signal to the process and its children."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def run_jobs(
    jobs: Sequence[Job],
    *,
    workers: int,
    on_end: Callable[[Job], None],
    beside: Sequence[Job] = (),
) -> None:
    """Runs all jobs in the order given, so many at a time; `on_end` is called as each ends.

    Two jobs of `beside` run with them, and as many as there are workers free once none waits.

    Raises:
        KeyboardInterrupt: On SIGINT, SIGTERM or SIGHUP, once every job has ended.
    """
    waiting, patient = deque(jobs), deque(beside)
    running: list[Job] = []
    began = shown = time.monotonic()

    def next_job() -> Job | None:
        first = [job for job in running if not job.niceness]
        unended = {job.title for job in (*running, *waiting, *patient)}
        ready = next((job for job in waiting if job.after not in unended), None)
        if ready is not None and len(first) < workers:
            waiting.remove(ready)
            return ready
        room = max(BESIDE, workers - len(first)) if not waiting else BESIDE
        return patient.popleft() if patient and len(running) - len(first) < room else None

    with _interruptible():
        try:
            while waiting or patient or running:
                while (job := next_job()) is not None:
                    running.append(job)
                    job.start()
                time.sleep(POLL_S)
                for job in [job for job in running if job.ended()]:
                    running.remove(job)
                    on_end(job)
                    shown = time.monotonic()
                if running and time.monotonic() - shown >= SHOW_S:
                    shown = time.monotonic()
                    parts = ", ".join(f"{job.title} {job.progress()}" for job in running)
                    print(f"  ... {shown - began:3.0f} s: {parts}", flush=True)
        finally:
            _stop([job for job in running if job.process is not None])


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ends like Ctrl-C on SIGTERM and SIGHUP too: a job is never left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM, signal.SIGHUP]
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _stop(jobs: Sequence[Job]) -> None:
    """Interrupts jobs, waits for them, and kills what does not end."""
    for job in jobs:
        assert job.process is not None
        with contextlib.suppress(ProcessLookupError):
            job.process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + GRACE_S
    with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: at once
        while time.monotonic() < deadline and not all(job.ended() for job in jobs):
            time.sleep(POLL_S)
    for job in jobs:
        job.signal(signal.SIGKILL)
