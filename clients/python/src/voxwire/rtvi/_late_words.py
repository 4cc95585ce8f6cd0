"""How long the end of a stock bot's utterance waits for words that are missing."""

import asyncio
from collections.abc import Callable

from voxwire.rtvi._raised import Raised
from voxwire_protocol.rtvi import LATE_MS, StockBot

__all__ = ["LateWords"]


class LateWords:
    """Ends an utterance whose last words do not come. `look` behind everything that is read."""

    def __init__(self, bot: StockBot, end: Callable[[], object], raised: Raised) -> None:
        """Prepares.

        Args:
            bot: Knows whether words are missing.
            end: Tells what `StockBot.overdue` gives.
            raised: Keeps what that raises when it is time.
        """
        self._bot, self._end, self._raised = bot, end, raised
        self._utterance_id = ""
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Begins to wait, or waits no more."""
        late = self._bot.late_utterance_id
        if late == self._utterance_id:
            return
        self.stop()
        self._utterance_id = late
        if late:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(LATE_MS / 1000, self._raised.by, self.give_up)

    def give_up(self) -> None:
        """What has not come is not waited for."""
        self.stop()
        self._end()

    def stop(self) -> None:
        """Waits no more, and tells nothing."""
        self._utterance_id = ""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
