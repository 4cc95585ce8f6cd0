"""Which servers WebRTC did not come about to, so that the next session does not wait for it."""

from collections import OrderedDict
from typing import Final
from urllib.parse import urlsplit

from voxwire._fallback import Fallback
from voxwire_protocol.clocks import Clock

__all__ = ["HELD_MS", "MAX_SERVERS", "CarrierMemory", "Remembered"]

HELD_MS: Final = 300_000
"""How long a failure counts: networks heal, and laptops are carried elsewhere."""

MAX_SERVERS: Final = 64
"""Most servers that are remembered; the oldest give way."""


class CarrierMemory:
    """The failures of WebRTC by server, of the sessions of one program."""

    def __init__(self) -> None:
        """Begins empty."""
        self._failures: OrderedDict[str, tuple[float, Fallback]] = OrderedDict()

    def of(self, url: str, clock: Clock) -> "Remembered":
        """What is known of the server at a URL."""
        parts = urlsplit(url)
        return Remembered(self._failures, f"{parts.scheme}://{parts.netloc}".lower(), clock)


class Remembered:
    """The failure of one server, if there is a recent one."""

    def __init__(
        self, failures: OrderedDict[str, tuple[float, Fallback]], server: str, clock: Clock
    ) -> None:
        """Made by `CarrierMemory.of`."""
        self._failures = failures
        self._server = server
        self._clock = clock

    @property
    def failure(self) -> Fallback | None:
        """Why WebRTC did not come about; None when it did last, or nobody has tried lately."""
        until_ms, found = self._failures.get(self._server, (0.0, None))
        if found is not None and self._clock.now_ms() >= until_ms:
            self.worked()
            return None
        return found

    def failed(self, why: Fallback) -> None:
        """WebRTC did not come about."""
        self._failures.pop(self._server, None)
        self._failures[self._server] = (self._clock.now_ms() + HELD_MS, why)
        if len(self._failures) > MAX_SERVERS:
            self._failures.popitem(last=False)

    def worked(self) -> None:
        """WebRTC came about."""
        self._failures.pop(self._server, None)
