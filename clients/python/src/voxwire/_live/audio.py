"""The live audio of a session: its devices, how loud they are, and what they are changed to."""

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from voxwire._arguments import invalid, number
from voxwire._live.backend import Device, DeviceBackend, DeviceInfo
from voxwire._live.echo import echo_filter
from voxwire._live.keeper import Keeper, Slot
from voxwire._live.microphone import LiveMicrophone
from voxwire._live.portaudio import machine_devices
from voxwire._live.speaker import LiveSpeaker
from voxwire._threads import in_thread
from voxwire_protocol.clocks import Clock
from voxwire_protocol.errors import ErrorCode, UsageError
from voxwire_protocol.events import (
    DeviceChanged,
    DeviceKind,
    DeviceState,
    EchoControl,
    EchoControlChanged,
    Event,
)

__all__ = ["Levels", "LiveAudio", "device_of", "list_devices"]

_log = logging.getLogger("voxwire")

_NO_DEVICE: Final = "the session has no live {}: connect(..., {}=True)"


class Levels(NamedTuple):
    """How loud it is now, dB of full scale; -inf = digital silence, or nothing live.

    Attributes:
        microphone_db: The last 10 ms of the microphone, echo included.
        speaker_db: The last block that the speaker played, at its volume.
    """

    microphone_db: float
    speaker_db: float


def device_of(value: object) -> Device | None:
    """The device that is asked for; None = it is something else than a device."""
    if value is True:
        return Device()
    if isinstance(value, Device):
        return value
    return Device(value) if type(value) is int else None


def list_devices() -> list[DeviceInfo]:
    """The sound devices of this machine, as PortAudio has found them. Blocks for a moment.

    The list is as old as PortAudio's initialisation: `LiveAudio.refresh` makes it anew.

    Raises:
        UsageError: UNSUPPORTED: ``voxwire[audio]`` or PortAudio is missing; the reason says what
            to install.
    """
    return list(machine_devices().devices())


class LiveAudio:
    """The devices of one session; `Session.audio`. Its verbs are for the loop of the session."""

    def __init__(
        self,
        *,
        microphone: Device | None,
        speaker: Device | None,
        echo: str = "auto",
        clock: Clock,
        devices: DeviceBackend | None,
    ) -> None:
        """Prepares; nothing is opened yet.

        Args:
            microphone: The device that hears the user; None = it is no device.
            speaker: The device that plays the bot; None = it is no device.
            echo: ``auto``, ``cancel``, ``gate`` or ``none``.
            clock: The session's.
            devices: Where they are; None = on this machine.

        Raises:
            UsageError: Live audio, or echo cancellation, is not installed; the reason says how.
        """
        both = microphone is not None and speaker is not None
        filter_, self._reason = echo_filter(echo, both_live=both)
        self._backend = devices
        if microphone is not None or speaker is not None:
            self._backend = devices or machine_devices()
        self.speaker = None if speaker is None else LiveSpeaker(clock)
        reference = self.speaker.take_reference if self.speaker else None
        self.microphone = None if microphone is None else LiveMicrophone(clock, filter_, reference)
        self._microphone = _slot(DeviceKind.MICROPHONE, microphone, self.microphone)
        self._speaker = _slot(DeviceKind.SPEAKER, speaker, self.speaker)
        self._slots = [slot for slot in (self._microphone, self._speaker) if slot is not None]
        self._keeper: Keeper | None = None
        if self._slots and self._backend is not None:
            self._keeper = Keeper(self._backend, self._slots, clock=clock, tell=self._note)
        self.echo = filter_.control
        self._early: list[Event] = []
        self._emit: Callable[[Event], None] | None = None

    @property
    def active(self) -> bool:
        """True when there is a device to keep."""
        return self._keeper is not None

    @property
    def levels(self) -> Levels:
        """How loud both sides are now."""
        silent = float("-inf")
        return Levels(
            self.microphone.level_db if self.microphone else silent,
            self.speaker.level_db if self.speaker else silent,
        )

    @property
    def volume(self) -> float:
        """What the bot's sound is multiplied by, 0 to 1.

        Raises:
            UsageError: Set to anything else, or without a live speaker.
        """
        return self.speaker.volume if self.speaker else 1.0

    @volume.setter
    def volume(self, volume: float) -> None:
        if self.speaker is None:
            raise _missing(DeviceKind.SPEAKER)
        if number(volume, "volume") > 1:
            raise invalid("volume must be 0 to 1")
        self.speaker.volume = float(volume)

    async def set_microphone(self, device: Device | int | str | None = None) -> None:
        """Hears the user with another device from now on.

        Args:
            device: Its name or index; None = the system's default.

        Raises:
            UsageError: The session has no live microphone or has ended, or the name fits several.
            MediaError: DEVICE: it cannot be opened; the one before is used on.
        """
        await self._swap(self._microphone, DeviceKind.MICROPHONE, device=device)

    async def set_speaker(self, device: Device | int | str | None = None) -> None:
        """Plays the bot with another device from now on; see `set_microphone`."""
        await self._swap(self._speaker, DeviceKind.SPEAKER, device=device)

    async def devices(self) -> list[DeviceInfo]:
        """What there is, as of the last `refresh`."""
        backend = self._backend or machine_devices()
        return list(await in_thread(backend.devices))

    async def refresh(self) -> list[DeviceInfo]:
        """Looks for devices that came or went, and follows the system's default if it moved.

        PortAudio lists devices only while none of them runs: those of this session stop for a
        moment. Where another session of this process runs some, the list stays as it was.

        Raises:
            UsageError: INVALID_STATE: the session has ended.
            MediaError: DEVICE: the system does not list them.
        """
        if self._keeper is not None:
            await self._keeper.refresh()
        return await self.devices()

    async def run(self) -> None:
        """Keeps the devices at work until cancelled; the session calls it.

        Raises:
            VoxwireError: One cannot be opened at the beginning.
        """
        if self._keeper is not None:
            await self._keeper.run()

    def begin(self, emit: Callable[[Event], None]) -> None:
        """The session is up: tells what happened before, and from now on all that happens."""
        self._emit = emit
        if self.microphone is not None and self.speaker is not None:
            if self.echo is EchoControl.GATE:
                _log.warning("%s", self._reason)
            emit(EchoControlChanged(self.echo, self._reason))
        for event in self._early:
            emit(event)
        self._early.clear()

    def _note(self, event: DeviceChanged) -> None:
        if event.state is DeviceState.LOST:
            _log.warning("the %s %s was lost: %s", event.kind.value, event.name, event.reason)
        if self._emit is None:
            self._early.append(event)
        else:
            self._emit(event)

    async def _swap(
        self, slot: Slot | None, kind: DeviceKind, *, device: Device | int | str | None
    ) -> None:
        if slot is None or self._keeper is None:
            raise _missing(kind)
        await self._keeper.swap(slot, device if isinstance(device, Device) else Device(device))


def _slot(
    kind: DeviceKind, device: Device | None, end: LiveMicrophone | LiveSpeaker | None
) -> Slot | None:
    return None if device is None or end is None else Slot(kind, device, end)


def _missing(kind: DeviceKind) -> UsageError:
    return UsageError(ErrorCode.INVALID_STATE, _NO_DEVICE.format(kind.value, kind.value))
