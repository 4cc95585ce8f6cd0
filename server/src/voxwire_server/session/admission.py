"""Who may begin a session: token, bot and what the token is bound to.

Pure: the time is an argument, and nothing is used up. Quota and one-time use are reserved in the
store afterwards (:mod:`voxwire_server.session.directory`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from voxwire_server.keys import KeyRing
from voxwire_server.ports import SessionFacts
from voxwire_server.sent_files import NO_FILES, Acceptance
from voxwire_server.session.ticket import Ticket
from voxwire_server.tokens import Claims, TokenVerifier

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

__all__ = ["Admission", "Admitted", "BotHouse", "ChosenBot", "NoSuchBotError"]


class NoSuchBotError(Exception):
    """No bot, or more than one, is meant; the message names those that there are."""


class ChosenBot(NamedTuple):
    """A bot, as a session needs it.

    Attributes:
        name: Its name.
        examples: Phrases worth trying with it.
        run: Runs it in a session until it ends.
        accepts: What it takes of files.
    """

    name: str
    examples: tuple[str, ...]
    run: "Callable[[Session], Awaitable[None]]"
    accepts: Acceptance = NO_FILES


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
        claims: What the token says; None where none is needed.
    """

    bot: ChosenBot
    claims: Claims | None

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
        if self.claims is None:
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
    """

    def __init__(self, ring: KeyRing, *, loopback: bool, bots: BotHouse) -> None:
        self._required = bool(ring)
        self._verifier = TokenVerifier(ring)
        self._loopback = loopback
        self._bots = bots

    def user_of(self, token: str, *, now_s: float) -> str:
        """Who a token names, when a session is resumed with one. It is not used up.

        Raises:
            TokenError: UNAUTHORIZED.
        """
        return self._verifier.verify(token, now_s=now_s).user

    def accepts(self, bot: str) -> Acceptance:
        """What the bot that is meant takes of files; nothing, when none is."""
        try:
            return self._bots.choose(bot).accepts
        except NoSuchBotError:
            return NO_FILES

    def check(self, ticket: Ticket, *, now_s: float) -> Admitted:
        """Decide about who wants to begin a session.

        Args:
            ticket: What the door knows of whoever comes.
            now_s: Wall clock, seconds since the Unix epoch.

        Returns:
            The bot and what the token says.

        Raises:
            TokenError: UNAUTHORIZED or FORBIDDEN.
            NoSuchBotError: Told to nobody without a token.
        """
        free = not ticket.token and self._loopback and ticket.is_local
        if free or not self._required:
            return Admitted(self._bots.choose(ticket.bot), None)
        claims = self._verifier.verify(ticket.token, now_s=now_s)
        bot = self._bots.choose(ticket.bot)
        claims.require(bot=bot.name)
        return Admitted(bot, claims)
