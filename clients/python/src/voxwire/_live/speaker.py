"""A device that plays the bot, as a session's `Speaker`."""

from typing import Final

import numpy as np

from voxwire._live.echo import level_db
from voxwire._live.elastic import ElasticBuffer
from voxwire._microphones import CAPTURE_RATE
from voxwire.playout import Block, Samples
from voxwire_protocol.clocks import Clock

__all__ = ["LiveSpeaker"]

_BLOCK_MS: Final = 20


class LiveSpeaker:
    """Takes the session's blocks by its clock, gives them to a device by the device's.

    Attributes:
        volume: What the bot's sound is multiplied by, 0 to 1.
        level_db: How loud the last block of the device was, dB of full scale.
    """

    def __init__(self, clock: Clock) -> None:
        """Creates it without a device: what is written is dropped."""
        self.volume = 1.0
        self.level_db = -np.inf
        self._clock = clock
        self._rate = 0
        self._device_rate = 0
        self._buffer: ElasticBuffer | None = None
        self._reference: ElasticBuffer | None = None

    @property
    def buffer(self) -> ElasticBuffer | None:
        """What waits for the device; None while there is none, or nothing to play."""
        return self._buffer

    def attach(self, sample_rate: int) -> None:
        """A device of that rate, Hz, is about to play."""
        self._device_rate = sample_rate
        self._reference = ElasticBuffer(sample_rate, CAPTURE_RATE, block_ms=_BLOCK_MS)
        self._connect()

    def detach(self) -> None:
        """There is no device any more."""
        self._device_rate = 0
        self._buffer = self._reference = None

    def open(self, sample_rate: int) -> None:
        """Prepares for blocks of that rate, Hz."""
        self._rate = sample_rate
        self._connect()

    def write(self, block: Block, at: float) -> None:
        """Plays the next 20 ms behind what waits."""
        if self._buffer is not None:
            self._buffer.push(block.samples, self._clock.now_ms())

    def close(self) -> None:
        """Nothing more is written; the device plays what waits, then silence."""

    def give(self, num_samples: int) -> Samples:
        """The device's callback: its next samples, silence where nothing waits."""
        buffer, reference, now_ms = self._buffer, self._reference, self._clock.now_ms()
        played = buffer.pull(num_samples, now_ms) if buffer is not None else np.zeros(0, np.int16)
        if not len(played):
            played = np.zeros(num_samples, np.int16)
        elif self.volume != 1.0:
            played = np.rint(played * self.volume).astype(np.int16)
        self.level_db = level_db(played)
        if reference is not None:
            reference.push(played, now_ms)
        return played

    def take_reference(self, num_samples: int) -> Samples:
        """What the device played, at 16 kHz, in step with the microphone; silence without one."""
        reference = self._reference
        if reference is not None:
            played = reference.pull(num_samples, self._clock.now_ms())
            if len(played):
                return played
        return np.zeros(num_samples, np.int16)

    def _connect(self) -> None:
        if self._rate and self._device_rate:
            self._buffer = ElasticBuffer(self._rate, self._device_rate, block_ms=_BLOCK_MS)
