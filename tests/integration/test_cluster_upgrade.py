"""From the release before engines to this one: either's clients at the other's servers, and a
service that is begun anew with the new one, process by process.

A process of before has no engine: what it has ends with it, and its clients begin anew.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import voxwire
from tests.support.before import packages_before
from tests.support.cluster import Call, calls
from tests.support.engines import MISSING, engine
from tests.support.programs import environment
from tests.support.replicas import Door, Replica, service, token

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(300),
]

SETTINGS = {"VOXWIRE_MAX_LAG_MS": "0", "VOXWIRE_LOG_LEVEL": "INFO"}
ANSWERS_S = 60.0
CUTS = 2
NUM, OLD = 6, 3

CLIENT = """
import asyncio, sys
import voxwire

async def main(url, token, transport):
    events, changed = [], asyncio.Event()

    async def read(session):
        async for event in session:
            events.append(event)
            changed.set()

    async def until(true):
        async with asyncio.timeout(60):
            while not true():
                changed.clear()
                await changed.wait()

    def of(kind, since=0):
        return [event for event in events[since:] if isinstance(event, kind)]

    async def ask(session, text, answer):
        since = len(events)
        await session.send_text(text, speak=False)
        written = lambda: "".join(it.text for it in of(voxwire.BotResponseText, since))
        await until(lambda: answer in written())

    def is_back(changes):
        found = of(voxwire.ConnectionChanged)
        return len(found) >= changes and (not found or found[-1].state == "connected")

    async with voxwire.connect(url, token=token, transport=transport) as session:
        reading = asyncio.create_task(read(session))
        await ask(session, "my name is Alice", "Alice")
        await session.send_text("tell me a long story")
        await until(lambda: len(of(voxwire.BotWord)) >= 5)
        print(voxwire.__file__, session.transport, session.id, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            await until(lambda: is_back(int(line)))
            await ask(session, "what is my name", "Alice")
            print(len(of(voxwire.ConnectionChanged)), session.transport, session.id, flush=True)
    reading.cancel()

asyncio.run(main(*sys.argv[1:]))
"""
"""Asks, listens, says which session it is on; then, for each number on stdin, that again once its
connection has changed so often. It ends with its stdin."""


class Client:
    """A client of before that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self) -> list[str]:
        """What it says next."""
        assert self._process.stdout is not None
        async with asyncio.timeout(2 * ANSWERS_S):
            line = await self._process.stdout.readline()
        assert line, "it has ended"
        return line.decode().split()

    async def after(self, changes: int) -> list[str]:
        """What it says once its connection has changed so often and it was answered again."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"%d\n" % changes)
        return await self.says()


@contextlib.asynccontextmanager
async def client_of(before: Path, url: str, transport: str) -> AsyncIterator[Client]:
    """Run a client of before until the block ends; it ends in order."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLIENT, url, token(max_sessions=1), transport),
        env=environment(PYTHONPATH=str(before)),
        cwd=before.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Client(process)
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(ANSWERS_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def replicas_of(before: Path, folder: Path, num: int) -> AsyncIterator[list[Replica]]:
    """Run servers of before until the block ends."""
    settings = {**SETTINGS, "VOXWIRE_DRAIN_MS": "3000", "PYTHONPATH": str(before)}
    replicas = [Replica(folder / f"before-{it}", "offline", **settings) for it in range(num)]
    try:
        await asyncio.gather(*(replica.start() for replica in replicas))
        yield replicas
    finally:
        await asyncio.gather(*(replica.kill() for replica in replicas if replica.port))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packages_before(tmp_path_factory.mktemp("before"))


def test_what_was_before_knows_of_no_engine(before: Path) -> None:
    assert (before / "voxwire_server/session/store.py").exists()
    assert not (before / "voxwire_server/session/engine.py").exists()


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
async def test_a_client_of_before_stays_on_its_session_wherever_it_goes_on(
    transport: str, before: Path, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "VOXWIRE_DRAIN_MS": "8000"}
    with engine() as redis:
        async with service(redis, tmp_path, 2, **settings) as house:
            async with client_of(before, house.door.url, transport) as client:
                path, *here = await client.says()
                assert path.startswith(str(before))
                assert here[0] == transport
                changes = 0
                for _ in range(CUTS):  # every second time it comes to the wrong process
                    house.door.cut()
                    changes, *found = await client.after(int(changes) + 2)
                    assert found == here
                for replica in house.replicas:
                    replica.send(signal.SIGTERM)
                    assert await replica.ended() == 0
                    await replica.start()
                _, *found = await client.after(int(changes) + 2)
                assert found == here
            assert len({*house.door.went}) == 2


async def test_a_client_of_now_talks_to_a_server_of_before(before: Path, tmp_path: Path) -> None:
    async with replicas_of(before, tmp_path, 1) as replicas:
        door = Door(replicas)
        async with await door.open(), calls(door.url, 2, webrtc=1) as ours:
            ids = [call.session.id for call in ours]
            await asyncio.gather(*(call.ask("my name is Alice", "Alice") for call in ours))
            await asyncio.gather(*(call.tell_a_story(5) for call in ours))
            cut_s = time.monotonic()
            door.cut()
            await asyncio.gather(*(call.connected_s(cut_s) for call in ours))
            await asyncio.gather(*(call.ask("what is my name", "Alice") for call in ours))
            assert [call.session.id for call in ours] == ids
            assert [call.session.transport for call in ours] == ["webrtc", "websocket"]


async def one_of(groups: dict[str, list[Call]]) -> str:
    """The process whose sessions have all ended; waits until there is one."""
    async with asyncio.timeout(ANSWERS_S):
        while True:
            for name, group in groups.items():
                if all(call.heard.ended.is_set() for call in group):
                    return name
            await asyncio.sleep(0.05)  # real time: poll


async def test_a_service_is_brought_to_this_release_process_by_process(
    before: Path, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        redis = stack.enter_context(engine())
        old = await stack.enter_async_context(replicas_of(before, tmp_path, OLD))
        door = Door(old)
        await stack.enter_async_context(await door.open())
        first = await stack.enter_async_context(calls(door.url, NUM, at_once=1))
        await asyncio.gather(*(call.ask("my name is Alice", "Alice") for call in first))
        groups = defaultdict[str, list[Call]](list)
        for call in first:
            groups[call.session.id.partition(".")[0]].append(call)
        assert len(groups) == OLD
        new, again = list[Replica](), list[Call]()
        for number, leaving in enumerate(old):
            replica = Replica(
                tmp_path / f"now-{number}",
                "offline",
                **SETTINGS,
                VOXWIRE_ENGINE=redis.url,
                VOXWIRE_DRAIN_MS="8000",
            )
            stack.push_async_callback(replica.kill)
            await replica.start()
            new.append(replica)
            door.replicas = list(new)  # whoever begins does so in the new release
            leaving.send(signal.SIGTERM)
            assert await leaving.ended() == 0
            gone = groups.pop(await one_of(groups))
            for call in gone:
                [ended] = call.heard.of(voxwire.SessionEnded)
                assert ended.reason == voxwire.EndReason.SERVER
                assert call.heard.error is None
            anew = calls(door.url, len(gone), user=f"again-{number}")
            again += await stack.enter_async_context(anew)
            # those whose process stays go on there, and those who began anew are known anew
            left = [*again, *(call for group in groups.values() for call in group)]
            await asyncio.gather(*(call.ask("my name is Alice", "Alice") for call in left))
        assert len(again) == NUM and not groups
        ids = [call.session.id for call in again]
        for replica in new:  # from here on nobody begins anew
            replica.send(signal.SIGTERM)
            assert await replica.ended() == 0
            await replica.start()
        await asyncio.gather(*(call.ask("what is my name", "Alice") for call in again))
        assert [call.session.id for call in again] == ids
        assert not any(call.heard.ended.is_set() for call in again)
