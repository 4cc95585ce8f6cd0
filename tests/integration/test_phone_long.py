"""Whole calls of every vendor at length on real sockets; and a hundred that leave nothing."""

import asyncio
import os

import pytest

from tests.integration.test_phone_offline import KEY, conversation
from tests.support.clicks import make_bot
from tests.support.phone_line import KNOWN
from tests.support.phone_socket import PUBLIC, dialled
from tests.support.phone_vendors import FAR_ENDS
from tests.support.waiting import PATIENT, descriptors_at_most, until
from voxwire_server.testing import running_server

CALLS = 100
AT_A_TIME = 5


@pytest.mark.parametrize("delay_ms", [10, 40, 120])
@pytest.mark.parametrize("vendor", FAR_ENDS)
async def test_a_caller_asks_interrupts_and_presses_keys(vendor: str, delay_ms: int) -> None:
    word_s = await conversation(vendor, delay_ms)
    print(f"{word_s:.2f} s a word")
    assert 0.2 < word_s < 0.5


async def test_a_hundred_calls_on_real_sockets_leave_nothing_behind() -> None:
    settings = {"key": KEY, "public_url": PUBLIC, **KNOWN, **PATIENT}
    vendors = list(FAR_ENDS)
    async with running_server(make_bot(), **settings) as server:

        async def calls(vendor: str, number: int) -> None:
            for _ in range(number):
                async with dialled(server.port, vendor=vendor) as phone:
                    await until(lambda: len(phone.heard) > phone.far.rate // 2)

        async def round_of(number: int) -> int:
            await asyncio.gather(*(calls(vendor, number) for vendor in vendors))
            await until(lambda: not len(server.registry))
            return len(asyncio.all_tasks())

        tasks = await round_of(1)
        descriptors = len(os.listdir("/proc/self/fd"))
        assert await round_of(CALLS // AT_A_TIME - 1) <= tasks
        await descriptors_at_most(descriptors)
