"""Whether a model answers what it was asked, in time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from voxwire_server.pipeline.speech_models.kept_voice import Owed

__all__ = ["AnswerWatch"]

_ANSWER_SECS: Final = 4.0
_HUNG_SECS: Final = 8.0


class AnswerWatch:
    """Says so when no answer comes; when nothing at all comes, has another connection tried.

    Args:
        create_task: Starts a task of the service.
        late: Called when an answer is late.
        hung: Called when it has not come long after that.
    """

    def __init__(
        self,
        create_task: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        *,
        late: Callable[[], Awaitable[None]],
        hung: Callable[[], Awaitable[None]],
    ) -> None:
        self._create_task = create_task
        self._late, self._hung = late, hung
        self._task: asyncio.Task[None] | None = None
        self.owed: Owed | None = None
        """What the model owes an answer to."""

    def expect(self, owed: Owed) -> None:
        """The model owes an answer from now on."""
        self.cancel()
        self.owed = owed
        self._task = self._create_task(self._wait(), "gemini_answer")

    def alive(self) -> None:
        """Something came, if no answer: the time begins anew."""
        if self._task is not None and self.owed is not None:
            self.expect(self.owed)

    def answered(self) -> None:
        """Nothing is owed any more."""
        self.owed = None
        self.cancel()

    def cancel(self) -> None:
        """Stop to wait; what is owed stays owed."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _wait(self) -> None:
        await asyncio.sleep(_ANSWER_SECS)
        await self._late()
        await asyncio.sleep(_HUNG_SECS - _ANSWER_SECS)
        self._task = None
        await self._hung()
