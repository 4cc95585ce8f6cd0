"""Microphones and speakers that a program chose are used again, by name, while they are there."""

import json
import logging
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from live import for_ever, live, microphone, speaker
from virtual import Log, session_of, virtual

import voxwire
from voxwire._live import memory
from voxwire._live.memory import default_path
from voxwire.cli.arguments import parser
from voxwire.cli.lines import plain_line
from voxwire.cli.live_talk import _device
from voxwire.testing import FakeDevice, FakeDevices, FakeServer, FakeSession, VirtualTime

HEADSET, MIC, SPEAKER = "Headset", "Built-in Mic", "Built-in Speaker"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="of Linux")


async def listens(session: FakeSession) -> None:
    await session.listen()


def machine(*more: FakeDevice) -> FakeDevices:
    return FakeDevices(microphone(), speaker(), *more)


def kept(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


async def opened(
    devices: FakeDevices, path: Path | bool, **options: Any
) -> dict[str, voxwire.DeviceChanged]:
    """The devices that a session of these options begins with, by kind."""
    async with FakeServer(for_ever(listens)) as server:
        async with live(server, devices, remember_devices=path, **options) as session:
            found: dict[str, voxwire.DeviceChanged] = {}
            while len(found) < 2:
                event = await session.wait_for(voxwire.DeviceChanged)
                found[event.kind] = event
            return found


@virtual
async def test_what_was_chosen_once_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "settings" / "devices.json"
    first = await opened(machine(microphone(HEADSET)), path, microphone=voxwire.Device("head"))
    assert (first["microphone"].name, first["speaker"].name) == (HEADSET, SPEAKER)
    assert kept(path) == {"microphone": HEADSET}  # its whole name, and nothing that nobody chose
    second = await opened(machine(microphone(HEADSET)), path)
    assert (second["microphone"].name, second["microphone"].reason) == (HEADSET, "")


@virtual
async def test_an_index_is_remembered_by_the_name_of_the_device(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    await opened(machine(microphone(HEADSET)), path, microphone=2, speaker=1)
    assert kept(path) == {"microphone": HEADSET, "speaker": SPEAKER}
    moved = FakeDevices(microphone(HEADSET), microphone(), speaker("Hall"), speaker())
    again = await opened(moved, path)
    assert (again["microphone"].name, again["speaker"].name) == (HEADSET, SPEAKER)


@virtual
async def test_one_that_is_gone_gives_way_to_the_default_and_stays_remembered(
    tmp_path: Path,
) -> None:
    path = tmp_path / "devices.json"
    path.write_text(json.dumps({"microphone": HEADSET}))
    event = (await opened(machine(), path))["microphone"]
    assert (event.name, event.state) == (MIC, voxwire.DeviceState.OPENED)
    assert event.reason.startswith(
        "the microphone that is remembered cannot be had: there is no microphone 'Headset'"
    )
    assert kept(path) == {"microphone": HEADSET}
    assert plain_line(event, None).startswith(f"-- microphone {MIC} in use: ")  # type: ignore[arg-type]
    assert (await opened(machine(microphone(HEADSET)), path))["microphone"].name == HEADSET


@virtual
async def test_a_part_of_the_name_is_another_device(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_text(json.dumps({"microphone": HEADSET}))
    event = (await opened(machine(microphone("Headset of the neighbour")), path))["microphone"]
    assert event.name == MIC


@virtual
async def test_one_that_another_program_has_gives_way_too(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_text(json.dumps({"microphone": HEADSET}))
    headset = microphone(HEADSET)
    headset.busy = True
    event = (await opened(machine(headset), path))["microphone"]
    assert event.name == MIC and "another program" in event.reason


@virtual
async def test_without_any_device_the_error_is_that_of_the_default(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_text(json.dumps({"microphone": HEADSET}))
    with pytest.raises(voxwire.MediaError, match="there is no microphone; there are none"):
        await opened(FakeDevices(speaker()), path)


@virtual
async def test_one_that_comes_back_in_mid_session_is_used_again(
    tmp_path: Path, time: VirtualTime
) -> None:
    path = tmp_path / "devices.json"
    path.write_text(json.dumps({"microphone": HEADSET}))
    devices = machine()
    async with FakeServer(for_ever(listens)) as server:
        async with live(server, devices, remember_devices=path) as session:
            log = Log(session, time)
            await time.advance(200)
            headset = microphone(HEADSET)
            devices.add(headset)
            await session.audio.refresh()
            await time.advance(200)
            headset.unplug()
            await time.advance(500)
        await log.over()
    told = [it for it in log.of(voxwire.DeviceChanged) if it.kind == "microphone"]
    assert [(it.name, it.state) for it in told] == [
        (MIC, "opened"),
        (HEADSET, "opened"),
        (HEADSET, "lost"),
        (MIC, "opened"),
    ]
    assert "Headset cannot be opened" in told[-1].reason
    assert kept(path) == {"microphone": HEADSET}


@virtual
async def test_what_is_chosen_in_mid_session_is_remembered_and_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_text(json.dumps({"volume": 3}))  # of somebody else, who keeps it
    devices = machine(microphone(HEADSET), speaker("Hall"))
    async with FakeServer(for_ever(listens)) as server:
        async with live(server, devices, remember_devices=path) as session:
            await session.set_microphone(voxwire.Device(HEADSET))
            await session.set_speaker(voxwire.Device("Hall"))
            assert kept(path) == {"volume": 3, "microphone": HEADSET, "speaker": "Hall"}
            with pytest.raises(voxwire.MediaError):
                await session.set_microphone(voxwire.Device("none of them"))
            await session.set_microphone(None)
            await session.set_microphone(True)  # the remembered one
            assert devices.all[2].running
            assert kept(path)["microphone"] == HEADSET
            await session.set_microphone(voxwire.Device())  # the system's, whatever was before
            assert devices.all[0].running and not devices.all[2].running
    assert kept(path) == {"volume": 3, "speaker": "Hall"}


@virtual
async def test_nothing_is_written_unless_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "default_path", lambda: tmp_path / "devices.json")
    await opened(machine(), False, microphone=voxwire.Device(MIC))
    await opened(machine(), True)  # nobody has chosen one
    assert not list(tmp_path.iterdir())
    await opened(machine(), True, microphone=voxwire.Device(MIC))
    assert kept(tmp_path / "devices.json") == {"microphone": MIC}


@on_linux
@virtual
async def test_the_file_is_its_users_own(tmp_path: Path) -> None:
    path = tmp_path / "settings" / "devices.json"
    await opened(machine(), path, microphone=voxwire.Device(MIC))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [it.name for it in path.parent.iterdir()] == ["devices.json"]
    link = tmp_path / "link.json"
    link.symlink_to(path)
    await opened(machine(microphone(HEADSET)), link, microphone=voxwire.Device(HEADSET))
    assert link.is_symlink() and kept(path) == {"microphone": HEADSET}


@pytest.mark.parametrize("text", ["[1, 2]", "no JSON", "\xff", '{"microphone": 7}', "[" * 70_000])
@virtual
async def test_a_file_of_somebody_else_is_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_bytes(text.encode("latin-1"))
    assert (await opened(machine(), path))["microphone"].name == MIC
    assert path.read_bytes() == text.encode("latin-1")


@virtual
async def test_what_cannot_be_written_is_logged_and_costs_no_session(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").write_text("a file")
    for path in (tmp_path / "folder" / "devices.json", tmp_path):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "voxwire"):
            found = await opened(machine(), path, microphone=voxwire.Device(MIC))
        assert found["microphone"].name == MIC
        assert "the chosen microphone is not remembered" in caplog.text
    path = tmp_path / "theirs.json"
    path.write_text("no JSON")
    caplog.clear()
    await opened(machine(), path, microphone=voxwire.Device(MIC))
    assert path.read_text() == "no JSON" and "not remembered" in caplog.text


@pytest.mark.parametrize("given", [1, "", b"devices.json", None, object()])
def test_what_is_no_path_is_refused(given: Any) -> None:
    with pytest.raises(voxwire.UsageError, match="remember_devices"):
        voxwire.connect("ws://127.0.0.1:1", remember_devices=given)


@virtual
async def test_sources_that_are_no_devices_are_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    async with FakeServer(for_ever(listens)) as server:
        async with session_of(server, remember_devices=path, speaker=voxwire.Recording()):
            pass
    assert not path.exists()


@on_linux
def test_it_is_where_the_system_keeps_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/people/ada")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/settings")
    assert default_path() == Path("/settings/voxwire/devices.json")
    for none in ("", "relative"):  # XDG Base Directory: not absolute = not set
        monkeypatch.setenv("XDG_CONFIG_HOME", none)
        assert default_path() == Path("/people/ada/.config/voxwire/devices.json")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_path() == Path("/people/ada/Library/Application Support/voxwire/devices.json")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert default_path() == Path("/local/voxwire/devices.json")


def test_without_a_home_a_path_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(voxwire.UsageError, match="no home folder"):
        voxwire.connect("ws://127.0.0.1:1", remember_devices=True)


def test_talk_chooses_remembers_and_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*arguments: str) -> Any:
        return _device(parser().parse_args(["talk", "ws://x", *arguments]).microphone)

    assert asked() is True
    assert asked("--microphone", "head") == voxwire.Device("head")
    assert asked("--microphone", "3") == 3
    assert asked("--microphone", "") == voxwire.Device()
