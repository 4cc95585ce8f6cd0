"""Keeps the devices of a session at work: opens, watches, reopens and swaps them. One task does it.

PortAudio's list of devices is frozen from its initialisation on. So where a device cannot be had
from the list as it is, the session's other device is closed for a moment too, and the list is made
anew; that is tried after 1, 2, 4 ... 30 s, since each time the other side is interrupted.
"""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

import numpy as np

from voxwire._live.backend import (
    Device,
    DeviceBackend,
    DeviceInfo,
    DeviceStream,
    RememberedDevice,
    choose,
)
from voxwire._live.memory import DeviceMemory
from voxwire._live.microphone import LiveMicrophone
from voxwire._live.opening import DeviceOpening
from voxwire._live.slot import FIRST_MS, SILENT_MS, Slot, Swap
from voxwire._live.speaker import LiveSpeaker
from voxwire._threads import in_thread
from voxwire.playout import Samples
from voxwire_protocol.clocks import Clock
from voxwire_protocol.errors import ErrorCode, MediaError, UsageError, VoxwireError
from voxwire_protocol.events import DeviceChanged, DeviceState

__all__ = ["CLOSE_MS", "FIRST_MS", "SILENT_MS", "Keeper", "Slot", "in_time"]

ARMED_MS: Final = 50
"""How soon the first call is noticed, from which on the shorter time counts."""

OPEN_MS: Final = 5000
"""A system that has not listed its devices, or opened one, within this time does not."""

CLOSE_MS: Final = 2000
"""A device that does not close within this time is left to a thread."""

RETRY_MS: Final = (0.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0, 30_000.0)
"""How long a device that is missing is waited for between two tries; the last stays."""


_CHOSEN: Final = "the program chose it"

_MadeT = TypeVar("_MadeT")


class Keeper:
    """Owns the streams of one session. `run` is their only user."""

    def __init__(
        self,
        backend: DeviceBackend,
        slots: list[Slot],
        *,
        clock: Clock,
        tell: Callable[[DeviceChanged], None],
        memory: DeviceMemory | None = None,
    ) -> None:
        """Takes what it keeps; nothing is opened yet.

        Args:
            backend: The system's devices.
            slots: The sides that are live.
            clock: Tells when a device is late.
            tell: Takes the events.
            memory: Is told of the devices that the program chose; None = nothing remembers them.
        """
        self._backend = backend
        self._slots = slots
        self._clock = clock
        self._tell = tell
        self._memory = memory
        self._wake = asyncio.Event()
        self._refreshes: list[asyncio.Future[None]] = []
        self._adds: list[tuple[Slot, asyncio.Future[None]]] = []
        self._removes: list[tuple[Slot, asyncio.Future[None] | None]] = []
        self._promised: set[asyncio.Future[None]] = set()
        self._over = False

    async def run(self) -> None:
        """Keeps the devices open until cancelled.

        Raises:
            VoxwireError: One cannot be opened at the beginning.
        """
        try:
            for slot in self._slots:
                await self._open(slot, slot.wanted)
            while True:
                await self._wait()
                await self._mend()
        finally:
            self.end()
            await self._close_all()

    def end(self) -> None:
        """Nothing is done any more; those who wait are told."""
        self._over = True
        for done in tuple(self._promised):
            _settle(done, _ended())

    async def add(self, slot: Slot) -> None:
        """Opens one more side. Cancel-safe: it is not kept then.

        Raises:
            MediaError: DEVICE: it cannot be opened.
            UsageError: The name fits several, or INVALID_STATE: the session has ended.
        """
        done = self._promise()
        self._adds.append((slot, done))
        self._wake.set()
        try:
            await done
        except asyncio.CancelledError:
            self._removes.append((slot, None))
            self._wake.set()
            raise

    async def remove(self, slot: Slot) -> None:
        """Closes a side that is not wanted any more.

        Raises:
            UsageError: INVALID_STATE: the session has ended.
        """
        done = self._promise()
        self._removes.append((slot, done))
        self._wake.set()
        await done

    async def swap(self, slot: Slot, device: Device) -> None:
        """Has another device used from now on; the one before stays where that fails.

        Raises:
            MediaError: DEVICE: it cannot be opened.
            UsageError: The name fits several, or INVALID_STATE: the session has ended.
        """
        done = self._promise()
        slot.swaps.append(Swap(device, done))
        self._wake.set()
        await done

    async def refresh(self) -> None:
        """Lists the devices anew; those in use are closed for that and opened again.

        Raises:
            MediaError: DEVICE: the system does not list them; those in use are used on.
            UsageError: INVALID_STATE: the session has ended.
        """
        done = self._promise()
        self._refreshes.append(done)
        self._wake.set()
        await done

    def _promise(self) -> "asyncio.Future[None]":
        """An answer that comes, whatever becomes of the session.

        Raises:
            UsageError: INVALID_STATE: it has ended.
        """
        if self._over:
            raise _ended()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._promised.add(done)
        done.add_done_callback(self._promised.discard)
        return done

    async def _wait(self) -> None:
        """Waits until a device is late, or somebody wants something."""
        self._wake.clear()
        if self._asked():
            return
        due_ms = min((slot.due_ms() for slot in self._slots), default=math.inf)
        wait_ms = due_ms - self._clock.now_ms()
        if any(slot.stream is not None and slot.called_ms is None for slot in self._slots):
            wait_ms = min(wait_ms, ARMED_MS)
        try:
            async with asyncio.timeout(max(0.0, wait_ms) / 1000 if wait_ms < math.inf else None):
                await self._wake.wait()
        except TimeoutError:
            return

    def _asked(self) -> bool:
        asked = self._refreshes or self._adds or self._removes
        return bool(asked) or any(slot.ended or slot.swaps for slot in self._slots)

    async def _mend(self) -> None:
        await self._change_sides()
        for slot in self._slots:
            if slot.stream is not None and (reason := slot.trouble(self._clock.now_ms())):
                await self._lose(slot, reason)
        for slot in self._slots:
            while slot.swaps:
                device, done = slot.swaps.pop(0)
                await self._swap(slot, device, done)
        if self._refreshes:
            asking, self._refreshes = self._refreshes, []
            error = await self._anew("the devices are listed anew")
            for done in asking:
                _settle(done, error)
        for slot in self._slots:
            if slot.stream is None and slot.retry_ms <= self._clock.now_ms():
                await self._recover(slot)

    async def _change_sides(self) -> None:
        """Opens those that are new, and closes those that nobody wants any more."""
        while self._adds:
            slot, done = self._adds.pop(0)
            slot.why = _CHOSEN
            try:
                await self._open(slot, slot.wanted)
            except VoxwireError as error:
                _settle(done, error)
            else:
                self._slots.append(slot)
                _settle(done, None)
        while self._removes:
            slot, gone = self._removes.pop(0)
            if slot in self._slots:
                self._slots.remove(slot)
                await self._close(slot)
            if gone is not None:
                _settle(gone, None)

    async def _lose(self, slot: Slot, reason: str) -> None:
        name = slot.info.name if slot.info else ""
        await self._close(slot)
        slot.why, slot.tries, slot.retry_ms = reason, 0, self._clock.now_ms()
        self._tell(DeviceChanged(slot.kind, DeviceState.LOST, name, reason))

    async def _recover(self, slot: Slot) -> None:
        """Opens what was lost: from the list as it is, else from a new one."""
        try:
            await self._open(slot, slot.wanted)
        except VoxwireError:
            if slot.tries:
                await self._anew(f"a {slot.kind.value} is looked for")
        if slot.stream is None:
            slot.tries += 1
            wait_ms = RETRY_MS[min(slot.tries, len(RETRY_MS)) - 1]
            slot.retry_ms = self._clock.now_ms() + wait_ms

    async def _anew(self, reason: str) -> VoxwireError | None:
        """Closes all, has the list made anew, opens all that can be had.

        Returns:
            Why the list stays as it was; None = it does not.
        """
        names = {slot.kind: slot.info.name for slot in self._slots if slot.stream and slot.info}
        await self._close_all()
        failure: VoxwireError | None = None
        try:
            await in_time(self._backend.refresh, "the devices")
        except VoxwireError as error:
            failure = error
        for slot in self._slots:
            was = names.get(slot.kind)
            slot.why = slot.why or reason
            try:
                await self._open(slot, slot.wanted, quiet=was)
            except VoxwireError as error:
                if was is not None:
                    slot.tries, slot.retry_ms = 0, self._clock.now_ms()
                    self._tell(DeviceChanged(slot.kind, DeviceState.LOST, was, error.reason))
        return failure

    async def _swap(self, slot: Slot, device: Device, done: "asyncio.Future[None]") -> None:
        slot.why = _CHOSEN
        await self._close(slot)
        try:
            await self._open(slot, device)
        except VoxwireError as error:
            slot.why, slot.retry_ms = "the one that was chosen cannot be had", 0.0
            _settle(done, error)
        else:
            _settle(done, None)

    async def _open(self, slot: Slot, device: Device, *, quiet: str | None = None) -> None:
        """Opens a device, in the place of a remembered one that cannot be had the default.

        Raises:
            VoxwireError: It cannot be had.
        """
        try:
            await self._open_one(slot, device, quiet)
        except VoxwireError as error:
            if not isinstance(device, RememberedDevice) or device.which is None:
                raise
            why = slot.why
            slot.why = f"the {slot.kind.value} that is remembered cannot be had: {error.reason}"
            try:
                await self._open_one(slot, Device(), quiet)
            except VoxwireError:
                slot.why = why
                raise
            slot.wanted = device
            return
        if self._memory is not None and not isinstance(device, RememberedDevice):
            name = slot.info.name if slot.info and device.which is not None else None
            with suppress(MediaError):  # a folder that hangs is no fault of the device
                await in_time(partial(self._memory.choose, slot.kind, name), "the settings")

    async def _open_one(self, slot: Slot, device: Device, quiet: str | None) -> None:
        """Opens a device and says so, unless it is the one that is named `quiet`.

        Raises:
            VoxwireError: It cannot be had.
        """
        info = await in_time(lambda: choose(self._backend, slot.kind, device), "the devices")
        slot.number += 1
        slot.called_ms, slot.ended = None, False
        slot.end.attach(info.sample_rate)
        opening = DeviceOpening(self._opener(slot, info))
        try:
            slot.stream = await in_time(opening.run, info.name)
        except BaseException:
            opening.abandon()
            slot.end.detach()
            raise
        if isinstance(slot.end, LiveMicrophone):
            slot.end.latency_ms = slot.stream.latency_ms
        slot.info, slot.wanted, slot.opened_ms = info, device, self._clock.now_ms()
        if quiet != info.name:
            latency_ms = round(slot.stream.latency_ms + _buffered_ms(slot.end))
            opened = DeviceState.OPENED
            self._tell(
                DeviceChanged(slot.kind, opened, info.name, slot.why, info.sample_rate, latency_ms)
            )
        slot.why, slot.tries = "", 0

    def _opener(self, slot: Slot, info: DeviceInfo) -> Callable[[], DeviceStream]:
        """What opens a device; its callbacks are noted."""
        loop, end, clock, number = asyncio.get_running_loop(), slot.end, self._clock, slot.number

        def stopped() -> None:
            if slot.number == number and not loop.is_closed():
                slot.ended = True
                loop.call_soon_threadsafe(self._wake.set)

        if isinstance(end, LiveMicrophone):

            def take(samples: Samples) -> None:
                if slot.number == number:
                    slot.called_ms = clock.now_ms()
                    end.take(samples)

            return lambda: self._backend.open_input(info, take, stopped)

        def give(num_samples: int) -> Samples:
            if slot.number != number:
                return np.zeros(num_samples, np.int16)
            slot.called_ms = clock.now_ms()
            return end.give(num_samples)

        return lambda: self._backend.open_output(info, give, stopped)

    async def _close(self, slot: Slot) -> None:
        stream, slot.stream = slot.stream, None
        slot.number += 1
        slot.end.detach()
        if stream is None:
            return
        try:
            async with asyncio.timeout(CLOSE_MS / 1000):
                await in_thread(stream.close)
        except TimeoutError:
            return

    async def _close_all(self) -> None:
        for slot in self._slots:
            await self._close(slot)
            slot.ended = False


async def in_time(work: Callable[[], _MadeT], what: str) -> _MadeT:
    """Runs what may hang in a thread.

    Raises:
        MediaError: DEVICE: it has hung for `OPEN_MS`; the thread is left to itself.
    """
    try:
        async with asyncio.timeout(OPEN_MS / 1000):
            return await in_thread(work)
    except TimeoutError:
        reason = f"{what}: the system did not answer within {OPEN_MS / 1000:g} s"
        raise MediaError(ErrorCode.DEVICE, reason) from None


def _buffered_ms(end: LiveMicrophone | LiveSpeaker) -> float:
    return end.buffer.target_ms if end.buffer is not None else 0.0


def _ended() -> UsageError:
    return UsageError(ErrorCode.INVALID_STATE, "the session has ended")


def _settle(done: "asyncio.Future[None]", error: VoxwireError | None) -> None:
    """Answers somebody who may have gone."""
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
