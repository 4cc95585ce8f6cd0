"""What aioice has no setting for: which local addresses are used, and not idling while it connects.

This module, :mod:`voxwire_protocol.rtc.relay` and :mod:`voxwire_protocol.rtc.turn_servers` know the
inside of aiortc 1.16's ICE transport and of aioice 0.13's agent, and nothing else does; all changes
are made on the connection's own agents, never on the library.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from aioice import ice
from aiortc import RTCPeerConnection

__all__ = [
    "agents",
    "close_wholly",
    "connect_promptly",
    "is_relayed",
    "own_addresses",
    "use_addresses",
]

_log = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "::1")

_CHECK_INTERVAL_SECS = 0.02


def agents(connection: RTCPeerConnection) -> list[Any]:
    """The aioice agents of a connection whose tracks were added, each once.

    Raises:
        LookupError: A section has no transport: the offer named one that is not there.
        RuntimeError: This version of aiortc is built differently.
    """
    transports = [part.transport for part in _parts(connection)]
    if None in transports:
        raise LookupError("a section without a transport")
    try:
        found = [transport.transport.iceGatherer._connection for transport in transports]
    except AttributeError as error:
        raise RuntimeError("this version of aiortc is not supported (1.16 is)") from error
    return list(dict.fromkeys(found))


def _parts(connection: RTCPeerConnection) -> list[Any]:
    """What has a DTLS transport: the receiver of each media section, and the data section."""
    sctp = [] if connection.sctp is None else [connection.sctp]
    return [*(transceiver.receiver for transceiver in connection.getTransceivers()), *sctp]


def is_relayed(connection: RTCPeerConnection) -> bool:
    """True when the way in use goes through this side's TURN allocation; False before there is one.

    Raises:
        RuntimeError: This version of aiortc is built differently.
    """
    pairs = [pair for agent in agents(connection) for pair in agent._nominated.values()]
    return any(pair.protocol.local_candidate.type == "relay" for pair in pairs)


def own_addresses() -> list[str]:
    """IPv4 addresses of this machine's interfaces, without loopback."""
    return ice.get_host_addresses(use_ipv4=True, use_ipv6=False)


def use_addresses(
    connection: RTCPeerConnection, addresses: Sequence[str], *, only_from_here: bool = False
) -> None:
    """Gather host candidates on these local addresses only.

    aioice takes every interface but loopback (``aioice.ice.get_host_addresses``); a server on
    127.0.0.1 must not open ports on the network, and a client of it need not. Call it after the
    tracks are added and before ``setLocalDescription``.

    Args:
        connection: The peer connection.
        addresses: IP addresses of this machine, for instance ``["127.0.0.1"]``.
        only_from_here: Ignore every datagram that comes neither from one of these addresses, nor
            from loopback, nor from another address of this machine, which Chromium sends to
            127.0.0.1 from: only a program on this machine can (RFC 1812 §5.3.8).
    """
    for agent in agents(connection):
        _restrict(agent, list(addresses), only_from_here=only_from_here)


def _restrict(agent: Any, here: list[str], *, only_from_here: bool) -> None:
    gather = agent.get_component_candidates

    async def gather_here(component: int, addresses: list[str], **options: Any) -> Any:
        candidates = await gather(component=component, addresses=here, **options)
        if only_from_here:
            for protocol in agent._protocols:
                if protocol.local_candidate.type != "host":
                    continue  # a relay speaks for others
                _ignore_others(protocol, {*here, *_LOOPBACK, *own_addresses()})
        return candidates

    agent.get_component_candidates = gather_here


def _ignore_others(protocol: Any, known: set[str]) -> None:
    received = protocol.datagram_received

    def receive(data: Any, address: Any) -> None:
        if address[0] in known:
            received(data, address)

    protocol.datagram_received = receive


def connect_promptly(connection: RTCPeerConnection) -> None:
    """Let ICE go on the moment a pair is nominated.

    ``aioice.Connection.connect`` begins its checks and looks for their outcome in one loop, every
    20 ms. Here a timer of the same interval (RFC 8445 §14.2) begins the checks, so that ``connect``
    waits for the outcome itself: that saves about 20 ms of connecting on a fast network. Call it as
    :func:`use_addresses`, and after that.
    """
    for agent in agents(connection):
        _gather_to_the_end(agent)
        _begin_checks_apart(agent)
        _ask_consent_while_open(agent)


def _gather_to_the_end(agent: Any) -> None:
    """A gathering that is cancelled halfway forgets its sockets, and uvloop one that it makes."""
    gather = agent.get_component_candidates

    async def gather_whole(**options: Any) -> Any:
        gathering = asyncio.ensure_future(gather(**options))
        try:
            return await asyncio.shield(gathering)
        except asyncio.CancelledError:
            gathering.add_done_callback(partial(_close_left, agent))
            raise

    agent.get_component_candidates = gather_whole


def _close_left(agent: Any, _: object) -> None:
    """Close the sockets of an agent that was closed before it had them."""
    if agent._closing:
        for protocol in agent._protocols:
            protocol.transport.close()
        agent._protocols.clear()


class _Awaited(list[Any]):
    """A check list that is true while it is empty: its first pair may come with a peer's check."""

    def __bool__(self) -> bool:
        return True


def _begin_checks_apart(agent: Any) -> None:
    begin_next = agent._check_periodic
    agent._check_list = _Awaited(agent._check_list)

    def begin_and_go_on() -> bool:
        if begin_next():
            asyncio.get_running_loop().call_later(_CHECK_INTERVAL_SECS, begin_and_go_on)
        else:
            agent._check_list_maybe_fail()  # with no pair at all, nothing else would say so
        return False  # `connect` need not come back for the next one

    agent._check_periodic = begin_and_go_on


def _ask_consent_while_open(agent: Any) -> None:
    """An agent that is closed while its outcome is on the way would ask for consent for ever."""
    ask = agent.query_consent

    async def ask_while_open() -> None:
        if not agent._closing:
            await ask()

    agent.query_consent = ask_while_open


async def close_wholly(connection: RTCPeerConnection) -> None:
    """Close a connection that may be in the middle of its handshake, or whose offer was refused.

    ``RTCPeerConnection.close`` of 1.16 stops senders and receivers before DTLS. A handshake that
    ends between the two starts them once more, and their RTCP tasks run for ever; so they are
    stopped again when nothing can start them any more. A refused offer leaves transceivers without
    a transport, at the first of which ``close`` stops. To be run in a task that nobody cancels.
    """
    try:
        await connection.close()
    except AttributeError as error:
        _log.debug("connection closed piece by piece", exc_info=error)
        for part in _parts(connection):
            if part.transport is not None:
                if part is connection.sctp:
                    await part.stop()
                await part.transport.stop()
                await part.transport.transport.stop()
    else:
        for transceiver in connection.getTransceivers():
            await transceiver.stop()
