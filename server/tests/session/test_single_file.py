"""One after the other for each key."""

import asyncio

from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.session.single_file import SingleFile


@in_virtual_time
async def test_work_of_one_key_goes_in_the_order_of_coming_and_other_keys_do_not_wait(
    time: VirtualTime,
) -> None:
    lines, done = SingleFile(), list[tuple[str, float]]()
    start_ms = time.now_ms()

    async def work(key: str, name: str) -> None:
        async with lines.of(key):
            await asyncio.sleep(1)
            done.append((name, time.now_ms() - start_ms))

    async with asyncio.TaskGroup() as group:
        for key, name in ("ax", "ay", "bz"):
            group.create_task(work(key, name))
    assert done == [("x", 1000), ("z", 1000), ("y", 2000)]
    assert len(lines) == 0


@in_virtual_time
async def test_who_is_cancelled_in_the_line_leaves_it(time: VirtualTime) -> None:
    lines, done = SingleFile(), list[int]()

    async def work(number: int) -> None:
        async with lines.of("a"):
            await asyncio.sleep(1)
            done.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(4)]
    await time.settle()
    tasks[0].cancel()
    tasks[2].cancel()
    await asyncio.wait(tasks)
    assert done == [1, 3]
    assert len(lines) == 0
