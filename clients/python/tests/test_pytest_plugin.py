"""The pytest plugin in a pytest of its own, as a project has it that installed the client."""

import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"

BOT = """
import pytest
import voxwire
from voxwire.testing import AsyncVoiceSession, FakeSession, VoiceSession, in_virtual_time

async def bot(session: FakeSession) -> None:
    await session.say("Hello there.")
    while True:
        await session.text()
        await session.call_tool("get_weather", {"city": "Paris"})
        await session.say("In Paris it is sunny today.")

pytestmark = pytest.mark.voxwire(bot=bot)
"""

SYNC = """
def test_met(voice_session: VoiceSession) -> None:
    voice_session.say("what is the weather")
    voice_session.expect_tool("get_weather", city="Paris")
    voice_session.expect_words("sunny")

def test_missed(voice_session: VoiceSession) -> None:
    voice_session.expect_words("there")
    voice_session.say("what is the weather")
    voice_session.expect_words("rain", within_ms=2000)

def test_plain_assert(voice_session: VoiceSession) -> None:
    voice_session.say("what is the weather")
    assert "rain" in voice_session.expect_words("sunny")

@pytest.mark.xfail(strict=True)
def test_expected_to_fail(voice_session: VoiceSession) -> None:
    voice_session.expect_words("rain", within_ms=100)

class TestInAClass:
    def test_met(self, voice_session: VoiceSession) -> None:
        voice_session.expect_heard("Hello there.")
"""

ASYNC = """
import asyncio

async def test_met(voice_session: AsyncVoiceSession) -> None:
    await voice_session.say("what is the weather")
    await voice_session.expect_tool("get_weather", city="Paris")
    LOOPS.append(type(asyncio.get_running_loop()).__module__)

LOOPS: list[str] = []

async def test_missed(voice_session: AsyncVoiceSession) -> None:
    await voice_session.expect_words("rain", within_ms=500)

class TestInAClass:
    async def test_met(self, voice_session: AsyncVoiceSession) -> None:
        await voice_session.expect_words("Hello")

@in_virtual_time
async def test_in_virtual_time(voice_session: AsyncVoiceSession, time) -> None:
    await voice_session.say("what is the weather")
    await time.advance(60_000)
    assert voice_session.heard == "In Paris it is sunny today."

def test_whose_loop_it_was(request) -> None:
    assert LOOPS == [request.config.getini("loop")]
"""
CONFTEST = "def pytest_addoption(parser): parser.addini('loop', '')"
OURS, THEIRS = "voxwire_protocol.virtual_time", "asyncio.unix_events"


@dataclass(frozen=True)
class Ran:
    """How a run of pytest ended: the outcome of each test, what was printed, the JUnit cases."""

    outcomes: dict[str, str]
    out: str
    cases: dict[str, ElementTree.Element]

    def properties(self, test: str) -> dict[str, str]:
        found = self.cases[test].iter("property")
        return {one.attrib["name"]: one.attrib["value"] for one in found}


def run(folder: Path, text: str, *arguments: str) -> Ran:
    """Runs tests by a pytest inside this one, which has imported everything already."""
    command = written(folder, text, arguments)
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.chdir(folder)
        pytest.main(command)
    for name in ("test_bot", "conftest"):
        sys.modules.pop(name, None)
    return ran(folder, out.getvalue())


def run_apart(folder: Path, text: str, *arguments: str) -> Ran:
    """Runs tests as a shell does."""
    command = [sys.executable, "-m", "pytest", *written(folder, text, arguments)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    options = {"cwd": folder, "env": kept, "capture_output": True, "timeout": 120}
    done = subprocess.run(command, text=True, check=False, **options)  # type: ignore[call-overload]
    return ran(folder, done.stdout)


def written(folder: Path, text: str, arguments: tuple[str, ...]) -> list[str]:
    (folder / "test_bot.py").write_text(text, "utf-8")
    (folder / "conftest.py").write_text(CONFTEST, "utf-8")
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n", "utf-8"
    )
    plain = ["-v", "--import-mode=importlib", "--strict-markers", "--junitxml=out/junit.xml"]
    without = [f"-pno:{name}" for name in ("cacheprovider", "timeout", "hypothesispytest", "cov")]
    return [*plain, *without, *arguments]


def ran(folder: Path, out: str) -> Ran:
    root = ElementTree.parse(folder / "out/junit.xml").getroot()
    cases = {f"{case.get('classname')}.{case.get('name')}": case for case in root.iter("testcase")}
    cases = {name.removeprefix("test_bot."): case for name, case in cases.items()}
    return Ran({name: outcome(case) for name, case in cases.items()}, out, cases)


def outcome(case: ElementTree.Element) -> str:
    found = {child.tag for child in case} & {"failure", "error", "skipped"}
    return found.pop() if found else "passed"


def test_a_failure_says_what_was_heard_and_has_a_picture_of_it(tmp_path: Path) -> None:
    ran = run_apart(tmp_path, BOT + SYNC)
    assert ran.outcomes == {
        "test_met": "passed",
        "test_missed": "failure",
        "test_plain_assert": "failure",
        "test_expected_to_fail": "skipped",
        "TestInAClass.test_met": "passed",
    }, ran.out
    [failure] = ran.cases["test_missed"].iter("failure")
    assert failure.attrib["message"] == (
        'AssertionError: expected to hear "rain" within 2000 ms after "what is the weather"\n'
        '  heard: "In Paris it is sunny today."'
    )
    assert 'voice_session.expect_words("rain", within_ms=2000)\nE  ' in ran.out
    for inside in ("waiting.py", "session.py", "_voxwire_pytest.py"):
        assert inside not in ran.out
    pictures = {name: ran.properties(name).get("voxwire_picture") for name in ran.cases}
    shown = {name: path for name, path in pictures.items() if path}
    assert set(shown) == {"test_missed", "test_plain_assert"}
    for path in shown.values():
        picture = (tmp_path / "out" / path).read_text("utf-8")
        assert ElementTree.fromstring(picture).tag.endswith("svg")
        assert ">sunny<" in picture
    conversation = ran.properties("test_missed")["voxwire_conversation"]
    assert conversation.startswith("bot: Hello there.\nuser: what is the weather\nbot: (get_w")
    section = ran.out.partition("- conversation -")[2]
    assert "bot: Hello there." in section
    assert str(tmp_path / "out" / shown["test_missed"]) in section


@pytest.mark.parametrize(
    ("arguments", "loop"),
    [
        (("-p", "no:asyncio", "-p", "no:anyio"), OURS),
        (("--asyncio-mode=strict",), OURS),
        (("--asyncio-mode=auto",), THEIRS),
        (("-p", "no:asyncio", "-o", "anyio_mode=auto", "-k", "not trio"), THEIRS),
    ],
)
def test_async_tests_run_with_whoever_runs_them(
    arguments: tuple[str, ...], loop: str, tmp_path: Path
) -> None:
    ran = run(tmp_path, BOT + ASYNC, *arguments, "-o", f"loop={loop}")
    outcomes = {name.removesuffix("[asyncio]"): how for name, how in ran.outcomes.items()}
    assert outcomes == {
        "test_met": "passed",
        "test_missed": "failure",
        "TestInAClass.test_met": "passed",
        "test_in_virtual_time": "passed",
        "test_whose_loop_it_was": "passed",
    }, ran.out
    assert "was never awaited" not in ran.out


def test_who_answers_is_said_by_the_command_line_the_mark_or_the_ini_file(tmp_path: Path) -> None:
    recorded = run(tmp_path, BOT + SYNC, "--voxwire-record=tapes", "-k", "test_met")
    assert set(recorded.outcomes.values()) == {"passed"}
    assert len([*(tmp_path / "tapes").glob("*.voxrec")]) == 2
    silent = BOT.replace("In Paris it is sunny today.", "Well.") + SYNC
    assert run(tmp_path, silent, "-k", "test_met").outcomes["test_met"] == "failure"
    replayed = run(tmp_path, silent, "--voxwire-replay=tapes", "-k", "test_met")
    assert replayed.outcomes == recorded.outcomes
    missing = run(tmp_path, silent, "--voxwire-replay=tapes", "-k", "test_plain_assert")
    assert missing.outcomes == {"test_plain_assert": "error"}
    assert "nothing was recorded at" in missing.out


def test_fixtures_and_marks_say_how_to_connect(tmp_path: Path) -> None:
    text = BOT.replace("pytestmark", "unused") + (
        "def test_nobody(voice_session): pass\n"
        "class TestHere:\n"
        "    @pytest.fixture\n"
        "    def voxwire_bot(self): return bot\n"
        "    @pytest.mark.voxwire(metadata={'a': 1})\n"
        "    def test_met(self, voice_session):\n"
        "        assert voice_session.server.hellos[0].metadata_json == '{\"a\":1}'\n"
        "        voice_session.expect_words('Hello')\n"
    )
    ran = run(tmp_path, text)
    assert ran.outcomes == {"test_nobody": "error", "TestHere.test_met": "passed"}, ran.out
    assert "who answers? @pytest.mark.voxwire(bot=BOT)" in ran.out


def test_a_project_that_does_not_use_it_does_not_import_the_client(tmp_path: Path) -> None:
    text = (
        "import sys\n"
        "def test_it(request):\n"
        "    ours = [name for name in sys.modules if name.partition('.')[0] == 'voxwire']\n"
        "    assert request.config.pluginmanager.hasplugin('voxwire') and not ours\n"
        "    assert not {'numpy', 'anyio', 'google'} & sys.modules.keys()\n"
    )
    others = ("anyio", "asyncio", "schemathesis")
    ran = run_apart(tmp_path, text, *(arg for name in others for arg in ("-p", f"no:{name}")))
    assert ran.outcomes == {"test_it": "passed"}, ran.out
    without = run(tmp_path, "def test_it(voice_session): pass\n", "-p", "no:voxwire")
    assert without.outcomes == {"test_it": "error"}
    assert "fixture 'voice_session' not found" in without.out


def test_the_test_of_the_readme_passes(tmp_path: Path) -> None:
    section = README.read_text("utf-8").partition("`voice_session`\n")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    ran = run(tmp_path, found[1])
    assert ran.outcomes == {"test_it_knows_the_weather": "passed"}, ran.out
