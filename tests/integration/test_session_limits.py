"""The server's own limits of a session: idle, and longest duration."""

import asyncio
import time

import pytest

import voxwire
from tests.support.clicks import make_bot
from voxwire_server.keys import KeyRing
from voxwire_server.testing import running_server
from voxwire_server.tokens import Limits, TokenIssuer

KEY = "an operator's secret of more than 32 characters"
QUICK = {"heartbeat_ms": 50}


async def test_a_session_that_nobody_uses_is_warned_and_ends_without_an_error() -> None:
    seen: list[voxwire.Event] = []
    async with running_server(make_bot(), idle_s=1, **QUICK) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket") as session:
            seen.extend([event async for event in session])
    (warning,) = [event for event in seen if isinstance(event, voxwire.GoingAway)]
    assert 0 <= warning.time_left_ms <= 500
    assert "speaks or types" in warning.reason
    assert isinstance(seen[-1], voxwire.SessionEnded)
    assert seen[-1].reason == voxwire.EndReason.IDLE


async def test_what_the_user_types_and_what_the_bot_says_keeps_a_session() -> None:
    """Each warning is answered with words: the session outlives its limit as often as that."""
    ended: list[voxwire.SessionEnded] = []
    warnings = 0
    async with running_server(make_bot(), idle_s=1, **QUICK) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket") as session:
            async for event in session:
                if isinstance(event, voxwire.GoingAway):
                    warnings += 1
                    if warnings < 3:
                        await session.send_text("say 3")
                elif isinstance(event, voxwire.SessionEnded):
                    ended.append(event)
    assert warnings == 3
    assert [event.reason for event in ended] == [voxwire.EndReason.IDLE]
    assert ended[0].duration_ms > 3 * 1000


async def test_a_user_who_reads_keeps_a_session() -> None:
    """Each warning is answered by a sign of the user, who neither speaks nor types."""
    warnings = 0
    ended: list[voxwire.SessionEnded] = []
    async with running_server(make_bot(), idle_s=2, **QUICK) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket") as session:
            assert voxwire.Feature.USER_ACTIVITY in session.features
            async for event in session:
                if isinstance(event, voxwire.GoingAway):
                    warnings += 1
                    if warnings < 3:
                        await session.user_activity()
                elif isinstance(event, voxwire.SessionEnded):
                    ended.append(event)
            assert not session.conversation.turns
    assert warnings == 3
    assert [event.reason for event in ended] == [voxwire.EndReason.IDLE]
    assert ended[0].duration_ms > 2 * 1000 + 2 * 1000


@pytest.mark.parametrize(("server_s", "token_s"), [(1, None), (1, 500), (500, 1)])
async def test_the_lower_of_the_server_s_and_the_token_s_duration_ends_a_session(
    server_s: int, token_s: int | None
) -> None:
    token = TokenIssuer(KeyRing.parse(key=KEY)).issue(
        "ada", now_s=time.time(), limits=Limits(max_duration_s=token_s)
    )
    warned = False
    async with (
        running_server(make_bot(), key=KEY, max_duration_s=server_s, **QUICK) as server,
        asyncio.timeout(60),
    ):
        with pytest.raises(voxwire.SessionError) as ended:
            async with voxwire.connect(server.url, token=token, transport="websocket") as session:
                async for event in session:
                    warned = warned or isinstance(event, voxwire.GoingAway)
    assert warned
    assert ended.value.code == voxwire.ErrorCode.DURATION_LIMIT
