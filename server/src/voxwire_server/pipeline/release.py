"""The queue behind the bot's voice: what goes downstream when the listener has heard so far.

Pure. Every frame that passes the output is given a position on the media clock and leaves when
playout reaches it, in order; this is what makes words, end-of-response and bot-stopped match the
ear instead of the moment of synthesis.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Held", "ReleaseQueue"]

T = TypeVar("T")


@dataclass(order=True, slots=True)
class Held(Generic[T]):
    """Something that leaves at ``media_ms``."""

    media_ms: float
    number: int
    item: T = field(compare=False)


class ReleaseQueue(Generic[T]):
    """Items ordered by media position, then by arrival."""

    def __init__(self) -> None:
        self._heap: list[Held[T]] = []
        self._number = 0
        self.released_ms = 0.0
        """How far items were let go because they were believed to be heard."""

    def __len__(self) -> int:
        return len(self._heap)

    def hold(self, item: T, media_ms: float) -> None:
        """Keep ``item`` until ``media_ms`` is heard."""
        self._number += 1
        heapq.heappush(self._heap, Held(media_ms, self._number, item))

    def remove(self, chosen: Callable[[T], bool]) -> None:
        """Take out what ``chosen`` is true for; it is held again or not at all."""
        kept = [held for held in self._heap if not chosen(held.item)]
        if len(kept) < len(self._heap):
            self._heap = kept
            heapq.heapify(self._heap)

    def pull_in(self, chosen: Callable[[T], bool], media_ms: float) -> None:
        """Let what ``chosen`` is true for leave at ``media_ms`` at the latest."""
        late = [held for held in self._heap if held.media_ms > media_ms and chosen(held.item)]
        for held in late:
            held.media_ms = media_ms
        if late:
            heapq.heapify(self._heap)

    @property
    def next_ms(self) -> float | None:
        """Position of the first item, None when there is none."""
        return self._heap[0].media_ms if self._heap else None

    def due(self, heard_ms: float) -> Iterator[T]:
        """Take the items whose position is heard, one by one."""
        while self._heap and self._heap[0].media_ms <= heard_ms:
            held = heapq.heappop(self._heap)
            self.released_ms = max(self.released_ms, held.media_ms)
            yield held.item

    def take_all(self) -> list[Held[T]]:
        """Take everything, in order."""
        items = [heapq.heappop(self._heap) for _ in range(len(self._heap))]
        return items
