"""What the command line loads before there is anything to do; a server takes over a second."""

import json
import subprocess
import sys

import pytest

LOADED = """
import json, sys
before = set(sys.modules)
from voxwire_server.cli import main
try:
    code = main({arguments})
except SystemExit as end:
    code = end.code
print()
print(json.dumps([code, sorted(set(sys.modules) - before)]))
"""
OURS = ["voxwire_server", "voxwire_server.cli"]


@pytest.mark.parametrize(
    ("arguments", "code", "ours"),
    [
        (["--version"], 0, [*OURS, "voxwire_server.version"]),
        (["--help"], 0, OURS),
        (["run", "--help"], 0, OURS),
        (["check", "--help"], 0, OURS),
        (["sessions", "--help"], 0, OURS),
        ([], 2, OURS),
    ],
)
def test_help_and_version_load_nothing_of_the_server(
    arguments: list[str], code: int, ours: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    ended, loaded = json.loads(done.stdout.splitlines()[-1])
    assert ended == code
    assert [name for name in loaded if name.split(".")[0] not in sys.stdlib_module_names] == ours
    assert not {"asyncio", "dataclasses", "logging", "ssl"} & {*loaded}
