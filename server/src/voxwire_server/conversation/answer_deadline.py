"""How long an answer may stay away, and whose fault it is when it does. Pure.

The rule: protocol/spec/session.md, "States of the conversation". Times are arguments, milliseconds
of one monotonic clock.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["FAILED_MS", "AnswerDeadline", "Overdue"]

_STEPS: Final = 20
_MAX_STEP_MS: Final = 500.0

FAILED_MS: Final = 3000
"""How long a service that owes an answer and has reported an error may stay silent, ms."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """An answer that did not come in time.

    Attributes:
        service: Name of the service that owes; empty when none was asked.
        told: Whether that service has reported an error of its own since it was asked.
    """

    service: str
    told: bool


class AnswerDeadline:
    """Counts the silence since the last sign of the services that make an answer.

    Args:
        timeout_ms: How long they may stay silent; 0 = for ever.
    """

    def __init__(self, timeout_ms: float) -> None:
        self.listener = ""
        """Who owes when nobody was asked: a model that hears by itself."""
        self.step_ms = min(_MAX_STEP_MS, timeout_ms / _STEPS)
        """How often `pass_time` is to be called, ms."""
        self._timeout_ms = timeout_ms
        self._quiet_ms = 0.0
        self._at_ms: float | None = None
        self._asked = ""
        self._writes = ""
        self._holder = ""
        self._silent: dict[str, str] = {}
        self._failed: set[str] = set()

    # what the services do

    def asked(self, service: str) -> None:
        """A model was given the conversation."""
        self._asked = service
        self.sign()

    def begun(self, service: str) -> None:
        """A model has begun its answer."""
        self._asked, self._writes = "", service
        self.sign()

    def ended(self) -> None:
        """The model has said the end of its answer."""
        self._asked = self._writes = ""
        self.sign()

    def answered(self) -> None:
        """What was asked is answered, by something other than words."""
        self._asked = self._holder = ""
        self.sign()

    def holds(self, service: str) -> None:
        """A processor was given a part of the answer, to speak it or to pass it on."""
        self._holder = service

    def text_taken(self, service: str, context: str) -> None:
        """A synthesiser was given a text of a context."""
        self._silent[context] = service
        self.sign()

    def sounded(self, context: str) -> None:
        """Sound of a context was made; without a name, of all that wait."""
        if context:
            self._silent.pop(context, None)
        else:
            self._silent.clear()
        self.sign()

    def failed(self, service: str) -> None:
        """A service has reported an error."""
        self._failed.add(service)

    def sign(self) -> None:
        """A service is alive: the silence begins anew."""
        self._quiet_ms = 0.0

    def clear(self) -> None:
        """Another turn, or the answer was cut: nobody owes anything."""
        self._asked = self._writes = self._holder = ""
        self._silent.clear()
        self._failed.clear()
        self.sign()

    # time

    @property
    def voice_owes(self) -> bool:
        """Whether a synthesiser has a text and has made no sound since."""
        return bool(self._silent)

    @property
    def debtor(self) -> str:
        """Who owes: a voice that has a text and gives no sound, else the model, else who has it."""
        if self._silent:
            return next(iter(self._silent.values()))
        return self._writes or self._asked or self._holder or self.listener

    def pass_time(self, now_ms: float, *, waits: bool, held: bool) -> Overdue | None:
        """Let time pass.

        Of a look that comes late only two steps count: the program was busy, and so were the
        services that run in it.

        Args:
            now_ms: Now.
            waits: Whether an answer is waited for (nobody is if the user or the bot speaks).
            held: Whether the services may be silent: a tool runs, or nobody is there to listen.

        Returns:
            Once, when the time is over; it begins anew then.
        """
        before, self._at_ms = self._at_ms, now_ms
        if not waits:
            self.sign()
        elif not held and before is not None:
            self._quiet_ms += min(now_ms - before, 2 * self.step_ms)
        debtor = self.debtor
        told = debtor in self._failed
        limit_ms = min(self._timeout_ms, FAILED_MS) if told else self._timeout_ms
        if not self._timeout_ms or self._quiet_ms < limit_ms:
            return None
        self.sign()
        return Overdue(debtor, told)
