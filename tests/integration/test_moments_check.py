"""The check of scripts/moments.py finds what judges moments outside the timing group."""

import contextlib
import importlib
import io
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

BAD = {
    "a bound on what a clock measured": """
        async def test_it():
            began = time.monotonic()
            await work()
            assert time.monotonic() - began < 2
    """,
    "a bound on a name that was assigned from one": """
        async def test_it():
            began = loop.time()
            await work()
            took_ms = (loop.time() - began) * 1000
            assert took_ms == pytest.approx(300, abs=50)
    """,
    "a bound on a list of them": """
        def test_it():
            took = []
            for _ in range(3):
                began = time.perf_counter()
                took.append(time.perf_counter() - began)
            assert max(took) <= 0.5
    """,
    "a bound on what a helper measured": """
        def measure():
            began = time.monotonic()
            return time.monotonic() - began

        def test_it():
            assert measure() < 1
    """,
    "a bound in a helper": """
        def check(began):
            now = time.monotonic()
            assert now - 5 < began

        def test_it():
            check(3)
    """,
    "a sleep and a look": """
        async def test_it():
            await asyncio.sleep(0.1)
            assert happened
    """,
    "a reason that nobody knows": """
        async def test_it():
            await asyncio.sleep(0.1)  # real time: because
            assert happened
    """,
    "the timing group without a reason": """
        @pytest.mark.timing
        def test_it():
            pass
    """,
}

GOOD = {
    "in the timing group, with a reason": """
        @pytest.mark.timing(reason="silence within 60 ms is what it promises")
        async def test_it():
            began = time.monotonic()
            await asyncio.sleep(0.1)
            check(began)
            assert time.monotonic() - began < 2

        def check(began):
            assert time.monotonic() - began < 2
    """,
    "an order": """
        def test_it():
            first = time.monotonic()
            second = time.monotonic()
            assert first <= second
    """,
    "a deadline": """
        async def test_it():
            deadline = time.monotonic() + 60
            while not happened:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
    """,
    "virtual time": """
        @in_virtual_time
        async def test_it():
            await asyncio.sleep(3600)
            assert happened
    """,
    "a named reason": """
        async def test_it():
            await asyncio.sleep(0.3)  # real time: silence
            assert not happened
    """,
    "sample positions": """
        def test_it():
            assert abs(word.start_ms - onset) < 45
    """,
}

JS_BAD = {
    "words.test.ts": "expect(quantile(errorsMs, 0.5)).toBeLessThan(20);",
    "cuts.test.ts": "expect(Math.max(...noticed)).toBeLessThan(NOTICED_MS);",
}
JS_GOOD = {
    "words.timing.test.ts": "expect(quantile(errorsMs, 0.5)).toBeLessThan(20);",
    "cuts.test.ts": "expect(delivered.length).toBeGreaterThan(50);",
}


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")


def check(*paths: Path) -> tuple[int, list[str]]:
    """What the check says of some files."""
    moments: Any = importlib.import_module("moments")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = moments.main(list(map(str, paths)))
    return status, out.getvalue().splitlines()


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = text.splitlines()
    path.write_text("\n".join(line[8:] if line.startswith(" " * 8) else line for line in lines))
    return path


@pytest.mark.parametrize("name", BAD)
def test_what_judges_moments_is_found(name: str, tmp_path: Path) -> None:
    status, found = check(written(tmp_path, "test_planted.py", BAD[name]))
    assert status == 1
    assert len(found) == 1, found


@pytest.mark.parametrize("name", GOOD)
def test_what_does_not_is_left_alone(name: str, tmp_path: Path) -> None:
    assert check(written(tmp_path, "test_planted.py", GOOD[name])) == (0, [])


def test_pages_are_read_too(tmp_path: Path) -> None:
    bad = [written(tmp_path / "bad/browser", name, text) for name, text in JS_BAD.items()]
    good = [written(tmp_path / "good/browser", name, text) for name, text in JS_GOOD.items()]
    status, found = check(*bad, *good)
    assert status == 1
    assert len(found) == len(bad)
