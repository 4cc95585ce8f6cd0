"""``examples/self-host/compose``: its commands, its file, and the programs with its settings."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.coturn import MISSING, free_ports
from tests.support.readmes import read_fences
from voxwire_server.config import Settings, check_names

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/self-host/compose"
README = "examples/self-host/compose/README.md"
HARDENED = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "init": True,
}
CAPABILITIES = {"caddy": ["NET_BIND_SERVICE"], "coturn": ["NET_BIND_SERVICE"]}
WRITABLE = {"/tmp", "/data", "/config"}


def bin_of(name: str) -> Path:
    """A program of the environment that the tests run in."""
    return Path(sys.executable).with_name(name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after the README's commands, for 127.0.0.1."""
    made = tmp_path_factory.mktemp("self-host") / "compose"
    shutil.copytree(FOLDER, made)
    [block] = [
        fence
        for fence in read_fences((FOLDER / "README.md").read_text("utf-8"), README)
        if fence.kind == "program"
    ]
    commands = block.text.replace("ADDRESS=203.0.113.10", "ADDRESS=127.0.0.1")
    if os.geteuid() != 0:
        commands = commands.replace("chown", "true")
    ended = subprocess.run(["bash", "-ec", commands], cwd=made, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return made


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as it is read."""
    return yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))


def schema_check(file: Path) -> "subprocess.CompletedProcess[str]":
    """The schema of the Compose specification, out of a package: nothing is asked of a network."""
    return subprocess.run(
        [bin_of("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", file],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_file_is_what_the_compose_specification_says(tmp_path: Path) -> None:
    checked = schema_check(FOLDER / "compose.yaml")
    assert checked.returncode == 0, checked.stdout
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((FOLDER / "compose.yaml").read_text("utf-8").replace("read_only", "readonly"))
    assert schema_check(wrong).returncode == 1


def test_every_container_is_hardened(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"server", "caddy", "coturn"}
    for name, service in compose["services"].items():
        assert {key: service.get(key) for key in HARDENED} == HARDENED, name
        assert service.get("cap_add", []) == CAPABILITIES.get(name, []), name
        assert "privileged" not in service
        assert service["mem_limit"]
        assert service["pids_limit"] >= 1024
        for tmpfs in service["tmpfs"]:
            assert {"noexec", "nosuid", "nodev"} <= set(tmpfs.partition(":")[2].split(",")), name
        mounts = [mount.split(":") for mount in service.get("volumes", [])]
        written = {target for _, target, *mode in mounts if mode != ["ro"]}
        assert written <= WRITABLE, name
        assert not any("docker.sock" in source for source, *_ in mounts)


def test_a_file_that_is_mounted_or_read_is_there(compose: dict[str, Any], folder: Path) -> None:
    for service in compose["services"].values():
        sources = [mount.split(":")[0] for mount in service.get("volumes", [])]
        assert {s for s in sources if not s.startswith("./")} <= set(compose["volumes"])
        for name in [*(s for s in sources if s.startswith("./")), *service.get("env_file", [])]:
            assert (folder / name).is_file(), name


def test_a_stop_waits_for_as_long_as_sessions_may_go_on(
    compose: dict[str, Any], folder: Path
) -> None:
    seconds = int(compose["services"]["server"]["stop_grace_period"].removesuffix("s"))
    settings = Settings()
    assert seconds * 1000 >= settings.drain_ms + settings.end_timeout_ms + 2000
    assert "VOXWIRE_DRAIN_MS" not in environment_of(folder)


def environment_of(folder: Path) -> dict[str, str]:
    """The settings of the container."""
    lines = (folder / "voxwire.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_secrets_are_for_their_readers_alone(folder: Path) -> None:
    assert (folder / "voxwire.env").stat().st_mode & 0o077 == 0
    assert (folder / "turnserver.conf").stat().st_mode & 0o077 == 0
    settings = environment_of(folder)
    check_names(settings)
    secrets = [settings[f"VOXWIRE_{name}"] for name in ("KEY", "ADMIN_KEY", "TURN_SECRET")]
    assert len(set(secrets)) == 3
    assert all(len(secret) == 64 for secret in secrets)
    for path in FOLDER.iterdir():
        assert "SECRET=\n" not in path.read_text("utf-8")


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture
def relay(folder: Path, tmp_path: Path) -> Iterator[int]:
    """The real coturn with the shipped file, on another port."""
    port = free_ports().port
    text = (folder / "turnserver.conf").read_text("utf-8")
    text = text.replace("=3478", f"={port}").replace("/tmp/", f"{tmp_path}/")
    (tmp_path / "turnserver.conf").write_text(text)
    log = tmp_path / "turnserver.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["turnserver", "-c", tmp_path / "turnserver.conf"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < deadline, log.read_text()[-4000:]
            time.sleep(0.05)  # real time: poll
        yield port
    finally:
        process.kill()
        process.wait(10)
    assert "Bad configuration" not in log.read_text()


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_the_check_finds_nothing_wrong_but_a_proxy_that_is_not_there(
    folder: Path, relay: int, tmp_path: Path
) -> None:
    settings = environment_of(folder)
    settings["VOXWIRE_TURN_URLS"] = settings["VOXWIRE_TURN_URLS"].replace(
        "turn.example.com:3478", f"127.0.0.1:{relay}"
    )
    ports = free_ports()
    settings["VOXWIRE_PORT"] = str(ports.port)
    settings["VOXWIRE_ADMIN_ADDRESS"] = f"127.0.0.1:{ports.tls_port}"
    settings["VOXWIRE_PUBLIC_URL"] = f"https://127.0.0.1:{free_ports().port}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VOXWIRE_")}
    ended = subprocess.run(
        [bin_of("voxwire-server"), "check", "--json"],
        env={**kept, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    findings = json.loads(ended.stdout)["findings"]
    print(json.dumps(findings, indent=1))
    assert {found["name"] for found in findings if found["state"] != "ok"} == {"certificate"}
    assert {"settings", "key", "proxy", "port", "turn", "bot"} <= {f["name"] for f in findings}


def _timeouts(file: Path) -> list[str]:
    """How long each may take, as the recipe beside it has it."""
    return re.findall(r"^\s+((?:read_header|read_body|idle) \d+s)$", file.read_text(), re.MULTILINE)


@pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is missing (make system)")
def test_caddy_takes_its_file_and_leads_to_the_bot(folder: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        ["caddy", "adapt", "--config", folder / "Caddyfile", "--validate"],
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    settings = environment_of(folder)
    upstream = f"{settings['VOXWIRE_HOST']}:{settings['VOXWIRE_PORT']}"
    assert f'"dial":"{upstream}"' in ended.stdout
    assert '"admin":{"disabled":true' in ended.stdout
    assert _timeouts(folder / "Caddyfile") == _timeouts(FOLDER.parent / "Caddyfile")
    assert f'"{settings["VOXWIRE_PUBLIC_URL"].removeprefix("https://")}"' in ended.stdout
