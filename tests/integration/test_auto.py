"""``transport="auto"`` with the real WebRTC on both sides, and packets that a hook swallows."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from aioice.ice import StunProtocol

import voxwire
from tests.support.numbered import RATE, HearingBot, NumberedMicrophone, hum, numbers
from tests.support.waiting import LONG
from voxwire_server.testing import running_server

GUARD_S = 60
MS = RATE // 1000


@pytest.fixture
def swallow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have nobody's packets leave: those of ICE, those of DTLS and media, or both."""

    def begin(*, ice: bool, media: bool) -> None:
        async def send_no_data(self: object, data: bytes, addr: object) -> None:
            """DTLS and SRTP."""

        if ice:
            monkeypatch.setattr(StunProtocol, "send_stun", lambda self, message, addr: None)
        if media:
            monkeypatch.setattr(StunProtocol, "send_data", send_no_data)

    return begin


@pytest.mark.parametrize(
    ("ice", "reason"),
    [(True, voxwire.FallbackReason.ICE_FAILED), (False, voxwire.FallbackReason.DTLS_FAILED)],
)
async def test_what_is_said_while_webrtc_comes_to_nothing_is_heard_once_and_whole(
    swallow: Callable[..., None], ice: bool, reason: voxwire.FallbackReason
) -> None:
    swallow(ice=ice, media=True)
    bot, microphone = HearingBot(), NumberedMicrophone(live=True)
    async with asyncio.timeout(GUARD_S), running_server(bot) as server:
        async with voxwire.connect(server.url, microphone=microphone, timeouts=LONG) as session:
            changed = await session.wait_for(voxwire.PathChanged)
            heard = await bot.until(session.id, microphone.given - changed.lost_ms * MS)
    assert (changed.carrier, changed.fallback) == ("websocket", reason)
    assert changed.resent_ms >= 1000, "the microphone was not read while WebRTC was tried"
    assert np.array_equal(heard, numbers(changed.lost_ms * MS, len(heard)))


async def test_webrtc_that_comes_late_takes_over_from_websocket_without_a_seam(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voxwire._fallback.HEAD_START_MS", 0)
    bot, microphone = HearingBot(), NumberedMicrophone(live=True, samples=hum)
    async with asyncio.timeout(GUARD_S), running_server(bot) as server:
        async with voxwire.connect(server.url, microphone=microphone, timeouts=LONG) as session:
            paths = [await session.wait_for(voxwire.PathChanged) for _ in range(2)]
            seam = microphone.given
            heard = await bot.until(session.id, seam + 600 * MS)
    assert [path.carrier for path in paths] == ["websocket", "webrtc"]
    assert [path.lost_ms for path in paths] == [0, 0]
    assert paths[1].fallback is None
    # through a codec from somewhere on: every stretch stands where the microphone gave it
    for first in range(0, seam + 400 * MS, 100 * MS):
        piece, near = heard[first : first + 100 * MS].astype(float), max(0, first - 50 * MS)
        given = hum(near, 200 * MS).astype(float)
        stands = near + int(np.argmax(np.correlate(given, piece)))
        assert abs(stands - first) <= 8 * MS, f"{(stands - first) / MS} ms at {first / MS} ms"
