"""Proof of ownership of a session, for coming back after a lost control channel.

Pure. A token is good until a message arrives on the socket that its successor was issued on, so a
lost Welcome costs nothing; only hashes are kept (``protocol/spec/session.md``, "Resuming").
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Final

__all__ = ["TOKEN_BYTES", "ResumeTokens"]

TOKEN_BYTES: Final = 16
"""Length of a resume token, bytes."""

_MAX_UNCONFIRMED: Final = 8


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


class ResumeTokens:
    """The tokens of one session: the one in use, and those issued since that nobody has used.

    Args:
        digests: Of those that another process has issued.
    """

    def __init__(self, digests: Iterable[bytes] = ()) -> None:
        self._digests = list(digests)

    @property
    def digests(self) -> tuple[bytes, ...]:
        """What is kept of those that are good."""
        return tuple(self._digests)

    def issue(self) -> bytes:
        """Make the next token; those before stay good until :meth:`confirm`."""
        token = secrets.token_bytes(TOKEN_BYTES)
        self._digests.append(_digest(token))
        if len(self._digests) > _MAX_UNCONFIRMED:
            del self._digests[1]  # the one in use stays
        return token

    def confirm(self) -> None:
        """A message arrived on the socket that the newest token was issued on."""
        del self._digests[:-1]

    def check(self, token: bytes) -> bool:
        """True for a token that may resume the session."""
        digest = _digest(token)
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches) and bool(token)
