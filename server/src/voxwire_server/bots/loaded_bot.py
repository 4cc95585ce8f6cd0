"""A bot that a server can run, and why one cannot be had."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxwire_server.pipeline.bot import Bot

__all__ = ["BotNotFoundError", "LoadedBot", "nothing"]


class BotNotFoundError(Exception):
    """There is no such bot; the message says what to do."""


async def nothing() -> None:
    """What a bot does that has nothing to load, or to close."""


@dataclass(frozen=True)
class LoadedBot:
    """A bot and what goes with it.

    Attributes:
        name: What clients call it.
        run: Holds one conversation.
        warm: Loads what the first session would otherwise wait for.
        close: Ends what ``warm`` began.
        examples: Phrases to try.
        accepts: Types of files that it takes; None = those of the server's settings.
        waits: Whether its clients wait for a place where the server has none and lets clients wait;
            None = they do.
        caps: What all of its sessions may cost a day (UTC): any of ``seconds``, ``turns``,
            ``llm_tokens``, ``tts_characters``; of the rest, the server's settings count.
        notes: What whoever starts the server should know of it, a sentence each.
    """

    name: str
    run: "Bot"
    warm: Callable[[], Awaitable[None]] = nothing
    close: Callable[[], Awaitable[None]] = nothing
    examples: tuple[str, ...] = field(default=())
    accepts: tuple[str, ...] | None = None
    waits: bool | None = None
    caps: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)
    notes: tuple[str, ...] = field(default=())
