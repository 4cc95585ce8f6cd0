"""The log file: bounded, and begun anew when it was moved away."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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


def test_while_no_new_one_can_be_begun_the_old_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = LogFile(str(folder / "log"), max_bytes=0, count=1)
    file.handle(record("before"))
    folder.rename(tmp_path / "moved")
    file.reopen()
    file.handle(record("still there"))
    file.handle(record("and there"))
    assert (tmp_path / "moved" / "log").read_text() == "before\nstill there\nand there\n"
    assert capsys.readouterr().err.count("Logging error") == 1
    folder.mkdir()
    later_s = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later_s)
    file.handle(record("after"))
    file.close()
    assert (folder / "log").read_text() == "after\n"


def test_another_thread_may_ask_for_it(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "log"), max_bytes=0, count=1)
    with ThreadPoolExecutor() as pool:
        pool.submit(file.reopen_on_hangup).result()
    file.close()


def test_a_program_that_logs_already_gets_the_file_too(tmp_path: Path) -> None:
    program = """
import logging, sys
logging.basicConfig()
from voxwire_server.config import Settings
from voxwire_server.serving import log_as
log_as(Settings(log_file=sys.argv[1], log_level="INFO"))
logging.getLogger("voxwire.session").info("here")
"""
    path = tmp_path / "log"
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=60)
    assert path.read_text().endswith("INFO voxwire.session: here\n")
