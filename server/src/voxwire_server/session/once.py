"""Whether something comes for the first time, to whatever process of a service."""

import asyncio
from secrets import token_bytes
from typing import Final

from voxwire_server.session.store import SessionStore, StoreUnreachableError

__all__ = ["Once"]

_NAME_BYTES: Final = 16
_TRIES: Final = 8
_AGAIN_MS: Final = 250
"""An engine that fails over claims nothing for a second or two."""


class Once:
    """What is good once.

    Args:
        store: What all processes share.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def first(self, what: str, until_s: float) -> bool:
        """Whether this is the first time that somebody comes with it. Cancel-safe.

        A store that does not answer is asked again for 2 s and more, by the same name: it may have
        done what it was asked for.

        Args:
            what: Its kind and its name: ``phone/…``.
            until_s: When it is no good any more, seconds since the epoch.

        Raises:
            StoreUnreachableError: Nobody can say.
        """
        mine = token_bytes(_NAME_BYTES)
        for left in reversed(range(_TRIES)):
            try:
                return await self._store.claim(what, mine, until_s=until_s) == mine
            except StoreUnreachableError:
                if not left:
                    raise
                await asyncio.sleep(_AGAIN_MS / 1000)
        raise AssertionError("unreachable")
