"""Who comes with a credential that is not ours: asked about, admitted, limited, never widened."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.support.front_door import NOW_S, Caller, Process, token_of
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.authenticator import (
    Authenticator,
    Credential,
    ForbiddenError,
    Identity,
    UnauthorizedError,
)
from voxwire_server.session.admission import VERDICT_S
from voxwire_server.session.start_rates import StartRates
from voxwire_server.session.ticket import Here, Refused, Ticket
from voxwire_server.session.waiting import Place
from voxwire_server.tokens import Limits

CODE = wire.ErrorCode


class Provider:
    """Knows ``ada`` and ``bob`` by their names; counts how often it is asked."""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        self.asked: list[Credential] = []
        self.broken = False

    async def __call__(self, credential: Credential) -> Identity:
        self.asked.append(credential)
        await asyncio.sleep(0.05)  # real time: slow
        if self.broken:
            raise OSError("down")
        if credential.token not in ("ada", "bob"):
            raise UnauthorizedError
        if credential.bot == "b":
            raise ForbiddenError("no such plan")
        return Identity(user=credential.token, **self.facts)


def process_of(provider: Provider, time: VirtualTime, **settings: Any) -> Process:
    return Process(authenticator=Authenticator(provider), clock=time, **settings)


async def ends(process: Process) -> None:
    await process.close()


@in_virtual_time
async def test_who_is_known_is_on_a_session_with_his_facts(time: VirtualTime) -> None:
    limits = Limits(max_duration_s=60)
    provider = Provider(limits=limits, expires_at_s=NOW_S + 500, bot="a")
    process = process_of(provider, time, max_duration_s=600)
    come = Caller("ada", address="203.0.113.7")
    here = await come.come(process)
    assert isinstance(here, Here)
    facts = here.session.facts
    assert (facts.user, facts.bot) == ("ada", "a")
    assert (facts.token_expires_at_s, facts.max_duration_s) == (NOW_S + 500, 60)
    [shown] = provider.asked
    assert (shown.bot, shown.address) == ("a", "203.0.113.7")
    await ends(process)


@in_virtual_time
async def test_a_refusal_is_typed_and_one_that_cannot_decide_may_be_tried_again(
    time: VirtualTime,
) -> None:
    provider = Provider()
    process = process_of(provider, time)
    unknown = await Caller("eve").come(process)
    assert unknown.code == CODE.ERROR_CODE_UNAUTHORIZED
    forbidden = await Caller("ada", bot="b").come(process)
    assert (forbidden.code, forbidden.reason) == (CODE.ERROR_CODE_FORBIDDEN, "no such plan")
    provider.broken = True
    down = await Caller("ada").come(process)
    assert down == Refused(CODE.ERROR_CODE_CAPACITY, "who comes cannot be looked up just now", 1000)
    provider.broken = False
    assert isinstance(await Caller("ada").come(process), Here)
    await ends(process)


@in_virtual_time
async def test_nobody_is_free_beside_an_authenticator_and_it_may_know_a_program_here(
    time: VirtualTime,
) -> None:
    process = process_of(Provider(), time)
    admission = vars(process.directory.doorkeeper)["_admission"]
    local = Ticket(bot="a", is_local=True)
    refused = process.directory.doorkeeper.refusal_of(local)
    assert refused is not None and refused.code == CODE.ERROR_CODE_UNAUTHORIZED
    vouched = await process.directory.doorkeeper.vouched(local)
    refused = process.directory.doorkeeper.refusal_of(vouched)
    assert refused is not None and refused.reason == "nobody is known by this credential"
    assert vars(admission)["_authenticator"] is not None
    await ends(process)


@in_virtual_time
async def test_a_token_of_ours_is_ours_alone_to_judge(time: VirtualTime) -> None:
    provider = Provider()
    process = process_of(provider, time)
    ours = token_of()
    assert isinstance(await Caller(ours).come(process), Here)
    again = await Caller(ours).come(process)
    assert (again.code, again.reason) == (
        CODE.ERROR_CODE_UNAUTHORIZED,
        "the token was used already",
    )
    forged = await Caller(ours[:-4] + "AAAA").come(process)
    assert forged.code == CODE.ERROR_CODE_UNAUTHORIZED
    assert provider.asked == []
    await ends(process)


@in_virtual_time
async def test_a_credential_comes_again_until_it_ends_and_quota_counts_by_user(
    time: VirtualTime,
) -> None:
    provider = Provider(limits=Limits(max_sessions=2), expires_at_s=NOW_S + 10)
    process = process_of(provider, time)
    for _ in range(2):
        assert isinstance(await Caller("ada").come(process), Here)
    third = await Caller("ada").come(process)
    assert third.code == CODE.ERROR_CODE_CAPACITY
    assert isinstance(await Caller("bob").come(process), Here)
    provider.facts["expires_at_s"] = NOW_S - 31
    late = await Caller("bob").come(process)
    assert (late.code, late.reason) == (
        CODE.ERROR_CODE_UNAUTHORIZED,
        "the credential has expired; get a new one",
    )
    await ends(process)


@in_virtual_time
async def test_three_at_once_of_a_user_who_may_have_two(time: VirtualTime) -> None:
    process = process_of(Provider(limits=Limits(max_sessions=2)), time)
    answers = await asyncio.gather(*(Caller("ada").come(process) for _ in range(3)))
    assert sorted(isinstance(answer, Here) for answer in answers) == [False, True, True]
    await ends(process)


@in_virtual_time
async def test_starts_of_an_address_and_of_a_user_are_counted_all_the_same(
    time: VirtualTime,
) -> None:
    starts = StartRates(per_address="4/minute", per_user="2/minute", now_ms=time.now_ms)
    process = process_of(Provider(), time, starts=starts)
    address = "203.0.113.7"
    callers = [Caller("ada", address=address) for _ in range(3)]
    answers = await asyncio.gather(*(caller.come(process) for caller in callers))
    [refused] = [answer for answer in answers if not isinstance(answer, Here)]
    assert refused.code == CODE.ERROR_CODE_RATE_LIMITED
    strangers = [await Caller("eve", address=address).come(process) for _ in range(9)]
    assert {stranger.code for stranger in strangers} == {
        CODE.ERROR_CODE_UNAUTHORIZED,
        CODE.ERROR_CODE_RATE_LIMITED,
    }
    await ends(process)


@in_virtual_time
async def test_a_door_that_asks_first_has_it_asked_once_for_a_minute(time: VirtualTime) -> None:
    provider, now_s = Provider(), [NOW_S]
    process = process_of(provider, time, wall_s=lambda: now_s[0])
    doorkeeper = process.directory.doorkeeper
    ticket = await doorkeeper.vouched(Caller("ada").ticket)
    for _ in range(3):
        ticket = await doorkeeper.vouched(ticket)
        assert doorkeeper.refusal_of(ticket) is None
    assert len(provider.asked) == 1
    now_s[0] += VERDICT_S
    await doorkeeper.vouched(ticket)
    assert len(provider.asked) == 2
    await ends(process)


@in_virtual_time
async def test_who_was_counted_at_the_door_is_asked_about_with_his_address_all_the_same(
    time: VirtualTime,
) -> None:
    starts = StartRates(per_address="1/minute", now_ms=time.now_ms)
    provider, now_s = Provider(), [NOW_S]
    process = process_of(provider, time, starts=starts, wall_s=lambda: now_s[0])
    directory, caller = process.directory, Caller("ada", address="203.0.113.7")
    doorkeeper = directory.doorkeeper
    ticket = await doorkeeper.vouched(caller.ticket)
    assert doorkeeper.refusal_of(ticket, comes=True) is None
    now_s[0] += VERDICT_S
    counted = replace(ticket, counted=True)
    assert isinstance(await directory.attach(counted, caller.facts, caller), Here)
    assert [credential.address for credential in provider.asked] == ["203.0.113.7"] * 2
    refused = doorkeeper.refusal_of(await doorkeeper.vouched(ticket))
    assert refused is not None and refused.code == CODE.ERROR_CODE_RATE_LIMITED
    await ends(process)


@in_virtual_time
async def test_the_same_attach_once_more_is_the_same_session_of_the_same_user_only(
    time: VirtualTime,
) -> None:
    process = process_of(Provider(), time)
    nonce = bytes(16)
    first = await Caller("ada", nonce=nonce).come(process)
    assert isinstance(first, Here)
    again = await Caller("ada", nonce=nonce).come(process)
    assert isinstance(again, Here) and again.session is first.session
    other = await Caller("bob", nonce=nonce).come(process)
    assert isinstance(other, Refused) and other.code == CODE.ERROR_CODE_UNAUTHORIZED
    await ends(process)


@in_virtual_time
async def test_a_resume_with_a_credential_is_its_user_s_and_none_is_lost_while_nobody_can_say(
    time: VirtualTime,
) -> None:
    provider = Provider()
    process = process_of(provider, time)
    first = Caller("ada")
    here = await first.come(process)
    assert isinstance(here, Here)
    other = await Caller("bob", back=first.welcome).come(process)
    assert isinstance(other, Refused)
    back = Caller("ada", back=first.welcome)
    again = await back.come(process)
    assert isinstance(again, Here) and again.session is here.session
    provider.broken = True
    third = Caller("ada", back=back.welcome)
    again = await third.come(process)
    assert isinstance(again, Here) and again.session is here.session
    provider.broken = False
    without = await Caller(back=third.welcome).come(process)
    assert isinstance(without, Here) and without.session is here.session
    await ends(process)


@in_virtual_time
async def test_who_leaves_while_he_is_asked_about_leaves_nothing(time: VirtualTime) -> None:
    process = process_of(Provider(), time)
    task = asyncio.ensure_future(Caller("ada").come(process))
    await time.advance(20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await time.advance(100)
    assert process.idle and not process.sessions
    await ends(process)


@in_virtual_time
async def test_who_waits_for_a_place_is_asked_about_once(
    time: VirtualTime,
) -> None:
    provider = Provider()
    process = process_of(provider, time, max_sessions=1, max_waiting=2, max_wait_s=600)
    await Caller("ada").come(process)
    assert len(provider.asked) == 1
    told: list[Place] = []
    comes = Caller("bob")
    coming = asyncio.ensure_future(
        process.directory.attach(comes.ticket, comes.facts, comes, waits=told.append)
    )
    await time.advance(1000)
    assert told and len(provider.asked) == 2
    process.sessions[0].end(wire.EndReason.END_REASON_SERVER)
    answer = await coming
    assert isinstance(answer, Here) and len(provider.asked) == 2
    await process.close()


@in_virtual_time
async def test_whom_nobody_knows_keeps_no_place_while_it_is_asked_who_he_is(
    time: VirtualTime,
) -> None:
    provider = Provider()
    process = process_of(provider, time, max_sessions=2)
    addresses = [f"203.0.113.{number}" for number in range(20)]
    strangers = [Caller(f"token of {address}", address=address) for address in addresses]
    tasks = [asyncio.ensure_future(stranger.come(process)) for stranger in strangers]
    await time.advance(20)
    assert process.registry.reserved == 0
    assert isinstance(await Caller("ada").come(process), Here)
    for task in tasks:
        answer = await task
        assert isinstance(answer, Refused) and answer.code == CODE.ERROR_CODE_UNAUTHORIZED
    await process.close()


@in_virtual_time
async def test_of_one_address_no_more_than_four_are_asked_about_at_once(time: VirtualTime) -> None:
    provider = Provider()
    process = process_of(provider, time)
    tasks = [
        asyncio.ensure_future(Caller(f"stranger {number}", address="203.0.113.7").come(process))
        for number in range(12)
    ]
    await time.advance(10)
    assert len(provider.asked) == 4
    assert isinstance(await Caller("ada", address="198.51.100.7").come(process), Here)
    await asyncio.gather(*tasks)
    assert len(provider.asked) == 13
    await process.close()
