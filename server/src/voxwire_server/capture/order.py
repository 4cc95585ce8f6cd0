"""Numbered audio in order, each sample once. Pure."""

__all__ = ["CaptureOrder"]


class CaptureOrder:
    """Puts numbered audio in order.

    Attributes:
        next_index: Number of the sample that is wanted next.
    """

    def __init__(self) -> None:
        self.next_index = 0

    def take(self, index: int, num_samples: int) -> int:
        """Take a block.

        Args:
            index: Number of its first sample.
            num_samples: How many it has.

        Returns:
            How many samples of its beginning are known already.
        """
        known = min(max(0, self.next_index - index), num_samples)
        self.next_index = max(self.next_index, index + num_samples)
        return known
