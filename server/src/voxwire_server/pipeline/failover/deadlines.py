"""How long a service may be silent before the next one is asked."""

from dataclasses import dataclass

__all__ = ["HEARING", "MIND", "VOICE", "Deadlines"]


@dataclass(frozen=True)
class Deadlines:
    """Of one part of a bot, seconds.

    Attributes:
        first_s: From what it is asked to the first that comes.
        again_s: The same, for one who is asked because another one failed.
        next_s: From one piece to the next, while it owes some.
        start_s: From when it is made until it can be asked.
        close_s: For it to close, once it is given up.
        end_s: For it to end, when the session does: it says first what it was given.
    """

    first_s: float
    again_s: float = 2.0
    next_s: float = 2.0
    start_s: float = 2.0
    close_s: float = 2.0
    end_s: float = 10.0

    def wait_s(self, *, again: bool) -> float:
        """How long the first may take to come."""
        return self.again_s if again else self.first_s


HEARING = Deadlines(first_s=3.0)
MIND = Deadlines(first_s=5.0, again_s=5.0)
VOICE = Deadlines(first_s=3.0)
