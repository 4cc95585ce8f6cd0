"""What keeps the bot from hearing itself: echo cancellation, or a gate. 10 ms at 16 kHz a time."""

import math
from typing import Any, Final, Protocol

import numpy as np

from voxwire._arguments import invalid
from voxwire._microphones import CAPTURE_RATE
from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, UsageError
from voxwire_protocol.events import EchoControl

__all__ = ["FRAME", "EchoCanceller", "EchoFilter", "HalfDuplexGate", "NoFilter", "echo_filter"]

FRAME: Final = CAPTURE_RATE // 100
"""Samples of 10 ms."""

HOLD_MS: Final = 400
"""The gate stays closed for so long after the bot's last sound: devices and rooms are late."""

QUIET_DB: Final = -60.0
"""The bot is silent below this level, dB of full scale."""

_INSTALL: Final = "pip install 'voxwire[aec]'"


class EchoFilter(Protocol):
    """Takes the bot's sound out of the user's."""

    control: EchoControl

    def process(self, near: Samples, far: Samples) -> Samples:
        """What the bot is to hear.

        Args:
            near: 10 ms of the microphone.
            far: What the speaker's callback gave meanwhile.
        """
        ...


class NoFilter:
    """Lets everything through."""

    control = EchoControl.NONE

    def process(self, near: Samples, far: Samples) -> Samples:
        """The microphone."""
        return near


class HalfDuplexGate:
    """Silences the microphone while the bot sounds. Pure."""

    control = EchoControl.GATE

    def __init__(self) -> None:
        """Creates it open."""
        self._closed_frames = 0

    def process(self, near: Samples, far: Samples) -> Samples:
        """The microphone, or silence."""
        if level_db(far) > QUIET_DB:
            self._closed_frames = HOLD_MS // 10
        elif self._closed_frames:
            self._closed_frames -= 1
        return np.zeros_like(near) if self._closed_frames else near


class EchoCanceller:
    """WebRTC's echo canceller (AEC3), as LiveKit's wheel has it (Apache-2.0).

    It finds the delay by itself, 20 to 300 ms and more, and follows it. Nothing is sent anywhere.
    """

    control = EchoControl.CANCEL

    def __init__(self) -> None:
        """Loads the library.

        Raises:
            UsageError: UNSUPPORTED: it is not installed, or cannot be loaded.
        """
        try:
            from livekit.rtc import AudioFrame
            from livekit.rtc.apm import AudioProcessingModule
        except (ImportError, OSError) as error:
            reason = f"echo cancellation needs livekit: {_INSTALL} ({error})"
            raise UsageError(ErrorCode.UNSUPPORTED, reason) from error
        self._frame: Any = AudioFrame
        self._module: Any = AudioProcessingModule(echo_cancellation=True, high_pass_filter=True)

    def process(self, near: Samples, far: Samples) -> Samples:
        """The microphone without what the speaker played."""
        self._module.process_reverse_stream(self._of(far))
        frame = self._of(near)
        self._module.process_stream(frame)
        return np.frombuffer(bytes(frame.data), np.int16)

    def _of(self, samples: Samples) -> Any:
        return self._frame(bytearray(samples.tobytes()), CAPTURE_RATE, 1, FRAME)


def level_db(samples: Samples) -> float:
    """Root mean square, dB of full scale; -inf for digital silence."""
    mean = float(np.mean(np.square(samples, dtype=np.float32))) if len(samples) else 0.0
    return 10 * math.log10(mean / 32768**2) if mean else -math.inf


def echo_filter(wanted: str, *, both_live: bool) -> tuple[EchoFilter, str]:
    """What deals with echo, and why it is that.

    Args:
        wanted: ``auto``, ``cancel``, ``gate`` or ``none``, as `connect` takes it.
        both_live: Whether there is a live microphone and a live speaker.

    Raises:
        UsageError: INVALID_ARGUMENT for anything else; UNSUPPORTED: ``cancel`` without its extra.
    """
    if wanted not in ("auto", "cancel", "gate", "none"):
        raise invalid("echo must be 'auto', 'cancel', 'gate' or 'none'")
    if not both_live:
        return NoFilter(), "only one side is live"
    if wanted == "none":
        return NoFilter(), "as the program asked"
    if wanted == "gate":
        return HalfDuplexGate(), "as the program asked"
    try:
        return EchoCanceller(), "WebRTC's echo canceller"
    except UsageError:
        if wanted == "cancel":
            raise
    return HalfDuplexGate(), (
        "half duplex: the microphone is off while the bot speaks, since there is no echo"
        f" cancellation ({_INSTALL}; with headphones: echo='none')"
    )
