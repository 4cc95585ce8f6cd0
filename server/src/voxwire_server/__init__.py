"""Voxwire's server: puts any Pipecat voice bot behind the Voxwire protocol.

from voxwire_server import BotSession, serve

async def bot(session: BotSession) -> None: ...
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxwire_server.app import create_app, lifespan
    from voxwire_server.authenticator import (
        Credential,
        ForbiddenError,
        Identity,
        UnauthorizedError,
    )
    from voxwire_server.bots.loaded_bot import LoadedBot
    from voxwire_server.config import Settings
    from voxwire_server.pipeline.bot import Bot, BotSession, ToolReport
    from voxwire_server.serving import serve, serve_async
    from voxwire_server.tokens import Limits

# onnxruntime tells Microsoft of its use unless this is set before it is imported
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Bot",
    "BotSession",
    "Credential",
    "ForbiddenError",
    "Identity",
    "Limits",
    "LoadedBot",
    "Settings",
    "ToolReport",
    "UnauthorizedError",
    "create_app",
    "lifespan",
    "serve",
    "serve_async",
]

_HOMES = {
    "Bot": "voxwire_server.pipeline.bot",
    "BotSession": "voxwire_server.pipeline.bot",
    "Credential": "voxwire_server.authenticator",
    "ForbiddenError": "voxwire_server.authenticator",
    "Identity": "voxwire_server.authenticator",
    "Limits": "voxwire_server.tokens",
    "LoadedBot": "voxwire_server.bots.loaded_bot",
    "Settings": "voxwire_server.config",
    "UnauthorizedError": "voxwire_server.authenticator",
    "ToolReport": "voxwire_server.pipeline.bot",
    "create_app": "voxwire_server.app",
    "lifespan": "voxwire_server.app",
    "serve": "voxwire_server.serving",
    "serve_async": "voxwire_server.serving",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used; Pipecat takes a second to import."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'voxwire_server' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
