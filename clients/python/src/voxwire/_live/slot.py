"""One live side of a session, and what is known of its device."""

import asyncio
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from voxwire._live.backend import Device, DeviceInfo, DeviceStream
from voxwire._live.microphone import LiveMicrophone
from voxwire._live.speaker import LiveSpeaker
from voxwire_protocol.events import DeviceKind

__all__ = ["FIRST_MS", "SILENT_MS", "Slot", "Swap"]

SILENT_MS: Final = 500
"""A device that has not called back for so long is opened again."""

FIRST_MS: Final = 3000
"""The same for its first call: some take their time to begin."""


class Swap(NamedTuple):
    """A device that a program asked for, and its answer."""

    device: Device
    done: "asyncio.Future[None]"


@dataclass(eq=False)
class Slot:
    """One side: the device that is wanted, and the one that is at work."""

    kind: DeviceKind
    wanted: Device
    end: LiveMicrophone | LiveSpeaker
    stream: DeviceStream | None = None
    info: DeviceInfo | None = None
    number: int = 0
    """Of the stream; what an older one still calls back is nobody's."""
    called_ms: float | None = None
    opened_ms: float = 0.0
    ended: bool = False
    why: str = ""
    tries: int = 0
    retry_ms: float = 0.0
    swaps: list[Swap] = field(default_factory=list[Swap])

    def due_ms(self) -> float:
        """When something is to be done about it, unless it calls back, milliseconds."""
        if self.stream is None:
            return self.retry_ms
        if self.called_ms is None:
            return self.opened_ms + FIRST_MS
        return self.called_ms + SILENT_MS

    def trouble(self, now_ms: float) -> str:
        """What is wrong with a device at work; empty = nothing."""
        if self.ended:
            return "the system ended it"
        if now_ms < self.due_ms():
            return ""
        waited_ms = FIRST_MS if self.called_ms is None else SILENT_MS
        return f"it has not called back for {waited_ms} ms"
