"""Where a session may be dialled: its first URL, and where its server sends it. Pure."""

import re
from typing import Final
from urllib.parse import urlsplit

from voxwire._url import address_of, is_loopback

__all__ = ["Addresses", "moving_window_ms"]

MAX_URL_CHARS: Final = 2048

_SHAPE: Final = re.compile(
    r"wss?://([\w.-]+|\[[\da-f:.]+\])(:\d+)?([/?][!-\"$-~]*)?", re.ASCII | re.IGNORECASE
)
"""A WebSocket URL without credentials and fragment."""

RESERVE_MS: Final = 3000
"""A client moves this long before its server leaves: time for a URL that is dead and another."""


class Addresses:
    """The URLs of one session, by what its server has said.

    Attributes:
        first: Where the program connected.
    """

    def __init__(self, first: str) -> None:
        """Begins with the only URL that is known."""
        self.first = first
        self._at = first
        self._dead = ""

    @property
    def order(self) -> tuple[str, ...]:
        """What a round dials, one after the other."""
        return (self.first,) if self._at == self.first else (self._at, self.first)

    def welcomed(self, url: str, resume_url: str) -> None:
        """The server behind `url` has welcomed us; the next resume is wanted at `resume_url`."""
        if url == self._dead:
            self._dead = ""
        self._at = resume_url if self._allows(resume_url) else url

    def sent_on(self, resume_url: str, *, here: str = "") -> bool:
        """Takes a GoAway.

        Args:
            resume_url: Where it says that the session goes on; empty = at the first URL.
            here: The URL of the socket in use.

        Returns:
            True when that is another place, which is not known to be dead.
        """
        allowed = self._allows(resume_url)
        self._at = resume_url if allowed else self.first
        return allowed and resume_url not in (here, self._dead)

    def failed(self, url: str) -> None:
        """The session was not to be had at `url`; that is tried again, but only in need."""
        if url != self.first:
            self._dead = url

    def refused(self, url: str) -> bool:
        """Takes a refusal for good; True when the first URL may know better."""
        self.failed(url)
        if url == self._at:
            self._at = self.first
        return url != self.first

    def _allows(self, url: str) -> bool:
        """Whether a server may send us there: never out of TLS, nor to this machine."""
        if len(url) > MAX_URL_CHARS or not _SHAPE.fullmatch(url):
            return False
        try:
            parts = urlsplit(url)
            address_of((parts.hostname or "").removesuffix("."))
            if parts.port == 0:
                return False
        except ValueError:  # of a port above 65535, of an address that is none
            return False
        encrypted = parts.scheme == "wss" or urlsplit(self.first).scheme == "ws"
        return encrypted and (is_loopback(self.first) or not is_loopback(url))


def moving_window_ms(time_left_ms: int, jitter: float) -> tuple[int, int]:
    """When a client moves: at a quiet moment between these two, or at the latter.

    Args:
        time_left_ms: What the server has said, from now on.
        jitter: From 0 to 1, so that not all of its clients move at once.
    """
    latest_ms = time_left_ms - min(RESERVE_MS, time_left_ms // 2)
    return int(jitter * latest_ms / 2), latest_ms
