"""The steps of examples/gemini-live/README.md, executed; Google's place is taken by the peer."""

import asyncio
import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.gemini_live_peer import running_peer

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
EXAMPLE = EXAMPLES / "gemini-live"
PROJECTS = {
    "voxwire-server": ROOT / "server/pyproject.toml",
    "voxwire": ROOT / "clients/python/pyproject.toml",
    "voxwire-protocol": ROOT / "protocol/python/pyproject.toml",
}
STEPS = ["The environment", "The key", "The bot", "The tools", "Run", "Talk"]


def steps() -> dict[str, str]:
    """The commands of each step, by its title."""
    text = (EXAMPLE / "README.md").read_text("utf-8")
    found: dict[str, str] = {}
    for part in re.split(r"^## \d+\. ", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        found[title] = "\n".join(re.findall(r"```sh\n(.*?)```", body, re.DOTALL))
    return found


async def sh(commands: str, folder: Path, **env: str) -> asyncio.subprocess.Process:
    """Runs a step's commands as a shell in that folder would, and stops at the first that fails."""
    return await asyncio.create_subprocess_exec(
        *("bash", "-ec", commands),
        cwd=folder,
        env={**environment(), **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def environment() -> dict[str, str]:
    """This one, with the commands that step 1 installs, and without any key."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GOOGLE_", "GEMINI_", "SSL_"))}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}


def requirement_of(argument: str) -> Requirement:
    """The package that a path of pip's command line names, with its extras."""
    path, bracket, extras = argument.partition("[")
    project = (EXAMPLE / path / "pyproject.toml").resolve()
    [name] = [name for name, known in PROJECTS.items() if known == project]
    return Requirement(name + bracket + extras)


def check_installed(requirement: Requirement) -> None:
    """What step 1 installs is what the packages say, and is here already."""
    path = PROJECTS.get(requirement.name)
    if path is None:
        assert requirement.specifier.contains(version(canonicalize_name(requirement.name)))
        return
    project = tomllib.loads(path.read_text("utf-8"))["project"]
    for extra in requirement.extras:
        for needed in project["optional-dependencies"][extra]:
            check_installed(Requirement(needed))


async def test_the_steps_of_the_readme_lead_to_a_spoken_answer(tmp_path: Path) -> None:
    folder = tmp_path / "gemini-live"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".env", ".venv"))
    commands = steps()
    assert list(commands) == STEPS

    # 1: the environment is this one; what it is made with has to be right
    make, activate, install = commands["The environment"].splitlines()
    assert (make, activate) == ("python3 -m venv .venv", ". .venv/bin/activate")
    program, verb, *paths = shlex.split(install)
    assert (program, verb, len(paths)) == ("pip", "install", 3)
    for path in paths:
        check_installed(requirement_of(path))
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").touch()

    async with running_peer(rate=220) as peer, asyncio.timeout(60):
        # before 2: a missing key says what to do
        early = await sh(commands["Run"], folder, VOXWIRE_PORT="0")
        _, err = await early.communicate()
        assert early.returncode == 1
        assert b"There is no GOOGLE_API_KEY" in err and str(folder / ".env").encode() in err
        # 2
        keyed = await sh(commands["The key"].replace("your-key", peer.settings.key), folder)
        assert await keyed.wait() == 0
        place = {k: v for k, v in peer.env.items() if k != "GOOGLE_API_KEY"}
        with (folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in place.items())
        # 5
        server = await sh(f"exec {commands['Run']}", folder, VOXWIRE_PORT="0")
        try:
            assert server.stdout is not None
            first = (await server.stdout.readline()).decode()
            address = re.search(r"listens on (ws://\S+)", first)
            assert address is not None, first
            said = commands["Talk"].replace("ws://127.0.0.1:7860", address[1])
            # 6
            talk = await sh(said, folder)
            out, err = await talk.communicate()
            assert talk.returncode == 0, err.decode()
        finally:
            server.terminate()
            await server.communicate()
    answer = peer.spoken[-1].text
    assert answer.startswith("In Paris it will be cloudy with light rain tomorrow")
    assert "rain" in out.decode()
    assert peer.received[-1].texts[-1] == "What is the weather in Paris tomorrow?"
    [call] = peer.received[-1].tool_calls
    assert call["args"] == {"city": "Paris", "day": "tomorrow"}
    rows = [json.loads(row) for row in (folder / "events.jsonl").read_text().splitlines()]
    words = [row["text"] for row in rows if row["type"] == "bot_word"]
    assert " ".join(words).endswith(answer)
    started = [row for row in rows if row["type"] == "utterance_started"]
    assert {row["source"] for row in started} == {"estimated"}
    assert (folder / "bot.wav").stat().st_size > 48_000


@pytest.mark.parametrize(
    ("name", "most"), [("gemini-live", 150), ("openai-realtime", 60), ("nova-sonic", 60)]
)
def test_an_example_is_short_and_has_a_readme_that_runs_it(name: str, most: int) -> None:
    assert len((EXAMPLES / name / "bot.py").read_text("utf-8").splitlines()) <= most
    assert "voxwire-server run bot.py" in (EXAMPLES / name / "README.md").read_text("utf-8")


def test_every_key_of_the_example_has_its_line_in_env_example() -> None:
    lines = (EXAMPLE / ".env.example").read_text("utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["GOOGLE_API_KEY="]
