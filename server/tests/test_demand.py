"""What a thread wants of a processor, as the system counts it."""

import threading
import time
from pathlib import Path

import pytest

from voxwire_server.admin import demand


def _compute(for_s: float) -> None:
    until_s = time.thread_time() + for_s
    while time.thread_time() < until_s:
        pass


def test_work_counts_and_sleep_does_not() -> None:
    before_ms = demand.demand_ms()
    _compute(0.05)
    worked_ms = demand.demand_ms() - before_ms
    assert worked_ms >= 45  # real time: processor
    before_ms, began_s = demand.demand_ms(), time.thread_time()
    time.sleep(0.2)  # real time: silence
    assert demand.demand_ms() - before_ms < 150 + (time.thread_time() - began_s) * 1000


def test_another_thread_has_its_own() -> None:
    mine_ms, other_ms = demand.demand_ms(), list[float]()
    thread = threading.Thread(target=lambda: (_compute(0.1), other_ms.append(demand.demand_ms())))
    thread.start()
    thread.join()
    assert other_ms[0] >= 95  # real time: processor
    assert demand.demand_ms() >= mine_ms


def test_to_wait_for_a_processor_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "schedstat"
    file.write_text("1500000 250500000 7\n")
    monkeypatch.setattr(demand, "_FILE", file)
    assert demand.demand_ms() == 252


@pytest.mark.parametrize("text", ["", "no figures", None])
def test_where_the_system_does_not_say_it_work_counts(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "schedstat"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(demand, "_FILE", file)
    assert 0 < demand.demand_ms() <= time.thread_time() * 1000


def test_how_long_a_thread_waited_is_asked_by_its_id() -> None:
    before_ms = demand.waited_ms(threading.get_native_id())
    assert before_ms >= 0
    assert demand.waited_ms(threading.get_native_id()) >= before_ms
    assert demand.waited_ms(2**30) == 0
