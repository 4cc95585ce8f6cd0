"""A device that hears the user, as a session's `Microphone`."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from voxwire._live.echo import FRAME, EchoFilter, level_db
from voxwire._live.elastic import ElasticBuffer
from voxwire._live.polish import Polish, polish_of
from voxwire._microphones import CAPTURE_RATE
from voxwire.playout import Samples
from voxwire_protocol.clocks import Clock

__all__ = ["LiveMicrophone"]

_BLOCK_MS: Final = 20


class LiveMicrophone:
    """Takes what a device brings by its clock, gives it to the session by the session's.

    Attributes:
        live: True: it is read from `connect` on.
        level_db: How loud the last 10 ms were before echo was taken out, dB of full scale.
        filter: What deals with echo.
        latency_ms: How old the first sample of a piece may be when the device brings it.
    """

    live = True

    def __init__(
        self,
        clock: Clock,
        echo: EchoFilter,
        reference: Callable[[int], Samples] | None,
        polish: Polish | None = None,
    ) -> None:
        """Creates it without a device: it hears silence.

        Args:
            clock: The session's.
            echo: Takes the bot's sound out.
            reference: Gives that many samples of what a live speaker played; None = there is none.
            polish: What is done to it behind that; None = nothing.
        """
        self._polish = polish or polish_of(noise_suppression=False, auto_gain=False)
        self.level_db = -np.inf
        self.filter = echo
        self.latency_ms = 0.0
        self._clock = clock
        self._reference = reference
        self._buffer: ElasticBuffer | None = None
        self._rate = 0
        self._from_ms = -np.inf  # what was recorded before is not given
        self._rest = np.zeros(0, np.int16)

    @property
    def buffer(self) -> ElasticBuffer | None:
        """What waits for the session; None while there is no device."""
        return self._buffer

    def use_echo(self, echo: EchoFilter, reference: Callable[[int], Samples] | None) -> None:
        """Deals with echo in another way from now on; see the constructor."""
        self.filter = echo
        self._reference = reference

    def attach(self, sample_rate: int) -> None:
        """A device of that rate, Hz, is about to bring audio."""
        self._rate = sample_rate
        self._buffer = ElasticBuffer(sample_rate, CAPTURE_RATE, block_ms=_BLOCK_MS)

    def detach(self) -> None:
        """There is no device any more."""
        self._buffer = None

    def take(self, samples: Samples) -> None:
        """The device's callback."""
        buffer, now_ms = self._buffer, self._clock.now_ms()
        if buffer is None:
            return
        age_ms = max(self.latency_ms, len(samples) * 1000 / self._rate)
        early_ms = max(0.0, self._from_ms - (now_ms - age_ms))
        fresh = samples[math.ceil(early_ms * self._rate / 1000) :]
        if len(fresh):
            buffer.push(fresh, now_ms)

    def forget(self) -> None:
        """Gives nothing of what was recorded until now, on its way from the device or here."""
        self._from_ms = self._clock.now_ms()
        self._rest = np.zeros(0, np.int16)
        if self._buffer is not None:
            self._buffer = self._buffer.again()

    def read(self, num_samples: int) -> Samples:
        """The next samples, silence where the device brought none."""
        missing = num_samples - len(self._rest)
        frames = max(0, -(-missing // FRAME))
        heard = self._pull(frames * FRAME)
        far = self._far(frames * FRAME)
        parts = [self._rest]
        for start in range(0, frames * FRAME, FRAME):
            near = heard[start : start + FRAME]
            clean = self.filter.process(near, far[start : start + FRAME])
            parts.append(self._polish.process(clean))
        if frames:
            self.level_db = level_db(heard[-FRAME:])
        samples = np.concatenate(parts)
        self._rest = samples[num_samples:]
        return samples[:num_samples]

    async def run(self) -> None:
        """Nothing to do: the session's `LiveAudio` keeps the device."""

    def _pull(self, num_samples: int) -> Samples:
        if self._buffer is not None:
            heard = self._buffer.pull(num_samples, self._clock.now_ms())
            if len(heard):
                return heard
        return np.zeros(num_samples, np.int16)

    def _far(self, num_samples: int) -> Samples:
        if self._reference is None:
            return np.zeros(num_samples, np.int16)
        return self._reference(num_samples)
