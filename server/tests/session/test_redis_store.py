"""The seven verbs on a real Redis: the same answers as in one process, and what only it can do."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pytest

from tests.support.engines import MISSING, Engine, engine
from voxwire_server.caps import NOTHING, Amounts, Payer
from voxwire_server.session.engine import open_engine
from voxwire_server.session.redis_store import ANSWERS_S, RedisStore
from voxwire_server.session.store import (
    NO_OWNER,
    Heard,
    Held,
    Located,
    Replica,
    Saved,
    StoreUnreachableError,
)
from voxwire_server.session.turning import turning

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

ME = Replica(name="me", peer_url="ws://me", num_sessions=3, max_sessions=9, version="1")
OTHER = Replica(name="other", peer_url="ws://other", leaving=True)
SESSION_MS = 60_000
SLOW_S = 30.0
"""However busy the machine is."""


@pytest.fixture(scope="module")
def redis() -> Iterator[Engine]:
    with engine() as made:
        yield made


@pytest.fixture
async def store(redis: Engine) -> AsyncIterator[RedisStore]:
    made = open_engine(redis.url, session_ms=SESSION_MS, answers_s=SLOW_S, settles_ms=0)
    client = vars(made)["_client"]
    await client.flushall()
    await client.script_flush()
    yield made
    await made.close()


def until_s(after_s: float = 60) -> float:
    return time.time() + after_s


async def test_a_session_is_entered_once_located_and_forgotten(store: RedisStore) -> None:
    await store.beat(ME)
    assert await store.take("s", of="", by="me") == Saved(1)
    assert await store.take("s", of="", by="other") is None
    assert await store.locate("s") == Located("me", ME, 1)
    assert await store.take("s", of="other", by="") is None
    assert await store.take("s", of="me", by="") == Saved(1)
    assert await store.locate("s") is None
    assert await store.take("s", of="me", by="") is None
    assert await store.take("s", of="", by="") is None


async def test_of_two_that_take_the_session_of_a_dead_process_one_gets_it(
    store: RedisStore,
) -> None:
    await store.beat(OTHER)
    await store.take("s", of="", by="other")
    assert await store.save("s", "other", b"what\0was said", term=1)
    assert await store.locate("s") == Located("other", OTHER, 1, b"what\0was said")
    await store.beat(OTHER, gone=True)
    assert await store.locate("s") == Located("other", None, 1, b"what\0was said")
    taken = await asyncio.gather(*(store.take("s", of="other", by=by) for by in ("me", "third")))
    assert sorted(taken, key=bool) == [None, Saved(2, b"what\0was said")]
    assert not await store.save("s", "other", b"too late", term=1)
    assert (await store.beat(OTHER, [Held("s", 1), Held("unknown", 1)])).lost == {"s"}


async def test_what_is_saved_at_once_is_saved_in_one_go(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, made = vars(store)["_client"], list[Any]()

    def pipeline(**how: Any) -> Any:
        made.append(how)
        return type(client).pipeline(client, **how)

    for number in range(5):
        await store.take(f"s{number}", of="", by="me")
    saving = [store.save(f"s{number}", "me", b"said", term=1, behind=True) for number in range(6)]
    assert not await store.save("unknown", "me", b"", term=1, behind=True)  # its script is known
    monkeypatch.setattr(client, "pipeline", pipeline)
    assert await asyncio.gather(*saving) == [True] * 5 + [False]  # the last one is not known
    assert len(made) == 1
    assert (await store.locate("s4")) == Located("me", None, 1, b"said")


async def test_of_what_is_saved_the_newest_counts_in_whatever_order_it_comes(
    store: RedisStore,
) -> None:
    await store.take("s", of="", by="me")
    assert await store.save("s", "me", b"second", term=1)
    save = vars(store)["_save"]
    assert await save.run("vw:s:s", "me", 1, b"first", SESSION_MS, 0) == 1  # it was on its way
    assert (await store.locate("s")) == Located("me", None, 1, b"second")
    assert await store.take("s", of="me", by="other") == Saved(2, b"second")
    assert await save.run("vw:s:s", "other", 2, b"third", SESSION_MS, 1) == 1  # it counts anew
    assert (await store.locate("s")) == Located("other", None, 2, b"third")


async def test_a_session_that_is_handed_over_is_whoever_s_comes_first(store: RedisStore) -> None:
    await store.take("s", of="", by="other")
    assert await store.take("s", of="other", by=NO_OWNER) == Saved(1)
    assert await store.locate("s") == Located(NO_OWNER, None, 1)
    assert await store.take("s", of=NO_OWNER, by="me") == Saved(2)
    assert await store.take("s", of=NO_OWNER, by="other") is None


async def test_what_was_forgotten_is_entered_again_and_what_is_older_gives_way(
    store: RedisStore,
) -> None:
    held = [Held("s", 3, "ada"), Held("t", 1)]
    assert await store.beat(ME, held) == Heard(frozenset(), (ME,), frozenset({"s", "t"}))
    assert (await store.beat(ME, held)).entered == {"s", "t"}  # nothing is kept of them yet
    for each in held:
        assert await store.save(each.session_id, "me", b"all", term=each.term)
    assert await store.beat(ME, held) == Heard(frozenset(), (ME,))
    assert await store.locate("s") == Located("me", ME, 3, b"all")
    assert not await store.count("ada", "another", limit=1)
    assert (await store.beat(OTHER, [Held("s", 2, "ada")])).lost == {"s"}
    heard = await store.beat(OTHER, [Held("s", 4, "ada")])
    assert heard == Heard(frozenset(), (ME, OTHER), frozenset({"s"}))
    assert await store.locate("s") == Located("other", OTHER, 4, b"all")


async def test_a_process_of_another_version_is_understood(store: RedisStore) -> None:
    await store.beat(ME)
    client = vars(store)["_client"]
    newer = json.dumps({"name": "newer", "peer_url": "ws://newer", "what": "we do not know"})
    await client.set("vw:r:newer", newer)
    await client.sadd("vw:r", "newer", "dead")
    heard = await store.beat(ME)
    assert heard.replicas == (ME, Replica(name="newer", peer_url="ws://newer"))
    assert await client.smembers("vw:r") == {b"me", b"newer"}


async def test_places_are_limited_held_once_and_given_back(store: RedisStore) -> None:
    assert await store.count("ada", "a", limit=1)
    assert await store.count("ada", "a", limit=1)
    assert not await store.count("ada", "b", limit=1)
    assert await store.count("ada", "b")
    assert not await store.count("ada", "c", limit=2)
    assert await store.count("bob", "c", limit=1)
    assert not await store.count("ada", "a", back=True)
    assert await store.count("ada", "d", limit=2)


async def test_of_100_who_race_for_three_places_three_get_one(store: RedisStore) -> None:
    got = await asyncio.gather(*(store.count("ada", f"{n}", limit=3) for n in range(100)))
    assert sum(got) == 3


async def test_a_place_whose_lease_is_over_is_free(redis: Engine) -> None:
    store = open_engine(redis.url, session_ms=50, answers_s=SLOW_S, settles_ms=0)
    assert await store.count("eve", "a", limit=1)
    deadline = time.monotonic() + 10
    while not await store.count("eve", "b", limit=1):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    await store.close()


async def test_of_several_that_claim_the_same_one_gets_it(store: RedisStore) -> None:
    assert await store.claim("token/t", until_s=until_s()) == b""
    assert await store.claim("token/t", b"1", until_s=until_s()) == b"1"
    assert await store.claim("token/t", b"2", until_s=until_s()) == b"1"
    assert await store.claim("token/t", b"2", instead_of=b"1", until_s=until_s()) == b"2"
    assert await store.claim("token/t", b"3", instead_of=b"1", until_s=until_s()) == b"2"
    assert await store.claim("token/t", instead_of=b"1", until_s=until_s()) == b"2"
    assert await store.claim("token/t", instead_of=b"2", until_s=until_s()) == b""
    assert await store.claim("token/t", b"4", until_s=until_s(-1)) == b""
    racing = (store.claim("token/r", b"%d" % n, until_s=until_s()) for n in range(100))
    [winner] = set(await asyncio.gather(*racing))
    assert await store.claim("token/r", until_s=until_s()) == winner


async def test_a_claim_is_kept_until_the_latest_that_was_said(store: RedisStore) -> None:
    client = vars(store)["_client"]
    await store.claim("nonce/n", b"1", until_s=until_s(60))
    [key] = await client.keys("vw:c:nonce:*")
    await store.claim("nonce/n", b"2", instead_of=b"1", until_s=until_s(110))
    await store.claim("nonce/n", b"3", instead_of=b"2", until_s=until_s(70))
    assert 100_000 < await client.pttl(key) <= 110_100


async def test_what_is_spent_adds_up_for_each_payer_and_day(store: RedisStore) -> None:
    now_s = 1_800_000_000.0
    ada, bot = Payer("user", "a"), Payer("bot", "a")
    assert await store.spend(ada, NOTHING, now_s=now_s) == NOTHING
    await store.spend(ada, Amounts(turns=2, seconds=5), now_s=now_s)
    total = await store.spend(ada, Amounts(turns=1, llm_tokens=7), now_s=now_s)
    assert total == Amounts(seconds=5, turns=3, llm_tokens=7)
    assert await store.spend(bot, Amounts(turns=1), now_s=now_s) == Amounts(turns=1)
    assert await store.spend(ada, NOTHING, now_s=now_s + 86_400) == NOTHING


async def test_nothing_of_a_user_or_a_token_is_written_in_clear(store: RedisStore) -> None:
    await store.take("s", of="", by="me")
    await store.beat(ME, [Held("s", 1, "ada@example.com")])
    await store.claim("token/the-token-s-id", b"1", until_s=until_s())
    await store.spend(Payer("user", "ada@example.com"), Amounts(turns=1), now_s=time.time())
    client = vars(store)["_client"]
    said = b" ".join(await client.keys("*"))
    assert said.count(b"vw:") == 7
    assert b"ada" not in said and b"the-token" not in said


# an engine that is away


async def test_an_engine_that_does_not_answer_is_not_asked_for_a_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = [0.0]
    with engine() as made:
        store = open_engine(made.url, session_ms=SESSION_MS, answers_s=2, settles_ms=0)
        vars(store)["_clock_s"] = lambda: now_s[0]
        assert await store.locate("s") is None
        made.send(signal.SIGSTOP)
        with pytest.raises(StoreUnreachableError):
            await store.locate("s")
        made.send(signal.SIGCONT)
        with pytest.raises(StoreUnreachableError):
            await store.take("s", of="", by="me")
        now_s[0] = 1.0
        assert await store.locate("s") is None
        made.kill()
        with pytest.raises(StoreUnreachableError):
            await store.claim("token/t", b"1", until_s=until_s())
        made.start()
        now_s[0] = 2.0
        assert (await store.beat(ME, [Held("s", 2)])).replicas == (ME,)
        assert await store.locate("s") == Located("me", ME, 2)
        await store.close()
    told = [record.getMessage() for record in caplog.records if record.name == "voxwire.store"]
    assert [text.partition(":")[0] for text in told] == [
        *("the engine cannot be reached", "the engine answers again"),
        *("the engine cannot be reached", "the engine is not the one it was"),
        "the engine answers again",
    ]
    assert ANSWERS_S == 0.2


async def test_what_is_saved_behind_is_tried_whatever_has_failed_before() -> None:
    with engine() as made:
        store = open_engine(made.url, session_ms=SESSION_MS, answers_s=SLOW_S)
        vars(store)["_clock_s"] = lambda: 0.0
        await store.take("s", of="", by="me")
        vars(store)["_silent_until_s"], vars(store)["_away"] = 1.0, True
        with pytest.raises(StoreUnreachableError):
            await store.save("s", "me", b"now", term=1)
        assert await store.save("s", "me", b"behind", term=1, behind=True)
        assert await store.locate("s") == Located("me", None, 1, b"behind")  # it answers again
        await store.close()


async def test_a_loop_that_turns_slowly_says_nothing_of_the_engine() -> None:
    async with turning(0.02):
        for _ in range(9):
            time.sleep(0.01)  # real time: slow  # noqa: ASYNC251
            await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with turning(0.02):
            await asyncio.Event().wait()


async def test_what_speaks_no_redis_is_an_engine_that_cannot_be_reached() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    store = open_engine(f"redis://127.0.0.1:{port}", session_ms=SESSION_MS, answers_s=SLOW_S)
    with pytest.raises(StoreUnreachableError):
        await store.locate("s")
    await store.close()
    server.close()


async def test_a_wrong_password_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with engine("--requirepass", "the right one") as made:
        store = open_engine(
            f"{made.url}?password=a-wrong-one", session_ms=SESSION_MS, answers_s=SLOW_S
        )
        with pytest.raises(StoreUnreachableError):
            await store.locate("s")
        await store.close()
    assert "password" in caplog.text and "a-wrong-one" not in caplog.text


@contextlib.asynccontextmanager
async def closed(*stores: RedisStore) -> AsyncGenerator[None]:
    """Close them behind the block."""
    yield
    for store in stores:
        await store.close()


def another(redis: Engine) -> RedisStore:
    """What another process has of the same engine, as a service has it."""
    return open_engine(redis.url, session_ms=SESSION_MS, answers_s=SLOW_S, settles_ms=1000)


async def settled(store: RedisStore, what: str) -> bytes:
    """What was claimed, once the store says it."""
    async with asyncio.timeout(SLOW_S):
        while True:
            with contextlib.suppress(StoreUnreachableError):
                return await store.claim(what, b"replayed", until_s=until_s())
            await asyncio.sleep(0.01)  # real time: poll


async def test_an_engine_that_comes_back_empty_is_told_what_was_claimed(
    redis: Engine, store: RedisStore
) -> None:
    """A token that was used opens nothing: nobody claims before all processes had a second."""
    made = [another(redis) for _ in range(2)]
    async with contextlib.AsyncExitStack() as stack:
        for each in made:
            stack.push_async_callback(each.close)
            await each.beat(ME)
        first, second = made
        assert await settled(first, "token/used") == b"replayed"
        assert await settled(first, "token/given back") == b"replayed"
        assert not await first.claim("token/given back", instead_of=b"replayed", until_s=until_s())
        await vars(store)["_client"].flushall()
        with pytest.raises(StoreUnreachableError):
            await second.claim("token/used", b"again", until_s=until_s())
        with pytest.raises(StoreUnreachableError):
            await second.claim("token/used", until_s=until_s())
        assert await settled(second, "token/new") == b"replayed"
        assert await second.claim("token/used", b"again", until_s=until_s()) == b"replayed"
        assert not await second.claim("token/given back", until_s=until_s())


async def test_an_engine_that_comes_back_with_what_it_knew_a_while_ago_is_told_as_well(
    redis: Engine, store: RedisStore
) -> None:
    """From a dump, or by a fail-over: its mark is old, but it is not that of this run."""
    first, second, client = another(redis), another(redis), vars(store)["_client"]
    async with closed(first, second):
        for each in (first, second):
            await each.beat(ME)
        dumped = await client.get("vw:e")
        assert await settled(first, "token/used") == b"replayed"
        await client.flushall()
        await client.set("vw:e", b"abcdef" + dumped[6:])
        with pytest.raises(StoreUnreachableError):
            await first.claim("token/used", b"again", until_s=until_s())
        assert await settled(second, "token/new") == b"replayed"
        assert await second.claim("token/used", b"again", until_s=until_s()) == b"replayed"


async def test_a_look_that_hangs_does_not_keep_a_process_from_the_next_one(
    redis: Engine, store: RedisStore
) -> None:
    """A connection to a server that vanished answers never, and breaks after minutes."""
    made = another(redis)
    async with closed(made):
        await made.beat(ME)
        await settled(made, "token/used")
        script: Any = vars(vars(made)["_claims"])["_look_at"]
        run, hung = script.run, list[str]()

        async def hang(key: str, *args: Any, **how: Any) -> Any:
            if not hung:
                hung.append(key)
                await asyncio.Event().wait()
            return await run(key, *args, **how)

        script.run = hang
        while not hung:
            await asyncio.sleep(0.01)  # real time: poll
        await vars(store)["_client"].flushall()
        assert await settled(store, "token/of another process") == b"replayed"
        assert await settled(made, "token/new") == b"replayed"
        assert await store.claim("token/used", b"again", until_s=until_s()) == b"replayed"


async def test_what_is_claimed_while_the_engine_changes_is_told_to_the_new_one(
    redis: Engine, store: RedisStore
) -> None:
    made = another(redis)
    async with closed(made):
        await made.beat(ME)
        await settled(made, "token/first")
        claims: Any = vars(made)["_claims"]
        run, look = vars(claims)["_claim"].run, getattr(claims, "_look")  # noqa: B009

        async def late(key: str, *args: Any, **how: Any) -> Any:
            answer = await run(key, *args, **how)
            await vars(store)["_client"].flushall()
            await look()
            return answer

        vars(claims)["_claim"].run = late
        assert await made.claim("token/late", b"mine", until_s=until_s()) == b"mine"
        vars(claims)["_claim"].run = run
        assert await settled(made, "token/new") == b"replayed"
        assert await store.claim("token/late", b"again", until_s=until_s()) == b"mine"


async def test_of_an_engine_that_is_new_nobody_says_that_a_session_is_over_or_a_place_is_free(
    redis: Engine, store: RedisStore
) -> None:
    mine, others = another(redis), another(redis)
    lost = asyncio.Event()
    mine.when_lost(lost.set)
    async with closed(mine, others):
        await mine.beat(ME)
        await others.beat(OTHER)
        await settled(others, "token/first")
        assert await others.locate("never") is None
        assert not (await mine.beat(ME, [Held("s", 1, "ada")])).lost
        await vars(store)["_client"].flushall()
        with pytest.raises(StoreUnreachableError):
            await others.locate("s")
        with pytest.raises(StoreUnreachableError):
            await others.count("ada", "another", limit=1)
        async with asyncio.timeout(SLOW_S):
            await lost.wait()  # long before the next beat
        assert (await mine.beat(ME, [Held("s", 1, "ada")])).entered == {"s"}
        await settled(others, "token/second")
        assert (await others.locate("s")) == Located("me", ME, 1)
        assert not await others.count("ada", "another", limit=1)
