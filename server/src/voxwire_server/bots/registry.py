"""Finding the bot that a server runs."""

import importlib.util
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from voxwire_server.bots.needs import NotConfiguredError

if TYPE_CHECKING:
    from voxwire_server.pipeline.bot import Bot

__all__ = ["BotNotFoundError", "LoadedBot", "load_bot"]

_PROVIDERS: Final = {
    "gemini": "voxwire_server.bots.gemini",
    "openai-realtime": "voxwire_server.bots.openai_realtime",
    "nova-sonic": "voxwire_server.bots.nova_sonic",
}


class BotNotFoundError(Exception):
    """There is no such bot; the message says what to do."""


async def _nothing() -> None:
    pass


@dataclass(frozen=True)
class LoadedBot:
    """A bot and what goes with it."""

    name: str
    run: "Bot"
    warm: Callable[[], Awaitable[None]] = _nothing
    close: Callable[[], Awaitable[None]] = _nothing
    examples: tuple[str, ...] = field(default=())
    accepts: tuple[str, ...] | None = None
    """Types of files that it takes; None = those of the server's settings."""


def load_bot(name: str) -> LoadedBot:
    """Load a built-in bot, or the function ``bot`` of a Python file.

    Built in are ``offline``, ``gemini``, ``openai-realtime`` and ``nova-sonic``.

    Raises:
        BotNotFoundError: No such bot, or an extra or a key that it needs is missing.
    """
    if name == "offline":
        return _offline()
    if name in _PROVIDERS:
        return _provider(name)
    path = Path(name)
    if not path.is_file():
        built_in = ", ".join(["offline", *_PROVIDERS])
        raise BotNotFoundError(
            f"there is no bot {name!r}: give a Python file, or one of {built_in}"
        )
    spec = importlib.util.spec_from_file_location(f"voxwire_bot_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BotNotFoundError(f"{name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    spec.loader.exec_module(module)
    run: Any = getattr(module, "bot", None)
    if run is None:
        raise BotNotFoundError(f"{name} has no function 'async def bot(session)'")
    accepts: Any = getattr(module, "ACCEPTS", None)
    return LoadedBot(
        name=path.stem,
        run=run,
        warm=getattr(module, "warm", _nothing),
        close=getattr(module, "close", _nothing),
        examples=tuple(getattr(module, "EXAMPLES", ())),
        accepts=None if accepts is None else tuple(accepts),
    )


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
