"""STUN and TURN through the real server: credentials, silent servers, and what is never probed."""

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

import voxwire
from tests.integration.test_tokens import KEY, fetch_token
from tests.support.clicks import make_bot
from tests.support.one_socket import raw_client
from voxwire_protocol import rtc, wire
from voxwire_protocol.rtc import turn_servers
from voxwire_server.ice_servers import IceServersError
from voxwire_server.testing import running_server

SILENCE_S = 1.0
TURN = {"turn_urls": "turn:turn.example:3478", "turn_secret": "shared"}


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TURN server may be silent for so long, for both sides; the real bound is 3 s."""
    assert turn_servers.ALLOCATE_S <= 3
    monkeypatch.setattr(turn_servers, "ALLOCATE_S", SILENCE_S)


@contextlib.contextmanager
def sink() -> Iterator[socket.socket]:
    """A UDP socket on loopback that answers nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        yield made


def count(made: socket.socket) -> int:
    """How many datagrams came so far."""
    number = 0
    with contextlib.suppress(BlockingIOError):
        while made.recv(2048):
            number += 1
    return number


def expiry(servers: object) -> int:
    """When the credentials of the last server end, seconds since the epoch."""
    return int(list(servers)[-1].username.split(":")[0])  # type: ignore[call-overload]


async def test_a_live_session_gets_fresh_credentials_before_the_old_ones_end() -> None:
    async with (
        running_server(make_bot(), turn_ttl_s=2, **TURN) as server,
        raw_client(server.url) as client,
    ):
        before = expiry((await client.hear("welcome")).welcome.ice_servers)
        for _ in range(2):
            update = (await client.hear("ice_servers_update")).ice_servers_update
            (turn,) = update.ice_servers
            assert turn.ttl_secs == 2 and turn.credential
            assert before < expiry(update.ice_servers)
            before = expiry(update.ice_servers)


@pytest.mark.parametrize(
    ("asked", "most_s"), [({"ttl_s": 20}, 20), ({"limits": {"max_duration_s": 30}}, 30)]
)
async def test_credentials_end_with_the_token_or_the_session(
    asked: dict[str, object], most_s: int
) -> None:
    async with running_server(make_bot(), key=KEY, **TURN) as server:
        asked_at_s = time.time()
        token = await fetch_token(server, **asked)
        async with raw_client(server.url, token=token) as client:
            servers = (await client.hear("welcome")).welcome.ice_servers
    assert most_s - 10 <= servers[0].ttl_secs <= most_s
    assert asked_at_s <= expiry(servers) <= time.time() + most_s  # real time: order


@contextlib.asynccontextmanager
async def an_offer() -> AsyncIterator[str]:
    """A usable offer."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.addTransceiver("audio")
        await connection.setLocalDescription(await connection.createOffer())
        yield connection.localDescription.sdp
    finally:
        await connection.close()


@pytest.mark.parametrize("server_ice", ["host", "all"])
async def test_an_address_that_a_client_names_is_never_probed(server_ice: str) -> None:
    with sink() as victim, sink() as turn:
        port = victim.getsockname()[1]
        address = f"turn:127.0.0.1:{turn.getsockname()[1]}"
        named = [
            f"candidate:1 1 udp 2130706431 {host} {port} typ {kind}"
            for host in ("127.0.0.1", "localhost", "::ffff:127.0.0.1")
            for kind in ("host", "relay")
        ]
        lines = "".join(f"a={line}\r\n" for line in named)
        async with (
            an_offer() as offer,
            running_server(
                make_bot(), turn_urls=address, turn_secret="shared", server_ice=server_ice
            ) as server,
            raw_client(server.url) as client,
        ):
            offer = re.sub(r"a=(candidate|end-of-candidates).*\r\n", "", offer) + lines
            carrier = wire.Carrier.CARRIER_WEBRTC
            await client.say(path_open=wire.PathOpen(path_id=1, carrier=carrier, sdp_offer=offer))
            for line in named:
                await client.say(ice_candidate=wire.IceCandidate(path_id=1, candidate=line))
            answer = (await client.hear("path_answer")).path_answer
            for line in named:
                await client.say(ice_candidate=wire.IceCandidate(path_id=1, candidate=line))
            await asyncio.sleep(
                0.7
            )  # real time: silence: a check would go out at once, and again after 500 ms
        assert "typ host" in answer.sdp_answer
        assert count(victim) == 0
        victim.sendto(b"x", victim.getsockname())
        assert count(victim) == 1
        assert (count(turn) > 0) == (server_ice == "all")


async def test_a_silent_turn_server_holds_nothing_up_and_is_named_when_it_was_needed() -> None:
    with sink() as turn:
        address = f"turn:127.0.0.1:{turn.getsockname()[1]}"
        servers = [voxwire.IceServer([address], "someone", "CANARY")]
        assert "CANARY" not in repr(servers)
        async with running_server(make_bot()) as server, asyncio.timeout(60):
            async with voxwire.connect(
                server.url, transport="webrtc", ice_servers=servers
            ) as session:
                await session.send_text("say 1")
                await session.wait_for(voxwire.BotWord)
            assert count(turn)
            with pytest.raises(voxwire.SignalingError) as failure:
                async with voxwire.connect(
                    server.url, transport="webrtc", ice_servers=servers, ice_policy="relay"
                ):
                    pass
    assert failure.value.code == voxwire.ErrorCode.TURN_FAILED
    assert f"{address} did not answer within 1 s" in failure.value.reason


async def test_a_server_without_the_relay_that_it_needs_says_so() -> None:
    with sink() as turn:
        address = f"turn:127.0.0.1:{turn.getsockname()[1]}"
        async with (
            running_server(
                make_bot(), turn_urls=address, turn_secret="s", server_ice="relay"
            ) as server,
            asyncio.timeout(60),
        ):
            with pytest.raises(voxwire.SignalingError) as failure:
                async with voxwire.connect(server.url, transport="webrtc"):
                    pass
    assert failure.value.code == voxwire.ErrorCode.TURN_FAILED
    assert f"the server is reached through TURN alone, and has no relay: {address}" in str(
        failure.value
    )


async def test_a_server_that_should_relay_without_turn_does_not_start() -> None:
    with pytest.raises(IceServersError, match="VOXWIRE_TURN_URLS"):
        async with running_server(make_bot(), server_ice="relay"):
            pass


@pytest.mark.parametrize(
    ("origin", "addresses"),
    [("o=- ", {"127.0.0.1"}), ("o=mozilla...THIS_IS_SDPARTA-99.0 ", {"127.0.0.1", "127.0.0.2"})],
)
async def test_firefox_is_offered_an_address_that_it_pairs(
    origin: str, addresses: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtc, "own_addresses", lambda: ["127.0.0.2"])
    async with (
        an_offer() as offer,
        running_server(make_bot()) as server,
        raw_client(server.url) as client,
    ):
        offer = offer.replace("o=- ", origin)
        carrier = wire.Carrier.CARRIER_WEBRTC
        await client.say(path_open=wire.PathOpen(path_id=1, carrier=carrier, sdp_offer=offer))
        answer = (await client.hear("path_answer")).path_answer.sdp_answer
    assert set(re.findall(r"a=candidate:\S+ \d \w+ \d+ (\S+) ", answer)) == addresses
