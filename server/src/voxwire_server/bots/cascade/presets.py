"""Providers by name: which Pipecat service each one is, and what it needs.

Models and voices are the defaults of the installed Pipecat; ``VOXWIRE_<NAME>_MODEL``, ``_VOICE`` and
``_URL`` put others in their place.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from voxwire_server.bots.needs import Needs

__all__ = ["HEARING", "MIND", "PARTS", "VOICE", "Preset"]

HEARING: Final = "stt"
MIND: Final = "llm"
VOICE: Final = "tts"

_Change = Callable[[Any], None]


@dataclass(frozen=True)
class Preset:
    """A provider of one part.

    Attributes:
        name: What the setting calls it.
        service: Its class in Pipecat, ``module:Class`` below ``pipecat.services``.
        needs: Package, extra and key.
        url: The class's parameter for another address; empty = it has none.
        voice: Whether it speaks only with a voice that was named.
        paths: Parameters that are paths of models, and the variables that have them.
        change: What is changed of a service that was made.
        tested: Whether it is tested against a local peer of the provider's wire format.
    """

    name: str
    service: str
    needs: Needs
    url: str = ""
    voice: bool = False
    paths: Mapping[str, str] = field(default_factory=dict[str, str])
    change: _Change | None = None
    tested: bool = True

    def variable(self, what: str) -> str:
        """The variable that sets something of it."""
        return f"VOXWIRE_{self.name.upper()}_{what}"

    def make(self, instruction: str = "") -> Any:
        """A service, with its defaults and what the environment sets.

        Args:
            instruction: What a model is told to be.
        """
        module, _, name = self.service.partition(":")
        kind: Any = getattr(import_module(f"pipecat.services.{module}"), name)
        given: dict[str, Any] = {}
        if instruction:
            given["system_instruction"] = instruction
        for what in ("model", "voice"):
            if value := os.environ.get(self.variable(what.upper()), "").strip():
                given[what] = value
        made: dict[str, Any] = {"settings": kind.Settings(**given)} if given else {}
        if self.needs.keys:
            made["api_key"] = self.needs.key(self.needs.keys[0])
        if self.url and (url := os.environ.get(self.variable("URL"), "").strip()):
            made[self.url] = url
        for parameter, variable in self.paths.items():
            made[parameter] = os.environ[variable]
        service = kind(**made)
        if self.change is not None:
            self.change(service)
        return service
