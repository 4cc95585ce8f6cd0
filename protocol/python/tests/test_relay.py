"""Which remote candidates a side behind TURN takes, and which sockets send to them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aioice import Candidate
from aiortc import RTCConfiguration, RTCPeerConnection

from voxwire_protocol import wire
from voxwire_protocol.rtc.ice import agents
from voxwire_protocol.rtc.relay import PeerCandidates
from voxwire_protocol.rtc.turn_servers import has_turn


@pytest.fixture
async def connection() -> AsyncIterator[RTCPeerConnection]:
    made = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    made.addTransceiver("audio")
    yield made
    await made.close()


def line(host: str, port: int = 4000, kind: str = "host", transport: str = "udp") -> str:
    return f"candidate:1 1 {transport} 2130706431 {host} {port} typ {kind} raddr 0.0.0.0 rport 9"


def taken(connection: RTCPeerConnection) -> list[tuple[str, str]]:
    (agent,) = agents(connection)
    return [(candidate.type, candidate.host) for candidate in agent.remote_candidates]


async def test_at_most_four_count_and_hosts_leave_room_for_relays(
    connection: RTCPeerConnection,
) -> None:
    candidates = PeerCandidates(connection)
    offer = "v=0\r\n" + "".join(f"a={line(f'203.0.113.{n}')}\r\n" for n in range(1, 60))
    candidates.add_all(offer + f"a={line('198.51.100.1', kind='srflx')}\r\n")
    assert taken(connection) == [
        ("srflx", "198.51.100.1"),
        ("host", "203.0.113.1"),
        ("host", "203.0.113.2"),
    ]
    assert candidates.add(line("198.51.100.2", kind="relay"))
    assert not candidates.add(line("198.51.100.3", kind="relay"))
    assert len(taken(connection)) == 4


@pytest.mark.parametrize(
    "bad",
    [
        line("127.0.0.1"),
        line("169.254.169.254"),
        line("224.0.0.251"),
        line("255.255.255.255"),
        line("0.0.0.0"),
        line("::1"),
        line("fe80::1"),
        line("ff02::fb"),
        line("::ffff:127.0.0.1"),
        line("localhost"),
        line("0d1e2f3a-aaaa.local"),
        line("203.0.113.1", port=0),
        line("203.0.113.1", port=65536),
        line("203.0.113.1", transport="tcp"),
        line("203.0.113.1", kind="prflx"),
        line("203.0.113.1") + " x" * 300,
        "",
        "candidate:",
    ],
)
async def test_what_is_nobodys_address_is_not_taken(
    connection: RTCPeerConnection, bad: str
) -> None:
    candidates = PeerCandidates(connection)
    assert not candidates.add(bad)
    candidates.add_all(f"v=0\r\na={bad}\r\n")
    assert not candidates.add(line("203.0.113.1") + "\r\na=x")
    assert taken(connection) == []


class _Socket:
    def __init__(self, kind: str, host: str) -> None:
        self.local_candidate = Candidate("f", 1, "udp", 1, host, 5000, kind)


async def test_nothing_but_the_relayed_socket_sends_to_them(
    connection: RTCPeerConnection,
) -> None:
    (agent,) = agents(connection)
    sockets: list[Any] = [_Socket("host", "192.0.2.1"), _Socket("relay", "192.0.2.2")]
    agent._protocols = sockets
    assert PeerCandidates(connection).add(line("203.0.113.1"))
    assert [pair.local_candidate.type for pair in agent._check_list] == ["relay"]
    assert agent._protocols is sockets
    agent._protocols, agent._check_list = [], []


def test_a_list_has_turn_when_it_names_a_turn_url() -> None:
    assert not has_turn([wire.IceServer(urls=["stun:s.example", "turn:", "turns:t?transport=udp"])])
    for url in ("turn:t.example", "turn:[2001:db8::1]:3478?transport=tcp", "turns:t.example:443"):
        assert has_turn([wire.IceServer(urls=[url])])
