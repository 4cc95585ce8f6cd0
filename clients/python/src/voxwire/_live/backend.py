"""What live audio asks of a system's sound devices; `portaudio.py` is one, a test brings another.

Callbacks come from a thread of the system's, must not block, and may come before `open_input` or
`open_output` has returned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from voxwire._arguments import invalid
from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, MediaError
from voxwire_protocol.events import DeviceKind

__all__ = [
    "BLOCK_MS",
    "Device",
    "DeviceBackend",
    "DeviceBusyError",
    "DeviceInfo",
    "DeviceMissingError",
    "DeviceStream",
    "RememberedDevice",
    "choose",
]

BLOCK_MS: Final = 10
"""Length of what a device is asked to bring or take at once."""


@dataclass(frozen=True, slots=True)
class Device:
    """Chooses a device, for ``connect(microphone=..., speaker=...)``.

    Attributes:
        which: Its name, or a part of it that no other device of the kind has, in any case; or
            its index, as `list_devices` counts. None = the system's default, which is followed.
    """

    which: str | int | None = None


@dataclass(frozen=True, slots=True)
class RememberedDevice(Device):
    """A name that was chosen another time: that device while it can be had, else the default."""


class DeviceMissingError(MediaError):
    """DEVICE: there is none of that name, or none at all."""


class DeviceBusyError(MediaError):
    """DEVICE: another program has it, and the system lets one have it at a time."""


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device as the system lists it.

    Attributes:
        index: Its number, until the list changes.
        name: What the system calls it.
        microphones: Channels that can be recorded; 0 = it is no microphone.
        speakers: Channels that can be played; 0 = it is no speaker.
        sample_rate: What it runs at by itself, Hz.
        is_default: Whether it is the system's default, for either use.
    """

    index: int
    name: str
    microphones: int
    speakers: int
    sample_rate: int
    is_default: bool = False


class DeviceStream(Protocol):
    """A device at work."""

    @property
    def latency_ms(self) -> float:
        """What the system buffers, as far as it says, milliseconds."""
        ...

    def close(self) -> None:
        """Ends it; no callback comes after. May block, and may be called again."""
        ...


class DeviceBackend(Protocol):
    """The sound devices of a system. Every method may block."""

    def devices(self) -> Sequence[DeviceInfo]:
        """What there is, as of the last `refresh`."""
        ...

    def default(self, kind: DeviceKind) -> int | None:
        """Index of the system's default; None = there is none."""
        ...

    def refresh(self) -> bool:
        """Looks at what there is anew; False = it cannot, since a stream runs."""
        ...

    def open_input(
        self, device: DeviceInfo, take: Callable[[Samples], None], ended: Callable[[], None]
    ) -> DeviceStream:
        """Records at the device's rate.

        Args:
            device: What to open.
            take: Gets int16 mono, at most 20 ms at a time; it may keep them.
            ended: Called when the system ends the stream.

        Raises:
            MediaError: DEVICE: it cannot be opened; `DeviceBusyError` where that is known to be
                another program's doing.
        """
        ...

    def open_output(
        self, device: DeviceInfo, give: Callable[[int], Samples], ended: Callable[[], None]
    ) -> DeviceStream:
        """Plays at the device's rate.

        Args:
            device: What to open.
            give: Asked for that many samples of int16 mono, at most 20 ms.
            ended: Called when the system ends the stream.

        Raises:
            MediaError: DEVICE: it cannot be opened.
        """
        ...


def choose(backend: DeviceBackend, kind: DeviceKind, wanted: Device) -> DeviceInfo:
    """Finds the device that is meant.

    Raises:
        UsageError: INVALID_ARGUMENT: the name fits several.
        DeviceMissingError: There is none; the reason lists what there is.
        MediaError: DEVICE: the system does not say what there is.
    """
    fit = [device for device in backend.devices() if _is(device, kind)]
    which = backend.default(kind) if wanted.which is None else wanted.which
    if isinstance(which, int):
        found = [device for device in fit if device.index == which]
    elif which is None:
        found = fit[:1]
    else:
        found = [device for device in fit if device.name == which][:1]
        if not isinstance(wanted, RememberedDevice):  # whose name is whole
            part = which.casefold()
            found = found or [device for device in fit if part in device.name.casefold()]
    names = "; ".join(f"{device.index}: {device.name}" for device in fit) or "none"
    if len(found) > 1:
        raise invalid(f"{which!r} fits more than one {kind.value}; there are {names}")
    if not found:
        what = f"no {kind.value}" if which is None else f"no {kind.value} {which!r}"
        raise DeviceMissingError(ErrorCode.DEVICE, f"there is {what}; there are {names}")
    return found[0]


def _is(device: DeviceInfo, kind: DeviceKind) -> bool:
    return bool(device.microphones if kind is DeviceKind.MICROPHONE else device.speakers)
