"""A supervisor keeps its workers, whatever fails, in virtual time; what it tells them; whom not."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Self

import pytest

from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.config import Settings
from voxwire_server.shared_secret import NO_SECRET
from voxwire_server.workers import process, supervisor
from voxwire_server.workers.handing import Ready, pair
from voxwire_server.workers.process import WorkerProcess
from voxwire_server.workers.supervisor import Supervisor, WorkersError, why_no_workers

ENGINE, KEY = "unix:///run/redis.sock", "k" * 32


class _Worker:
    """A worker that was begun, and is ready."""

    def __init__(self, on_ready: Callable[[Ready], None]) -> None:
        loop = asyncio.get_running_loop()
        self.is_ready = True
        self.got: list[int] = []
        self._code: asyncio.Future[int] = loop.create_future()
        loop.call_soon(on_ready, Ready(["a"], []))

    def send(self, number: int) -> None:
        """It is sent a signal, and ends."""
        self.got.append(number)
        self.end(0)

    def end(self, code: int) -> None:
        """It has ended."""
        if not self._code.done():
            self._code.set_result(code)

    async def ended(self) -> int:
        """Wait until it has."""
        return await self._code


class _Machine:
    """Where workers are begun; ``fails``: what comes of the next ones instead.

    Attributes:
        told: What each was told.
        at_s: When one was begun, or was to be.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.fails: list[Exception] = []
        self.workers: list[_Worker] = []
        self.told: list[dict[str, Any]] = []
        self.at_s: list[float] = []
        patch.setattr(WorkerProcess, "start", self._begin)

    async def _begin(self, told: dict[str, Any], *, on_ready: Callable[[Ready], None]) -> _Worker:
        self.at_s.append(asyncio.get_running_loop().time())
        if self.fails:
            raise self.fails.pop(0)
        self.told.append(told["settings"])
        self.workers.append(_Worker(on_ready))
        return self.workers[-1]


class _Engine:
    """An engine of their own that needs no server."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder}/engine.sock"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def supervised(**settings: Any) -> Generator[asyncio.Task[None]]:
    """Run a supervisor until the block ends; it is told to end then."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        made = Settings(workers=2, **settings)
        it = Supervisor(made, listener, announce=lambda _: None)
        yield asyncio.get_running_loop().create_task(it.run())


@in_virtual_time
async def test_a_worker_that_cannot_be_begun_just_now_is_tried_again_and_costs_the_other_nothing(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine = _Machine(monkeypatch)
    with supervised(engine=ENGINE, engine_key=KEY) as running:
        await time.advance(100)
        first, second = machine.workers
        machine.fails = [
            OSError(errno.EAGAIN, "no process is left"),
            OSError(errno.EMFILE, "no descriptor is left"),
            RuntimeError("can't start new thread"),
        ]
        ended_s = asyncio.get_running_loop().time()
        second.end(-9)
        await time.advance(60_000)
        assert not running.done() and not first.got
        after_s = [round(at_s - ended_s, 1) for at_s in machine.at_s[2:]]
        assert after_s == [0.5, 1.5, 3.5, 7.5]  # as after any end, and then it runs
        assert len(machine.workers) == 3
        for why in ("no process", "no descriptor", "new thread"):
            assert why in " ".join(str(vars(record).get("why")) for record in caplog.records)
        signal.raise_signal(signal.SIGTERM)
        await running
    assert first.got == machine.workers[2].got == [signal.SIGTERM]


@in_virtual_time
async def test_one_that_cannot_be_begun_at_the_start_is_said(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = _Machine(monkeypatch)
    machine.fails = [OSError(errno.EAGAIN, "no process is left")] * 2
    with supervised(engine=ENGINE, engine_key=KEY) as running:
        await time.advance(100)
        with pytest.raises(WorkersError, match="no process is left"):
            await running


async def test_of_a_worker_that_cannot_be_begun_no_descriptor_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: list[socket.socket] = []

    def made() -> tuple[socket.socket, socket.socket]:
        ends.extend(pair())
        return ends[-2], ends[-1]

    async def fails(*_: str, **__: Any) -> None:
        raise OSError(errno.ENOMEM, "no memory is left")

    monkeypatch.setattr(process, "pair", made)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", fails)
    with pytest.raises(OSError, match="no memory"):
        await WorkerProcess.start({}, on_ready=lambda _: None)
    assert [end.fileno() for end in ends] == [-1, -1]


@pytest.mark.parametrize(
    ("settings", "is_made"),
    [
        ({}, True),
        ({"key": KEY}, True),
        ({"authenticator": "who.py:who"}, True),  # no secret comes of it
        ({"engine_key": KEY}, False),
        ({"engine": ENGINE, "engine_key": KEY}, False),
        ({"engine": ENGINE, "key": KEY}, False),
        ({"engine": ENGINE}, False),
    ],
)
def test_a_secret_is_made_where_the_engine_is_its_own_alone(
    settings: dict[str, Any], is_made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, machine = VirtualTime(), _Machine(monkeypatch)
    monkeypatch.setattr(supervisor, "OwnEngine", _Engine)

    async def main() -> None:
        with supervised(**settings) as running:
            await time.advance(100)
            signal.raise_signal(signal.SIGTERM)
            await running

    time.run(main())
    [secret] = {told["engine_key"] for told in machine.told}
    given = settings.get("engine_key", "")
    assert (secret != given and len(secret) >= 32) if is_made else secret == given


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"engine": ENGINE}, NO_SECRET),
        ({"engine": "redis://h", "peer_url": "ws://10.0.0.5:7861"}, NO_SECRET),
        ({"engine": ENGINE, "engine_key": "short"}, NO_SECRET),
        ({"engine": ENGINE, "authenticator": "who.py:who"}, NO_SECRET),
        ({"engine": ENGINE, "keys_file": "/nowhere"}, "VOXWIRE_KEYS_FILE: /nowhere"),
        ({"engine": ENGINE, "key": KEY}, ""),
        ({"engine": ENGINE, "engine_key": KEY}, ""),
        ({}, ""),
    ],
)
def test_workers_at_an_engine_of_others_need_a_secret(settings: dict[str, Any], why: str) -> None:
    said = why_no_workers(Settings(workers=2, **settings))
    assert said.startswith(why) and bool(said) is bool(why)
