"""Tickets: for one call of one vendor, within a minute, and no byte of them otherwise."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.phone.tickets import TICKET_S, Tickets
from voxwire_server.phone.vendor import ForgedError, Ringing

NOW_S = 1_800_000_000.0
CALL = Ringing(call_id="CA1", caller="+15550100", called="sip:bot@example.com", attestation="A")


def made(*secrets: bytes, **changes: str) -> str:
    tickets = Tickets(*(secrets or (b"new",)), new_id=lambda size: b"i" * size)
    return tickets.make("twilio", CALL, bot=changes.get("bot", "support"), now_s=NOW_S)


def test_it_brings_back_the_call_and_the_bot() -> None:
    found = Tickets(b"new").read("twilio", made(), call_id="CA1", now_s=NOW_S + TICKET_S)
    assert (found.ringing, found.bot) == (CALL, "support")
    assert found.once == (b"i" * 16).hex()
    assert found.until_s == NOW_S + TICKET_S


@pytest.mark.parametrize("outgoing", [True, False])
def test_it_says_whether_the_call_began_here(outgoing: bool) -> None:
    tickets = Tickets(b"new")
    ticket = tickets.make("twilio", CALL, bot="a", now_s=NOW_S, outgoing=outgoing)
    found = tickets.read("twilio", ticket, call_id="CA1", now_s=NOW_S)
    assert (found.outgoing, found.bot) == (outgoing, "a")


def test_every_vendor_can_carry_it() -> None:
    long = Ringing(call_id="C" * 36, caller="+" + "1" * 200, called="sip:" + "b" * 300)
    ticket = Tickets(b"new").make("plivo", long, bot="b" * 32, now_s=NOW_S)
    assert re.fullmatch("[A-Z2-7]{100,450}", ticket)


def test_it_is_good_by_an_older_secret_too() -> None:
    Tickets(b"newer", b"new").read("twilio", made(), call_id="CA1", now_s=NOW_S)


@pytest.mark.parametrize(
    ("vendor", "secret", "call_id", "later_s", "why"),
    [
        ("telnyx", b"new", "CA1", 0, "no ticket"),
        ("twilio", b"other", "CA1", 0, "no ticket"),
        ("twilio", b"new", "CA2", 0, "another call"),
        ("twilio", b"new", "CA1", TICKET_S + 1, "good for 60 s"),
    ],
)
def test_it_is_refused(vendor: str, secret: bytes, call_id: str, later_s: int, why: str) -> None:
    with pytest.raises(ForgedError, match=why):
        Tickets(secret).read(vendor, made(), call_id=call_id, now_s=NOW_S + later_s)


@given(place=st.integers(0, 10_000), letter=st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=- é"))
def test_with_another_letter_it_is_none(place: int, letter: str) -> None:
    ticket = made()
    place %= len(ticket)
    changed = ticket[:place] + letter + ticket[place + 1 :]
    if changed.rstrip("=") == ticket or place == len(ticket) - 1:
        return  # the last letter has bits that say nothing
    with pytest.raises(ForgedError):
        Tickets(b"new").read("twilio", changed, call_id="CA1", now_s=NOW_S)


@given(st.text(max_size=60))
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ForgedError):
        Tickets(b"new").read("twilio", text, call_id="CA1", now_s=NOW_S)


def test_two_are_never_the_same() -> None:
    tickets = Tickets(b"new")
    assert len({tickets.make("twilio", CALL, bot="", now_s=NOW_S) for _ in range(100)}) == 100
