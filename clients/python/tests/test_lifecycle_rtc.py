"""Real peer connections whose ICE leads nowhere: a typed error in time, and nothing is left."""

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from peer import UNIT_S, Peer, serving

import voxwire
from voxwire_protocol import wire

CODE = voxwire.ErrorCode
pytestmark = pytest.mark.filterwarnings("error")


def answer_of(offer: str, *, without: str = "\0", plus: str = "") -> str:
    """An answer to that offer whose ICE knows no address of the other side."""
    left_out = ("a=candidate", without)
    lines = [line for line in offer.splitlines() if not line.startswith(left_out)]
    text = "".join(f"{line}\r\n" for line in (*lines, *plus.splitlines()))
    return text.replace("a=setup:actpass", "a=setup:active").replace("a=sendonly", "a=recvonly")


DEAD = "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\na=end-of-candidates"
ANSWERS: dict[str, tuple[Callable[[str], str | None], CODE]] = {
    "none": (lambda _: None, CODE.TIMEOUT),
    "empty": (lambda _: "", CODE.BAD_SDP),
    "no SDP": (lambda _: "v=0\r\nhello\r\n", CODE.BAD_SDP),
    "the offer": (lambda offer: offer, CODE.BAD_SDP),
    "no candidates": (lambda offer: answer_of(offer), CODE.ICE_FAILED),
    "nobody there": (lambda offer: answer_of(offer, plus=DEAD), CODE.TIMEOUT),
    "no fingerprint": (lambda offer: answer_of(offer, without="a=fingerprint"), CODE.BAD_SDP),
    "no credentials": (lambda offer: answer_of(offer, without="a=ice-"), CODE.BAD_SDP),
}


@pytest.fixture
async def nothing_left() -> AsyncIterator[None]:
    """Descriptors, threads and what the loop complains of."""
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
    before, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    yield
    async with asyncio.timeout(60):
        while len(os.listdir("/proc/self/fd")) > before or threading.active_count() > threads:
            await asyncio.sleep(0.02)  # real time: poll
    gc.collect()
    assert not complaints


def server_that(answer: Callable[[str], str | None]) -> Callable[[Peer], Awaitable[None]]:
    """Welcomes, and answers one path so, as long as its client is there."""

    async def talk(peer: Peer) -> None:
        await peer.welcome()
        opened = (await peer.heard("path_open")).path_open
        sdp = answer(opened.sdp_offer)
        if sdp is not None:
            message = wire.PathAnswer(path_id=opened.path_id, sdp_answer=sdp)
            await peer.say(path_answer=message)

    async def script(peer: Peer) -> None:
        talking = asyncio.create_task(talk(peer))
        await peer.socket.wait_closed()
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)

    return script


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_leads_nowhere_is_its_error(name: str) -> None:
    answer, code = ANSWERS[name]
    waits = voxwire.Timeouts(connect_ms=1500 * UNIT_S)
    async with serving(server_that(answer)) as url:
        with pytest.raises(voxwire.VoxwireError) as caught:
            async with voxwire.connect(url, transport="webrtc", timeouts=waits):
                pytest.fail("it is in")
        assert caught.value.code == code


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03, 0.1, 0.3])
async def test_who_is_cancelled_while_ice_looks_leaves_nothing(after_s: float) -> None:
    answer = ANSWERS["nobody there"][0]

    async def connect(url: str) -> None:
        async with voxwire.connect(url, transport="webrtc"):
            pytest.fail("it is in")

    async with serving(server_that(answer)) as url:
        connecting = asyncio.create_task(connect(url))
        await asyncio.sleep(after_s)  # real time: moment
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
