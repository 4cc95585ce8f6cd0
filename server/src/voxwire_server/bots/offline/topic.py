"""What the conversation was about: a question that goes on does not say everything again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voxwire_server.bots.offline.intents import Understood

__all__ = ["Topic"]

_GOES_ON = ("weather", "restaurants", "map")


@dataclass(frozen=True, slots=True)
class Topic:
    """The question that a tool answered last, or that lacked something.

    Attributes:
        intent: Its intent, or "".
        slots: What was known of it.
    """

    intent: str = ""
    slots: Mapping[str, str] = field(default_factory=dict[str, str])

    def taken_up(self, understood: Understood) -> Understood:
        """Complete what was understood now: "and in Rome?" asks the same of Rome.

        Args:
            understood: What was understood.

        Returns:
            The same, with what was said before where it lacks something.
        """
        if self.intent not in _GOES_ON:
            return understood
        if understood.intent == "slots":
            return Understood(self.intent, {**self.slots, **understood.slots})
        if understood.intent == self.intent != "map" and understood.slots:
            return Understood(self.intent, {**self.slots, **understood.slots})
        return understood
