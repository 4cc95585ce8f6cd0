"""Relayed candidates beside aiortc's own gathering, and what a relay may be asked to send to.

An offer can go out before the relayed candidate is there: the peer learns it from our checks.
Only a peer that sits behind an allocation of its own must be told, since TURN passes nothing on
from an address that was not permitted (RFC 8656 §9); it then takes at most four of ours.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from types import MethodType
from typing import Any, Final

from aioice import Candidate
from aioice.ice import CandidatePair
from aiortc import RTCPeerConnection

from voxwire_protocol import wire
from voxwire_protocol.rtc.ice import agents
from voxwire_protocol.rtc.turn_servers import allocate

__all__ = ["PeerCandidates", "Relay"]

_MAX_CANDIDATES: Final = 4
_MAX_HOST_CANDIDATES: Final = 2
_MAX_LINE_CHARS: Final = 512
# RFC 8839 §5.1
_CANDIDATE: Final = re.compile(
    r"candidate:[A-Za-z0-9+/]{1,32} 1 udp \d{1,10} ([0-9A-Fa-f.:]{3,45}) (\d{1,5})"
    r" typ (host|srflx|relay)(?: .*)?",
    re.IGNORECASE,
)
_RANKS: Final = {"relay": 0, "srflx": 1, "host": 2}


class Relay:
    """The relayed candidate of one connection with one audio section.

    Args:
        connection: Its tracks are added, its local description is not set yet.
        only: True when audio may go through TURN alone (W3C ``iceTransportPolicy: "relay"``); the
            connection was made with that policy.
    """

    def __init__(self, connection: RTCPeerConnection, *, only: bool = False) -> None:
        self._agent: Any = next(iter(agents(connection)))
        self._only = only
        self._awaited = False
        _check_again(self._agent)

    def hold(self) -> None:
        """Keep ICE from failing until :meth:`gather` is over; :meth:`gather` must follow."""
        agent = self._agent
        expected = agent._remote_candidates_expected
        self._awaited = True
        agent._remote_candidates_expected = lambda: self._awaited or expected()

    async def gather(self, servers: Sequence[wire.IceServer]) -> str | None:
        """Get a relayed candidate, before or after the local description is set. Cancel-safe.

        Returns:
            The candidate line without ``a=``; None when the connection is up or closed already.

        Raises:
            TurnError: No server gave one; the text says why.
        """
        agent = self._agent
        try:
            protocol = await allocate(agent, servers, hide=self._only)
            if agent._closing or agent._check_list_done:
                await protocol.close()
                return None
            agent._protocols.append(protocol)
            agent._local_candidates.append(protocol.local_candidate)
            if agent._early_checks_done:
                for candidate in agent._remote_candidates:
                    agent._pair_remote_candidate(candidate)
                agent.sort_check_list()
            return f"candidate:{protocol.local_candidate.to_sdp()}"
        finally:
            self._release()

    def _release(self) -> None:
        if self._awaited:
            self._awaited = False
            if self._agent._early_checks_done:
                self._agent._check_list_maybe_fail()


def _check_again(agent: Any) -> None:
    """Answer a check over the relay with one of our own, even while an earlier one is under way.

    The first check to a peer behind TURN is lost when the peer has not permitted our relay yet; its
    own check shows that it has now, and a new one goes out at once (RFC 8445 §7.3.1.4, which aioice
    leaves out) instead of a retransmission after 500 ms. Once for a pair is enough.
    """
    take = agent.check_incoming
    again: set[int] = set()

    def check_incoming(message: Any, addr: tuple[str, int], protocol: Any) -> None:
        late = [
            pair
            for pair in agent._check_list
            if pair.protocol is protocol
            and pair.remote_addr == addr
            and pair.state is CandidatePair.State.IN_PROGRESS
            and protocol.local_candidate.type == "relay"
            and id(pair) not in again
        ]
        take(message, addr, protocol)
        for pair in late:
            if pair.state is CandidatePair.State.IN_PROGRESS and pair.task is not None:
                again.add(id(pair))
                pair.task.cancel()
                pair.task = None
                agent.check_start_task(pair)

    agent.check_incoming = check_incoming


class PeerCandidates:
    """Candidates of a stranger, for a side behind its own allocation.

    At most 4 count, of which at most 2 are host candidates; they are sent to from the relayed
    socket and from no other, so that nothing beyond the TURN server, which has rules of its own
    (``denied-peer-ip``), can be made to probe an address. Names are not resolved.

    Args:
        connection: The remote description is set, without candidates; the tracks are added.
    """

    def __init__(self, connection: RTCPeerConnection) -> None:
        self._agent: Any = next(iter(agents(connection)))
        self._taken: list[str] = []
        for agent in agents(connection):
            _send_from_relay_only(agent)

    def add_all(self, sdp: str) -> None:
        """Take the best candidates of an offer."""
        lines = [
            line.strip().removeprefix("a=") for line in sdp.splitlines() if "candidate:" in line
        ]
        matches = [m for line in lines[:64] if (m := _CANDIDATE.fullmatch(line))]
        for match in sorted(matches, key=lambda m: _RANKS[m[3].lower()]):
            self.add(match[0])

    def add(self, line: str) -> bool:
        """Take one candidate line, without ``a=``; False when it is not wanted."""
        match = _CANDIDATE.fullmatch(line) if len(line) <= _MAX_LINE_CHARS else None
        if match is None or not _is_peer(match[1]) or not 1 <= int(match[2]) <= 65535:
            return False
        kind = match[3].lower()
        hosts = self._taken.count("host")
        if len(self._taken) >= _MAX_CANDIDATES or (kind, hosts) == ("host", _MAX_HOST_CANDIDATES):
            return False
        agent = self._agent
        if agent._closing or agent._remote_candidates_end:
            return False
        self._taken.append(kind)
        candidate = Candidate.from_sdp(match[0].partition(":")[2].partition(" raddr ")[0])
        agent._add_remote_candidate(candidate, candidate.host)
        return True


def _is_peer(host: str) -> bool:
    """False for what can be nobody's address on a network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return False
    return not (
        address.is_loopback
        or address.is_multicast
        or address.is_unspecified
        or address.is_link_local
        or (address.is_reserved and address.version == 4)
    )


def _send_from_relay_only(agent: Any) -> None:
    pair: Any = type(agent)._pair_remote_candidate

    def pair_with_relay(agent: Any, candidate: Any) -> None:
        everything: Iterable[Any] = agent._protocols
        agent._protocols = [p for p in everything if p.local_candidate.type == "relay"]
        try:
            pair(agent, candidate)
        finally:
            agent._protocols = everything

    agent._pair_remote_candidate = MethodType(pair_with_relay, agent)
