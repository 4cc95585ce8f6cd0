"""Two hundred sessions at three processes, each cut and back by random doors: nothing is lost."""

import asyncio
import contextlib
import itertools
import random
import time
from pathlib import Path

import pytest

import voxwire
from tests.support.cluster import LONG, bot_file, opens, show
from tests.support.engines import MISSING, engine
from tests.support.figures import figures
from tests.support.following import Following, following
from tests.support.replicas import KEY, Door, Replica, service, token
from tests.support.waiting import until

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(280),
]

NUM, WEBRTC = 200, 10
CUTS = 3
AT_ONCE = 16
SEED = 15
TRIPS = 30


class RandomDoor(Door):
    """A door of one client: each of its connections goes to any process."""

    def __init__(self, replicas: list[Replica], seed: int) -> None:
        super().__init__(replicas)
        self._all, self._rng = replicas, random.Random(seed)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.replicas = self._rng.sample(self._all, len(self._all))
        self._next = 0
        await super()._accept(reader, writer)


class Guest:
    """A session whose client counts, and has each number answered.

    Attributes:
        resumed: By which ports it came back, and which process had it.
        answers: What was answered: the process, the number, and how often it has come.
    """

    def __init__(self, door: RandomDoor, session: voxwire.Session, heard: Following) -> None:
        self.door = door
        self.session = session
        self.heard = heard
        self.resumed: list[tuple[int, int]] = []
        self.answers: list[list[int]] = []
        self._numbers = itertools.count(1)

    async def count(self) -> list[int]:
        """One more number."""
        answer = await self.session.call("count", next(self._numbers))
        self.answers.append(answer)
        return answer

    async def cut(self, rng: random.Random) -> None:
        """Lose the connection while a number is on its way, and come back."""
        num = len(self.heard.of(voxwire.ConnectionChanged))
        counting = asyncio.create_task(self.count())
        await asyncio.sleep(rng.uniform(0, 0.02))  # real time: moment
        self.session.simulate.drop_control()
        pid = (await counting)[0]
        await self.heard.until(lambda: len(self.heard.of(voxwire.ConnectionChanged)) >= num + 2)
        await until(lambda: len(self.door.live) == 1)  # a dial that takes long has others beside it
        self.resumed.append((self.door.live[0], pid))

    @property
    def attempts(self) -> list[int]:
        """How many attempts it took to come back, each time."""
        changes = self.heard.of(voxwire.ConnectionChanged)
        return [it.attempt for it in changes if it.state == "connected"]


async def trips_ms(guest: Guest) -> list[float]:
    """How long requests of one client take, milliseconds."""
    took: list[float] = []
    for _ in range(TRIPS):
        began_s = time.monotonic()
        await guest.count()
        took.append((time.monotonic() - began_s) * 1000)
    return took


async def test_nothing_is_lost_by_whichever_door_clients_come_back(tmp_path: Path) -> None:
    rng, room = random.Random(SEED), asyncio.Semaphore(AT_ONCE)
    settings = {"VOXWIRE_MAX_LAG_MS": "0", "VOXWIRE_MAX_PENDING_PER_ADDRESS": "256"}
    settings["VOXWIRE_ADMIN_KEY"] = KEY
    with engine() as redis:
        async with (
            service(redis, tmp_path, 3, bot=bot_file(tmp_path), **settings) as house,
            contextlib.AsyncExitStack() as stack,
        ):

            async def come(number: int) -> Guest:
                async with room:
                    door = RandomDoor(house.replicas, number)
                    await stack.enter_async_context(await door.open())
                    connection = voxwire.connect(
                        door.url,
                        transport="webrtc" if number < WEBRTC else "websocket",
                        token=token(f"user-{number}", max_sessions=1),
                        audio_response=False,
                        timeouts=LONG,
                    )
                    session = await stack.enter_async_context(connection)
                    return Guest(door, session, await stack.enter_async_context(following(session)))

            async def cut(guest: Guest) -> None:
                async with room:
                    await guest.cut(rng)

            for replica in house.replicas:  # an engine that is new takes no claim for a second
                await opens(replica.url, token("first"))
            before = await figures(house.replicas, KEY)
            began_s = time.monotonic()
            guests = list(await asyncio.gather(*map(come, range(NUM))))
            print(f"\n{NUM} sessions began in {time.monotonic() - began_s:.1f} s")
            ids = [guest.session.id for guest in guests]
            came = sum(len(guest.door.went) for guest in guests)
            began_s = time.monotonic()
            for _ in range(CUTS):
                await asyncio.gather(*map(cut, guests))
            pids = {replica.port: replica.pid for replica in house.replicas}
            resumed = [it for guest in guests for it in guest.resumed]
            wrong = sum(pids[port] != pid for port, pid in resumed)
            share = wrong / len(resumed)
            print(f"{len(resumed)} resumes in {time.monotonic() - began_s:.1f} s, {wrong} of them")
            print(f"at a process that had it not ({share:.0%})")
            told = await figures(house.replicas, KEY)
            attempts = [number for guest in guests for number in guest.attempts]
            names = ("voxwire_sessions_started_total", "voxwire_refusals_total")
            begun, refused = (told[name] - before[name] for name in names)
            print(f"begun: {begun:.0f}, refused: {refused:.0f}")
            print(f"{came} connections of {NUM} that began, {sum(attempts)} attempts to come back")
            carried = {True: list[float](), False: list[float]()}
            for guest in guests[WEBRTC : WEBRTC + 40]:
                port, pid = guest.resumed[-1]
                carried[pids[port] != pid] += await trips_ms(guest)
            show("round trip at the owner", carried[False])
            show("round trip by way of another process", carried[True])
            assert share >= 0.6
            assert (begun, refused) == (NUM, 0)
            assert came == NUM  # nor was anybody refused before he was looked at
            assert attempts == [1] * CUTS * NUM
            assert [guest.session.id for guest in guests] == ids
            for guest in guests:
                assert not guest.heard.ended.is_set(), guest.heard.error
                assert not guest.heard.of(voxwire.EventsSkipped)
                assert len({pid for pid, _, _ in guest.answers}) == 1
                numbers = [number for _, number, _ in guest.answers]
                assert sorted(numbers) == list(range(1, len(numbers) + 1))
                assert all(times == 1 for _, _, times in guest.answers)
            assert {guest.session.transport for guest in guests[:WEBRTC]} == {"webrtc"}
