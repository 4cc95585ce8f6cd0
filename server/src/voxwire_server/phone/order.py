"""The caller's voice in its order, where a vendor promises none (Telnyx). Pure."""

from typing import Final

__all__ = ["Order"]

_MOST_HELD: Final = 5
"""Pieces that wait for one that is missing; then it is given up."""
_FURTHEST: Final = 1500
"""A piece so far ahead is none."""
_MOST_STRAY: Final = 25
"""So many in a row that are too far ahead or behind, and the vendor counts otherwise now."""


class Order:
    """Puts the pieces of one stream in order, by their numbers."""

    def __init__(self) -> None:
        self._next = 0
        self._held: dict[int, bytes] = {}
        self._stray = 0

    def take(self, data: bytes, number: int) -> list[bytes]:
        """What can be heard now.

        Args:
            data: A piece.
            number: Its place, from 1; 0 = they come in order.

        Returns:
            The pieces that are next; of one that comes again, or too late, nothing.
        """
        if not number:
            return [data]
        if not self._next:
            self._next = number
        self._stray = 0 if self._next <= number < self._next + _FURTHEST else self._stray + 1
        if self._stray > _MOST_STRAY:
            self._stray, self._next = 0, number
            self._held.clear()
        if not self._stray:
            self._held[number] = data
        if len(self._held) > _MOST_HELD:
            self._next = min(self._held)
        ready: list[bytes] = []
        while self._next in self._held:
            ready.append(self._held.pop(self._next))
            self._next += 1
        return ready
