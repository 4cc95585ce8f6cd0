"""What is used of a token: its one use, and one of the sessions that its user may have at once.

Both are agreed on in the store, each by one verb that is atomic by itself, so they are reserved one
after the other and given back when nothing comes of it (ADR 17): first the place among the sessions
of the user, then the token, last before the session is born.

- A token of ours opens one session. The same attach nonce within 60 s is the same attach: it uses
  the token again for the session that it has opened, or for another one when that is over
  (protocol/spec/session.md, "Tokens" and "Nonce").
- Whom the authenticator knows has no token that is used up; his sessions count (ADR 37).
- A token that was good when its wait for a place began is good at its end (the same, "Waiting for a
  place"), so its use is remembered for the longest wait longer.

The store alone makes it safe. That those of one user stand in line makes it fair: none is refused
for what another one is about to give back.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from voxwire_protocol import wire
from voxwire_server.authenticator import Identity
from voxwire_server.session.single_file import SingleFile
from voxwire_server.session.store import SessionStore, StoreUnreachableError, Use
from voxwire_server.tokens import Claims, TokenError

__all__ = ["TokenUsedError", "TokenUses", "TooManySessionsError"]

_log = logging.getLogger("voxwire.session")

_USED: Final = "the token was used already"
_TOO_MANY: Final = "this token allows no more sessions at once"


class TokenUsedError(TokenError):
    """The token has opened another session."""

    def __init__(self) -> None:
        super().__init__(wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, _USED)


class TooManySessionsError(TokenError):
    """The token's user has as many sessions as he may."""

    def __init__(self) -> None:
        super().__init__(wire.ErrorCode.ERROR_CODE_CAPACITY, _TOO_MANY)


class TokenUses:
    """The uses of tokens.

    Args:
        store: Where they are agreed on.
        max_wait_s: How long somebody may wait for a place, seconds; 0 = nobody does.
        is_over: Whether a session that a token has opened is over. Raises where another process
            has it.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        max_wait_s: float,
        is_over: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._max_wait_s = max_wait_s
        self._is_over = is_over
        self.users = SingleFile()
        """Those of one user, one after the other: who begins a session, and who ends one."""

    async def look(self, claims: Claims, nonce: bytes) -> None:
        """See whether a token may be used. It is not used up.

        Args:
            claims: What it says.
            nonce: The attach nonce that it came with.

        Raises:
            TokenUsedError: It may not.
            StoreUnreachableError: It cannot be known.
        """
        use = self._use_of(claims, "", nonce)
        async with self.users.of(claims.user):  # one that is tried may be given back
            claim = await self._store.claim(use, look=True)
        if claim is None:
            raise TokenUsedError

    async def again(
        self, claims: Claims, held: AsyncExitStack, *, session_id: str, nonce: bytes
    ) -> None:
        """Use a token for the session that the same attach has opened already.

        Args:
            claims: What it says; it need not be the one that the attach came with before.
            held: Gives it back, if this is its first use.
            session_id: The session.
            nonce: The attach nonce.

        Raises:
            TokenUsedError: It was used by another attach, or the 60 s are over.
            StoreUnreachableError: It cannot be known.
        """
        use = self._use_of(claims, session_id, nonce)
        claim = await self._store.claim(use)
        if claim is None:
            raise TokenUsedError
        if claim.first:
            held.push_async_callback(self._give_back, use)

    async def reserve(
        self, claims: Claims | Identity, held: AsyncExitStack, *, session_id: str, nonce: bytes
    ) -> None:
        """Reserve a place among the sessions of the user, then use the token up, if it is ours.

        Args:
            claims: What the token says, or the authenticator.
            held: Gives the token back.
            session_id: The session that is to begin; the store knows it, and gives the place back
                when it forgets it.
            nonce: The attach nonce.

        Raises:
            TooManySessionsError: The user has as many sessions as he may.
            TokenUsedError: It was used by another attach, or for a session that goes on.
            StoreUnreachableError: It cannot be known.
        """
        limit = claims.limits.max_sessions
        if not await self._store.count(claims.user, session_id, limit=limit):
            raise TooManySessionsError
        if isinstance(claims, Identity):
            return
        use = self._use_of(claims, session_id, nonce)
        held.push_async_callback(self._give_back, use)
        claim = await self._store.claim(use)
        opened = session_id if claim is None else claim.session_id
        if opened != session_id and await self._is_over(opened):
            claim = await self._store.claim(use, after=opened)
        if claim is None or claim.session_id != session_id:
            raise TokenUsedError

    def _use_of(self, claims: Claims, session_id: str, nonce: bytes) -> Use:
        return Use(
            token_id=claims.token_id,
            nonce=nonce,
            session_id=session_id,
            expires_at_s=claims.expires_at_s + self._max_wait_s,
        )

    async def _give_back(self, use: Use) -> None:
        try:
            await self._store.claim(use, back=True)
        except StoreUnreachableError:
            _log.warning("a token could not be given back")
