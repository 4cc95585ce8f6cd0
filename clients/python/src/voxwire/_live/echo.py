"""What keeps the bot from hearing itself: echo cancellation, or a gate. 10 ms at 16 kHz a time."""

import math
from typing import Any, Final, Protocol

import numpy as np

from voxwire._arguments import invalid
from voxwire._live.adaptive import AdaptiveFilter
from voxwire._live.double_talk import UserDetector
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

_AEC3_LATE: Final = 128
"""Samples that AEC3 is behind what it is given."""

_DUCKED: Final = np.float32(0.25)
"""What AEC3 leaves is made 12 dB quieter while the user is not heard."""

_CLOSES: Final = 0.5
"""The share of the user's sound that goes in 10 ms when he has ended. It comes at once."""

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
    """A filter that learns the room, and WebRTC's echo canceller (AEC3) for what it leaves.

    While only the bot sounds, AEC3 leaves least; over it the filter leaves the user's words whole.
    So which of them is heard changes with who speaks. AEC3 is LiveKit's wheel's (Apache-2.0).
    Delays of 20 to 300 ms are found and followed. Nothing is sent anywhere.
    """

    control = EchoControl.CANCEL

    def __init__(self) -> None:
        """Loads the library.

        Raises:
            UsageError: MISSING_EXTRA: it is not installed, or cannot be loaded.
        """
        try:
            from livekit.rtc import AudioFrame
            from livekit.rtc.apm import AudioProcessingModule
        except (ImportError, OSError) as error:
            reason = f"echo cancellation needs livekit: {_INSTALL} ({error})"
            raise UsageError(ErrorCode.MISSING_EXTRA, reason) from error
        self._frame: Any = AudioFrame
        self._high_pass: Any = AudioProcessingModule(high_pass_filter=True)
        self._module: Any = AudioProcessingModule(echo_cancellation=True)
        self._filter = AdaptiveFilter()
        self._user = UserDetector()
        self._late = np.zeros(_AEC3_LATE, np.int16)
        self._share = np.float32(1.0)

    def process(self, near: Samples, far: Samples) -> Samples:
        """The microphone without what the speaker played, 8 ms late."""
        high = self._of(near)
        self._high_pass.process_stream(high)
        sound = np.frombuffer(bytes(high.data), np.int16)
        split = self._filter.process(sound, far)
        self._module.process_reverse_stream(self._of(far))
        self._module.process_stream(high)
        left = np.frombuffer(bytes(high.data), np.int16)
        both = np.concatenate((self._late, split.rest))
        self._late = both[FRAME:]
        return self._mix(both[:FRAME], left, heard=self._user.take(split))

    def _mix(self, user: Samples, bot: Samples, *, heard: bool) -> Samples:
        """The first while the user is to be heard, else the second, quieter; without a click."""
        before = self._share
        self._share = np.float32(1.0 if heard else max(0.0, before - _CLOSES))
        if before == self._share == 1.0:
            return user
        share = np.linspace(before, self._share, FRAME, dtype=np.float32)
        return np.rint(share * user + (1 - share) * _DUCKED * bot).astype(np.int16)

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
        UsageError: INVALID_ARGUMENT for anything else; MISSING_EXTRA: ``cancel`` without its extra.
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
