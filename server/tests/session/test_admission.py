"""Who may begin a session: the token, the bot, and what the token is bound to, in this order."""

from typing import Any

import pytest

from tests.support.front_door import KEY, NOW_S, House, token_of
from voxwire_protocol import wire
from voxwire_server.keys import KeyRing
from voxwire_server.session.admission import Admission, NoSuchBotError
from voxwire_server.session.ticket import Ticket
from voxwire_server.tokens import TokenError


def admission(*, key: str = KEY, loopback: bool = True) -> Admission:
    return Admission(KeyRing.parse(key=key), loopback=loopback, bots=House())


def code_of(given: Admission, **ticket: Any) -> str:
    with pytest.raises((TokenError, NoSuchBotError)) as refused:
        given.check(Ticket(**ticket), now_s=NOW_S)
    if isinstance(refused.value, TokenError):
        return wire.ErrorCode.Name(refused.value.code).removeprefix("ERROR_CODE_")
    return "no such bot"


def test_what_is_said_of_the_token_and_its_binding_comes_before_the_bot() -> None:
    given, bound = admission(), token_of(bot="a")
    assert code_of(given, token="x", bot="c") == "UNAUTHORIZED"
    assert code_of(given, bot="c") == "UNAUTHORIZED"
    assert code_of(given, token=bound, bot="c") == "FORBIDDEN"
    assert code_of(given, token=bound, bot="b") == "FORBIDDEN"
    assert code_of(given, token=token_of(), bot="c") == "no such bot"
    admitted = given.check(Ticket(token=bound, bot="a"), now_s=NOW_S)
    assert (admitted.bot.name, admitted.bot.examples) == ("a", ("hello a",))
    assert admitted.claims is not None
    assert admitted.claims.user == "ada"


def test_a_check_uses_nothing_up() -> None:
    given, ticket = admission(), Ticket(token=token_of(), bot="a")
    assert all(given.check(ticket, now_s=NOW_S).claims for _ in range(3))


@pytest.mark.parametrize(
    ("loopback", "is_local", "free"),
    [(True, True, True), (True, False, False), (False, True, False)],
)
def test_only_a_program_of_this_machine_may_leave_the_token_out_and_only_on_loopback(
    loopback: bool, is_local: bool, free: bool
) -> None:
    given = admission(loopback=loopback)
    if free:
        assert given.check(Ticket(bot="a", is_local=True), now_s=NOW_S).claims is None
    else:
        assert code_of(given, bot="a", is_local=is_local) == "UNAUTHORIZED"
    # one that brings a token is held to it
    assert code_of(given, bot="a", token="x", is_local=is_local) == "UNAUTHORIZED"


def test_without_a_key_nobody_needs_a_token() -> None:
    given = admission(key="")
    assert given.check(Ticket(bot="b", token="whatever"), now_s=NOW_S).claims is None
    assert code_of(given, bot="c") == "no such bot"


def test_who_a_token_names_is_told_without_its_use() -> None:
    given = admission()
    ticket = Ticket(token=token_of("bob"))
    assert given.user_of(ticket, now_s=NOW_S) == "bob"
    with pytest.raises(TokenError):
        given.user_of(ticket, now_s=NOW_S + 331)
