"""The log file: bounded, and begun anew when it was moved away."""

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from voxwire_server.log_file import LogFile


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("voxwire", logging.INFO, "", 0, text, None, None)


@pytest.fixture
def hangups() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_it_rotates_by_size_and_keeps_so_many(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "log"), max_bytes=100, count=2)
    for number in range(40):
        file.handle(record(f"line {number:02}"))
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert (tmp_path / "log").read_text().endswith("line 39\n")


def test_zero_is_never(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "log"), max_bytes=0, count=2)
    for number in range(40):
        file.handle(record(f"line {number:02}"))
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.usefixtures("hangups")
def test_a_hangup_after_it_was_moved_away_begins_a_new_one(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "log"), max_bytes=0, count=2)
    file.reopen_on_hangup()
    file.handle(record("before"))
    (tmp_path / "log").rename(tmp_path / "moved")
    file.handle(record("still there"))
    os.kill(os.getpid(), signal.SIGHUP)
    file.handle(record("after"))
    file.close()
    assert (tmp_path / "moved").read_text() == "before\nstill there\n"
    assert (tmp_path / "log").read_text() == "after\n"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        LogFile(str(tmp_path / "nowhere" / "log"), max_bytes=0, count=1)
