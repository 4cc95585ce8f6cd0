"""Who decides ``eval``: a function of the user's own (``--judge MODULE:FUNCTION``)."""

import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["Ask", "Judge", "Verdict", "load_judge"]

_ANSWERS: Final = ("yes", "no", "continue")

Message = dict[str, str]
Ask = Callable[[list[Message], str, dict[str, Any]], "object | Awaitable[object]"]
"""``judge(messages, criterion, config)``: messages are ``{"role", "content"}``, oldest first, the
last of them what is judged; config is ``judge.eval`` of the file. Returns "yes", "no" or "continue"
(not yet: the answer goes on), or such an answer and one sentence why."""


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
        """
        said = self._ask([dict(message) for message in self._messages], criterion, self._config)
        if inspect.isawaitable(said):
            said = await said
        answer, why = cast("tuple[object, object]", said) if isinstance(said, tuple) else (said, "")
        if answer not in _ANSWERS:
            reason = f"the judge must say one of {', '.join(_ANSWERS)}, not {answer!r}"
            raise UsageError(ErrorCode.INVALID_ARGUMENT, reason)
        return Verdict(str(answer), str(why))


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
