"""What of the microphone is the speaker's sound: a filter that learns the way between them. Pure.

A Kalman filter in the frequency domain, in partitions of 10 ms (Kuech, Mabande, Enzner,
"State-space architecture of the partitioned-block-based acoustic echo controller", ICASSP 2014).
It knows how far it may be off, so it stands still while a user speaks and moves when he does not,
and says how much of the echo may be left.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxwire.playout import Samples

__all__ = ["AdaptiveFilter", "Split"]

_SIZE: Final = 160
"""Samples of 10 ms at 16 kHz."""

_PARTS: Final = 64
"""Partitions: 640 ms, for an echo that is 300 ms late in a room that rings for as long."""

_STAYS: Final = np.float32(0.9995**2)
"""How much of what is known of the room holds for 10 ms more: the clocks drift, people move."""

_FIRST_DOUBT: Final = 0.03
"""Variance of each weight before anything is known, of the far end's scale."""

_SMOOTH: Final = 0.8
"""Of the spectrum of what is left, for each 10 ms: what the filter takes for the user."""

_BAND: Final = slice(2, 80)
"""Bins of 50 Hz that the powers are of: 100 to 4000 Hz, where voices are."""

_MEAN: Final = 1 / (_SIZE * 78)
"""Of the power of those bins: the mean square of noise that gives it."""

_LOUDER: Final = 1.25
"""1 dB: what is left has more power than the microphone."""

_WRONG_FRAMES: Final = 20
"""What is left, louder than the microphone for about so long, shows that the way has changed."""

_WRONG: Final = 1.5
"""So much louder, in power."""

_LEAST: Final = np.float32(1.0)

_Spectra = NDArray[np.complex64]


class Split(NamedTuple):
    """10 ms of the microphone, and what is known of them: mean squares of int16, 100 to 4000 Hz.

    Attributes:
        rest: The microphone without the echo that the filter knows, int16.
        rest_power: Of that.
        echo_power: Of the echo that was taken out.
        doubt: Of the echo that may be left, by what the filter knows of itself.
        louder: The rest has more power than the microphone, so the filter is wrong.
    """

    rest: Samples
    rest_power: float
    echo_power: float
    doubt: float
    louder: bool


class AdaptiveFilter:
    """Learns the way from the speaker to the microphone; 16 kHz."""

    def __init__(self) -> None:
        """Knows nothing."""
        bins = _SIZE + 1
        self._far: _Spectra = np.zeros((_PARTS, bins), np.complex64)
        self._weights: _Spectra = np.zeros((_PARTS, bins), np.complex64)
        self._doubt: NDArray[np.float32] = np.full((_PARTS, bins), _FIRST_DOUBT, np.float32)
        self._left: NDArray[np.float32] = np.zeros(bins, np.float32)
        self._last = np.zeros(_SIZE, np.float32)
        self._silent_parts = _PARTS + 1
        self._powers = np.zeros(2)

    def process(self, near: Samples, far: Samples) -> Split:
        """Takes the known echo out of the next 10 ms, and learns from what is left.

        Args:
            near: The microphone, 160 samples.
            far: What the speaker played meanwhile.
        """
        sound = near.astype(np.float32)
        self._silent_parts = 0 if far.any() else self._silent_parts + 1
        if self._silent_parts > _PARTS:  # nothing that was played can still be heard
            self._last[:] = 0
            self._far[:] = 0
            return Split(near, _mean(_power(_spectrum(sound))), 0.0, 0.0, False)
        echo = self._echo(far.astype(np.float32))
        rest = sound - echo
        spectrum = _spectrum(rest)
        power, doubt = self._learn(spectrum)
        near_power, rest_power = float(np.dot(sound, sound)), float(np.dot(rest, rest))
        self._check(near_power, rest_power)
        return Split(
            np.clip(np.rint(rest), -32768, 32767).astype(np.int16),
            _mean(power),
            _mean(_power(_spectrum(echo))),
            _mean(doubt),
            rest_power > _LOUDER * near_power,
        )

    def _echo(self, far: NDArray[np.float32]) -> NDArray[np.float32]:
        both = np.concatenate((self._last, far))
        self._last = far
        self._far[1:] = self._far[:-1]
        self._far[0] = np.fft.rfft(both)
        spectrum = (self._far * self._weights).sum(axis=0)
        return np.fft.irfft(spectrum, 2 * _SIZE)[_SIZE:].astype(np.float32)

    def _learn(self, rest: _Spectra) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Moves the weights; returns the power of what is left, and of the echo in it."""
        power = _power(rest)
        far_power = _power(self._far)
        doubt = np.einsum("ij,ij->j", self._doubt, far_power) / 2
        self._left += (power - self._left) * (1 - _SMOOTH)
        step = self._doubt / (doubt + self._left + _LEAST)
        known = np.minimum(step * far_power / 2, 1)
        self._doubt = _STAYS * (1 - known) * self._doubt + (1 - _STAYS) * _power(self._weights)
        change = np.fft.irfft(step * self._far.conj() * rest, 2 * _SIZE, axis=1)
        change[:, _SIZE:] = 0
        self._weights += np.fft.rfft(change, axis=1).astype(np.complex64)
        self._weights *= np.sqrt(_STAYS)
        return power, doubt

    def _check(self, near_power: float, rest_power: float) -> None:
        """Begins anew when what is left is louder than what came in: the way is another one."""
        now = np.array((near_power, rest_power))
        self._powers += (now - self._powers) / _WRONG_FRAMES
        if self._powers[1] > _WRONG * self._powers[0]:
            self._weights[:] = 0
            self._doubt[:] = _FIRST_DOUBT
            self._powers[:] = 0


def _spectrum(samples: NDArray[np.float32]) -> _Spectra:
    behind_silence = np.concatenate((np.zeros(_SIZE, np.float32), samples))
    return np.fft.rfft(behind_silence).astype(np.complex64)


def _power(spectra: _Spectra) -> NDArray[np.float32]:
    return np.square(spectra.real) + np.square(spectra.imag)


def _mean(power: NDArray[np.float32]) -> float:
    return float(power[_BAND].sum()) * _MEAN
