"""Who may begin a session: token, what it is bound to, and bot.

Nothing here goes by a clock, and nothing is used up. Quota and one-time use are reserved in the
store afterwards (:mod:`voxwire_server.session.token_uses`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from voxwire_protocol import wire
from voxwire_server.authenticator import (
    Authenticator,
    AuthenticatorFailedError,
    Credential,
    Identity,
)
from voxwire_server.caps import Caps
from voxwire_server.keys import KeyRing
from voxwire_server.ports import SessionFacts
from voxwire_server.sent_files import NO_FILES, Acceptance
from voxwire_server.session.ticket import Ticket, Verdict
from voxwire_server.tokens import LEEWAY_S, Claims, TokenError, TokenVerifier

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

VERDICT_S: Final = 60
"""How long it counts what the authenticator has said: as long as a start waits for its client."""

__all__ = ["VERDICT_S", "Admission", "Admitted", "BotHouse", "ChosenBot", "NoSuchBotError"]


class NoSuchBotError(Exception):
    """No bot, or more than one, is meant; the message names those that there are.

    Attributes:
        claims: Of whoever asks: a token that is used up opens nothing, not even this message.
    """

    claims: "Claims | Identity | None" = None


class ChosenBot(NamedTuple):
    """A bot, as a session needs it.

    Attributes:
        name: Its name.
        examples: Phrases worth trying with it.
        run: Runs it in a session until it ends.
        accepts: What it takes of files.
        waits: Whether its clients may wait for a place.
        caps: What it says itself that it may cost a day; of the rest, the settings count.
    """

    name: str
    examples: tuple[str, ...]
    run: "Callable[[Session], Awaitable[None]]"
    accepts: Acceptance = NO_FILES
    waits: bool = True
    caps: Caps = Caps()


class BotHouse(Protocol):
    """The bots of a server."""

    def choose(self, name: str) -> ChosenBot:
        """The bot that a client means; without a name the only one.

        Raises:
            NoSuchBotError: There is none of that name, or several and no name was given.
        """
        ...


class Admitted(NamedTuple):
    """What was decided about a ticket.

    Attributes:
        bot: The bot that runs.
        claims: What the token says, or the authenticator; None where nobody asks.
    """

    bot: ChosenBot
    claims: Claims | Identity | None

    def facts_of(self, facts: SessionFacts) -> SessionFacts:
        """What a session is born with: what its door said, and what was decided."""
        bot, claims = self
        facts = replace(facts, bot=bot.name, examples=bot.examples, accepts=bot.accepts)
        if claims is None:
            return facts
        return replace(
            facts,
            user=claims.user,
            token_expires_at_s=claims.expires_at_s,
            max_duration_s=claims.limits.max_duration_s,
        )

    def later(self, waited_s: float) -> "Admitted":
        """The same for somebody who has waited: a token does not grow old in the line."""
        if self.claims is None or self.claims.expires_at_s is None:
            return self
        expires_at_s = self.claims.expires_at_s + round(waited_s)
        claims = self.claims.model_copy(update={"expires_at_s": expires_at_s})
        return self._replace(claims=claims)


class Admission:
    """Checks tickets.

    Args:
        ring: The server's keys; without any, nobody needs a token (the server is on loopback).
        loopback: True when the server is for its own machine: a client there that is no web page
            may then leave the token out.
        bots: The bots that the server runs.
        authenticator: Asked about everybody who brings no token of ours, programs of this machine
            too; None = only our tokens count.
    """

    def __init__(
        self,
        ring: KeyRing,
        *,
        loopback: bool,
        bots: BotHouse,
        authenticator: Authenticator | None = None,
    ) -> None:
        self._required = bool(ring)
        self._authenticator = authenticator
        self._verifier = TokenVerifier(ring)
        self._loopback = loopback
        self._bots = bots

    async def vouched(self, ticket: Ticket, *, now_s: float) -> Ticket:
        """The ticket with what the authenticator says of it, where it is to be asked.

        Args:
            ticket: What the door knows of whoever comes.
            now_s: Wall clock, seconds since the Unix epoch.
        """
        if ticket.known is not None or not self._is_foreign(ticket):
            return ticket
        if ticket.verdict is not None and 0 <= now_s - ticket.verdict.at_s < VERDICT_S:
            return ticket
        try:
            assert self._authenticator is not None
            said: Identity | Exception = await self._authenticator.identify(_shown(ticket))
        except (TokenError, AuthenticatorFailedError) as error:
            said = error
        return replace(ticket, verdict=Verdict(said, now_s))

    def _is_foreign(self, ticket: Ticket) -> bool:
        return self._authenticator is not None and not self._verifier.is_ours(ticket.token)

    def user_of(self, ticket: Ticket, *, now_s: float) -> str:
        """Who a token names, when a session is resumed with one. It is not used up.

        Args:
            ticket: With a token, and vouched for.
            now_s: Wall clock, seconds since the Unix epoch.

        Raises:
            TokenError: UNAUTHORIZED or FORBIDDEN.
            AuthenticatorFailedError: Nobody can say.
        """
        return self._claims(ticket, now_s).user

    def _claims(self, ticket: Ticket, now_s: float) -> Claims | Identity:
        if ticket.known is not None:
            return ticket.known
        if not self._is_foreign(ticket):
            return self._verifier.verify(ticket.token, now_s=now_s)
        said = ticket.verdict.identity if ticket.verdict is not None else _unauthorized()
        if isinstance(said, Exception):
            raise said
        if said.expires_at_s is not None and said.expires_at_s + LEEWAY_S <= now_s:
            raise _unauthorized("the credential has expired; get a new one")
        return said

    def bot(self, name: str) -> ChosenBot:
        """A bot of this server.

        Raises:
            NoSuchBotError: There is none of that name.
        """
        return self._bots.choose(name)

    def accepts(self, bot: str) -> Acceptance:
        """What the bot that is meant takes of files; nothing, when none is."""
        try:
            return self._bots.choose(bot).accepts
        except NoSuchBotError:
            return NO_FILES

    def check(self, ticket: Ticket, *, now_s: float) -> Admitted:
        """Decide about who wants to begin a session.

        Args:
            ticket: What the door knows of whoever comes, vouched for where that is needed.
            now_s: Wall clock, seconds since the Unix epoch.

        Returns:
            The bot and what the token says.

        Raises:
            TokenError: UNAUTHORIZED or FORBIDDEN.
            NoSuchBotError: Told to nobody without a token, or with one for another bot.
            AuthenticatorFailedError: Nobody can say.
        """
        free = not ticket.token and self._loopback and ticket.is_local
        anybody = self._authenticator is None and (free or not self._required)
        if anybody and ticket.known is None:
            return Admitted(self._bots.choose(ticket.bot), None)
        claims = self._claims(ticket, now_s)
        if ticket.bot:
            claims.require(bot=ticket.bot)
        try:
            bot = self._bots.choose(ticket.bot)
        except NoSuchBotError as error:
            error.claims = claims
            raise
        claims.require(bot=bot.name)
        return Admitted(bot, claims)


def _unauthorized(reason: str = "nobody has said who comes") -> TokenError:
    return TokenError(wire.ErrorCode.ERROR_CODE_UNAUTHORIZED, reason)


def _shown(ticket: Ticket) -> Credential:
    return Credential(
        token=ticket.token,
        bot=ticket.bot,
        origin=ticket.headers.get("origin", ""),
        address=ticket.address,
        is_local=ticket.is_local,
        headers=ticket.headers,
    )
