"""How a provider fails."""

import enum

__all__ = ["MESSAGES", "STATUS", "Aborted", "Fault"]


class Fault(enum.Enum):
    """How a provider fails; what is asked next meets it."""

    NONE = "none"
    REFUSED = "refused"
    """Nothing listens on the port, and what was connected is cut."""
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    CLOSED = "closed"
    """The connection is cut in the middle of an answer, without a word."""
    HANGS = "hangs"
    """A connection is taken, and nothing ever comes back: no handshake, no head, no message.

    Pings and the close of a WebSocket that was open before are answered, as by the proxy that
    stands in front of a provider.
    """
    DRIBBLES = "dribbles"
    """The smallest legal piece of an answer every `Peer.dribble_s`."""
    GARBAGE = "garbage"
    """In the place of an answer comes what is no message of the protocol."""
    SLOW = "slow"
    """All is right, but the first byte comes after `Peer.slow_s`."""


STATUS = {Fault.UNAUTHORIZED: 401, Fault.RATE_LIMITED: 429, Fault.SERVER_ERROR: 500}
MESSAGES = {401: "Incorrect API key provided.", 429: "Too many requests.", 500: "Internal error."}


class Aborted(Exception):
    """The peer cuts the connection."""
