"""An engine of the workers' own is begun anew, however often it cannot be, in virtual time."""

import asyncio
import errno
import shutil
from pathlib import Path
from typing import Any

import pytest

from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.workers.own_engine import NoEngineError, OwnEngine


class _Server:
    """A process that was begun; it answers nothing else."""

    def __init__(self) -> None:
        self.stdin = self
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    def write(self, _: bytes) -> None:
        """What it is told."""

    def close(self) -> None:
        """All that it is told."""

    def end(self, code: int) -> None:
        """It has ended."""
        self.returncode = code
        self._ended.set()

    def terminate(self) -> None:
        """It is told to end, and does."""
        self.end(0)

    async def wait(self) -> int | None:
        """Wait until it has ended."""
        await self._ended.wait()
        return self.returncode


class _Machine:
    """Where programs are begun; ``fails``: what comes of the next ones instead."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.fails: list[Exception] = []
        self.begun: list[_Server] = []
        patch.setattr(shutil, "which", "/usr/bin/{}".format)
        patch.setattr(asyncio, "create_subprocess_exec", self._begin)
        patch.setattr(OwnEngine, "_answers", self._answers)

    async def _begin(self, *_: str, **__: Any) -> _Server:
        if self.fails:
            raise self.fails.pop(0)
        self.begun.append(_Server())
        return self.begun[-1]

    async def _answers(self) -> bool:
        return True


@in_virtual_time
async def test_one_that_cannot_be_begun_just_now_is_tried_again_until_it_can(
    time: VirtualTime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = _Machine(monkeypatch)
    async with OwnEngine(tmp_path):
        machine.fails = [
            OSError(errno.EAGAIN, "no process is left"),
            OSError(errno.ENOMEM, "no memory is left"),
            OSError(errno.EMFILE, "no descriptor is left"),
            RuntimeError("can't start new thread"),
        ]
        machine.begun[0].end(-9)
        await time.advance(10_000)
        assert not machine.fails
        assert len(machine.begun) == 2 and machine.begun[1].returncode is None
        for why in ("no process", "no memory", "no descriptor", "new thread"):
            assert why in caplog.text
    assert machine.begun[1].returncode == 0


@in_virtual_time
async def test_one_that_cannot_be_begun_at_the_start_is_said(
    time: VirtualTime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = _Machine(monkeypatch)
    machine.fails = [OSError(errno.EAGAIN, "no process is left")]
    with pytest.raises(NoEngineError, match="no process is left"):
        async with OwnEngine(tmp_path):
            raise AssertionError("it was not begun")
    assert not machine.begun and time.now_ms() >= 0
