"""One media path of a session, from its number on."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from voxwire_server.playout.inlet import Inlet
from voxwire_server.ports import MediaPath, PathError

__all__ = ["PathLine"]


class PathLine:
    """One path, whether it opens or is in use.

    Args:
        inlet: Its way in.

    Attributes:
        path: The path, once it was made.
        on_channel: Whether it travels on the control channel.
        way_ms: How long sound takes on it, by estimate, where it gives no positions.
        ready: Whether the client was told that it is ready.
        opening: What opens it; None when nothing does.
        begun: Whether that has taken its first step.
        error: Why it went before it was in use.
    """

    def __init__(self, inlet: Inlet) -> None:
        self.inlet = inlet
        self.path_id = inlet.path_id
        self.path: MediaPath | None = None
        self.on_channel = False
        self.way_ms: float | None = None
        self.ready = False
        self.opening: asyncio.Task[None] | None = None
        self.begun = False
        self.error: PathError | None = None

    def opened(self) -> None:
        """Nothing opens any more, whatever came of it."""
        self.opening = None

    def fail(self, error: PathError) -> None:
        """It is gone before it was in use: what opens it ends with ``error``."""
        self.error = error
        if self.opening is not None and self.opening is not asyncio.current_task():
            self.opening.cancel()

    def check(self) -> None:
        """Raise its error, if there is one."""
        if self.error is not None:
            raise self.error

    @contextmanager
    def unless_gone(self) -> Generator[None]:
        """Run what opens it; raises its error as soon as :meth:`fail` is called."""
        try:
            yield
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.error is None or task is None or task.uncancel() > 0:
                raise
            raise self.error from None
