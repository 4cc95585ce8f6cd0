"""The devices of this machine by way of PortAudio (sounddevice, extra ``voxwire[audio]``)."""

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxwire._live.backend import BLOCK_MS, DeviceBusyError, DeviceInfo, DeviceStream
from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, MediaError, UsageError
from voxwire_protocol.events import DeviceKind

__all__ = ["machine_devices"]

_log = logging.getLogger("voxwire")

MAX_CHANNELS: Final = 2
"""A device that cannot be opened with one channel is opened with this many."""

LATENCY_S: Final = 0.05 if sys.platform == "linux" else "low"
"""What PortAudio is asked to buffer. What it calls low on ALSA, 9 ms, is less than a sound server
needs: the sound breaks up as soon as the machine is busy.
"""

UNAVAILABLE: Final = -9985
"""PortAudio's ``paDeviceUnavailable``."""

_NO_LIBRARY: Final = {
    "linux": "Debian, Ubuntu: apt-get install libportaudio2; Fedora: dnf install portaudio",
    "darwin": "pip install --force-reinstall sounddevice, or brew install portaudio",
}


@cache
def machine_devices() -> "PortAudioDevices":
    """The devices of this machine, one for the whole process: PortAudio's list belongs to it.

    Raises:
        UsageError: MISSING_EXTRA: sounddevice is not installed; UNSUPPORTED: PortAudio is not. The
            reason says what to install.
    """
    try:
        import sounddevice
    except ImportError as error:
        reason = "live audio needs sounddevice: pip install 'voxwire[audio]'"
        raise UsageError(ErrorCode.MISSING_EXTRA, reason) from error
    except OSError as error:  # sounddevice is there, the library that it loads is not
        advice = _NO_LIBRARY.get(sys.platform, "install PortAudio")
        reason = f"live audio needs PortAudio, which is not installed ({advice})"
        raise UsageError(ErrorCode.UNSUPPORTED, reason) from error
    return PortAudioDevices(sounddevice)


class PortAudioDevices:
    """A `DeviceBackend`. Thread-safe; PortAudio itself is not."""

    def __init__(self, sounddevice: Any) -> None:
        """Takes the module, which has initialised PortAudio."""
        self._sd = sounddevice
        self._lock = threading.Lock()
        self._open = 0
        self._initialized = True

    def devices(self) -> Sequence[DeviceInfo]:
        """What there is, as of the last `refresh`.

        Raises:
            MediaError: DEVICE: PortAudio does not say.
        """
        with self._asking():
            defaults = tuple(self._sd.default.device)
            return [
                DeviceInfo(
                    index=index,
                    name=str(found["name"]),
                    microphones=int(found["max_input_channels"]),
                    speakers=int(found["max_output_channels"]),
                    sample_rate=round(found["default_samplerate"]),
                    is_default=index in defaults,
                )
                for index, found in enumerate(self._sd.query_devices())
            ]

    def default(self, kind: DeviceKind) -> int | None:
        """Index of the system's default; None = there is none."""
        with self._asking():
            index = int(self._sd.default.device[kind is DeviceKind.SPEAKER])
        return None if index < 0 else index

    def refresh(self) -> bool:
        """Has PortAudio list the devices anew, which it does only when it is initialised.

        Raises:
            MediaError: DEVICE: it cannot be initialised now; the next refresh tries again.
        """
        with self._asking():
            if self._open:
                return False
            if self._initialized:
                self._sd._terminate()
                self._initialized = False
            self._sd._initialize()
            self._initialized = True
            return True

    @contextlib.contextmanager
    def _asking(self) -> Generator[None]:
        """Has PortAudio to itself.

        Raises:
            MediaError: DEVICE: it failed.
        """
        with self._lock:
            try:
                yield
            except self._sd.PortAudioError as error:
                raise MediaError(ErrorCode.DEVICE, f"PortAudio failed: {error}") from error

    def open_input(
        self, device: DeviceInfo, take: Callable[[Samples], None], ended: Callable[[], None]
    ) -> DeviceStream:
        """Records at the device's rate.

        Raises:
            MediaError: DEVICE: it cannot be opened.
        """

        def callback(data: NDArray[np.int16], frames: int, at: Any, status: Any) -> None:
            mono = data[:, 0].copy() if data.shape[1] == 1 else _mixed(data)
            take(mono)

        return self._start(self._sd.InputStream, device, callback, ended)

    def open_output(
        self, device: DeviceInfo, give: Callable[[int], Samples], ended: Callable[[], None]
    ) -> DeviceStream:
        """Plays at the device's rate.

        Raises:
            MediaError: DEVICE: it cannot be opened.
        """

        def callback(data: NDArray[np.int16], frames: int, at: Any, status: Any) -> None:
            data[:] = give(frames)[:, np.newaxis]

        return self._start(self._sd.OutputStream, device, callback, ended)

    def _start(
        self, kind: Any, device: DeviceInfo, callback: Any, ended: Callable[[], None]
    ) -> DeviceStream:
        with self._lock:
            for channels in (1, MAX_CHANNELS):
                stream = None
                try:
                    stream = kind(
                        device=device.index,
                        samplerate=device.sample_rate,
                        blocksize=device.sample_rate * BLOCK_MS // 1000,
                        channels=channels,
                        dtype="int16",
                        latency=LATENCY_S,
                        callback=callback,
                        finished_callback=ended,
                    )
                    stream.start()
                except self._sd.PortAudioError as error:
                    if stream is not None:
                        stream.close(ignore_errors=True)
                    if channels == MAX_CHANNELS:
                        reason = f"{device.name} cannot be opened: {error}"
                        kind_of = DeviceBusyError if _is_busy(error) else MediaError
                        raise kind_of(ErrorCode.DEVICE, reason) from error
                else:
                    self._open += 1
                    return _PortAudioStream(stream, self._closed)
        raise AssertionError("a device is opened or raises")

    def _closed(self) -> None:
        with self._lock:
            self._open -= 1


class _PortAudioStream:
    """A running stream, closed once."""

    def __init__(self, stream: Any, closed: Callable[[], None]) -> None:
        self._stream: Any = stream
        self._closed = closed
        self._lock = threading.Lock()

    @property
    def latency_ms(self) -> float:
        stream = self._stream
        return 0.0 if stream is None else float(stream.latency) * 1000

    def close(self) -> None:
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            stream.close(ignore_errors=True)
            self._closed()


def _is_busy(error: Exception) -> bool:
    """Whether PortAudio says that somebody else has the device."""
    return len(error.args) > 1 and error.args[1] == UNAVAILABLE


def _mixed(frames: NDArray[np.int16]) -> Samples:
    return np.rint(frames.mean(axis=1)).astype(np.int16)
