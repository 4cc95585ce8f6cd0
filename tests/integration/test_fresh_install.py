"""A stranger's first minutes: pip on a clone's folders, `make run`, the READMEs' first programs.

Nothing is changed in the programs, the address included: server and programs have a network of
their own, where port 7860 is free. Where that cannot be had and the port is taken, it is skipped.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fresh_python import fresh_python
from tests.support.programs import environment, furnish
from tests.support.readmes import Fence, fences
from tests.support.waiting import DEADLINE_S

ROOT = Path(__file__).resolve().parents[2]
README = "clients/python/README.md"
(INSTALL,) = [fence for fence in fences() if fence.of == "tests/integration/test_fresh_install.py"]
FIRST = {
    path: next(
        f for f in fences() if f.path == path and f.language == "python" and f.kind == "program"
    )
    for path in (README, "README.md")
}
SAYS = {
    README: ("SessionStarted(", "text='what is the weather in paris'", "UtteranceEnded("),
    "README.md": ("you: what is the weather in paris", "[get_weather]", "In Paris it is sunny"),
}
TAKEN = 77
"""Exit code: somebody else has the port."""

SCRIPT = f"""
PORT=7860 '{sys.executable}' '{ROOT}/scripts/run.py' > server.txt 2>&1 &
server=$!
trap 'kill -INT $server; wait $server' EXIT
until (exec 3<>/dev/tcp/127.0.0.1/7860) 2> ready.txt
do
    if ! kill -0 $server 2> gone.txt; then
        grep "is taken by" server.txt && exit {TAKEN}
        cat server.txt; exit 1
    fi
    sleep 0.2
done
"$FRESH" program.py
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fresh_python(tmp_path_factory.mktemp("fresh") / "venv", INSTALL.text)


def test_it_is_what_pip_installed_and_not_the_clone(python: Path, tmp_path: Path) -> None:
    code = "import voxwire, voxwire_protocol; print(voxwire.__file__, voxwire_protocol.__file__)"
    ended = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("site-packages") == 2
    assert str(ROOT) not in ended.stdout


@pytest.mark.parametrize("path", FIRST)
def test_the_first_program_of_a_readme_runs_as_it_stands(
    path: str, python: Path, tmp_path: Path
) -> None:
    folder = furnish(tmp_path / "clone")
    program: Fence = FIRST[path]
    (folder / "program.py").write_text(program.text, "utf-8")
    ended = subprocess.run(
        [sys.executable, ROOT / "tests/support/apart.py", "bash", "-ec", SCRIPT],
        cwd=folder,
        env=environment(FRESH=str(python)),
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        check=False,
    )
    if ended.returncode == TAKEN:
        pytest.skip(ended.stdout.strip())
    assert ended.returncode == 0, ended.stdout + ended.stderr
    at = 0
    for expected in SAYS[path]:
        at = ended.stdout.find(expected, at)
        assert at >= 0, f"{expected!r} is not in {ended.stdout!r} {ended.stderr}"
    written = "bot.wav" if path == README else "answer.wav"
    assert (folder / written).stat().st_size > 50_000
