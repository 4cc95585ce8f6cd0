"""The engine is a trio with Sentinels that fails over under calls, or a cluster of three."""

import asyncio
import time
from pathlib import Path

import pytest

import voxwire
from tests.support.cluster import Call, bot_file, calls, opens, opens_nothing, show
from tests.support.engines import MISSING, engine
from tests.support.redis_groups import cluster, trio
from tests.support.replicas import Replica, service, token
from voxwire_server.caps import NOTHING, Amounts, Payer
from voxwire_server.session.engine import open_engine
from voxwire_server.session.store import NO_OWNER, Held, Saved
from voxwire_server.session.store import Replica as Process

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(180),
]

NUM, TOKENS = 5, 4
SETTINGS = {"VOXWIRE_MAX_LAG_MS": "0"}


async def resumed(call: Call) -> float:
    """Cut the connection of a call; how long it was away, milliseconds."""
    since_s = time.monotonic()
    call.session.simulate.drop_control()
    return (await call.connected_s(since_s) - since_s) * 1000


async def test_calls_outlive_a_fail_over_of_the_engine(tmp_path: Path) -> None:
    with trio() as redis:
        async with service(redis, tmp_path, 2, bot=bot_file(tmp_path), **SETTINGS) as house:
            async with calls(house.door.url, NUM) as ours:
                await asyncio.gather(*(call.ask("my name is Alice", "Alice") for call in ours))
                before = await asyncio.to_thread(lambda: redis.master)
                spent = [token(f"spendthrift-{number}") for number in range(TOKENS)]
                for one in spent:  # the last of them may not have come to those that follow
                    await opens(house.door.url, one)
                killed_s = time.monotonic()
                before.kill()
                stories = [asyncio.create_task(call.tell_a_story(10)) for call in ours]
                async with calls(house.door.url, 1, user="newcomer") as [newcomer]:
                    print(f"\na new call began {time.monotonic() - killed_s:.1f} s behind the kill")
                    assert await newcomer.session.call("count", 1)
                after = await asyncio.to_thread(lambda: redis.master)
                assert after is not before
                for replica in house.replicas:
                    assert all([await opens_nothing(replica.url, one) for one in spent])
                await asyncio.gather(*stories)
                assert not any(call.heard.of(voxwire.ConnectionChanged) for call in ours)
                away = [await resumed(call) for call in ours for _ in range(2)]
                show("back by any door", away)
                await asyncio.gather(*(call.ask("what is my name", "Alice") for call in ours))
                assert not any(call.heard.of(voxwire.EventsSkipped) for call in ours)


async def test_all_that_is_asked_of_the_engine_runs_on_a_cluster(tmp_path: Path) -> None:
    with cluster() as url:
        store = open_engine(url, session_ms=60_000, answers_s=5, settles_ms=0)
        me, other = Process(name="me", peer_url="ws://me"), Process(name="other")
        held = [Held(f"s{number}", 1, f"user-{number}") for number in range(20)]  # on every node
        try:
            assert await store.try_out() == ""
            assert len((await store.beat(me, held)).entered) == len(held)
            for it in held:
                assert await store.save(it.session_id, "me", b"some", term=1)
            assert not (await store.beat(me, held)).entered
            assert (await store.beat(other, held)).lost == {it.session_id for it in held}
            for it in held:
                assert await store.save(it.session_id, "me", b"all", term=1)
                assert not await store.count(it.user, "another", limit=1)
                assert not await store.count(it.user, it.session_id, back=True)
                assert await store.take(it.session_id, of="me", by=NO_OWNER) == Saved(1, b"all")
                assert await store.take(it.session_id, of=NO_OWNER, by="other") == Saved(2, b"all")
                located = await store.locate(it.session_id)
                assert located is not None and located.replica == other
                assert await store.take(it.session_id, of="other", by="") == Saved(2, b"all")
                until_s = time.time() + 60
                for value in (b"a", b"b"):
                    there = await store.claim(f"token/{it.user}", value, until_s=until_s)
                    assert there == b"a"
                spent = await store.spend(Payer("user", it.user), Amounts(turns=1), now_s=until_s)
                assert spent == NOTHING._replace(turns=1)
            await store.beat(me, gone=True)
        finally:
            await store.close()
        async with service(_At(url), tmp_path, 2, bot=bot_file(tmp_path), **SETTINGS) as house:
            async with calls(house.door.url, 4) as ours:
                ids = [call.session.id for call in ours]
                await asyncio.gather(*(call.ask("my name is Alice", "Alice") for call in ours))
                show("back by any door, with a cluster", [await resumed(call) for call in ours])
                await asyncio.sleep(1)  # real time: slow
                gone = house.replicas[0]
                lost = [it for it in ours if (await it.session.call("count", 0))[0] == gone.pid]
                killed_s = time.monotonic()
                await gone.kill()
                assert len(lost) == 2
                for call in lost:
                    await call.connected_s(killed_s)
                await asyncio.gather(*(call.ask("what is my name", "Alice") for call in ours))
                assert [call.session.id for call in ours] == ids


class _At:
    """An engine that runs."""

    def __init__(self, url: str) -> None:
        self.url = url


@pytest.mark.parametrize(
    ("user", "said"), [("", "asks for a password"), ("eve:wrong", "user or password")]
)
async def test_wrong_credentials_are_told_at_the_start(
    tmp_path: Path, user: str, said: str
) -> None:
    with engine("--requirepass", "a good one") as redis:
        at = redis.url.replace("unix://", f"unix://{user}@") if user else redis.url
        replica = Replica(tmp_path / "one", "offline", VOXWIRE_ENGINE=at)
        with pytest.raises(AssertionError, match="did not start"):
            await replica.start()
        assert await replica.ended() == 1
        log = replica.log.read_text()
        assert said in log and "Traceback" not in log and "wrong" not in log
