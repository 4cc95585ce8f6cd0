"""Sound devices in memory: they run by a test's clock, drift, fall silent and go away."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from voxwire._live.backend import BLOCK_MS, DeviceBusyError, DeviceInfo, DeviceStream
from voxwire.playout import Samples
from voxwire_protocol.clocks import Clock, Timer
from voxwire_protocol.errors import ErrorCode, MediaError
from voxwire_protocol.events import DeviceKind
from voxwire_protocol.virtual_time import running_clock

__all__ = ["FakeDevice", "FakeDevices"]

_NOTHING: Final = np.zeros(0, np.int16)


class FakeDevice:
    """A microphone, a speaker, or both.

    Attributes:
        name: What the system calls it.
        sample_rate: Hz; a change counts from the next opening on.
        drift_ppm: How much faster than its rate it runs, parts per million.
        plugged: False = it is not there; a list that was made before still has it.
        working: False = it cannot be opened.
        busy: True = it cannot be opened, since another program has it.
        calling: False = it can be, and then never calls back.
        played: What it played, one block behind the other, since it was opened last.
        started_ms: When it was opened last, milliseconds of the clock.
        hear: Gives a microphone's next samples; by default what `speak` was given, then silence.
        on_play: Gets what a speaker plays.
    """

    def __init__(
        self,
        name: str,
        *,
        microphone: bool = False,
        speaker: bool = False,
        sample_rate: int = 48_000,
        drift_ppm: float = 0,
    ) -> None:
        """Creates it plugged in."""
        self.name = name
        self.is_microphone = microphone
        self.is_speaker = speaker
        self.sample_rate = sample_rate
        self.drift_ppm = drift_ppm
        self.plugged = self.working = self.calling = True
        self.busy = False
        self.played: list[Samples] = []
        self.started_ms = 0.0
        self.hear: Callable[[int], Samples] = self._spoken
        self.on_play: Callable[[Samples], object] = lambda _: None
        self.streams: list[_FakeStream] = []
        self._said: deque[Samples] = deque()

    @property
    def running(self) -> bool:
        """Whether it is open."""
        return bool(self.streams)

    @property
    def samples(self) -> Samples:
        """What it played since it was opened last, int16 mono at its rate."""
        return np.concatenate(self.played) if self.played else _NOTHING

    def speak(self, samples: Samples) -> None:
        """Lets it hear that, int16 mono at its rate, behind what it still has to hear."""
        self._said.append(samples)

    def stall(self) -> None:
        """It calls back no more, and says nothing."""
        for stream in self.streams:
            stream.stop()

    def end(self) -> None:
        """The system ends its streams, as when it is unplugged."""
        for stream in tuple(self.streams):
            stream.stop()
            stream.ended()

    def unplug(self) -> None:
        """It is gone."""
        self.plugged = False
        self.end()

    def _spoken(self, num_samples: int) -> Samples:
        out = np.zeros(num_samples, np.int16)
        filled = 0
        while filled < num_samples and self._said:
            head = self._said.popleft()
            piece = head[: num_samples - filled]
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
            if len(piece) < len(head):
                self._said.appendleft(head[len(piece) :])
        return out


class FakeDevices:
    """The devices of a machine, for ``Environment(devices=...)``; made in a running loop.

    Attributes:
        all: Every device; the first of each kind is the default, unless `defaults` says.
        defaults: The default of a kind, by name.
        refreshed: How often the list was made anew.
    """

    def __init__(self, *devices: FakeDevice, clock: Clock | None = None) -> None:
        """Takes the devices that there are; `add` brings others later."""
        self.all = list(devices)
        self.defaults: dict[DeviceKind, str] = {}
        self.refreshed = 0
        self._clock = clock or running_clock()
        self._loop = asyncio.get_running_loop()
        self._listed = self._list()

    def add(self, device: FakeDevice) -> None:
        """Plugs another one in; it is listed after a refresh."""
        self.all.append(device)

    def devices(self) -> Sequence[DeviceInfo]:
        """What there was when the list was made."""
        return [self._info(index, device) for index, device in enumerate(self._listed)]

    def default(self, kind: DeviceKind) -> int | None:
        """The default of a kind."""
        fit = [index for index, device in enumerate(self._listed) if _is(device, kind)]
        wanted = self.defaults.get(kind)
        named = [index for index in fit if self._listed[index].name == wanted]
        return next(iter(named or fit), None)

    def refresh(self) -> bool:
        """Makes the list anew, unless a device runs."""
        if any(device.running for device in self.all):
            return False
        self._listed = self._list()
        self.refreshed += 1
        return True

    def open_input(
        self, device: DeviceInfo, take: Callable[[Samples], None], ended: Callable[[], None]
    ) -> DeviceStream:
        """Records."""
        found = self._open(device)
        return self._run(found, lambda size: take(found.hear(size)), ended)

    def open_output(
        self, device: DeviceInfo, give: Callable[[int], Samples], ended: Callable[[], None]
    ) -> DeviceStream:
        """Plays."""
        found = self._open(device)
        found.played = []

        def play(num_samples: int) -> None:
            samples = give(num_samples)
            found.played.append(samples)
            found.on_play(samples)

        return self._run(found, play, ended)

    def _open(self, device: DeviceInfo) -> FakeDevice:
        found = self._listed[device.index]
        if found.busy:
            raise DeviceBusyError(ErrorCode.DEVICE, f"{found.name} is used by another program")
        if not (found.plugged and found.working and found.sample_rate == device.sample_rate):
            raise MediaError(ErrorCode.DEVICE, f"{found.name} cannot be opened")
        return found

    def _run(
        self, device: FakeDevice, work: Callable[[int], object], ended: Callable[[], None]
    ) -> DeviceStream:
        stream = _FakeStream(device, work, ended, self._clock)
        device.streams.append(stream)
        device.started_ms = self._clock.now_ms()
        if device.calling:
            self._loop.call_soon_threadsafe(stream.start)
        return stream

    def _list(self) -> list[FakeDevice]:
        return [device for device in self.all if device.plugged]

    def _info(self, index: int, device: FakeDevice) -> DeviceInfo:
        return DeviceInfo(
            index=index,
            name=device.name,
            microphones=int(device.is_microphone),
            speakers=int(device.is_speaker),
            sample_rate=device.sample_rate,
        )


class _FakeStream:
    """Calls back for every 10 ms of its device's time."""

    latency_ms = 0.0

    def __init__(
        self,
        device: FakeDevice,
        work: Callable[[int], object],
        ended: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.ended = ended
        self._device = device
        self._work = work
        self._clock = clock
        self._size = device.sample_rate * BLOCK_MS // 1000
        self._began_ms = clock.now_ms()
        self._blocks = 0
        self._timer: Timer | None = None
        self._stopped = False

    def start(self) -> None:
        if not self._stopped:
            self._plan()

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """Comes from another thread: the timer that is left finds it stopped."""
        self._stopped = True
        if self in self._device.streams:
            self._device.streams.remove(self)

    def _plan(self) -> None:
        block_ms = BLOCK_MS / (1 + self._device.drift_ppm * 1e-6)
        due_ms = self._began_ms + (self._blocks + 1) * block_ms
        self._timer = self._clock.call_later(due_ms - self._clock.now_ms(), self._ring)

    def _ring(self) -> None:
        if self._stopped:
            return
        self._blocks += 1
        self._plan()
        self._work(self._size)


def _is(device: FakeDevice, kind: DeviceKind) -> bool:
    return device.is_microphone if kind is DeviceKind.MICROPHONE else device.is_speaker
