"""Who may begin a session, once a Hello is here: token, binding, quota, one-time use."""

from collections.abc import Callable

from voxwire_protocol import wire
from voxwire_server.keys import KeyRing
from voxwire_server.tokens import Claims, OneTimeUse, TokenError, TokenVerifier

__all__ = ["Admission"]


class Admission:
    """Checks the tokens of Hellos.

    Args:
        ring: The server's keys; without any, nobody needs a token (the server is on loopback).
        loopback: True when the server can only be reached from this machine: a client that is no
            web page (it sends no Origin) may then leave the token out.
        bot: Name of the bot that the server runs.
        sessions_of: Number of sessions that a user has.
    """

    def __init__(
        self, ring: KeyRing, *, loopback: bool, bot: str, sessions_of: Callable[[str], int]
    ) -> None:
        self._required = bool(ring)
        self._verifier = TokenVerifier(ring)
        self._loopback = loopback
        self._bot = bot
        self._sessions_of = sessions_of
        self._used = OneTimeUse()

    def user_of(self, token: str, *, now_s: float) -> str:
        """Who a token names, when a session is resumed with one. It is not used up.

        Raises:
            TokenError: UNAUTHORIZED.
        """
        return self._verifier.verify(token, now_s=now_s).user

    def check(
        self, hello: wire.Hello, *, has_origin: bool, now_s: float, again: bool = False
    ) -> Claims | None:
        """Decide about a Hello.

        Args:
            hello: The client's first message.
            has_origin: True when a web page sent it.
            now_s: Wall clock, seconds since the Unix epoch.
            again: True for a Hello whose session is open already; it counts for itself only.

        Returns:
            What the token says; None where none is needed.

        Raises:
            TokenError: UNAUTHORIZED, FORBIDDEN or CAPACITY.
        """
        if not self._required:
            return None
        if not hello.token and self._loopback and not has_origin:
            return None
        claims = self._verifier.verify(hello.token, now_s=now_s)
        claims.require(bot=hello.bot or self._bot)
        limit = claims.limits.max_sessions
        if not again and limit is not None and self._sessions_of(claims.user) >= limit:
            raise TokenError(
                wire.ErrorCode.ERROR_CODE_CAPACITY, "this token allows no more sessions at once"
            )
        # last, and without an await before the session is opened: a refusal burns no token
        if not self._used.claim(
            claims.token_id, hello.attach_nonce, exp_s=claims.expires_at_s, now_s=now_s
        ):
            raise TokenError(wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, "the token was used already")
        return claims
