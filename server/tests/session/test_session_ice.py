"""Credentials of one session: how long they live, when fresh ones come; and its candidates."""

import pytest

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.ice_servers import IceServers
from voxwire_server.ports import IcePort
from voxwire_server.session.ice import SessionIce

EPOCH_S = 1_700_000_000.0
TURN = IceServers(turn_urls=["turn:relay.example"], turn_secret="secret", max_ttl_s=3600)
STATIC = IceServers([wire.IceServer(urls=["stun:relay.example"])])


class Fixture:
    """The ICE of a session whose wall clock runs with virtual time."""

    def __init__(
        self,
        time: VirtualTime,
        servers: IceServers = TURN,
        *,
        policy: str = "host",
        token_s: float | None = None,
        max_duration_ms: int = 0,
    ) -> None:
        began_ms = time.now_ms()
        self.port = FakePort()
        self.ice = SessionIce(
            self.port,
            servers,
            session_id="o.s",
            policy=policy,
            token_expires_at_s=None if token_s is None else EPOCH_S + token_s,
            max_duration_ms=max_duration_ms,
            wall_s=lambda: EPOCH_S + (time.now_ms() - began_ms) / 1000,
        )

    @property
    def ttl_s(self) -> int:
        """Life of the client's credentials if they were made now."""
        return max((server.ttl_secs for server in self.ice.for_client()), default=0)


@pytest.mark.parametrize(
    ("token_s", "max_duration_ms", "ttl_s"),
    [(None, 0, 3600), (600.0, 0, 600), (None, 900_000, 900), (600.0, 300_000, 300), (-5.0, 0, 1)],
)
def test_credentials_live_no_longer_than_the_token_and_the_session(
    token_s: float | None, max_duration_ms: int, ttl_s: int
) -> None:
    @in_virtual_time
    async def run(time: VirtualTime) -> None:
        fixture = Fixture(time, token_s=token_s, max_duration_ms=max_duration_ms)
        assert fixture.ttl_s == ttl_s

    run()


@in_virtual_time
async def test_each_side_has_credentials_of_its_own(time: VirtualTime) -> None:
    ice: IcePort = (fixture := Fixture(time, policy="relay")).ice
    [client], [server] = fixture.ice.for_client(), ice.for_server()
    assert ice.policy == "relay"
    assert client.username.endswith(":o.s")
    assert server.username.endswith(":o.s.server")
    assert client.credential != server.credential


@in_virtual_time
async def test_fresh_credentials_come_after_three_quarters_of_their_life(
    time: VirtualTime,
) -> None:
    fixture = Fixture(time, token_s=1000)
    fixture.ice.start()
    fixture.ice.start()
    await time.advance(749_000)
    assert fixture.port.sent == []
    await time.advance(2000)
    [update] = fixture.port.of("ice_servers_update")
    [server] = update.ice_servers
    assert server.username.startswith(f"{int(EPOCH_S) + 1750}:")
    await time.advance(750_000)
    assert len(fixture.port.of("ice_servers_update")) == 2


@in_virtual_time
async def test_what_lasts_as_long_as_the_session_is_not_renewed(time: VirtualTime) -> None:
    fixture = Fixture(time, max_duration_ms=7_200_000)
    fixture.ice.start()
    await time.advance(7_200_000)
    updates = fixture.port.of("ice_servers_update")
    assert [update.ice_servers[0].ttl_secs for update in updates] == [3600, 1800]


@in_virtual_time
async def test_a_static_list_is_never_renewed(time: VirtualTime) -> None:
    fixture = Fixture(time, STATIC)
    fixture.ice.start()
    await time.advance(10_000_000)
    assert fixture.port.sent == []
    assert [list(server.urls) for server in fixture.ice.for_client()] == [["stun:relay.example"]]


@in_virtual_time
async def test_candidates_wait_for_their_path_and_no_longer(time: VirtualTime) -> None:
    ice = Fixture(time, policy="relay").ice
    for path_id, line in ((1, "a"), (2, "b"), (1, "c")):
        ice.remote_candidate(wire.IceCandidate(path_id=path_id, candidate=line))
    first: list[str] = []
    ice.listen(1, first.append)
    ice.remote_candidate(wire.IceCandidate(path_id=1, candidate="d"))
    assert first == ["a", "c", "d"]
    ice.forget(1)
    ice.remote_candidate(wire.IceCandidate(path_id=1, candidate="e"))
    assert first == ["a", "c", "d"]
    second: list[str] = []
    ice.listen(2, second.append)
    assert second == ["b"]


@in_virtual_time
async def test_few_candidates_wait_and_none_that_is_too_long(time: VirtualTime) -> None:
    ice = Fixture(time, policy="all").ice
    ice.remote_candidate(wire.IceCandidate(path_id=1, candidate="x" * 513))
    for number in range(20):
        ice.remote_candidate(wire.IceCandidate(path_id=1, candidate=str(number)))
    taken: list[str] = []
    ice.listen(1, taken.append)
    assert taken == [str(number) for number in range(8)]


@in_virtual_time
async def test_a_server_without_a_relay_ignores_candidates(time: VirtualTime) -> None:
    ice = Fixture(time, policy="host").ice
    taken: list[str] = []
    ice.listen(1, taken.append)
    ice.remote_candidate(wire.IceCandidate(path_id=1, candidate="a"))
    assert taken == []
    assert not ice.relays
