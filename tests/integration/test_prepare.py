"""`voxwire.prepare` with a real server, its tokens and the real WebRTC stack."""

import asyncio
import time

import voxwire
from tests.support.clicks import make_bot
from tests.support.waiting import LONG
from voxwire_server.keys import KeyRing
from voxwire_server.testing import running_server
from voxwire_server.tokens import TokenIssuer

KEY = "an operator's secret of more than 32 characters"
GUARD_S = 60


async def test_a_session_begins_with_what_was_prepared_and_the_next_one_without() -> None:
    issuer, asked = TokenIssuer(KeyRing.parse(key=KEY)), 0

    def source(_: voxwire.TokenRequest) -> str:
        nonlocal asked
        asked += 1
        return issuer.issue("ada", now_s=int(time.time()), ttl_s=300)

    async with asyncio.timeout(GUARD_S), running_server(make_bot(), key=KEY) as server:
        url, microphone, speaker = server.url, None, voxwire.Recording()
        prepared = await voxwire.prepare(url, token=source)
        async with prepared.connect(microphone=microphone, speaker=speaker) as session:
            await session.send_text("hello")
            await session.wait_for(voxwire.UtteranceEnded, LONG.wait_ms)
            assert session.transport == "webrtc"
            assert asked == 1
        async with prepared.connect() as session:
            assert asked == 2
