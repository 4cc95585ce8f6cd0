"""What is known of microphone and speaker before anybody connects."""

import asyncio
import builtins
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from live import microphone, speaker
from virtual import virtual

import voxwire
from voxwire import sync
from voxwire._live import portaudio
from voxwire._live.backend import DeviceBusyError, DeviceInfo
from voxwire.testing import Environment, FakeDevices, VirtualTime
from voxwire_protocol.events import DeviceKind

MIC, SPEAKER = DeviceKind.MICROPHONE, DeviceKind.SPEAKER
READY, NOT_INSTALLED, MISSING, BUSY, ERROR = voxwire.DeviceReadiness


async def states(
    devices: FakeDevices, time: VirtualTime, **options: Any
) -> dict[DeviceKind, voxwire.DeviceStatus]:
    around = Environment(devices=devices, clock=time)
    return await voxwire.device_states(environment=around, **options)


@virtual
async def test_what_can_be_had_is_ready_and_closed_again(time: VirtualTime) -> None:
    mic, out = microphone(), speaker()
    began_ms = time.now_ms()
    found = await states(FakeDevices(mic, out), time)
    assert [*found] == [MIC, SPEAKER]
    assert {(it.state, it.reason, it.advice) for it in found.values()} == {(READY, "", "")}
    assert [it.device.name for it in found.values() if it.device] == [mic.name, out.name]
    assert mic.started_ms >= began_ms and out.played  # each was at work
    assert not mic.running and not out.running


@virtual
async def test_what_is_wrong_is_named_with_what_to_do(time: VirtualTime) -> None:
    mic, out = microphone(), speaker()
    devices = FakeDevices(mic, out)
    mic.busy, out.working = True, False
    found = await states(devices, time)
    assert (found[MIC].state, found[SPEAKER].state) == (BUSY, ERROR)
    assert found[MIC].device is not None and "another program" in found[MIC].reason
    assert "end the program" in found[MIC].advice
    assert "cannot be opened" in found[SPEAKER].reason and "allow its use" in found[SPEAKER].advice


@virtual
async def test_one_that_brings_nothing_is_an_error_and_is_closed(time: VirtualTime) -> None:
    mic = microphone()
    mic.calling = False
    found = await states(FakeDevices(mic), time, speaker=False)
    assert [*found] == [MIC]
    assert found[MIC].state is ERROR and "3000 ms" in found[MIC].reason
    assert not mic.running


@virtual
async def test_none_is_missing_until_one_is_plugged_in(time: VirtualTime) -> None:
    devices = FakeDevices(speaker())
    found = await states(devices, time, speaker=None)
    assert found[MIC].state is MISSING and found[MIC].device is None
    assert "there is no microphone" in found[MIC].reason and "plug one in" in found[MIC].advice
    devices.add(microphone())
    assert (await states(devices, time))[MIC].state is READY


@virtual
async def test_a_device_may_be_asked_for_by_name(time: VirtualTime) -> None:
    devices = FakeDevices(microphone(), microphone("Headset 1"), microphone("Headset 2"))
    found = await states(devices, time, microphone=voxwire.Device("Headset 2"), speaker=None)
    assert found[MIC].device == DeviceInfo(2, "Headset 2", 1, 0, 48_000)
    found = await states(devices, time, microphone=voxwire.Device("USB"), speaker=None)
    assert found[MIC].state is MISSING
    with pytest.raises(voxwire.UsageError, match="more than one"):
        await states(devices, time, microphone=voxwire.Device("Headset"))


async def test_without_the_extra_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def fails(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "sounddevice":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", fails)
    portaudio.machine_devices.cache_clear()
    try:
        found = await voxwire.device_states()
    finally:
        portaudio.machine_devices.cache_clear()
    assert {it.state for it in found.values()} == {NOT_INSTALLED}
    assert "voxwire[audio]" in found[MIC].reason
    assert found[MIC].advice == "install what the reason names"


def test_portaudio_says_that_another_program_has_it() -> None:
    class PortAudioError(Exception):
        pass

    def sounddevice(code: int) -> Any:
        def fails(**_: Any) -> Any:
            raise PortAudioError("Error opening InputStream", code)

        return SimpleNamespace(PortAudioError=PortAudioError, InputStream=fails)

    device = DeviceInfo(0, "mic", 1, 0, 48_000)
    for code, busy in ((-9985, True), (-9997, False)):
        devices = portaudio.PortAudioDevices(sounddevice(code))
        with pytest.raises(voxwire.MediaError) as caught:
            devices.open_input(device, lambda _: None, lambda: None)
        assert isinstance(caught.value, DeviceBusyError) is busy
        assert caught.value.code is voxwire.ErrorCode.DEVICE


async def test_the_facade_says_the_same() -> None:
    mic = microphone()
    around = Environment(devices=FakeDevices(mic))
    found = await asyncio.to_thread(sync.device_states, environment=around)
    assert {kind: it.state for kind, it in found.items()} == {MIC: READY, SPEAKER: MISSING}
    assert not mic.running
