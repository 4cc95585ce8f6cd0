"""Where the processes of one service agree on sessions: who owns which, and what was used up.

A *store* is asked by :class:`~voxwire_server.session.directory.Directory`, its ``token_uses``,
``accounts`` and leases alone. One process needs no other than that in
:mod:`voxwire_server.session.local_store`; several share one outside of them.
What holds for every store:

- Each verb is atomic by itself; nothing holds over two of them. Between any two, and within each,
  everything else may happen. Who needs more reserves first and gives back when it comes to nothing.
- A verb answers within 200 ms or raises :class:`StoreUnreachableError`; what it was asked for may
  have happened then. *Not there* and *not reachable* are never the same answer.
- A verb that was begun is not cancelled by its caller.
- What a process keeps here is its own for a *lease*, which :meth:`SessionStore.beat` renews. When
  that runs out the process is dead, and others may take what it had.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from voxwire_server.caps import Amounts, Payer

__all__ = [
    "Claim",
    "Located",
    "Owner",
    "Saved",
    "SessionStore",
    "StoreUnreachableError",
    "Use",
]


class StoreUnreachableError(Exception):
    """The store did not answer in time; whether it did what it was asked for is not known."""


class Owner(NamedTuple):
    """A process that owns sessions.

    Attributes:
        name: Random, made when it starts; the first part of the ids that it makes.
        url: Where clients reach this one process; empty = not one by one.
    """

    name: str
    url: str = ""


class Located(NamedTuple):
    """Where a session is."""

    session_id: str
    owner: Owner


class Saved(NamedTuple):
    """What a new owner gets of a session.

    Attributes:
        epoch: How often it was taken, from 1; what an owner of a lower epoch says is void.
        snapshot: What the owner before saved last; empty = nothing.
    """

    epoch: int
    snapshot: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One use of a one-time token.

    Attributes:
        token_id: The token's ``jti``.
        nonce: The attach nonce that it came with; empty = none: it is used once, and that is all.
        session_id: The session that it opens.
        expires_at_s: The token's ``exp``, seconds since the epoch.
    """

    token_id: str
    nonce: bytes
    session_id: str
    expires_at_s: float


class Claim(NamedTuple):
    """A use of a token that is good.

    Attributes:
        session_id: The session that the token opens; another one than was asked for when the same
            nonce had used it.
        first: False when it was used before, by the same nonce.
    """

    session_id: str
    first: bool


class SessionStore(Protocol):
    """The seven verbs."""

    async def beat(self, me: Owner, sessions: Collection[str]) -> frozenset[str]:
        """Say that a process lives, and renew its leases.

        Called by every process every 2 s, from its start to its end. A session that the store has
        forgotten (it came back empty) is entered again.

        Args:
            me: The process.
            sessions: Ids of all the sessions that run in it.

        Returns:
            Those of them that another process owns by now: whoever beats ends them at once.
        """
        ...

    async def locate(self, session_id: str = "", *, nonce: bytes = b"") -> Located | None:
        """Find a session, by its id or by the attach nonce that opened it.

        Called when a client comes whose session is not in this process, and for every first Hello
        (the same nonce is the same attach, wherever it comes).

        Returns:
            Where it is; None when there is none, it is over, or its owner's lease has run out.
        """
        ...

    async def take(
        self, session_id: str, *, of: Owner | None, by: Owner | None, nonce: bytes = b""
    ) -> Saved | None:
        """Change the owner of a session from ``of`` to ``by``, if ``of`` is its owner.

        Compare and set: of several that take the same session of the same owner, one gets it.

        - ``of`` = None enters a new session; called for a Hello whose token and bot are good,
          before anything else is reserved for it. From then on :meth:`locate` finds it.
        - ``by`` = None forgets a session: its owner, its nonce, its snapshot and its place with its
          user. Called by its owner when it is over, or was refused after all.
        - Both: a process takes over from one that is dead; the epoch is one higher.

        Args:
            session_id: The session.
            of: The owner until now; None = there is none.
            by: The owner from now on; None = nobody.
            nonce: The attach nonce that opens it; one that is bound already is bound anew.

        Returns:
            What is known of the session; None when ``of`` is not its owner: nothing has changed.
        """
        ...

    async def count(self, user: str, session_id: str, *, limit: int | None) -> bool:
        """Reserve a place for a session among those of its user, in all processes.

        Called after :meth:`take` for a session that came with a token. A place is held until the
        session is forgotten, or its owner's lease has run out. A session has one place at most.

        Args:
            user: Who the token names.
            session_id: The session.
            limit: Most places of this user with this one; None = it counts and is not limited.

        Returns:
            True when the session has its place.
        """
        ...

    async def claim(
        self, use: Use, *, after: str = "", back: bool = False, look: bool = False
    ) -> Claim | None:
        """Use up a one-time token, or give it back.

        Called last before a session is born, and kept for as long as the token verifies, whatever
        becomes of the session. The same nonce may use the token again for 60 s.

        Args:
            use: Which token, by which attach, for which session.
            after: The session that the same nonce had used it for, and which is over: it is now
                for ``use.session_id``, if nobody else was quicker.
            back: Nothing came of it: undo this use, if the token is used for ``use.session_id``.
            look: Only say whether it might be used; nothing changes.

        Returns:
            The session that it is for; None when the token is used up, or was given back.
        """
        ...

    async def save(self, session_id: str, me: Owner, snapshot: bytes) -> bool:
        """Keep what another process needs to go on with a session. The newest one counts.

        Called by the owner alone, behind the conversation (no turn of it waits for this): when a
        user's turn is final, when an answer has been heard, when a tool starts or ends.

        Returns:
            False when the session is not this process's any more: nothing is kept.
        """
        ...

    async def spend(self, payer: Payer, amounts: Amounts, *, now_s: float) -> Amounts:
        """Add to what was spent on a day, in all processes.

        Called before a session begins, with nothing, and while it runs: as soon as a turn begins or
        a service says what it used, every 5 s for its time, and once when it is over. No turn waits
        for it. Whoever does not hear the answer says the same again: rather twice than not at all.

        Args:
            payer: Whose day it is.
            amounts: What was spent since it was asked last.
            now_s: When, seconds since the epoch. The day is one of UTC; what was spent on the days
                before is forgotten.

        Returns:
            What was spent on that day, these amounts included.
        """
        ...
