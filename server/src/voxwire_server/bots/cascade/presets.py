"""A provider by name: which Pipecat service it is, and what it needs.

Models and voices are the defaults of the installed Pipecat; ``VOXWIRE_<NAME>_<PART>_MODEL``,
``_VOICE`` and ``_URL`` put others in their place.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from voxwire_server.bots.cascade.local import LOADERS
from voxwire_server.bots.needs import Needs, NotConfiguredError, how_to_set
from voxwire_server.bots.providers import MIND

__all__ = ["SETTINGS", "Preset"]

SETTINGS = ("model", "voice")
"""What every service's settings have, as far as it has one."""


@dataclass(frozen=True)
class Preset:
    """A provider of one part.

    Attributes:
        name: What the setting calls it.
        part: ``stt``, ``llm`` or ``tts``.
        service: Its class, ``module:Class``.
        needs: Package, extra and key.
        url: The class's parameter for another address; empty = it has none.
        client: Class of the provider's library that is made for the service, because the service
            takes no address or would try again by itself: ``module:Class``.
        changed: What is changed of a service that was made.
        told: Settings without a default, each with what to write into it.
        files: Parameters that are paths, each with where one gets the file.
        tested: Whether it is tested against a local peer of the provider's wire format, or with a
            model that is here.
    """

    name: str
    part: str
    service: str
    needs: Needs
    url: str = ""
    client: str = ""
    changed: Callable[[Any], None] | None = None
    told: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    tested: bool = True

    def variable(self, what: str) -> str:
        """The variable that sets something of it."""
        return f"VOXWIRE_{self.name}_{self.part}_{what}".upper()

    @property
    def variables(self) -> list[str]:
        """All of them."""
        what = [*SETTINGS, *(["url"] if self.url else []), *self.files]
        return [self.variable(each) for each in what]

    @property
    def local(self) -> bool:
        """Whether its model is loaded into this process."""
        return self.service.partition(":")[0] in LOADERS

    def check(self) -> None:
        """See whether all that it needs is there.

        Raises:
            NotConfiguredError: Something is missing; says what to do.
        """
        self.needs.check()
        for what, hint in {**self.told, **self.files}.items():
            variable = self.variable(what)
            value = os.environ.get(variable, "").strip()
            if not value:
                how = how_to_set([variable], Path(".env"))
                raise NotConfiguredError(f"{self.needs.who} needs {variable}, {hint}: {how}")
            if what in self.files and not Path(value).exists():
                raise NotConfiguredError(f"{variable}: there is no {value}; it is {hint}")

    def load(self) -> None:
        """Load its library, and its model where that is loaded into this process."""
        if self.local:
            self.make()
            return
        for where in (self.service, self.client):
            if where:
                _named(where)

    def make(self, instruction: str = "", environ: Mapping[str, str] | None = None) -> Any:
        """A service, with its defaults and what the environment sets.

        Args:
            instruction: What a model is told to be.
            environ: The environment; None = this process's, as it is then.
        """
        environ = os.environ if environ is None else environ

        def of(what: str) -> str:
            return environ.get(self.variable(what), "").strip()

        kind = _named(self.service)
        given = {what: of(what) for what in SETTINGS if of(what)}
        if instruction and self.part == MIND:
            given["system_instruction"] = instruction
        made: dict[str, Any] = {}
        if given:
            made["settings"] = kind.Settings(**given)
        if self.needs.keys:
            made["api_key"] = self.needs.find(self.needs.keys[0], environ)
        address = {self.url: of("url")} if self.url and of("url") else {}
        if self.client:
            library = _named(self.client)
            made["client"] = library(api_key=made["api_key"], max_retries=0, **address)
        else:
            made |= address
        made |= {what: of(what) for what in self.files}
        service = kind(**made)
        if self.changed is not None:
            self.changed(service)
        return service


def _named(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
