"""Events about the devices of this machine: what the user speaks into and hears the bot with.

Import them from ``events``. No message says them: they happen at a client with live audio.
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "CaptureDropped",
    "DeviceChanged",
    "DeviceKind",
    "DeviceState",
    "EchoControl",
    "EchoControlChanged",
]


class DeviceKind(StrEnum):
    """What a device is used as."""

    MICROPHONE = "microphone"
    SPEAKER = "speaker"


class DeviceState(StrEnum):
    """Whether a device is in use."""

    OPENED = "opened"
    LOST = "lost"


class EchoControl(StrEnum):
    """What keeps the bot from hearing itself."""

    CANCEL = "cancel"
    """Echo cancellation: both may speak at once."""
    GATE = "gate"
    """Half duplex: the microphone is silent while the bot sounds, and 400 ms longer."""
    NONE = "none"
    """Nothing: headphones, or nothing live on one of the two sides."""


@dataclass(frozen=True, slots=True)
class DeviceChanged:
    """A device was opened, or does not work any more and is opened again.

    Attributes:
        kind: What it is used as.
        state: What happened.
        name: The device, as the system calls it.
        reason: Why, in a sentence; empty for the first opening.
        sample_rate: What it runs at, Hz; 0 when it was lost.
        latency_ms: From the device to the session, or back: what is buffered here and in the
            system, as far as that says, milliseconds.
    """

    kind: DeviceKind
    state: DeviceState
    name: str
    reason: str = ""
    sample_rate: int = 0
    latency_ms: int = 0


@dataclass(frozen=True, slots=True)
class EchoControlChanged:
    """How echo is dealt with from now on; raised when the session begins.

    Attributes:
        control: What is done.
        reason: Why, in a sentence.
    """

    control: EchoControl
    reason: str


@dataclass(frozen=True, slots=True)
class CaptureDropped:
    """Something that the user said before it could be sent is not sent any more.

    Attributes:
        dropped_ms: How much, milliseconds.
        reason: Why, in a sentence.
    """

    dropped_ms: int
    reason: str
