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

What the store keeps of a token says by which attach it was used, when, and for which session.
"""

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final

from voxwire_protocol import wire
from voxwire_server.authenticator import Identity
from voxwire_server.session.single_file import SingleFile
from voxwire_server.session.store import SessionStore, StoreUnreachableError
from voxwire_server.tokens import LEEWAY_S, Claims, TokenError

__all__ = ["TokenUsedError", "TokenUses", "TooManySessionsError"]

_log = logging.getLogger("voxwire.session")

_USED: Final = "the token was used already"
_TOO_MANY: Final = "this token allows no more sessions at once"
_SAME_ATTACH_S: Final = 60


class TokenUsedError(TokenError):
    """The token has opened another session."""

    def __init__(self) -> None:
        super().__init__(wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, _USED)


class TooManySessionsError(TokenError):
    """The token's user has as many sessions as he may."""

    def __init__(self) -> None:
        super().__init__(wire.ErrorCode.ERROR_CODE_CAPACITY, _TOO_MANY)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    """One use of a token; what the store keeps holds no secret.

    Attributes:
        attach: Digest of the attach nonce that it came with; empty = none: it is used once, and
            that is all.
        session_id: The session that it opens.
        at_s: When it was used first, seconds since the epoch.
        again: True when it had opened another session before.
    """

    attach: str
    session_id: str
    at_s: float
    again: bool = False

    @classmethod
    def parse(cls, data: bytes) -> "_Use | None":
        """Read what the store keeps; None = it is not used."""
        if not data:
            return None
        said = json.loads(data)
        return cls(
            attach=said["attach"], session_id=said["session"], at_s=said["at"], again=said["again"]
        )

    def pack(self) -> bytes:
        """What the store keeps."""
        said = {"attach": self.attach, "session": self.session_id}
        return json.dumps({**said, "at": self.at_s, "again": self.again}).encode()

    def is_by(self, nonce: bytes, now_s: float) -> bool:
        """True when it was by the same attach, and that may still repeat itself."""
        return bool(nonce) and self.attach == _digest(nonce) and now_s - self.at_s <= _SAME_ATTACH_S


def _digest(nonce: bytes) -> str:
    return hashlib.sha256(nonce).hexdigest() if nonce else ""


class TokenUses:
    """The uses of tokens.

    Args:
        store: Where they are agreed on.
        wall_s: The wall clock, seconds since the epoch.
        max_wait_s: How long somebody may wait for a place, seconds; 0 = nobody does.
        is_over: Whether a session that a token has opened is over. Raises where another process
            has it.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        wall_s: Callable[[], float],
        max_wait_s: float,
        is_over: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._wall_s = wall_s
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
        async with self.users.of(claims.user):  # one that is tried may be given back
            used = await self._there(claims)
        if used is not None and not used.is_by(nonce, self._wall_s()):
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
        used = await self._there(claims)
        if used is None:
            use = self._use(session_id, nonce)
            held.push_async_callback(self._give_back, claims, use)
            used = await self._claim(claims, use)
        if used is None or not used.is_by(nonce, self._wall_s()):
            raise TokenUsedError

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
        use = self._use(session_id, nonce)
        held.push_async_callback(self._give_back, claims, use)
        there = await self._claim(claims, use)
        if there == use:
            return
        if there is None or not there.is_by(nonce, self._wall_s()):
            raise TokenUsedError
        if there.session_id == session_id:
            return
        if not await self._is_over(there.session_id):
            raise TokenUsedError
        use = replace(there, session_id=session_id, again=True)
        if await self._claim(claims, use, instead_of=there.pack()) != use:
            raise TokenUsedError  # another one was quicker

    def _use(self, session_id: str, nonce: bytes) -> _Use:
        return _Use(attach=_digest(nonce), session_id=session_id, at_s=self._wall_s())

    async def _there(self, claims: Claims) -> _Use | None:
        what, until_s = self._of(claims)
        return _Use.parse(await self._store.claim(what, until_s=until_s))

    async def _claim(self, claims: Claims, use: _Use, *, instead_of: bytes = b"") -> _Use | None:
        what, until_s = self._of(claims)
        value = use.pack()
        return _Use.parse(
            await self._store.claim(what, value, instead_of=instead_of, until_s=until_s)
        )

    def _of(self, claims: Claims) -> tuple[str, float]:
        """Under which name a token is used, and until when it verifies."""
        until_s = claims.expires_at_s + self._max_wait_s + LEEWAY_S
        return f"token/{claims.token_id}", until_s

    async def _give_back(self, claims: Claims, use: _Use) -> None:
        """Undo a first use. One that had opened another session before stays."""
        what, until_s = self._of(claims)
        try:
            await self._store.claim(what, instead_of=use.pack(), until_s=until_s)
        except StoreUnreachableError:
            _log.warning("a token could not be given back")
