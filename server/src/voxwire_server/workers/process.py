"""The process of one worker, as its supervisor sees it."""

import asyncio
import json
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Self

from voxwire_protocol.clocks import SYSTEM_CLOCK
from voxwire_server.workers.handing import Ready, hand_over, pair, read_report
from voxwire_server.workers.leash import leash

__all__ = ["WorkerProcess"]


class WorkerProcess:
    """A worker that runs.

    Attributes:
        is_ready: It takes connections.
        busy: What it had to do when it spoke last.
        taken: How many connections it had been handed then.
        handed: How many it has been handed by now.
        heard_ms: When it spoke last, monotonic milliseconds.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        ours: socket.socket,
        on_ready: Callable[[Ready], None],
    ) -> None:
        self._process = process
        self._socket = ours
        self._on_ready = on_ready
        self.is_ready = False
        self.busy = self.taken = self.handed = 0
        self.heard_ms = SYSTEM_CLOCK.now_ms()
        asyncio.get_running_loop().add_reader(ours, self._hear)

    @classmethod
    async def start(
        cls, assignment: Mapping[str, Any], *, on_ready: Callable[[Ready], None]
    ) -> Self:
        """Start one.

        Args:
            assignment: Fields of a :class:`~voxwire_server.workers.worker.Assignment`.
            on_ready: Called when it takes connections.

        Raises:
            OSError, RuntimeError: It cannot be: there is no memory, descriptor, process or thread.
        """
        ours, theirs = pair()
        with theirs, ExitStack() as held:
            held.enter_context(ours)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "voxwire_server.workers.worker", str(theirs.fileno())),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the supervisor
                preexec_fn=leash(),
            )
            held.pop_all()
        assert process.stdin is not None
        process.stdin.write(json.dumps(assignment).encode() + b"\n")
        process.stdin.close()
        return cls(process, ours, on_ready)

    async def ended(self) -> int:
        """Wait until it has ended; its exit code, or minus the number of a signal."""
        code = await self._process.wait()
        self.is_ready = False
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        return code

    def send(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    def hand_over(self, connection: socket.socket) -> None:
        """Give it a connection, which the caller then closes.

        Raises:
            OSError: It is gone, or has more before it than it can take.
        """
        hand_over(self._socket, connection)
        self.handed += 1

    def _hear(self) -> None:
        try:
            while report := read_report(self._socket):
                self.heard_ms = SYSTEM_CLOCK.now_ms()
                if isinstance(report, Ready):
                    self.is_ready = True
                    self._on_ready(report)
                else:
                    self.busy, self.taken = report
        except BlockingIOError:
            return
        except OSError:
            pass
        asyncio.get_running_loop().remove_reader(self._socket)  # it is no more
