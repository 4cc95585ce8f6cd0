"""How long a session waits for what, all in one place."""

from dataclasses import dataclass

from voxwire._arguments import number

__all__ = ["Timeouts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a session waits, milliseconds.

    Attributes:
        connect_ms: Longest time until the session is ready, tries of a busy server included.
        resume_ms: Longest time to come back after a lost connection; None = as long as the server
            keeps the session.
        waiting_ms: How long it waits for a place where the server has none and lets clients wait,
            in all and beyond `connect_ms`; 0 = it does not, and is refused at once.
        wait_ms: Of `Session.wait_for`, `Session.call` and `Session.acknowledged`, where they are
            given no other.

    Raises:
        UsageError: INVALID_ARGUMENT: one of them is no such time.
    """

    connect_ms: float = 10_000
    resume_ms: float | None = None
    wait_ms: float = 10_000
    waiting_ms: float = 120_000

    def __post_init__(self) -> None:
        """Checks them."""
        number(self.connect_ms, "connect_ms", above=0)
        number(self.wait_ms, "wait_ms")
        number(self.waiting_ms, "waiting_ms")
        if self.resume_ms is not None:
            number(self.resume_ms, "resume_ms")
