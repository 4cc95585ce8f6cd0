"""Where the processes of one service agree on sessions: who owns which, and what was used up.

A *store* is asked by :class:`~voxwire_server.session.directory.Directory`, its ``token_uses``,
``attempts``, ``accounts`` and leases alone. One process needs no other than that in
:mod:`voxwire_server.session.local_store`; several share one outside of them (ADR 43).
What holds for every store:

- Each verb reads or changes one thing, and is atomic; nothing holds over two of them. Between any
  two, and within each, everything else may happen. Who needs more reserves first and gives back
  when it comes to nothing.
- A verb answers within 200 ms or raises :class:`StoreUnreachableError` (a beat, and what is saved
  ``behind``, within a second); what it was asked for may have happened then. *Not there* and *not
  reachable* are never the same answer.
- A verb that was begun is not cancelled by its caller.
- What a process keeps here is its own for a *lease*, which :meth:`SessionStore.beat` renews. When
  that runs out the process is dead, and others may take what it had.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from voxwire_server.caps import Amounts, Payer

__all__ = [
    "NO_OWNER",
    "Heard",
    "Held",
    "Located",
    "Replica",
    "Saved",
    "SessionStore",
    "StoreUnreachableError",
]

NO_OWNER: Final = "-"
"""The owner of a session that its process has handed over: whoever comes first may take it."""


class StoreUnreachableError(Exception):
    """The store did not answer in time; whether it did what it was asked for is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A process of the service, as it says of itself.

    Attributes:
        name: Random, made when it starts; the first part of the ids that it makes.
        peer_url: Where the other processes reach it; empty = they do not.
        public_url: Where clients reach this one process; empty = not one by one.
        num_sessions: Sessions that it has.
        max_sessions: Most that it may have.
        leaving: True when it begins no session any more.
        version: Of its code.
    """

    name: str
    peer_url: str = ""
    public_url: str = ""
    num_sessions: int = 0
    max_sessions: int = 0
    leaving: bool = False
    version: str = ""


class Held(NamedTuple):
    """A session that a process says it owns.

    Attributes:
        session_id: The session.
        term: How often it was taken, from 1, as its owner knows it.
        user: Whose place it has; empty = nobody's.
    """

    session_id: str
    term: int
    user: str = ""


class Heard(NamedTuple):
    """What a process hears when it says that it lives.

    Attributes:
        lost: Ids of its sessions that another one owns by now: it ends them at once.
        replicas: All that live, itself included.
        entered: Ids of its sessions of which the store keeps nothing: it had forgotten them, or was
            not given anything yet.
    """

    lost: frozenset[str] = frozenset()
    replicas: tuple[Replica, ...] = ()
    entered: frozenset[str] = frozenset()


class Located(NamedTuple):
    """Where a session is.

    Attributes:
        owner: Name of the process that owns it; :data:`NO_OWNER` = it was handed over.
        replica: That process; None when it is dead, and the session may be taken.
        term: How often it was taken.
        snapshot: What was saved of it last; empty = nothing.
    """

    owner: str
    replica: Replica | None
    term: int
    snapshot: bytes = b""


class Saved(NamedTuple):
    """What a new owner gets of a session.

    Attributes:
        term: How often it was taken, from 1; what an owner of a lower term says is void.
        snapshot: What the owner before saved last; empty = nothing.
    """

    term: int
    snapshot: bytes = b""


class SessionStore(Protocol):
    """The seven verbs."""

    def when_lost(self, lost: Callable[[], None]) -> None:
        """Have it told at once when the store may have forgotten what it knew.

        Args:
            lost: Called then; the process is to beat, and to save what it has.
        """
        ...

    async def beat(
        self, me: Replica, sessions: Collection[Held] = (), *, gone: bool = False
    ) -> Heard:
        """Say that a process lives, and renew its leases: of its sessions and their users' places.

        Called by every process every 2 s, from its start to its end. A session that the store has
        forgotten (it came back empty) is entered again, and so is one that it knows of a lower
        term (it came back with what it knew a while ago).

        Args:
            me: The process.
            sessions: All the sessions that run in it.
            gone: It ends: its leases are over now.
        """
        ...

    async def locate(self, session_id: str) -> Located | None:
        """Find a session.

        Called when a client comes whose session is not in this process.

        Returns:
            Where it is; None when there is none, or it is over.
        """
        ...

    async def take(self, session_id: str, *, of: str, by: str) -> Saved | None:
        """Change the owner of a session from ``of`` to ``by``, if ``of`` is its owner.

        Compare and set: of several that take the same session of the same owner, one gets it.

        - ``of`` = "" enters a new session; called for a Hello whose token and bot are good, before
          anything else is reserved for it. From then on :meth:`locate` finds it.
        - ``by`` = "" forgets a session, with its snapshot. Called by its owner when it is over, or
          was refused after all.
        - ``by`` = :data:`NO_OWNER`: its owner hands it over.
        - Else a process takes over from one that is dead, or from nobody; the term is one higher.

        Args:
            session_id: The session.
            of: Name of the owner until now.
            by: Name of the owner from now on.

        Returns:
            What is known of the session; None when ``of`` is not its owner: nothing has changed.
        """
        ...

    async def count(
        self, user: str, session_id: str, *, limit: int | None = None, back: bool = False
    ) -> bool:
        """Reserve a place for a session among those of its user, in all processes.

        Called after :meth:`take` for a session that came with a token. A place is held until it is
        given back, or its lease has run out. A session has one place at most.

        Args:
            user: Who the token names.
            session_id: The session.
            limit: Most places of this user with this one; None = it counts and is not limited.
            back: Give it back instead.

        Returns:
            True when the session has its place.
        """
        ...

    async def claim(
        self, what: str, value: bytes = b"", *, instead_of: bytes = b"", until_s: float
    ) -> bytes:
        """Set what can be had once, if nobody has; or look who has.

        Compare and set: of several that claim the same instead of the same, one gets it.

        Args:
            what: Its kind and its name: ``token/…``, ``nonce/…``, ``call/…``.
            value: What it is to be; empty = give it back; with an empty ``instead_of``: look.
            instead_of: What it is now; empty = nothing.
            until_s: When it may be forgotten, seconds since the epoch. Never earlier: who could not
                be remembered has not claimed it.

        Returns:
            What it is by now: ``value``, if that was set; empty = nothing.
        """
        ...

    async def save(
        self, session_id: str, me: str, snapshot: bytes, *, term: int, behind: bool = False
    ) -> bool:
        """Keep what another process needs to go on with a session. The newest one counts: that
        which was given last, in whatever order they arrive.

        Called by the owner alone: after a Welcome, when a user's turn is final, when a word has
        been heard, when a tool starts or ends.

        Args:
            session_id: The session.
            me: Name of the process.
            snapshot: What is kept.
            term: How often the session was taken, as the process knows it.
            behind: Nobody waits for it: it may take a second, and is tried whatever has failed
                before.

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
