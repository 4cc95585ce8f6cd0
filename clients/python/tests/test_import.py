"""What `import voxwire` loads, what the first session loads, when, and what both cost."""

import ast
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import voxwire

HEAVY = ["pipecat", "fastapi", "aiortc", "av", "rich", "pydantic", "voxwire_server"]
HEAVY += ["sounddevice", "livekit", "yaml", "httpx", "anyio"]
NOT_FOR_A_FIRST_SESSION = [
    "voxwire._prepare",
    "voxwire._webrtc_path",
    "voxwire.cli",
    "voxwire.diagnosis",
    "voxwire.rtvi",
    "voxwire.sync",
    "voxwire.testing",
    "voxwire_protocol.json_schema",
    "voxwire_protocol.opus",
    "voxwire_protocol.rtc",
    "voxwire_protocol.rtvi",
    "voxwire_protocol.tool_signature",
    "voxwire_protocol.tool_spec",
    "voxwire_protocol.tools",
]

LOADED = """
import json, sys
before = set(sys.modules)
{program}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def output_of(program: str) -> str:
    """What a program prints, run in a process of its own with the bytecode that it is installed
    with.
    """
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment,
    )
    return done.stdout


def loaded_by(program: str) -> list[str]:
    """The modules that a program loads."""
    return json.loads(output_of(LOADED.format(program=program)))


def outside(modules: list[str]) -> list[str]:
    """Those that Python does not bring along."""
    return [name for name in modules if name.split(".")[0] not in sys.stdlib_module_names]


def test_importing_it_loads_no_other_module_of_ours_and_nothing_of_others() -> None:
    loaded = loaded_by("import voxwire")
    assert outside(loaded) == ["voxwire"]
    assert not {"asyncio", "ssl", "dataclasses", "logging"} & {*loaded}


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("BotWord", "voxwire_protocol.events"),
        ("ErrorCode", "voxwire_protocol.errors"),
        ("Conversation", "voxwire.conversation"),
    ],
)
def test_a_name_loads_what_it_needs_and_no_session(name: str, home: str) -> None:
    loaded = loaded_by(f"import voxwire; voxwire.{name}")
    assert home in loaded
    assert not {"numpy", "websockets", "voxwire._connect"} & {*loaded}


def test_a_first_session_loads_only_what_it_needs() -> None:
    loaded = loaded_by("from voxwire import connect; connect('ws://127.0.0.1:1')")
    assert "voxwire._runtime" in loaded
    assert not {*HEAVY, *NOT_FOR_A_FIRST_SESSION} & {*loaded}


COMMAND = """
from voxwire.cli import main
try:
    main({arguments})
except SystemExit:
    print()
"""
COMMANDS = ("talk", "say", "events", "call", "eval", "load", "doctor")
ARGUMENTS = "arguments completion numbers steps trying_arguments"


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["--help"], ["--version"]),
        *([name, "--help"] for name in COMMANDS),
    ],
)
def test_help_and_version_load_no_command_and_no_session(arguments: list[str]) -> None:
    program = LOADED.format(program=COMMAND.format(arguments=arguments))
    loaded = json.loads(output_of(program).splitlines()[-1])
    ours = {"voxwire", "voxwire._choices", "voxwire.cli"}
    ours |= {f"voxwire.cli.{name}" for name in ARGUMENTS.split()}
    if arguments == ["--version"]:
        ours.add("voxwire._version")
    assert {*outside(loaded)} == ours
    assert not {"asyncio", "dataclasses", "logging", "ssl"} & {*loaded}


@pytest.mark.parametrize(
    ("command", "others"),
    [
        ("call", {"doctor", "evaluate", "live_talk", "load", "looking", "short", "talk"}),
        ("live_talk", {"call", "doctor", "evaluate", "load", "looking", "short"}),
        ("looking", {"doctor", "evaluate", "live_talk", "load", "short", "talk"}),
        ("doctor", {"evaluate", "live_talk", "load", "looking", "short", "talk"}),
    ],
)
def test_a_command_loads_no_other_one(command: str, others: set[str]) -> None:
    loaded = loaded_by(f"import voxwire.cli.{command}")
    assert not {f"voxwire.cli.{name}" for name in others} & {*loaded}


IN_A_SESSION = """
import asyncio, json, sys
import numpy as np
import voxwire
from voxwire.testing import FakeServer

@voxwire.tool
async def where(place: str) -> str:
    '''Where a place is.'''
    return place

async def bot(session):
    await session.call_tool("where", {"place": "Paris"})
    await session.say("Here it is.")

async def main():
    async with FakeServer(bot) as server:
        connection = voxwire.connect(
            server.url,
            environment=server.environment,
            tools=[where],
            microphone=np.zeros(1600, np.int16),
        )
        before = set(sys.modules)
        async with connection as session:
            heard = [event.text async for event in session if isinstance(event, voxwire.BotWord)]
        print(json.dumps([heard, sorted(set(sys.modules) - before)]))

asyncio.run(main())
"""


def test_nothing_is_loaded_while_a_session_is_on() -> None:
    heard, loaded = json.loads(output_of(IN_A_SESSION))
    assert heard == ["Here", "it", "is."]
    assert outside(loaded) == []


def test_a_type_checker_sees_each_name_where_the_program_finds_it() -> None:
    checked: dict[str, str] = {}
    for node in ast.walk(ast.parse(Path(voxwire.__file__).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("voxwire"):
            checked |= {name.name: str(node.module) for name in node.names}
    assert sorted(checked) == voxwire.__all__
    events = voxwire._EVENTS
    assert checked == {name: voxwire._MODULES.get(name, events) for name in voxwire.__all__}
    assert {*voxwire._MODULES} <= {*voxwire.__all__}


def test_a_name_that_is_none_of_ours_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'voxwire' has no attribute 'conect'") as error:
        voxwire.conect  # noqa: B018
    assert error.value.name == "conect"
    with pytest.raises(ImportError):
        from voxwire import conect  # noqa: F401
    assert {*voxwire.__all__} <= {*dir(voxwire)}


PLAN_TURNS_PER_S = 11_000_000
"""How often the plan's processor gets round the loop below: TURNS of scripts/test.py, a second."""

MEASURE = """
import time

def speed():
    began, used, count = time.monotonic(), time.process_time(), 0
    while time.monotonic() - began < 0.1:
        count += 1
    return count / (time.process_time() - used)

before, began = speed(), time.process_time()
{program}
used_s = time.process_time() - began
print(used_s, (before + speed()) / 2)
"""


def plan_s(program: str) -> float:
    """What a program takes of a processor as fast as the plan's, seconds, by a measure of how fast
    the processor is just then.
    """
    used_s, turns = map(float, output_of(MEASURE.format(program=program)).split())
    at_plan_s = used_s * turns / PLAN_TURNS_PER_S
    print(f"{program}: {used_s:.3f} s at {turns / PLAN_TURNS_PER_S:.0%}: {at_plan_s:.3f} s")
    return at_plan_s


def takes_at_most(program: str, most_s: float) -> bool:
    """Whether one of thirty runs does; what else the machine does can only make them longer, and
    the same processor takes 0.24 to 0.33 s for the same files within a minute.
    """
    output_of(program)  # writes the bytecode
    return any(plan_s(program) <= most_s for _ in range(30))


def test_importing_it_takes_next_to_nothing() -> None:
    assert takes_at_most("import voxwire", 0.05)  # real time: processor, by the plan's speed


OTHERS = "import asyncio, numpy, google.protobuf.message, websockets.asyncio.client"
"""What a session needs of others: three fifths of what it takes to load it, on any machine."""
BESIDE = 1.9


def loading_s(program: str) -> float:
    """What a program takes of this processor, seconds."""
    return float(output_of(MEASURE.format(program=program)).split()[0])


@pytest.mark.timing(reason="a whole session is loaded in little more than what it needs of others")
def test_a_session_takes_little_more_to_load_than_what_it_needs_of_others() -> None:
    session = "from voxwire import connect"
    output_of(session)  # writes the bytecode
    taken = [(loading_s(session), loading_s(OTHERS)) for _ in range(15)]
    shares = sorted(ours / others for ours, others in taken)
    print("a session by what it needs of others:", *(f"{share:.2f}" for share in shares))
    assert statistics.median(shares) <= BESIDE


@pytest.mark.parametrize("module", sorted(voxwire._SUBMODULES))
def test_a_public_module_needs_no_import_of_its_own(module: str) -> None:
    assert f"voxwire.{module}" in loaded_by(f"import voxwire; voxwire.{module}")


def test_the_public_modules_are_what_they_were() -> None:
    names = "audio conversation diagnosis latency playout session tokens tools"
    assert sorted(voxwire._SUBMODULES) == names.split()
    assert {*dir(voxwire)} >= voxwire._SUBMODULES
