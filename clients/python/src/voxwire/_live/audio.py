"""The live audio of a session: its devices, how loud they are, and what they are changed to."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from voxwire._arguments import invalid, number
from voxwire._live.backend import Device, DeviceBackend, DeviceInfo
from voxwire._live.echo import EchoFilter, NoFilter, echo_filter
from voxwire._live.keeper import Keeper, Slot
from voxwire._live.memory import DeviceMemory
from voxwire._live.microphone import LiveMicrophone
from voxwire._live.polish import polish_of
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


class Levels(NamedTuple):
    """How loud it is now, dB of full scale; -inf = digital silence, or nothing live.

    Attributes:
        microphone_db: The last 10 ms of the microphone, echo included.
        speaker_db: The last block that the speaker played, at its volume.
    """

    microphone_db: float
    speaker_db: float


class _Echo(NamedTuple):
    """What deals with echo, why it is that, and whether both sides are live."""

    filter: EchoFilter
    reason: str
    both: bool


def device_of(
    value: object, kind: DeviceKind | None = None, memory: DeviceMemory | None = None
) -> Device | None:
    """The device that is asked for; None = it is something else than a device.

    Args:
        value: What a program passed.
        kind: What it is to be used as, where there is a memory.
        memory: Knows what True stands for; None = the system's default.
    """
    if value is True:
        return Device() if kind is None or memory is None else memory.wanted(kind)
    if isinstance(value, Device):
        return value
    return Device(value) if type(value) is int else None


def list_devices() -> list[DeviceInfo]:
    """The sound devices of this machine, as PortAudio has found them. Blocks for a moment.

    The list is as old as PortAudio's initialisation: `LiveAudio.refresh` makes it anew.

    Raises:
        UsageError: MISSING_EXTRA: ``voxwire[audio]`` is not installed; UNSUPPORTED: PortAudio is
            not. The reason says what to install.
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
        noise_suppression: bool = False,
        auto_gain: bool = False,
        clock: Clock,
        devices: DeviceBackend | None,
        memory: DeviceMemory | None = None,
    ) -> None:
        """Prepares; nothing is opened yet.

        Args:
            microphone: The device that hears the user; None = it is no device.
            speaker: The device that plays the bot; None = it is no device.
            echo: ``auto``, ``cancel``, ``gate`` or ``none``.
            noise_suppression: True = noise is taken out of a live microphone.
            auto_gain: True = its loudness is evened out.
            clock: The session's.
            devices: Where they are; None = on this machine.
            memory: Is told of the devices that the program chose, and knows those of before.

        Raises:
            UsageError: Live audio, or what works on its sound, is not installed; the reason says
                how.
        """
        both = microphone is not None and speaker is not None
        filter_, self._reason = echo_filter(echo, both_live=both)
        self._wanted_echo = echo
        self._clock = clock
        self.memory = memory
        self._backend: DeviceBackend | None = devices
        if self._backend is None and (microphone is not None or speaker is not None):
            self._backend = machine_devices()
        self.speaker = None if speaker is None else LiveSpeaker(clock)
        reference = self.speaker.take_reference if self.speaker else None
        self._polished = {"noise_suppression": noise_suppression, "auto_gain": auto_gain}
        self.microphone = None
        if microphone is not None:
            polish = polish_of(**self._polished)
            self.microphone = LiveMicrophone(clock, filter_, reference, polish)
        self._microphone = _slot(DeviceKind.MICROPHONE, microphone, self.microphone)
        self._speaker = _slot(DeviceKind.SPEAKER, speaker, self.speaker)
        self._keeper: Keeper | None = None
        self._begun = asyncio.Event()
        self._over = asyncio.Event()
        self._volume = 1.0
        slots = [slot for slot in (self._microphone, self._speaker) if slot is not None]
        if self._backend is not None and slots:
            self._keep(self._backend, slots)
        self.echo = filter_.control
        self._early: list[Event] = []
        self._emit: Callable[[Event], None] | None = None

    @property
    def active(self) -> bool:
        """True when there is a device to keep, or there was."""
        return self._keeper is not None

    @property
    def levels(self) -> Levels:
        """How loud both sides are now."""
        silent = float("-inf")
        return Levels(
            self.microphone.level_db if self.microphone else silent,
            self.speaker.level_db if self.speaker else silent,
        )

    def levels_every(self, every_ms: float = 100) -> AsyncIterator[Levels]:
        """How loud both sides are, again and again, for a meter: ``async for levels in ...``.

        Args:
            every_ms: How often, milliseconds, 10 at least.

        Returns:
            An async iterator of `Levels`, the first at once. It ends with the session.

        Raises:
            UsageError: INVALID_ARGUMENT: it is no time.
        """
        if number(every_ms, "every_ms") < 10:
            raise invalid("every_ms must be 10 or more")
        return self._levels_every(every_ms / 1000)

    async def _levels_every(self, every_s: float) -> AsyncGenerator[Levels]:
        while not self._over.is_set():
            yield self.levels
            if self._over.is_set():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await self._over.wait()

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
            reason = "the session has no live speaker: set_speaker(True)"
            raise UsageError(ErrorCode.INVALID_STATE, reason)
        if number(volume, "volume") > 1:
            raise invalid("volume must be 0 to 1")
        self.speaker.volume = float(volume)

    async def use_microphone(self, device: Device) -> LiveMicrophone:
        """Opens a device for the user's voice, in place of the one before.

        Returns:
            What hears with it: the same as before, if there was a live microphone.

        Raises:
            UsageError: INVALID_STATE: the session has ended; the name fits several; live audio is
                not installed.
            MediaError: DEVICE: it cannot be opened; the one before is used on.
        """
        if self._microphone is not None and self.microphone is not None:
            await self._keeper_for().swap(self._microphone, device)
            return self.microphone
        polish = await in_thread(partial(polish_of, **self._polished))
        made = LiveMicrophone(self._clock, NoFilter(), None, polish)
        echo = await in_thread(partial(self._echo_with, made, self.speaker))
        slot = Slot(DeviceKind.MICROPHONE, device, made)
        await self._keeper_for().add(slot)
        self.microphone, self._microphone = made, slot
        self._use_echo(echo)
        return made

    async def use_speaker(self, device: Device) -> LiveSpeaker:
        """Opens a device for the bot's voice, in place of the one before; see `use_microphone`."""
        if self._speaker is not None and self.speaker is not None:
            await self._keeper_for().swap(self._speaker, device)
            return self.speaker
        made = LiveSpeaker(self._clock)
        made.volume = self._volume
        echo = await in_thread(partial(self._echo_with, self.microphone, made))
        slot = Slot(DeviceKind.SPEAKER, device, made)
        await self._keeper_for().add(slot)
        self.speaker, self._speaker = made, slot
        self._use_echo(echo)
        return made

    async def leave_microphone(self) -> None:
        """Closes the live microphone, if there is one."""
        slot, self._microphone, self.microphone = self._microphone, None, None
        if slot is not None:
            self._use_echo(self._echo_with(None, self.speaker))
            await self._keeper_for().remove(slot)

    async def leave_speaker(self) -> None:
        """Closes the live speaker, if there is one, once it has played what waits."""
        slot, end = self._speaker, self.speaker
        self._speaker = self.speaker = None
        if end is not None:
            self._volume = end.volume
        if slot is not None:
            self._use_echo(self._echo_with(self.microphone, None))
            waits_ms = end.buffer.target_ms if end is not None and end.buffer is not None else 0.0
            try:
                await asyncio.sleep(waits_ms / 1000)
            finally:
                await self._keeper_for().remove(slot)

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
        """Keeps the devices at work, as soon as there are some, until cancelled.

        Raises:
            VoxwireError: One cannot be opened at the beginning.
        """
        try:
            await self._begun.wait()
            if self._keeper is not None:
                await self._keeper.run()
        finally:
            self._over.set()
            if self._keeper is not None:
                self._keeper.end()

    def begin(self, emit: Callable[[Event], None]) -> None:
        """The session is up: tells what happened before, and from now on all that happens."""
        self._emit = emit
        if self.microphone is not None and self.speaker is not None:
            self._tell_echo()
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

    def _keep(self, backend: DeviceBackend, slots: list[Slot]) -> Keeper:
        self._keeper = Keeper(
            backend, slots, clock=self._clock, tell=self._note, memory=self.memory
        )
        self._begun.set()
        return self._keeper

    def _keeper_for(self) -> Keeper:
        """What keeps devices, made when the first one is wanted.

        Raises:
            UsageError: Live audio is not installed, or INVALID_STATE: the session has ended.
        """
        if self._over.is_set():
            raise UsageError(ErrorCode.INVALID_STATE, "the session has ended")
        if self._keeper is not None:
            return self._keeper
        self._backend = self._backend or machine_devices()
        return self._keep(self._backend, [])

    def _echo_with(self, microphone: LiveMicrophone | None, speaker: LiveSpeaker | None) -> "_Echo":
        """What deals with echo between two sides, why, and whether there are two.

        Raises:
            UsageError: Echo cancellation is asked for and not installed.
        """
        both = microphone is not None and speaker is not None
        return _Echo(*echo_filter(self._wanted_echo, both_live=both), both)

    def _use_echo(self, echo: "_Echo") -> None:
        """Deals with echo in another way from now on, and says so."""
        changed = echo.filter.control is not self.echo
        self.echo, self._reason = echo.filter.control, echo.reason
        if self.microphone is not None:
            reference = self.speaker.take_reference if self.speaker else None
            self.microphone.use_echo(echo.filter, reference)
        if changed or echo.both:
            self._tell_echo()

    def _tell_echo(self) -> None:
        if self.echo is EchoControl.GATE:
            _log.warning("%s", self._reason)
        if self._emit is not None:
            self._emit(EchoControlChanged(self.echo, self._reason))


def _slot(
    kind: DeviceKind, device: Device | None, end: LiveMicrophone | LiveSpeaker | None
) -> Slot | None:
    return None if device is None or end is None else Slot(kind, device, end)
