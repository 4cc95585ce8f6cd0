"""Finding the bot that a server runs."""

from importlib import import_module
from pathlib import Path
from typing import Final

from voxwire_server.bots.bot_file import load_file
from voxwire_server.bots.loaded_bot import BotNotFoundError, LoadedBot
from voxwire_server.bots.needs import NotConfiguredError
from voxwire_server.bots.providers import Providers

__all__ = ["BotNotFoundError", "LoadedBot", "load_bot"]

_PROVIDERS: Final = {
    "gemini": "voxwire_server.bots.gemini",
    "openai-realtime": "voxwire_server.bots.openai_realtime",
    "nova-sonic": "voxwire_server.bots.nova_sonic",
}
_CASCADES: Final = ("cascade", "local")


def load_bot(name: str, providers: Providers = Providers()) -> LoadedBot:  # noqa: B008 - a tuple
    """Load a built-in bot, or the function ``bot`` of a Python file (:mod:`bot_file`).

    Built in are ``offline``, ``cascade``, ``local``, ``gemini``, ``openai-realtime`` and
    ``nova-sonic``.

    Args:
        name: The bot's name, or the path of its file.
        providers: Who hears, thinks and speaks for ``cascade`` and ``local``.

    Raises:
        BotNotFoundError: No such bot, or an extra or a key that it needs is missing.
    """
    if name == "offline":
        return _offline()
    if name in _CASCADES:
        return _cascade(name, providers)
    if name in _PROVIDERS:
        return _provider(name)
    path = Path(name)
    if not path.is_file():
        built_in = ", ".join(["offline", *_CASCADES, *_PROVIDERS])
        raise BotNotFoundError(
            f"there is no bot {name!r}: give a Python file, or one of {built_in}"
        )
    return load_file(path)


def _offline() -> LoadedBot:
    try:
        from voxwire_server.bots.offline import bot as offline
    except ImportError as error:
        raise BotNotFoundError(
            f"the offline bot needs: pip install 'voxwire-server[offline]' ({error})"
        ) from error
    return LoadedBot(
        name="offline",
        run=offline.bot,
        warm=offline.warm,
        close=offline.close,
        examples=tuple(offline.EXAMPLES),
        accepts=offline.ACCEPTS,
    )


def _provider(name: str) -> LoadedBot:
    module = import_module(_PROVIDERS[name])
    try:
        module.NEEDS.check()
    except NotConfiguredError as error:
        raise BotNotFoundError(str(error)) from error
    return LoadedBot(name=name, run=module.bot, examples=tuple(module.EXAMPLES))


def _cascade(name: str, providers: Providers) -> LoadedBot:
    from voxwire_server.bots.cascade.cascade import load

    return load(name, providers)
