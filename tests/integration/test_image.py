"""The image of the server: built without a network, run without rights, talked to from outside."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.clients import TALK
from tests.support.coturn import free_ports
from tests.support.image import Image, build_image, why_no_image
from tests.support.waiting import DEADLINE_S

pytestmark = [
    pytest.mark.skipif(bool(why_no_image()), reason=why_no_image()),
    pytest.mark.timeout(900),
]

ROOT = Path(__file__).resolve().parents[2]
KEY = "k" * 40
LEFT_OUT = {"llvmlite", "numba", "resampy"}
NEEDS_THEM = "pipecat.audio.resamplers.resampy_resampler"
PYTHON = "/opt/voxwire/bin/python"

IMPORTS = """
import importlib, json, pkgutil, sys
from pathlib import Path
import pipecat, voxwire_server
failed = {}
for package in (pipecat, voxwire_server):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".", lambda _: None):
        try:
            importlib.import_module(module.name)
        except BaseException as error:
            failed[module.name] = f"{type(error).__name__}: {error}"
json.dump(failed, sys.__stdout__)
"""
UNMET = """
import json
from importlib.metadata import distributions
from packaging.requirements import Requirement
have = {d.name.lower().replace("_", "-") for d in distributions()}
wanted = {
    r.name.lower().replace("_", "-")
    for d in distributions() for r in map(Requirement, d.requires or ())
    if r.marker is None or r.marker.evaluate({"extra": ""})
}
print(json.dumps(sorted(wanted - have)))
"""


class Server(NamedTuple):
    """A container that runs the server."""

    process: "subprocess.Popen[str]"
    port: int
    settings: dict[str, str]

    def token(self) -> str:
        """A token for one session."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/tokens",
            b'{"user": "ada"}',
            {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return json.loads(answer.read())["token"]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Built once, from the tree as it is."""
    folder = Path(tempfile.mkdtemp(prefix="voxwire-image-"))
    try:
        made, why = build_image(folder)
        if made is None:
            pytest.skip(f"there is no base: {why}")
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(image: Image) -> Iterator[Server]:
    """The image's own command, with a key."""
    port = free_ports().port
    settings = {
        "VOXWIRE_KEY": KEY,
        "VOXWIRE_PORT": str(port),
        "VOXWIRE_ICE_ADDRESSES": "127.0.0.1",
    }
    process = image.start(**settings)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "listens on" in line:
                break
        else:
            pytest.fail("the server did not start")
        yield Server(process, port, settings)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
def test_a_conversation_with_the_server_inside(server: Server, transport: str) -> None:
    talk = subprocess.run(
        [
            *(*TALK, f"ws://127.0.0.1:{server.port}", "--token", server.token()),
            *("--transport", transport, "--text", "what is the weather in paris"),
        ],
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        check=False,
    )
    assert talk.returncode == 0, talk.stdout + talk.stderr
    assert "In Paris it is" in talk.stdout


def test_it_says_that_it_is_alive_and_ends_on_its_signal(server: Server, image: Image) -> None:
    kind, *command = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"  # not a shell's
    code, output = image.run(entrypoint=command, **server.settings)
    assert (code, output) == (0, "")
    assert image.config["StopSignal"] == "SIGTERM"
    server.process.send_signal(signal.SIGTERM)
    server.process.communicate(timeout=DEADLINE_S)
    assert server.process.returncode == 0
    code, output = image.run(entrypoint=command, **server.settings)
    assert code == 1
    assert "no answer" in output


def test_nothing_but_a_tmpfs_can_be_written_and_no_right_is_left(
    server: Server, image: Image
) -> None:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) == set(fields["Gid"].split()) == {"10001"}
    assert fields["NoNewPrivs"] == "1"
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == int(fields["CapInh"], 16) == 0
    mounts = Path(f"/proc/{server.process.pid}/mounts").read_text().splitlines()
    options = {at: flags.split(",") for _, at, _, flags, *_ in map(str.split, mounts)}
    assert "ro" in options["/"]
    writable = {at for at, flags in options.items() if "rw" in flags and not at.startswith("/dev/")}
    assert writable == {"/tmp"}
    shell = {"sh", "bash", "dash"}
    assert not shell & {Path(part).name for part in image.config["Entrypoint"]}


def test_it_does_not_listen_without_a_key(image: Image) -> None:
    code, output = image.run()
    assert code == 1
    assert "VOXWIRE_KEY" in output


def test_the_check_runs_in_it(image: Image) -> None:
    code, output = image.run("check", VOXWIRE_KEY=KEY, VOXWIRE_PORT=str(free_ports().port))
    assert code == 0, output
    assert "FAILED" not in output


def test_no_package_is_missing_but_those_that_are_left_out(image: Image) -> None:
    [site] = (image.files / "opt/voxwire/lib").glob("python*/site-packages")
    assert not (site / "pip").exists()
    ended, output = image.run("-c", UNMET, entrypoint=[PYTHON])
    assert ended == 0, output
    assert set(json.loads(output)) == {"numba", "resampy"}  # llvmlite is numba's
    assert not [name for name in LEFT_OUT if list(site.glob(f"{name}*"))]


def test_one_module_alone_misses_what_is_left_out(image: Image) -> None:
    """What else fails in the image is for want of a service's package that is no part of it."""
    ended, output = image.run("-c", IMPORTS, entrypoint=[PYTHON])
    assert ended == 0, output[-2000:]
    failed = json.loads(output[output.rindex("{") :])
    blocked = {name: why for name, why in failed.items() if _is_of(why, LEFT_OUT)}
    assert set(blocked) == {NEEDS_THEM}
    ours = {name for name in failed if name.startswith("voxwire_server.")}
    assert not {n: failed[n] for n in ours if not re.search("gemini|nova|openai", n)}


def _is_of(why: str, names: set[str]) -> bool:
    return any(re.search(rf"\b{name}\b", why) for name in names)


def test_the_size_by_package_is_what_the_document_says(image: Image) -> None:
    [site] = (image.files / "opt/voxwire/lib").glob("python*/site-packages")
    measured = _sizes(site)
    total = sum(measured.values())
    for name, size in sorted(measured.items(), key=lambda item: -item[1])[:14]:
        print(f"| {name} | {size:.0f} |")
    print(f"all of them: {total:.0f} MB")
    text = (ROOT / "docs/image.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\w-]+) \| (\d+) \|", text, re.MULTILINE)
    assert len(rows) > 8
    for name, said in rows:
        assert measured[name] == pytest.approx(int(said), rel=0.15, abs=2), name
    [said] = re.findall(r"(\d+) MB of packages", text)
    assert total == pytest.approx(int(said), rel=0.1)


def _sizes(site: Path) -> dict[str, float]:
    """MB of each distribution, from its own list of files."""
    sizes: dict[str, float] = {}
    for record in site.glob("*.dist-info/RECORD"):
        name = record.parent.name.split("-")[0].lower().replace("_", "-")
        paths = [site / line.split(",")[0] for line in record.read_text("utf-8").splitlines()]
        sizes[name] = sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
    return sizes


def test_python_is_the_one_that_the_wheels_are_for(image: Image) -> None:
    ended, output = image.run("-V", entrypoint=[PYTHON])
    assert ended == 0
    assert output.startswith(f"Python {sys.version_info[0]}.{sys.version_info[1]}.")
