"""Who may begin a session, once a Hello is here: token, bot, binding, quota, one-time use."""

from collections.abc import Callable
from typing import NamedTuple

from voxwire_protocol import wire
from voxwire_server.bots.house import Bots
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.keys import KeyRing
from voxwire_server.tokens import Claims, OneTimeUse, TokenError, TokenVerifier

__all__ = ["Admission", "Admitted"]


class Admitted(NamedTuple):
    """What was decided about a Hello.

    Attributes:
        bot: The bot that runs.
        claims: What the token says; None where none is needed.
    """

    bot: LoadedBot
    claims: Claims | None


class Admission:
    """Checks the tokens of Hellos.

    Args:
        ring: The server's keys; without any, nobody needs a token (the server is on loopback).
        loopback: True when the server is for its own machine: a client there that is no web page
            may then leave the token out.
        bots: The bots that the server runs.
        sessions_of: Number of sessions that a user has.
    """

    def __init__(
        self, ring: KeyRing, *, loopback: bool, bots: Bots, sessions_of: Callable[[str], int]
    ) -> None:
        self._required = bool(ring)
        self._verifier = TokenVerifier(ring)
        self._loopback = loopback
        self._bots = bots
        self._sessions_of = sessions_of
        self._used = OneTimeUse()

    def user_of(self, token: str, *, now_s: float) -> str:
        """Who a token names, when a session is resumed with one. It is not used up.

        Raises:
            TokenError: UNAUTHORIZED.
        """
        return self._verifier.verify(token, now_s=now_s).user

    def check(
        self, hello: wire.Hello, *, is_local: bool, now_s: float, again: bool = False
    ) -> Admitted:
        """Decide about a Hello.

        Args:
            hello: The client's first message.
            is_local: True when a program of this machine sent it, no web page and no proxy.
            now_s: Wall clock, seconds since the Unix epoch.
            again: True for a Hello whose session is open already; it counts for itself only.

        Returns:
            The bot and what the token says.

        Raises:
            TokenError: UNAUTHORIZED, FORBIDDEN or CAPACITY.
            UnknownBotError: No bot, or more than one, is meant; told to nobody without a token.
        """
        free = not hello.token and self._loopback and is_local
        if free or not self._required:
            return Admitted(self._bots.choose(hello.bot), None)
        claims = self._verifier.verify(hello.token, now_s=now_s)
        bot = self._bots.choose(hello.bot)
        claims.require(bot=bot.name)
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
        return Admitted(bot, claims)
