"""One token opens one session in all processes together, and a user has as many as he may."""

import contextlib
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.cluster import bot_file
from tests.support.engines import MISSING, engine
from tests.support.replicas import service, token
from tests.support.rushes import Answer, rush

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.timeout(240),
]

USES, RACING, QUOTA = 1000, 100, 3
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


async def test_a_token_opens_one_session_and_a_user_has_no_more_than_he_may(
    tmp_path: Path,
) -> None:
    with engine() as redis:
        async with service(redis, tmp_path, 3, bot=bot_file(tmp_path), **SETTINGS) as house:
            urls = [replica.url for replica in house.replicas]
            one, left, answers = token("ada"), USES, list[Answer]()
            async with contextlib.AsyncExitStack() as there:
                for _ in range(_ROUNDS):  # who is told to come again does so, as clients do
                    began_s = time.monotonic()
                    answers += await there.enter_async_context(rush(urls, [one] * left))
                    took_s = time.monotonic() - began_s
                    told = Counter(answer._replace(session_id="") for answer in answers)
                    print(f"\n{left} uses of one token in {took_s:.1f} s: {told}")
                    left = sum(answer.code == "CAPACITY" for answer in answers[-left:])
                    if not left:
                        break
                assert sum(bool(answer.session_id) for answer in answers) == 1
                assert answers.count(USED) >= 900

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
