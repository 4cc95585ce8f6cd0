"""A device that is being opened in a thread."""

import threading
from collections.abc import Callable

from voxwire._live.backend import DeviceStream
from voxwire._threads import leave_to_thread

__all__ = ["DeviceOpening"]


class DeviceOpening:
    """Opens a device in a thread, and closes it there if nobody wants it any more."""

    def __init__(self, open_device: Callable[[], DeviceStream]) -> None:
        """Takes what opens it; may block."""
        self._open = open_device
        self._lock = threading.Lock()
        self._stream: DeviceStream | None = None
        self._abandoned = False

    def run(self) -> DeviceStream:
        """Opens it; called in the thread."""
        stream = self._open()
        with self._lock:
            self._stream = stream
            if not self._abandoned:
                return stream
        stream.close()
        return stream

    def abandon(self) -> None:
        """Nobody wants it: it is closed as soon as it is open."""
        with self._lock:
            self._abandoned = True
            stream = self._stream
        if stream is not None:
            leave_to_thread(stream.close)
