"""The task in which a session's bot runs."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from voxwire_protocol import wire
from voxwire_server.ports import Pipeline

__all__ = ["BotTask", "Ending"]

_log = logging.getLogger("voxwire.session")

_CANCELLED: Final = 1 / 6
"""The share of the time to end that is left for what is cancelled."""

Ending = tuple[wire.EndReason, wire.Error | None]
"""Why a session ends, and what went wrong, if something did."""


class BotTask:
    """Runs a bot, tells how it ended, and ends it.

    Args:
        run: What the bot does.
        session_id: For the log.
        end_timeout_ms: How long it may take to end, once it is asked to.
    """

    def __init__(
        self, run: Coroutine[Any, Any, None], *, session_id: str, end_timeout_ms: int
    ) -> None:
        self.task = asyncio.get_running_loop().create_task(run)
        self._fields = {"session": session_id}
        self._timeout_s = end_timeout_ms / 1000
        self._until_s: float | None = None

    def outcome(self) -> Ending:
        """How a bot that is done ended its session."""
        failure = self.task.exception() if not self.task.cancelled() else None
        if failure is None:
            return wire.EndReason.END_REASON_BOT, None
        _log.error("bot failed", exc_info=failure, extra=self._fields)
        return wire.EndReason.END_REASON_ERROR, wire.Error(
            code=wire.ErrorCode.ERROR_CODE_BOT_FAILED,
            reason=f"the bot raised {type(failure).__name__}; see the server's log",
            action=wire.RecoveryAction.RECOVERY_ACTION_RECONNECT,
            fatal=True,
        )

    async def stop(self, pipeline: Pipeline | None) -> None:
        """End it: by its pipeline, if it has one, else by cancelling it.

        Both together, and a second call with them, take no longer than ``end_timeout_ms``.
        """
        now_s = asyncio.get_running_loop().time
        if self._until_s is None:
            self._until_s = now_s() + self._timeout_s
        cancel_s = self._until_s - self._timeout_s * _CANCELLED
        if not self.task.done() and pipeline is not None and now_s() < cancel_s:
            try:
                async with asyncio.timeout_at(cancel_s):
                    await pipeline.end()
                    await asyncio.wait({self.task})
            except TimeoutError:
                _log.warning("bot did not end in time", extra=self._fields)
            except Exception:
                _log.exception("pipeline could not be ended", extra=self._fields)
        if not self.task.done():
            self.task.cancel()
            await asyncio.wait({self.task}, timeout=max(0.0, self._until_s - now_s()))
