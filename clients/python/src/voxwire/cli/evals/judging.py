"""Who decides ``eval``: a function of the user's own (``--judge MODULE:FUNCTION``)."""

import asyncio
import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from voxwire._threads import in_thread
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["ANSWER_S", "Ask", "Judge", "JudgeError", "Verdict", "load_judge"]

ANSWER_S: Final = 60.0
"""How long a judge may take for one answer, seconds."""

_ANSWERS: Final = ("yes", "no", "continue")

Message = dict[str, str]
Ask = Callable[[list[Message], str, dict[str, Any]], "object | Awaitable[object]"]
"""``judge(messages, criterion, config)``: messages are ``{"role", "content"}``, oldest first, the
last of them what is judged; config is ``judge.eval`` of the file. Returns "yes", "no" or "continue"
(not yet: the answer goes on), or such an answer and one sentence why. One that is no coroutine
function is called in a thread, and may block."""


class JudgeError(Exception):
    """The judge gave no answer; the reason is one sentence."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer of a judge, and why."""

    answer: str
    why: str = ""

    def __str__(self) -> str:
        """Both."""
        return f"{self.answer}: {self.why}" if self.why else self.answer


class Judge:
    """The conversation of one scenario, and who judges it."""

    def __init__(self, ask: Ask, config: dict[str, Any]) -> None:
        """Starts with an empty conversation.

        Args:
            ask: The function.
            config: ``judge.eval`` of the scenario.
        """
        self._ask = ask
        self._config = config
        self._messages: list[Message] = []

    def add(self, role: str, text: str) -> None:
        """Somebody said something: ``user`` or ``assistant``."""
        self._messages.append({"role": role, "content": text})

    async def decide(self, criterion: str) -> Verdict:
        """Whether what was said last meets a criterion.

        Raises:
            UsageError: The function answered something else.
            JudgeError: It raised, or has not answered after `ANSWER_S`.
        """
        said = await self._said(criterion)
        answer, why = cast("tuple[object, object]", said) if isinstance(said, tuple) else (said, "")
        if answer not in _ANSWERS:
            reason = f"the judge must say one of {', '.join(_ANSWERS)}, not {answer!r}"
            raise UsageError(ErrorCode.INVALID_ARGUMENT, reason)
        return Verdict(str(answer), str(why))

    async def _said(self, criterion: str) -> object:
        deadline = asyncio.timeout(ANSWER_S)
        try:
            async with deadline:
                return await self._asked([dict(one) for one in self._messages], criterion)
        except Exception as error:  # a program's own function may raise anything
            if deadline.expired():
                raise JudgeError(f"the judge has not answered for {ANSWER_S:g} s") from error
            raise JudgeError(f"the judge failed: {error!r}") from error

    async def _asked(self, messages: list[Message], criterion: str) -> object:
        ask, config = self._ask, self._config
        if inspect.iscoroutinefunction(ask):
            return await ask(messages, criterion, config)
        said = await in_thread(lambda: ask(messages, criterion, config), name="voxwire-judge")
        return await said if inspect.isawaitable(said) else said


def load_judge(name: str) -> Ask:
    """The function of ``module:function``; modules of the working directory count.

    Raises:
        UsageError: There is none.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise UsageError(
            ErrorCode.INVALID_ARGUMENT, "--judge is MODULE:FUNCTION, as in evals:judge"
        )
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        reason = f"--judge {name}: {error}"
        raise UsageError(ErrorCode.INVALID_ARGUMENT, reason) from error
    finally:
        sys.path.pop(0)
    if not callable(found):
        raise UsageError(ErrorCode.INVALID_ARGUMENT, f"--judge {name} is no function")
    return cast(Ask, found)
