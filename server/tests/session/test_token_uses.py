"""A token is used once, behind a place of its user; nothing stays of what came to nothing."""

import asyncio
import json
from collections.abc import Collection
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.front_door import KEY, NOW_S, SlowStore, token_of
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.authenticator import Identity
from voxwire_server.keys import KeyRing
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.refusals import ElsewhereError
from voxwire_server.session.store import Replica, StoreUnreachableError
from voxwire_server.session.token_uses import TokenUsedError, TokenUses, TooManySessionsError
from voxwire_server.tokens import LEEWAY_S, Claims, Limits, TokenVerifier

ONE, TWO = b"1" * 16, b"2" * 16
TOKEN = "the-token"
TTL_S = 300


def claims_of(token_id: str = TOKEN, **limits: Any) -> Claims:
    token = token_of(token_id=token_id, ttl_s=TTL_S, **limits)
    return TokenVerifier(KeyRing.parse(key=KEY)).verify(token, now_s=NOW_S)


class Door:
    """Those who come with tokens; the sessions of their names are over that are said to be."""

    def __init__(
        self,
        store: LocalStore | None = None,
        *,
        over: Collection[str] = (),
        max_wait_s: float = 0,
    ) -> None:
        self.now_s = NOW_S
        self.store = LocalStore(now_s=lambda: self.now_s) if store is None else store
        self.over = set(over)
        self.elsewhere: set[str] = set()
        self.uses = TokenUses(
            self.store,
            wall_s=lambda: self.now_s,
            max_wait_s=max_wait_s,
            is_over=self._is_over,
        )

    async def _is_over(self, session_id: str) -> bool:
        if session_id in self.elsewhere:
            raise ElsewhereError(Replica(name="there"))
        return session_id in self.over

    async def reserve(
        self,
        session_id: str,
        nonce: bytes = ONE,
        *,
        claims: Claims | Identity | None = None,
        stays: bool = True,
    ) -> None:
        """A session begins, or comes to nothing at last."""
        async with AsyncExitStack() as held:
            claims = claims_of() if claims is None else claims
            await self.uses.reserve(claims, held, session_id=session_id, nonce=nonce)
            if stays:
                held.pop_all()

    @property
    def is_used(self) -> bool:
        return self.store.is_used(TOKEN)


async def test_a_token_opens_one_session_and_is_given_back_when_that_comes_to_nothing() -> None:
    door = Door()
    await door.reserve("a", stays=False)
    assert not door.is_used
    await door.reserve("b", TWO)
    assert door.is_used
    with pytest.raises(TokenUsedError):
        await door.reserve("c", ONE)
    assert door.is_used  # who is refused gives back nothing of anybody else's
    with pytest.raises(TokenUsedError):
        await door.reserve("c", TWO)


async def test_the_same_attach_goes_on_with_its_token_when_its_session_is_over() -> None:
    door = Door(over=["a"])
    await door.reserve("a")
    await door.reserve("b")
    with pytest.raises(TokenUsedError):
        await door.reserve("c")  # the second one goes on
    door.over.add("b")
    door.now_s += 61
    with pytest.raises(TokenUsedError):
        await door.reserve("c")


async def test_a_session_that_another_process_has_is_not_followed_by_one_here() -> None:
    door = Door()
    await door.reserve("there")
    door.elsewhere.add("there")
    with pytest.raises(ElsewhereError):
        await door.reserve("here")
    used = json.loads(await door.store.claim(f"token/{TOKEN}", until_s=NOW_S + TTL_S))
    assert (used["session"], used["again"]) == ("there", False)
    assert ONE not in bytes.fromhex(used["attach"])  # what is kept is no secret


async def test_the_place_of_the_user_comes_first_and_his_token_is_not_used_without_one() -> None:
    door = Door()
    await door.reserve("a", claims=claims_of("another-token", max_sessions=1))
    with pytest.raises(TooManySessionsError):
        await door.reserve("b", claims=claims_of(max_sessions=1))
    assert not door.is_used
    await door.store.count("ada", "a", back=True)
    await door.reserve("b", claims=claims_of(max_sessions=1))


async def test_whom_somebody_else_vouches_for_comes_again_as_often_as_he_has_places() -> None:
    door, ada = Door(), Identity(user="ada", limits=Limits(max_sessions=2))
    await door.reserve("a", claims=ada)
    await door.reserve("b", claims=ada)
    with pytest.raises(TooManySessionsError):
        await door.reserve("c", claims=ada)


async def test_who_only_looks_uses_nothing_up() -> None:
    door = Door()
    for nonce in (ONE, TWO):
        await door.uses.look(claims_of(), nonce)
    assert not door.is_used
    await door.reserve("a")
    await door.uses.look(claims_of(), ONE)
    with pytest.raises(TokenUsedError):
        await door.uses.look(claims_of(), TWO)


@in_virtual_time
async def test_who_looks_waits_for_one_of_his_user_s_who_may_give_it_back(
    time: VirtualTime,
) -> None:
    door = Door()
    looks: list[asyncio.Task[None]] = []
    async with door.uses.users.of("ada"), AsyncExitStack() as held:
        await door.uses.reserve(claims_of(), held, session_id="a", nonce=ONE)
        looks.append(asyncio.ensure_future(door.uses.look(claims_of(), TWO)))
        await time.advance(1000)
        assert not looks[0].done()
    await looks[0]
    assert len(door.uses.users) == 0


async def test_the_same_attach_once_more_gives_back_no_more_than_its_own_first_use() -> None:
    door = Door()
    await door.reserve("a")
    async with AsyncExitStack() as held:
        await door.uses.again(claims_of(), held, session_id="a", nonce=ONE)
    assert door.is_used
    other = claims_of("another-token")  # it comes with another one than before
    async with AsyncExitStack() as held:
        await door.uses.again(other, held, session_id="a", nonce=ONE)
        assert door.store.is_used("another-token")
    assert not door.store.is_used("another-token")
    with pytest.raises(TokenUsedError):
        async with AsyncExitStack() as held:
            await door.uses.again(claims_of(), held, session_id="a", nonce=TWO)


@in_virtual_time
async def test_of_1000_concurrent_replays_one_is_accepted(time: VirtualTime) -> None:
    door = Door(SlowStore(1))
    nonces = [number.to_bytes(16, "big") for number in range(1000)]

    async def come(nonce: bytes) -> bool:
        try:
            await door.reserve(f"session-{nonce[-2:].hex()}", nonce)
        except TokenUsedError:
            return False
        return True

    accepted = await asyncio.gather(*map(come, nonces))
    assert sum(accepted) == 1
    winner = nonces[accepted.index(True)]
    for _ in range(9):
        await door.uses.look(claims_of(), winner)
    with pytest.raises(TokenUsedError):  # its session goes on
        await door.reserve("another", winner)


async def test_without_a_nonce_it_is_used_once_and_that_is_all() -> None:
    door = Door(over=["a"])
    await door.reserve("a", b"")
    with pytest.raises(TokenUsedError):
        await door.reserve("b", b"")


async def test_a_used_token_stays_used_until_it_no_longer_verifies() -> None:
    door = Door()
    await door.reserve("a")
    for later_s in (TTL_S - 1, TTL_S, TTL_S + LEEWAY_S - 1):
        door.now_s = NOW_S + later_s
        with pytest.raises(TokenUsedError):
            await door.reserve("b", TWO)
    door.now_s = NOW_S + TTL_S + LEEWAY_S
    assert not door.is_used
    with pytest.raises(TokenUsedError):  # whoever verified it just before
        await door.reserve("b", TWO)


@pytest.mark.parametrize(("max_wait_s", "good"), [(0, False), (600, True)])
async def test_a_token_runs_out_in_no_line_and_is_good_once(max_wait_s: float, good: bool) -> None:
    door = Door(max_wait_s=max_wait_s)
    door.now_s += TTL_S + LEEWAY_S + 500
    if good:
        await door.reserve("a")
    with pytest.raises(TokenUsedError):
        await door.reserve("b", TWO)


class Silent(LocalStore):
    """Does not answer when something is given back."""

    async def claim(
        self, what: str, value: bytes = b"", *, instead_of: bytes = b"", until_s: float
    ) -> bytes:
        if instead_of and not value:
            raise StoreUnreachableError
        return await super().claim(what, value, instead_of=instead_of, until_s=until_s)


async def test_what_cannot_be_given_back_fails_nobody(caplog: pytest.LogCaptureFixture) -> None:
    door = Door(Silent(now_s=lambda: NOW_S))
    await door.reserve("a", stays=False)
    assert "a token could not be given back" in caplog.text
