"""Rooms are made for sessions, some ahead; whatever happens, each is deleted."""

import asyncio
import logging
from typing import Any

import pytest

from tests.support.daily_rest import KEY, DailyRestServer
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.config import Settings
from voxwire_server.daily.rest import DailyRest
from voxwire_server.daily.rooms import DailyRooms, rooms_of
from voxwire_server.rest import Order

NOW_S = 1_800_000_000


class Account(DailyRestServer):
    """An account whose answers take their time."""

    def __init__(self, time: VirtualTime, *, takes_ms: float = 100) -> None:
        self._time, self._began_ms, self._takes_ms = time, time.now_ms(), takes_ms
        super().__init__(now_s=self.now)

    def now(self) -> float:
        return NOW_S + (self._time.now_ms() - self._began_ms) / 1000

    async def send(self, order: Order) -> tuple[int, bytes]:
        answer = await super().send(order)  # it is done, whoever waits
        await asyncio.sleep(self._takes_ms / 1000)
        return answer

    def rooms_with(self, **options: Any) -> DailyRooms:
        options = {"life_s": 3600, **options}
        return DailyRooms(DailyRest(KEY, send=self.send), now_s=self.now, **options)


@in_virtual_time
async def test_a_room_lasts_as_long_as_its_session_may(time: VirtualTime) -> None:
    account = Account(time)
    rooms = account.rooms_with()
    short, long = await rooms.take(600), await rooms.take(None)
    assert short.exp_s == account.rooms[short.name].properties["exp"] == NOW_S + 600
    assert long.exp_s == pytest.approx(NOW_S + 3600, abs=1)
    for room in (short, long):
        assert account.lets_in(room.url, room.bot_token)
        assert account.lets_in(room.url, room.user_token)
        assert room.bot_token not in repr(room)
        assert room.user_token not in repr(room)
        rooms.give_up(room.name)
    await time.advance(1000)
    assert not account.rooms
    await rooms.close()


@in_virtual_time
async def test_rooms_made_ahead_cost_a_session_no_request(time: VirtualTime) -> None:
    account = Account(time)
    rooms = account.rooms_with(ahead=2)
    rooms.begin()
    await time.advance(1000)
    assert (rooms.ready, len(account.made)) == (2, 2)
    before = time.now_ms()
    room = await rooms.take(600)
    assert time.now_ms() == before
    assert account.lets_in(room.url, room.user_token)
    await time.advance(1000)
    assert rooms.ready == 2  # another one took its place
    await rooms.close()
    assert set(account.rooms) == {room.name}


@in_virtual_time
async def test_a_room_that_has_waited_too_long_is_deleted_and_another_one_made(
    time: VirtualTime,
) -> None:
    account = Account(time)
    rooms = account.rooms_with(ahead=1)
    rooms.begin()
    await time.advance(3600_000 + 2000)
    room = await rooms.take(None)
    assert room.exp_s - account.now() > 3590
    await time.advance(1000)
    assert account.deleted == account.made[:1]
    rooms.give_up(room.name)
    await rooms.close()
    assert not account.rooms


@pytest.mark.parametrize("after_ms", [0, 50, 150, 199])
@in_virtual_time
async def test_who_stops_waiting_leaves_no_room_behind(time: VirtualTime, after_ms: int) -> None:
    account = Account(time)
    rooms = account.rooms_with()
    taking = asyncio.ensure_future(rooms.take(600))
    await time.advance(after_ms)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    await time.advance(1000)
    assert len(account.made) == 1
    assert not account.rooms
    await rooms.close()


@pytest.mark.parametrize("asked", ["POST /rooms", "POST /meeting-tokens"])
@in_virtual_time
async def test_what_fails_half_way_is_deleted(time: VirtualTime, asked: str) -> None:
    account = Account(time)
    account.answers[asked] = [500]
    rooms = account.rooms_with()
    with pytest.raises(VoxwireError) as error:
        await rooms.take(600)
    assert error.value.code == ErrorCode.SERVICE_FAILED
    await time.advance(1000)
    assert not account.rooms
    await rooms.close()


@in_virtual_time
async def test_a_room_that_is_not_deleted_is_tried_again_and_then_named(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    account = Account(time)
    rooms = account.rooms_with()
    room, lost = await rooms.take(600), await rooms.take(600)
    account.answers[f"DELETE /rooms/{room.name}"] = [500, 0, 429]
    account.answers[f"DELETE /rooms/{lost.name}"] = [500] * 4
    rooms.give_up(room.name)
    rooms.give_up(lost.name)
    with caplog.at_level(logging.WARNING, "voxwire.daily"):
        await time.advance(60_000)
    assert set(account.rooms) == {lost.name}
    [record] = caplog.records
    assert record.__dict__["room"] == lost.name
    assert lost.bot_token not in caplog.text
    await rooms.close()


@in_virtual_time
async def test_an_account_that_fails_is_no_harm_to_a_server_that_starts(
    time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    account = Account(time)
    account.answers["POST /rooms"] = [401, 401]
    rooms = account.rooms_with(ahead=2)
    rooms.begin()
    await time.advance(1000)
    assert rooms.ready == 0
    assert "no Daily room could be made ahead" in caplog.text
    assert KEY not in caplog.text
    await rooms.close()


@in_virtual_time
async def test_closing_waits_for_what_is_under_way_and_for_no_longer_than_5_s(
    time: VirtualTime,
) -> None:
    account = Account(time, takes_ms=1000)
    rooms = account.rooms_with(ahead=1)
    rooms.begin()
    await time.advance(500)
    await rooms.close()
    assert account.made
    assert not account.rooms
    slow = Account(time, takes_ms=60_000)
    rooms = slow.rooms_with(ahead=1)
    rooms.begin()
    await time.advance(500)
    before = time.now_ms()
    await rooms.close()
    assert time.now_ms() - before <= 5000


def test_without_a_key_there_are_none() -> None:
    assert rooms_of(Settings()) is None
    assert rooms_of(Settings(daily_api_key=KEY)) is not None
    assert KEY not in repr(Settings(daily_api_key=KEY))
