"""Whether a microphone or a speaker can be had: it is looked for, and opened for a moment."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from voxwire._environment import Environment
from voxwire._live.backend import (
    Device,
    DeviceBackend,
    DeviceBusyError,
    DeviceInfo,
    DeviceMissingError,
    choose,
)
from voxwire._live.keeper import CLOSE_MS, FIRST_MS, in_time
from voxwire._live.opening import DeviceOpening
from voxwire._live.portaudio import machine_devices
from voxwire._threads import in_thread
from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, MediaError, UsageError
from voxwire_protocol.events import DeviceKind

__all__ = ["DeviceReadiness", "DeviceStatus", "device_status"]


class DeviceReadiness(StrEnum):
    """Whether a device can be used."""

    READY = "ready"
    """It was open a moment ago, and at work."""
    NOT_INSTALLED = "not_installed"
    """``voxwire[audio]``, or PortAudio, is missing."""
    MISSING = "missing"
    """There is none, or none of that name."""
    BUSY = "busy"
    """Another program has it."""
    ERROR = "error"
    """It cannot be opened, or brings nothing: it may be that the system does not allow its use."""


_ADVICE: Final = {
    DeviceReadiness.READY: "",
    DeviceReadiness.NOT_INSTALLED: "install what the reason names",
    DeviceReadiness.MISSING: "plug one in and allow its use; voxwire devices lists what there is",
    DeviceReadiness.BUSY: "end the program that uses it, or choose another one",
    DeviceReadiness.ERROR: "allow its use in the system's settings, or plug it in anew",
}


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """What is known of a microphone or a speaker.

    Attributes:
        kind: What it would be used as.
        state: Whether it can be.
        device: The device, where there is one.
        reason: Why it cannot be used, in a sentence; empty when it is ready.
        advice: What to do about it; empty when it is ready.
    """

    kind: DeviceKind
    state: DeviceReadiness
    device: DeviceInfo | None = None
    reason: str = ""
    advice: str = ""


async def device_status(kind: DeviceKind, wanted: Device, environment: Environment) -> DeviceStatus:
    """Looks for a device and opens it for a moment; takes 15 s at most, as a rule 0.1. Cancel-safe.

    Raises:
        UsageError: INVALID_ARGUMENT: the name fits several.
    """
    found: DeviceInfo | None = None
    try:
        backend = environment.devices or await in_thread(machine_devices)
        found = await _find(backend, kind, wanted)
        await _open_for_a_moment(backend, kind, found)
    except UsageError as error:
        if error.code not in (ErrorCode.MISSING_EXTRA, ErrorCode.UNSUPPORTED):
            raise
        state, reason = DeviceReadiness.NOT_INSTALLED, error.reason
    except DeviceMissingError as error:
        state, reason = DeviceReadiness.MISSING, error.reason
    except DeviceBusyError as error:
        state, reason = DeviceReadiness.BUSY, error.reason
    except MediaError as error:
        state, reason = DeviceReadiness.ERROR, error.reason
    else:
        state, reason = DeviceReadiness.READY, ""
    return DeviceStatus(kind, state, found, reason, _ADVICE[state])


async def _find(backend: DeviceBackend, kind: DeviceKind, wanted: Device) -> DeviceInfo:
    """The device that is meant; one that the list does not have may have come since it was made."""
    try:
        return await in_time(lambda: choose(backend, kind, wanted), "the devices")
    except DeviceMissingError:
        if not await in_time(backend.refresh, "the devices"):
            raise
    return await in_time(lambda: choose(backend, kind, wanted), "the devices")


async def _open_for_a_moment(backend: DeviceBackend, kind: DeviceKind, device: DeviceInfo) -> None:
    """Opens a device until it has called back once.

    Raises:
        MediaError: DEVICE: it cannot be opened, or does not call back.
    """
    loop, called = asyncio.get_running_loop(), asyncio.Event()

    def call() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(called.set)

    def give(num_samples: int) -> Samples:
        call()
        return np.zeros(num_samples, np.int16)

    def nothing() -> None:
        """A device that ends calls back no more."""

    if kind is DeviceKind.MICROPHONE:
        opening = DeviceOpening(lambda: backend.open_input(device, lambda _: call(), nothing))
    else:
        opening = DeviceOpening(lambda: backend.open_output(device, give, nothing))
    try:
        stream = await in_time(opening.run, device.name)
    except BaseException:
        opening.abandon()
        raise
    try:
        async with asyncio.timeout(FIRST_MS / 1000):
            await called.wait()
    except TimeoutError:
        reason = f"{device.name} was opened, and has not called back for {FIRST_MS} ms"
        raise MediaError(ErrorCode.DEVICE, reason) from None
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_MS / 1000):
                await in_thread(stream.close)
