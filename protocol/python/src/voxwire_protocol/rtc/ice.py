"""What aioice has no setting for: which local addresses are used, and not idling while it connects.

This module, :mod:`voxwire_protocol.rtc.relay` and :mod:`voxwire_protocol.rtc.turn_servers` know the
inside of aiortc 1.16's ICE transport and of aioice 0.13's agent, and nothing else does; all changes
are made on the connection's own agents, never on the library.
"""

import asyncio
from collections.abc import Sequence
from types import MethodType
from typing import Any

from aioice import ice
from aiortc import RTCPeerConnection

__all__ = ["agents", "close_wholly", "connect_promptly", "own_addresses", "use_addresses"]

_LOOPBACK = ("127.0.0.1", "::1")

_CHECK_INTERVAL_SECS = 0.02


def agents(connection: RTCPeerConnection) -> list[Any]:
    """The aioice agents of a connection whose tracks were added.

    Raises:
        RuntimeError: This version of aiortc is built differently.
    """
    inside: Any = connection
    try:
        transports = inside._RTCPeerConnection__iceTransports
        return [transport.iceGatherer._connection for transport in transports]
    except AttributeError as error:
        raise RuntimeError("this version of aiortc is not supported (1.16 is)") from error


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

    ``aioice.Connection.connect`` looks for the outcome only every 20 ms; waiting for the outcome
    itself saves about 20 ms of connecting on a fast network. The interval between checks
    (RFC 8445 §14.2) is kept. Call it as :func:`use_addresses`.
    """
    for agent in agents(connection):
        agent.connect = MethodType(_connect, agent)


async def close_wholly(connection: RTCPeerConnection) -> None:
    """Close a connection that may be in the middle of its handshake.

    ``RTCPeerConnection.close`` of 1.16 stops senders and receivers before DTLS. A handshake that
    ends between the two starts them once more, and their RTCP tasks run for ever; so they are
    stopped again when nothing can start them any more. To be run in a task that nobody cancels.
    """
    await connection.close()
    for transceiver in connection.getTransceivers():
        await transceiver.stop()


async def _connect(agent: Any) -> None:
    """``aioice.Connection.connect`` of 0.13, with the wait described above."""
    if not agent._local_candidates_end:
        raise ConnectionError("local candidates were not gathered")
    if agent.remote_username is None or agent.remote_password is None:
        raise ConnectionError("the remote credentials are missing")
    for candidate in agent._remote_candidates:
        agent._pair_remote_candidate(candidate)
    agent.sort_check_list()
    agent._unfreeze_initial()
    for early in agent._early_checks:
        agent.check_incoming(*early)
    agent._early_checks.clear()
    agent._early_checks_done = True

    outcome = asyncio.ensure_future(agent._check_list_state.get())
    try:
        while not outcome.done() and agent._check_periodic():
            await asyncio.wait({outcome}, timeout=_CHECK_INTERVAL_SECS)
        if not agent._check_list and not outcome.done():
            raise ConnectionError("ICE found no pair to check")
        result = await outcome
    finally:
        outcome.cancel()
    for check in agent._check_list:
        if check.task:
            check.task.cancel()
    if result != ice.ICE_COMPLETED:
        raise ConnectionError("ICE found no pair that works")
    if agent._closing:  # while the outcome was on its way here: nobody would end the task below
        raise ConnectionError("ICE was closed")
    agent._query_consent_task = asyncio.create_task(agent.query_consent())
