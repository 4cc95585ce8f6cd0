"""The bots of one server, by name."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Union, cast

from voxwire_server.bots.registry import LoadedBot
from voxwire_server.caps import Caps

if TYPE_CHECKING:
    from voxwire_server.pipeline.bot import Bot

__all__ = ["Bots", "BotsError", "Servable", "UnknownBotError", "loaded", "name_of"]

_One = Union["Bot", LoadedBot]
Servable = Union[_One, Mapping[str, _One], Sequence[LoadedBot], "Bots"]
"""What a server can be given: one bot, or several by name."""

_MAX_NAME_CHARS: Final = 128
_MAX_NAMES_TOLD: Final = 20


class BotsError(ValueError):
    """Bots that cannot be served together; the message says why."""


class UnknownBotError(Exception):
    """The server has no bot of that name; the message names those that it has."""


class Bots:
    """The bots of one server.

    Args:
        bots: At least one; their names differ.

    Raises:
        BotsError: No bot, two of one name, a name that is empty, longer than 128 characters or has
            characters that cannot be printed, or caps that are none.
    """

    def __init__(self, bots: Sequence[LoadedBot]) -> None:
        if not bots:
            raise BotsError("a server needs a bot")
        for bot in bots:
            _check(bot)
        self._by_name = {bot.name: bot for bot in bots}
        if len(self._by_name) < len(bots):
            raise BotsError("two bots have the same name")

    @property
    def names(self) -> list[str]:
        """Their names, in the order given."""
        return list(self._by_name)

    @property
    def all(self) -> list[LoadedBot]:
        """The bots, in the order given."""
        return list(self._by_name.values())

    def choose(self, name: str) -> LoadedBot:
        """The bot that a client means; without a name the only one.

        Raises:
            UnknownBotError: There is none of that name, or several and no name was given.
        """
        if not name and len(self._by_name) == 1:
            return next(iter(self._by_name.values()))
        bot = self._by_name.get(name)
        if bot is None:
            what = "has no bot of that name" if name else "has several bots"
            raise UnknownBotError(f"this server {what}; name one of: {self._told()}")
        return bot

    def _told(self) -> str:
        names = self.names
        rest = len(names) - _MAX_NAMES_TOLD
        return ", ".join(names[:_MAX_NAMES_TOLD]) + (f" and {rest} more" if rest > 0 else "")


def _check(bot: LoadedBot) -> None:
    """See that what a bot says of itself, or its file does, can be.

    Raises:
        BotsError: It cannot.
    """
    if not 0 < len(bot.name) <= _MAX_NAME_CHARS or not bot.name.isprintable():
        raise BotsError(f"a bot cannot be named {bot.name[:40]!r}")
    waits = cast("object", bot.waits)  # whatever its file has
    if waits is not None and not isinstance(waits, bool):
        raise BotsError(f"whether clients of {bot.name} wait for a place is True or False")
    try:
        Caps.of(bot.caps)
    except ValueError as error:
        raise BotsError(f"the caps of {bot.name}: {error}") from None


def name_of(bot: "Bot") -> str:
    """The name of a bot that was given without one: that of its file."""
    module = getattr(bot, "__module__", None) or "bot"
    if module == "__main__":
        file = getattr(sys.modules.get(module), "__file__", None)
        return Path(file).stem if file else "bot"
    return module.rpartition(".")[2]


def _named(name: str, bot: _One) -> LoadedBot:
    return replace(bot, name=name) if isinstance(bot, LoadedBot) else LoadedBot(name, bot)


def loaded(given: "Servable") -> Bots:
    """The bots that a server was given.

    Raises:
        BotsError: They cannot be served together (:class:`Bots`).
    """
    if isinstance(given, Bots):
        return given
    if isinstance(given, LoadedBot):
        return Bots([given])
    if isinstance(given, Mapping):
        return Bots([_named(name, bot) for name, bot in given.items()])
    if isinstance(given, Sequence):
        return Bots(list(given))
    return Bots([LoadedBot(name=name_of(given), run=given)])
