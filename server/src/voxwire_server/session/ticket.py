"""What a front door says of whoever comes, and what it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_server.authenticator import Identity
from voxwire_server.lifecycle import Event
from voxwire_server.ports import ControlChannel
from voxwire_server.session.store import Replica

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

__all__ = ["Arrival", "At", "Here", "Refused", "Ticket", "Verdict"]

_MAX_SPREAD_MS: Final = 30_000


class Verdict(NamedTuple):
    """What the authenticator has said of a ticket.

    Attributes:
        identity: Who comes, or why nobody does.
        at_s: When it said so, seconds since the epoch.
    """

    identity: Identity | Exception
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Who comes, and why he may: the credentials, never what the session is like.

    Attributes:
        token: Connect token; empty = none.
        nonce: What says that two attempts are the same one, 16 random bytes; empty = none.
        bot: Name of the bot that is wanted; empty = the only one.
        session_id: The session that is resumed; empty = a new one.
        resume_token: Proof that it is the client's.
        epoch: Number of the attach that the client comes back from; 0 = none.
        is_local: True for a program of this machine, no web page and no proxy.
        address: Where he comes from, behind our proxies; empty = he came by a Unix socket.
        counted: True when he was counted for his address before.
        headers: Of the request that he came by (:func:`~voxwire_server.gate.headers_of`).
        verdict: What the authenticator has said of him; None = it was not asked.
        known: Who he is, where the door says that itself: the number of a call that a telephone's
            vendor has signed. That it is his, nobody vouches for.
        may_be_carried: True when he can be brought to another process.
        unreachable: Names of processes to which he could not be brought just now.
    """

    token: str = field(default="", repr=False)
    nonce: bytes = field(default=b"", repr=False)
    bot: str = ""
    session_id: str = ""
    resume_token: bytes = field(default=b"", repr=False)
    epoch: int = 0
    is_local: bool = False
    address: str = field(default="", repr=False)
    counted: bool = False
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, compare=False)
    verdict: Verdict | None = field(default=None, repr=False, compare=False)
    known: Identity | None = field(default=None, repr=False)
    may_be_carried: bool = False
    unreachable: frozenset[str] = frozenset()

    @property
    def secret(self) -> str:
        """What tells him from all others: who he is, where the authenticator has said that; else
        his token, or his cookies. None can be written so that it is another one's.
        """
        user = self._user
        if user is not None:
            return f"user:{user}"
        if self.token:
            return f"token:{self.token}"
        cookie = self.headers.get("cookie", "")
        return f"cookie:{cookie}" if cookie else ""

    @property
    def is_known(self) -> bool:
        """True when the authenticator has said who he is."""
        return self._user is not None

    @property
    def _user(self) -> str | None:
        said = None if self.verdict is None else self.verdict.identity
        return said.user if isinstance(said, Identity) else None

    @property
    def counts_for(self) -> str:
        """The address that he is yet to be counted for; empty = none."""
        return "" if self.counted else self.address


class Arrival(Protocol):
    """What a client came by: one socket, one call; not yet a session's."""

    def channel(self, features: frozenset["wire.Feature"], clock: Clock) -> ControlChannel:
        """The control channel of a new session that it begins.

        Args:
            features: What both sides can do.
            clock: The clock to run by.
        """
        ...

    def bind(self, session: "Session") -> None:
        """Have the session go on over it: a new one, or one that this client comes back to.

        Never blocks. What the client is told first goes out here.

        Raises:
            ChannelError: It cannot be. Nothing has changed then.
        """
        ...

    def coming(self, session: "Session") -> Event | None:
        """What it is, in the table of sessions, that this client comes to the session."""
        ...

    def leave(self, session: "Session") -> None:
        """It was bound, and was lost before anybody served it."""
        ...


@dataclass(frozen=True, slots=True)
class Here:
    """The session is in this process, and whoever came is on it."""

    session: "Session"


@dataclass(frozen=True, slots=True)
class At:
    """Another process owns the session."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was begun, nothing was used up.

    Attributes:
        code: Why.
        reason: One sentence for a developer.
        retry_after_ms: When the same may succeed, milliseconds; 0 = it will not.
    """

    code: wire.ErrorCode
    reason: str
    retry_after_ms: int = 0

    def spread(self, jitter: float) -> "Refused":
        """The same, told to come again later by up to a half, or half a minute, where there was no
        room: of many who were refused at once not all come back at once.

        Args:
            jitter: 0 to 1.
        """
        if self.code != wire.ErrorCode.ERROR_CODE_CAPACITY:
            return self
        spread_ms = min(self.retry_after_ms / 2, _MAX_SPREAD_MS)
        return replace(self, retry_after_ms=round(self.retry_after_ms + jitter * spread_ms))
