"""The server's policy for WebRTC: addresses, relays, and what a failure is called."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("aiortc")

from voxwire_protocol import rtc, wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.media.peer import CONNECT_MS, Reachable, ServerPeer
from voxwire_server.ports import Format, Formats, PathError

OPUS = wire.Codec.CODEC_OPUS
FORMATS = Formats(capture=Format(OPUS, 16_000, 20), playout=Format(OPUS, 24_000, 20))
FIREFOX = "v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 1 0 IN IP4 0.0.0.0\r\n"
OTHERS = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n"


class Ice:
    """The session's STUN and TURN servers."""

    def __init__(self, policy: str) -> None:
        self.policy = policy
        self.listening: dict[int, Callable[[str], object]] = {}

    def for_server(self) -> list[wire.IceServer]:
        return [wire.IceServer(urls=["turn:127.0.0.1"], username="u", credential="c")]

    def listen(self, path_id: int, take: Callable[[str], object]) -> None:
        self.listening[path_id] = take

    def forget(self, path_id: int) -> None:
        self.listening.pop(path_id, None)


class Peer:
    """Stands in for :class:`rtc.Peer`."""

    def __init__(self, here: rtc.Here) -> None:
        self.here = here
        self.steps: list[str] = []
        self.relay_fails: rtc.TurnError | None = None
        self.answer_fails: Exception | None = None
        self.up = asyncio.Event()
        self.lost = False

    async def answer(
        self, offer: str, *, prepare: Callable[[], Awaitable[None]] | None = None
    ) -> str:
        if self.answer_fails is not None:
            raise self.answer_fails
        if prepare is not None:
            await prepare()
        self.steps.append("answer")
        return "answer"

    def candidates_of(self, offer: str) -> Any:
        self.steps.append("candidates")

        class Candidates:
            add = staticmethod(lambda line: self.steps.append(line))

        return Candidates()

    async def relay(self, servers: list[wire.IceServer]) -> str:
        self.steps.append(f"relay {servers[0].urls[0]}")
        if self.relay_fails is not None:
            raise self.relay_fails
        return "candidate:"

    async def connected(self) -> None:
        await self.up.wait()
        if self.lost:
            raise ConnectionError

    async def close(self) -> None:
        self.steps.append("close")


def serving(reachable: Reachable, prepare: Callable[[Peer], None] = lambda peer: None) -> Any:
    """A ServerPeer whose connection is a :class:`Peer`, as ``made[0]``."""
    made: list[Peer] = []

    class Faked(ServerPeer):
        def _make(self, here: rtc.Here) -> Any:
            made.append(Peer(here))
            prepare(made[0])
            return made[0]

    server = Faked(
        3,
        reachable,
        formats=FORMATS,
        pull=lambda first, count: None,
        on_audio=lambda pcm, timestamp: None,
        on_lost=lambda: None,
    )
    return server, made


# addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_server_on_loopback_stays_there(host: str) -> None:
    assert Reachable(host).for_offer(OTHERS) == rtc.Here(addresses=("127.0.0.1",))


def test_firefox_gets_addresses_that_it_pairs_and_nobody_from_outside_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rtc, "own_addresses", lambda: ["192.0.2.7"])
    here = Reachable("127.0.0.1").for_offer(FIREFOX)
    assert here == rtc.Here(addresses=("127.0.0.1", "192.0.2.7"), only_from_here=True)


@pytest.mark.parametrize("offer", [FIREFOX, OTHERS])
def test_a_server_on_the_network_uses_all_addresses_or_those_that_are_given(offer: str) -> None:
    assert Reachable("0.0.0.0").for_offer(offer) == rtc.Here()
    given = Reachable("127.0.0.1", " 192.0.2.1, 192.0.2.2 ,").for_offer(offer)
    assert given == rtc.Here(addresses=("192.0.2.1", "192.0.2.2"))


def test_one_that_is_reached_through_turn_alone_has_no_address_of_its_own() -> None:
    here = Reachable("127.0.0.1", "192.0.2.1", Ice("relay")).for_offer(FIREFOX)
    assert here == rtc.Here(relay_only=True)
    assert Reachable("0.0.0.0", ice=Ice("all")).for_offer(OTHERS) == rtc.Here()
    assert Reachable("127.0.0.1", ice=Ice("host")).for_offer(OTHERS).addresses == ("127.0.0.1",)


# relays


@pytest.mark.parametrize("ice", [None, Ice("host")])
@in_virtual_time
async def test_without_turn_for_itself_it_relays_nothing_and_takes_no_candidate(
    ice: Ice | None,
) -> None:
    server, made = serving(Reachable("0.0.0.0", ice=ice))
    assert await server.answer(OTHERS) == "answer"
    assert made[0].steps == ["answer"]


@in_virtual_time
async def test_behind_turn_the_answer_waits_for_the_relay_and_candidates_are_heard() -> None:
    ice = Ice("all")
    server, made = serving(Reachable("0.0.0.0", ice=ice))
    await server.answer(OTHERS)
    assert made[0].steps == ["candidates", "relay turn:127.0.0.1", "answer"]
    ice.listening[3]("candidate:1")
    assert made[0].steps[-1] == "candidate:1"
    await server.close()
    assert ice.listening == {}


def turn_fails(peer: Peer) -> None:
    peer.relay_fails = rtc.TurnError("turn:x did not answer within 3 s")


@in_virtual_time
async def test_a_relay_that_fails_is_a_failure_only_where_there_is_no_other_way() -> None:
    ice = Ice("all")
    server, made = serving(Reachable("0.0.0.0", ice=ice), turn_fails)
    assert await server.answer(OTHERS) == "answer"
    assert (made[0].steps[-1], ice.listening) == ("answer", {})
    alone, _ = serving(Reachable("0.0.0.0", ice=Ice("relay")), turn_fails)
    with pytest.raises(PathError) as failure:
        await alone.answer(OTHERS)
    assert failure.value.code == wire.ErrorCode.ERROR_CODE_TURN_FAILED
    assert failure.value.reason == (
        "the server is reached through TURN alone, and has no relay:"
        " turn:x did not answer within 3 s"
    )


# failures


@pytest.mark.parametrize(
    ("raised", "code", "text"),
    [
        (rtc.BadSdpError("SDP offers no audio"), "BAD_SDP", "SDP offers no audio"),
        (ConnectionError("no address"), "ICE_FAILED", "a firewall may need a TURN server"),
    ],
)
@in_virtual_time
async def test_what_an_answer_fails_with(raised: Exception, code: str, text: str) -> None:
    def fail(peer: Peer) -> None:
        peer.answer_fails = raised

    server, made = serving(Reachable("0.0.0.0"), fail)
    with pytest.raises(PathError, match=text) as failure:
        await server.answer(OTHERS)
    assert wire.ErrorCode.Name(failure.value.code) == f"ERROR_CODE_{code}"
    await server.close()
    assert made[0].steps == ["close"]


@in_virtual_time
async def test_a_connection_has_fifteen_seconds_to_come_about(time: VirtualTime) -> None:
    server, _ = serving(Reachable("0.0.0.0"))
    await server.answer(OTHERS)
    before_ms = time.now_ms()
    with pytest.raises(PathError) as failure:
        await server.connected()
    assert failure.value.code == wire.ErrorCode.ERROR_CODE_ICE_FAILED
    assert time.now_ms() - before_ms == pytest.approx(CONNECT_MS, abs=1) == 15_000


@pytest.mark.parametrize("lost", [False, True])
@in_virtual_time
async def test_it_comes_about_or_fails_before_that(lost: bool) -> None:
    server, made = serving(Reachable("0.0.0.0"))
    await server.answer(OTHERS)
    made[0].lost = lost
    made[0].up.set()
    if lost:
        with pytest.raises(PathError):
            await server.connected()
    else:
        await server.connected()


@in_virtual_time
async def test_one_that_never_answered_has_nothing_to_close() -> None:
    server, _ = serving(Reachable("0.0.0.0"))
    assert server.rtp_timestamp(0) is None
    await server.close()
