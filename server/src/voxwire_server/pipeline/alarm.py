"""Something to wait for that may also come by itself after a while."""

import asyncio

__all__ = ["Alarm"]


class Alarm:
    """Wakes its one waiter when it is rung, or when the time is over."""

    def __init__(self) -> None:
        """Starts silent."""
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter, or the next one."""
        self._rung.set()

    def silence(self) -> None:
        """Forget that it rang."""
        self._rung.clear()

    async def wait(self, secs: float | None) -> None:
        """Wait until it rings, ``secs`` at most; None = for as long as it takes. Cancel-safe."""
        timer: asyncio.TimerHandle | None = None
        if secs is not None:
            timer = asyncio.get_running_loop().call_later(secs, self._rung.set)
        try:
            await self._rung.wait()
        finally:
            if timer is not None:
                timer.cancel()
