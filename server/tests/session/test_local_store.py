"""The store of one process: seven verbs, each of which is all or nothing."""

import pytest

from voxwire_server.caps import NOTHING, Amounts, Payer
from voxwire_server.session import local_store
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.store import NO_OWNER, Heard, Held, Located, Replica, Saved

NOW_S = 1_800_000_000.0
ME, OTHER = Replica(name="me"), Replica(name="other", peer_url="ws://other")
UNTIL_S = NOW_S + 300


class Clock:
    now_s = NOW_S


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> LocalStore:
    return LocalStore(now_s=lambda: clock.now_s)


async def test_a_session_is_entered_once_located_and_forgotten(store: LocalStore) -> None:
    assert await store.take("s", of="", by="me") == Saved(1)
    assert await store.take("s", of="", by="other") is None
    assert await store.locate("s") == Located("me", Replica(name="me"), 1)
    assert await store.take("s", of="other", by="") is None
    assert await store.take("s", of="me", by="") is not None
    assert await store.locate("s") is None
    assert await store.take("s", of="me", by="") is None
    assert await store.take("s", of="", by="") is None
    assert len(store) == 0


async def test_of_two_that_take_the_session_of_a_dead_process_one_gets_it(
    store: LocalStore,
) -> None:
    await store.take("s", of="", by="other")
    assert await store.save("s", "other", b"what was said", term=1)
    await store.beat(OTHER, gone=True)
    assert await store.locate("s") == Located("other", None, 1, b"what was said")
    taken = [await store.take("s", of="other", by=by) for by in ("me", "third")]
    assert taken == [Saved(2, b"what was said"), None]
    assert not await store.save("s", "other", b"too late", term=1)
    heard = await store.beat(OTHER, [Held("s", 1), Held("unknown", 1)])
    assert heard == Heard(frozenset({"s"}), (OTHER,), frozenset({"unknown"}))
    assert await store.beat(ME, [Held("s", 2)]) == Heard(frozenset(), (OTHER, ME))


async def test_a_session_that_is_handed_over_is_whoever_s_comes_first(store: LocalStore) -> None:
    await store.take("s", of="", by="other")
    assert await store.take("s", of="other", by=NO_OWNER) == Saved(1)
    assert await store.locate("s") == Located(NO_OWNER, None, 1)
    assert await store.take("s", of=NO_OWNER, by="me") == Saved(2)
    assert await store.take("s", of=NO_OWNER, by="other") is None


async def test_what_was_forgotten_is_entered_again_and_what_is_older_gives_way(
    store: LocalStore,
) -> None:
    assert await store.beat(ME, [Held("s", 3, "ada")]) == Heard(
        frozenset(), (ME,), frozenset({"s"})
    )
    assert await store.locate("s") == Located("me", ME, 3)
    assert store.places_of("ada") == 1
    assert (await store.beat(OTHER, [Held("s", 2, "ada")])).lost == {"s"}
    assert (await store.beat(OTHER, [Held("s", 4, "ada")])).lost == frozenset()
    assert await store.locate("s") == Located("other", OTHER, 4)


async def test_places_are_limited_held_once_and_given_back(store: LocalStore) -> None:
    assert await store.count("ada", "a", limit=1)
    assert await store.count("ada", "a", limit=1)
    assert not await store.count("ada", "b", limit=1)
    assert await store.count("ada", "b")
    assert not await store.count("ada", "c", limit=2)
    assert await store.count("bob", "c", limit=1)
    assert not await store.count("ada", "a", back=True)
    assert not await store.count("carol", "never", back=True)
    assert (store.places_of("ada"), store.places_of("carol")) == (1, 0)


async def test_of_several_that_claim_the_same_one_gets_it(store: LocalStore) -> None:
    assert await store.claim("token/t", until_s=UNTIL_S) == b""
    assert await store.claim("token/t", b"1", until_s=UNTIL_S) == b"1"
    assert await store.claim("token/t", b"2", until_s=UNTIL_S) == b"1"
    assert await store.claim("token/t", b"2", instead_of=b"1", until_s=UNTIL_S) == b"2"
    assert await store.claim("token/t", b"3", instead_of=b"1", until_s=UNTIL_S) == b"2"
    assert await store.claim("token/t", instead_of=b"1", until_s=UNTIL_S) == b"2"
    assert store.is_used("t")
    assert await store.claim("token/t", instead_of=b"2", until_s=UNTIL_S) == b""
    assert not store.is_used("t")
    assert await store.claim("token/t", b"4", until_s=UNTIL_S) == b"4"


async def test_a_claim_is_kept_until_the_latest_that_was_said(
    store: LocalStore, clock: Clock
) -> None:
    await store.claim("nonce/n", b"1", until_s=NOW_S + 60)
    clock.now_s += 50
    await store.claim("nonce/n", b"2", instead_of=b"1", until_s=NOW_S + 110)
    await store.claim("nonce/n", b"3", instead_of=b"2", until_s=NOW_S + 70)
    clock.now_s = NOW_S + 109
    assert await store.claim("nonce/n", until_s=UNTIL_S) == b"3"
    clock.now_s = NOW_S + 110
    assert await store.claim("nonce/n", until_s=UNTIL_S) == b""
    assert await store.claim("nonce/n", b"4", until_s=NOW_S) == b""
    assert not vars(store)["_claims"] and not vars(store)["_ends"]


async def test_none_is_dropped_for_a_new_one_and_one_kind_leaves_room_for_another(
    store: LocalStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_store, "MAX_CLAIMS", 2)
    for name in "ab":
        await store.claim(f"token/{name}", b"1", until_s=UNTIL_S)
    await store.claim("token/a", instead_of=b"1", until_s=UNTIL_S)
    assert await store.claim("token/c", b"1", until_s=UNTIL_S) == b""
    assert await store.claim("token/a", b"2", until_s=UNTIL_S) == b"2"  # it has its place still
    assert await store.claim("nonce/c", b"1", until_s=UNTIL_S) == b"1"
    clock.now_s = UNTIL_S
    assert await store.claim("token/c", b"1", until_s=UNTIL_S + 1) == b"1"


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
