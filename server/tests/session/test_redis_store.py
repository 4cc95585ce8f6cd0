"""The seven verbs on a real Redis: the same answers as in one process, and what only it can do."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator

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
    made = open_engine(redis.url, session_ms=SESSION_MS, answers_s=SLOW_S)
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
    assert await store.beat(ME, held) == Heard(frozenset(), (ME,))
    assert await store.locate("s") == Located("me", ME, 3)
    assert not await store.count("ada", "another", limit=1)
    assert (await store.beat(OTHER, [Held("s", 2, "ada")])).lost == {"s"}
    heard = await store.beat(OTHER, [Held("s", 4, "ada")])
    assert heard == Heard(frozenset(), (ME, OTHER), frozenset({"s"}))
    assert await store.locate("s") == Located("other", OTHER, 4)


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
    store = open_engine(redis.url, session_ms=50, answers_s=SLOW_S)
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
    assert said.count(b"vw:") == 6
    assert b"ada" not in said and b"the-token" not in said


# an engine that is away


async def test_an_engine_that_does_not_answer_is_not_asked_for_a_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = [0.0]
    with engine() as made:
        store = open_engine(made.url, session_ms=SESSION_MS, answers_s=2)
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
        *("the engine cannot be reached", "the engine answers again") * 2
    ]
    assert ANSWERS_S == 0.2


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
