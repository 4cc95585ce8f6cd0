"""Whoever asks for a device gets an answer: after the session, at its end, and when all fails."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from live import live, microphone, speaker
from test_live import SoundDevice
from virtual import virtual

import voxwire
from voxwire._live import portaudio
from voxwire._live.backend import Device
from voxwire._live.echo import echo_filter
from voxwire._live.keeper import Keeper, Slot
from voxwire._live.microphone import LiveMicrophone
from voxwire.testing import FakeDevice, FakeDevices, FakeServer, FakeSession
from voxwire_protocol.clocks import SYSTEM_CLOCK
from voxwire_protocol.errors import ErrorCode, MediaError, UsageError
from voxwire_protocol.events import DeviceKind

DEADLINE_S = 30
Ask = Callable[[Keeper, Slot], Awaitable[None]]


async def swapped(keeper: Keeper, slot: Slot) -> None:
    await keeper.swap(slot, Device("USB"))


async def refreshed(keeper: Keeper, _: Slot) -> None:
    await keeper.refresh()


class Devices(FakeDevices):
    """Those in memory; from `gate` on whoever uses them is held, or gets `failure`."""

    def __init__(self, *devices: FakeDevice) -> None:
        super().__init__(*devices, clock=SYSTEM_CLOCK)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.failure: Exception | None = None

    def devices(self) -> list[voxwire.DeviceInfo]:
        self._pass()
        return list(super().devices())

    def refresh(self) -> bool:
        self._pass()
        return super().refresh()

    def _pass(self) -> None:
        if not self.gate.is_set():
            self._loop.call_soon_threadsafe(self.entered.set)
            self.gate.wait(DEADLINE_S)
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure


async def kept(devices: Devices) -> tuple[Keeper, Slot, "asyncio.Task[None]"]:
    """A keeper at work on a microphone."""
    opened = asyncio.Event()
    echo, _ = echo_filter("none", both_live=False)
    end = LiveMicrophone(SYSTEM_CLOCK, echo, None)
    slot = Slot(DeviceKind.MICROPHONE, Device(), end)
    keeper = Keeper(devices, [slot], clock=SYSTEM_CLOCK, tell=lambda _: opened.set())
    running = asyncio.create_task(keeper.run())
    async with asyncio.timeout(DEADLINE_S):
        await opened.wait()
    return keeper, slot, running


@virtual
async def test_a_session_that_has_ended_changes_no_device() -> None:
    async def bot(session: FakeSession) -> None:
        await session.listen()

    async with FakeServer(bot) as server:
        async with live(server, FakeDevices(microphone(), speaker())) as session:
            pass
        for ask in (
            lambda: session.set_microphone(True),
            lambda: session.set_speaker(True),
            session.audio.refresh,
        ):
            async with asyncio.timeout(DEADLINE_S):
                with pytest.raises(UsageError, match="the session has ended") as caught:
                    await ask()
            assert caught.value.code == ErrorCode.INVALID_STATE


@pytest.mark.parametrize("ask", [swapped, refreshed])
async def test_a_session_that_ends_meanwhile_answers(ask: Ask) -> None:
    devices = Devices(microphone(), microphone("USB"))
    keeper, slot, running = await kept(devices)
    devices.gate.clear()
    asking = asyncio.create_task(ask(keeper, slot))
    async with asyncio.timeout(DEADLINE_S):
        await devices.entered.wait()
        running.cancel()
        with pytest.raises(UsageError, match="the session has ended"):
            await asking
        await asyncio.gather(running, return_exceptions=True)
    devices.gate.set()


@pytest.mark.parametrize("ask", [swapped, refreshed])
async def test_a_backend_that_breaks_leaves_nobody_waiting(ask: Ask) -> None:
    devices = Devices(microphone(), microphone("USB"))
    keeper, slot, running = await kept(devices)
    devices.failure = RuntimeError("a driver's fault")
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(UsageError, match="the session has ended"):
            await ask(keeper, slot)
        with pytest.raises(RuntimeError, match="a driver's fault"):
            await running


async def test_a_list_that_cannot_be_made_anew_leaves_the_devices_at_work() -> None:
    mic = microphone()
    devices = Devices(mic)
    keeper, _, running = await kept(devices)
    devices.failure = MediaError(ErrorCode.DEVICE, "no list today")
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(MediaError, match="no list today"):
            await keeper.refresh()
        assert mic.running
        await keeper.refresh()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert not mic.running


def test_what_portaudio_raises_is_an_error_of_ours_and_the_next_refresh_tries_again() -> None:
    class Failing(SoundDevice):
        fails = True

        def query_devices(self) -> list[dict[str, object]]:
            if self.fails:
                raise self.PortAudioError("no devices")
            return super().query_devices()

        def _initialize(self) -> None:
            if self.fails:
                raise self.PortAudioError("no server")
            super()._initialize()

    module = Failing()
    devices = portaudio.PortAudioDevices(module)
    with pytest.raises(MediaError, match="no devices") as caught:
        devices.devices()
    assert caught.value.code == ErrorCode.DEVICE
    with pytest.raises(MediaError, match="no server"):
        devices.refresh()
    module.fails = False
    assert devices.refresh()
    assert module.log == ["terminate", "initialize"]
