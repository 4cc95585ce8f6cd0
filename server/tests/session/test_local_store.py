"""The store of one process: seven verbs, each of which is all or nothing."""

import pytest

from voxwire_server.caps import NOTHING, Amounts, Payer
from voxwire_server.session import local_store
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.store import Claim, Owner, Saved, Use

NOW_S = 1_800_000_000.0
ME, OTHER = Owner("me", "ws://me"), Owner("other", "ws://other")
NONCE, ANOTHER = bytes(16), b"x" * 16


class Clock:
    now_s = NOW_S


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> LocalStore:
    return LocalStore(now_s=lambda: clock.now_s)


def use(session_id: str = "s", *, nonce: bytes = NONCE) -> Use:
    return Use(token_id="t", nonce=nonce, session_id=session_id, expires_at_s=NOW_S + 300)


async def test_a_session_is_entered_once_located_and_forgotten(store: LocalStore) -> None:
    assert await store.take("s", of=None, by=ME, nonce=NONCE) == Saved(1)
    assert await store.take("s", of=None, by=OTHER) is None
    assert await store.locate("s") == await store.locate(nonce=NONCE) == ("s", ME)
    assert await store.take("s", of=OTHER, by=None) is None
    assert await store.take("s", of=ME, by=None) is not None
    assert await store.locate("s") is None
    assert await store.locate(nonce=NONCE) is None
    assert await store.take("s", of=ME, by=None) is None
    assert await store.take("s", of=None, by=None) is None
    assert len(store) == 0


async def test_of_two_that_take_the_session_of_a_dead_process_one_gets_it(
    store: LocalStore,
) -> None:
    await store.take("s", of=None, by=OTHER)
    assert await store.save("s", OTHER, b"what was said")
    third = Owner("third")
    taken = [await store.take("s", of=OTHER, by=by) for by in (ME, third)]
    assert taken == [Saved(2, b"what was said"), None]
    assert not await store.save("s", OTHER, b"too late")
    assert await store.beat(OTHER, ["s", "unknown"]) == {"s"}
    assert await store.beat(ME, ["s"]) == frozenset()


async def test_a_nonce_is_bound_anew_and_the_older_session_does_not_take_it_along(
    store: LocalStore,
) -> None:
    await store.take("old", of=None, by=ME, nonce=NONCE)
    await store.take("new", of=None, by=ME, nonce=NONCE)
    await store.take("old", of=ME, by=None)
    assert await store.locate(nonce=NONCE) == ("new", ME)


async def test_places_are_limited_held_once_and_free_when_a_session_is_forgotten(
    store: LocalStore,
) -> None:
    for session_id in ("a", "b", "c"):
        await store.take(session_id, of=None, by=ME)
    assert await store.count("ada", "a", limit=1)
    assert await store.count("ada", "a", limit=1)
    assert not await store.count("ada", "b", limit=1)
    assert await store.count("ada", "b", limit=None)
    assert not await store.count("ada", "c", limit=2)
    assert await store.count("bob", "c", limit=1)
    await store.take("a", of=ME, by=None)
    assert store.places_of("ada") == 1
    assert not await store.count("ada", "never entered", limit=None)


async def test_a_token_opens_one_session(store: LocalStore) -> None:
    assert await store.claim(use()) == Claim("s", first=True)
    assert await store.claim(use()) == Claim("s", first=False)
    assert await store.claim(use("other")) == Claim("s", first=False)  # the same attach
    assert await store.claim(use("other", nonce=ANOTHER)) is None
    assert await store.claim(use(nonce=b"")) is None


async def test_the_same_attach_may_repeat_itself_for_a_minute(
    store: LocalStore, clock: Clock
) -> None:
    await store.claim(use())
    clock.now_s += 60
    assert await store.claim(use()) is not None
    clock.now_s += 1
    assert await store.claim(use()) is None


async def test_what_came_to_nothing_is_given_back_and_nothing_else(store: LocalStore) -> None:
    await store.claim(use())
    await store.claim(use("other"), back=True)
    assert store.is_used("t")
    assert await store.claim(use(), back=True) is None
    assert not store.is_used("t")
    assert await store.claim(use("next", nonce=ANOTHER)) == Claim("next", first=True)


async def test_a_session_that_is_over_is_followed_by_one_of_the_same_attach(
    store: LocalStore,
) -> None:
    await store.claim(use())
    assert await store.claim(use("next"), after="s") == Claim("next", first=False)
    assert await store.claim(use("third"), after="s") == Claim("next", first=False)
    await store.claim(use("next"), back=True)  # it had opened a session before
    assert store.is_used("t")


async def test_what_is_spent_adds_up_for_each_payer_until_the_day_is_over(
    store: LocalStore,
) -> None:
    day_s = 86_400
    midnight_s = NOW_S // day_s * day_s + day_s
    ada, bot = Payer("user", "a"), Payer("bot", "a")
    assert await store.spend(ada, NOTHING, now_s=NOW_S) == NOTHING
    await store.spend(ada, Amounts(turns=2, seconds=5), now_s=NOW_S)
    total = await store.spend(ada, Amounts(turns=1, llm_tokens=7), now_s=midnight_s - 1)
    assert total == Amounts(seconds=5, turns=3, llm_tokens=7)
    assert await store.spend(bot, Amounts(turns=1), now_s=midnight_s - 1) == Amounts(turns=1)
    assert await store.spend(ada, Amounts(turns=1), now_s=midnight_s) == Amounts(turns=1)
    assert await store.spend(bot, NOTHING, now_s=midnight_s) == NOTHING
    set_back = await store.spend(ada, Amounts(turns=1), now_s=midnight_s - 3600)
    assert set_back == Amounts(turns=2)
    assert len(vars(store)["_spent"]) == 1


async def test_of_too_many_payers_the_quietest_is_forgotten(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_store, "MAX_PAYERS", 3)
    payers = [Payer("user", f"{number}") for number in range(5)]
    for payer in payers[:3]:
        await store.spend(payer, Amounts(turns=1), now_s=NOW_S)
    await store.spend(payers[0], Amounts(turns=1), now_s=NOW_S)
    await store.spend(payers[1], NOTHING, now_s=NOW_S)  # who asks only is no louder for it
    for payer in payers[3:]:
        await store.spend(payer, Amounts(turns=1), now_s=NOW_S)
    kept = [await store.spend(payer, NOTHING, now_s=NOW_S) for payer in payers]
    assert [each.turns for each in kept] == [2, 0, 0, 1, 1]
