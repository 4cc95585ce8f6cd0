"""One token opens one session in all processes together, and a user has as many as he may."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.cluster import bot_file
from tests.support.engine_gate import gate
from tests.support.engine_log import LOGS_ALL, runs_of
from tests.support.engines import MISSING, engine
from tests.support.replicas import service, token
from tests.support.rushes import Answer, rush
from voxwire_server.session.redis_scripts import CLAIM, TAKE

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(240),
]

USES, REACHING, RACING, QUOTA = 1000, 900, 100, 3
_ROUNDS = 5
SETTINGS = {
    "VOXWIRE_MAX_LAG_MS": "0",
    "VOXWIRE_MAX_SESSIONS": "2000",
    "VOXWIRE_MAX_PENDING": "2000",
    "VOXWIRE_MAX_PENDING_PER_ADDRESS": "2000",
    "VOXWIRE_STARTS_PER_USER": "",
    "VOXWIRE_HELLO_TIMEOUT_MS": "60000",
}
USED = Answer("", "UNAUTHORIZED", "the token was used already")
_ATTACH = len('{"attach": "') + 64
"""Of what a token is claimed with: so much of it says by whom."""


def claimed(url: str) -> tuple[int, int]:
    """How many attaches have come to the compare-and-set of tokens, and how many only looked."""
    of_tokens = [it for it in runs_of(url, CLAIM) if it[0].startswith(b"vw:c:token:")]
    assert len({key for key, *_ in of_tokens}) == 1
    by = {value[:_ATTACH] for _, _, value, instead_of, *_ in of_tokens if value and not instead_of}
    looks = sum(not value and not instead_of for _, _, value, instead_of, *_ in of_tokens)
    return len(by), looks


async def test_a_token_opens_one_session_and_a_user_has_no_more_than_he_may(
    tmp_path: Path,
) -> None:
    with engine(*LOGS_ALL) as redis:
        async with (
            gate(redis.url, tmp_path, TAKE) as meeting,
            service(meeting, tmp_path, 3, bot=bot_file(tmp_path), **SETTINGS) as house,
        ):
            urls = [replica.url for replica in house.replicas]
            one, left, answers = token("ada"), USES, list[Answer]()
            async with contextlib.AsyncExitStack() as there:
                for _ in range(_ROUNDS):  # who is told to come again does so, as clients do
                    began_s = time.monotonic()
                    meeting.meet(it.pid for it in house.replicas if not answers)
                    coming = rush(urls, [one] * left, still=house.replicas)
                    answers += await there.enter_async_context(coming)
                    took_s = time.monotonic() - began_s
                    told = Counter(answer._replace(session_id="") for answer in answers)
                    print(f"\n{left} uses of one token in {took_s:.1f} s: {told}")
                    left = sum(answer.code == "CAPACITY" for answer in answers[-left:])
                    if not left:
                        break
                assert sum(bool(answer.session_id) for answer in answers) == 1
                reached, looks = await asyncio.to_thread(claimed, redis.url)
                print(f"{reached} came to the compare-and-set, there were {looks} looks before")
                assert answers.count(USED) == USES - 1
                assert reached >= REACHING

            nonce, one = os.urandom(16), token("bob")
            async with rush(urls, [one] * 3, [nonce] * 3) as at_once:
                print("the same nonce three times at once:", at_once)
            async with rush(urls[:1], [one], [nonce]) as [first]:
                found = [first]
                for url in urls[1:]:
                    async with rush([url], [one], [nonce]) as [answer]:
                        found.append(answer)
            print("and one after the other:", found)
            ids = {answer.session_id for answer in [*at_once, *found] if answer.session_id}
            assert len(ids) == 1 and all(answer.session_id for answer in found)

            tokens = [token("eve", max_sessions=QUOTA) for _ in range(RACING)]
            async with rush(urls, tokens) as answers:
                told = Counter((answer.code, answer.reason) for answer in answers)
                print(f"{RACING} of one user who may have {QUOTA}: {told}")
                assert sum(bool(answer.session_id) for answer in answers) == QUOTA
                assert len({answer.session_id for answer in answers}) == QUOTA + 1
                tokens = [token("eve", max_sessions=QUOTA) for _ in range(RACING)]
                async with rush(urls, tokens) as later:  # while these are there
                    assert not any(answer.session_id for answer in later)
