"""The inside of a helper process: requests from standard input, replies to standard output.

Requests are worked off step by step, the one first whose next step is due first; a cancelled one
stops after the step it is in, or as soon as its engine looks. The process ends when its standard
input closes, so it never outlives the server. Imports neither asyncio nor pipecat nor numpy.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any, BinaryIO, Protocol

from voxwire_server.bots.offline.helper_wire import (
    HEADER_BYTES,
    MAX_PAYLOAD_BYTES,
    Kind,
    encode,
    encode_json,
    read_exactly,
    unpack_header,
)

__all__ = ["Engine", "Job", "serve"]


@dataclass
class Job:
    """One request, and where its replies go."""

    request_id: int
    payload: bytes
    output: BinaryIO
    arrived_s: float = field(default_factory=time.monotonic)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def audio(self, pcm: bytes) -> None:
        """Reply with audio, now; in several messages if it is longer than one may be."""
        for at in range(0, len(pcm), MAX_PAYLOAD_BYTES):
            piece = pcm[at : at + MAX_PAYLOAD_BYTES]
            self.output.write(encode(Kind.AUDIO, self.request_id, piece))
        self.output.flush()

    def note(self, value: Any) -> None:
        """Reply with a JSON value, now."""
        self.output.write(encode_json(Kind.NOTE, self.request_id, value))
        self.output.flush()


class Engine(Protocol):
    """What does the work; one thread makes it and uses it."""

    def waits_s(self, job: Job) -> float:
        """Return how long after its arrival a job's first step is due."""
        ...

    def steps(self, job: Job) -> Generator[float, None, dict[str, Any]]:
        """Do one job, replying as it goes.

        Yields:
            After each step but the last: how much later than this one the next step is due, s.

        Returns:
            What the last reply says.

        Raises:
            Exception: It cannot be done; the message goes to the client. What is neither a
                RuntimeError nor a ValueError is a fault, and told on stderr as well.
        """
        ...


class _Inbox:
    """Reads requests in a thread, so that a cancel overtakes the job that is being done.

    It has a thread and is none: a later Python may take any private name of its own classes.
    """

    def __init__(self, source: BinaryIO, output: BinaryIO) -> None:
        self._source = source
        self._output = output
        self._jobs: dict[int, Job] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="inbox")
        self.queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.broken = False

    def start(self) -> None:
        """Read from now on; ``None`` in the queue is the end (``broken``: an untimely one)."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self._read()
        except Exception:  # said here: the process ends before Python would say it
            traceback.print_exc()
            self.broken = True
        finally:
            with self._lock:
                for job in self._jobs.values():
                    job.cancelled.set()
            self.queue.put(None)

    def _read(self) -> None:
        while start := self._source.read(1):
            header = start + read_exactly(self._source, HEADER_BYTES - 1)
            kind, request_id, payload_bytes = unpack_header(header)
            self._take(kind, request_id, read_exactly(self._source, payload_bytes))

    def forget(self, request_id: int) -> None:
        """Drop a job that is done."""
        with self._lock:
            self._jobs.pop(request_id, None)

    def _take(self, kind: Kind, request_id: int, payload: bytes) -> None:
        if kind is Kind.ASK:
            job = Job(request_id, payload, self._output)
            with self._lock:
                self._jobs[request_id] = job
            self.queue.put(job)
        elif kind is Kind.CANCEL:
            with self._lock:
                job = self._jobs.get(request_id)
            if job is not None:
                job.cancelled.set()


@dataclass(order=True)
class _Work:
    """A job that is being done."""

    due_s: float
    number: int
    job: Job = field(compare=False)
    steps: Generator[float, None, dict[str, Any]] = field(compare=False)

    def advance(self) -> bytes | None:
        """Do one step; returns the last reply when it was the last one."""
        job = self.job
        done: dict[str, Any] = {}
        try:
            if job.cancelled.is_set():
                self.steps.close()
            else:
                self.due_s += next(self.steps)
                return None
        except StopIteration as end:
            done = end.value
        except (RuntimeError, ValueError) as error:
            return encode_json(Kind.FAILED, job.request_id, {"reason": str(error)})
        except OSError:
            raise
        except Exception as error:  # a library's own: it ends this request, not those of others
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
            return encode_json(Kind.FAILED, job.request_id, {"reason": reason})
        return encode_json(Kind.DONE, job.request_id, {**done, "cancelled": job.cancelled.is_set()})


def _work_off(engine: Engine, inbox: _Inbox, output: BinaryIO) -> None:
    waiting: list[_Work] = []
    for number in count():
        if not waiting or not inbox.queue.empty():
            if (job := inbox.queue.get()) is None:
                return
            due_s = job.arrived_s + engine.waits_s(job)
            heappush(waiting, _Work(due_s, number, job, engine.steps(job)))
            continue
        work = heappop(waiting)
        if (answer := work.advance()) is None:
            heappush(waiting, work)
            continue
        inbox.forget(work.job.request_id)
        output.write(answer)
        output.flush()


def serve(make_engine: Callable[[], Engine]) -> int:
    """Serve requests from standard input until it closes.

    Args:
        make_engine: Makes the engine; whoever started the process waits for it.

    Returns:
        The exit code: 0 when the server closed the pipe or went away, 1 when what came was broken.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries may print; the real stdout carries only messages.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    inbox = _Inbox(sys.stdin.buffer, output)
    try:
        engine = make_engine()
        output.write(encode_json(Kind.READY, 0, {"pid": os.getpid()}))
        output.flush()
        inbox.start()
        _work_off(engine, inbox, output)
    except BrokenPipeError:  # the server is gone; nothing is left to say or to flush
        os._exit(0)
    return int(inbox.broken)
