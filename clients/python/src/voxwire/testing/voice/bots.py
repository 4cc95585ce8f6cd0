"""Who answers in a test of a voice session."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from voxwire._environment import Environment
from voxwire.testing.recording import replay
from voxwire.testing.server import FakeServer
from voxwire.testing.session import ScriptedBot

__all__ = ["Place", "VoiceBot", "is_in_memory", "serving"]

VoiceBot = ScriptedBot | str | os.PathLike[str]
"""A script for a `FakeServer`, the address of a server, or a recording's path (``.voxrec``)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bot is.

    Attributes:
        url: What is dialled.
        environment: Over which network and by whose clock.
        server: The server in memory; None = another one.
    """

    url: str
    environment: Environment = field(default_factory=Environment)
    server: FakeServer | None = None


def is_in_memory(bot: VoiceBot) -> bool:
    """Whether it needs neither a network nor real time."""
    return callable(bot) or Path(bot).suffix == ".voxrec"


@asynccontextmanager
async def serving(bot: VoiceBot) -> AsyncGenerator[Place]:
    """Has a bot served while it is entered.

    Raises:
        Exception: What its script raised, where nothing else was.
    """
    if callable(bot):
        async with FakeServer(bot) as server:
            yield Place(server.url, server.environment, server)
    elif is_in_memory(bot):
        yield Place("ws://voxwire.test", replay(bot))
    else:
        yield Place(os.fspath(bot))
