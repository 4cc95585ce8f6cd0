"""Which local addresses ICE uses."""

from collections.abc import Sequence
from typing import Any

from aiortc import RTCPeerConnection

__all__ = ["use_addresses"]


def use_addresses(connection: RTCPeerConnection, addresses: Sequence[str]) -> None:
    """Gather host candidates on these local addresses only.

    aioice takes every interface but loopback (``aioice.ice.get_host_addresses``) and has no
    setting for it; a server on 127.0.0.1 must not open ports on the network, and a client of it
    need not. Call it after the tracks are added and before ``setLocalDescription``.

    Args:
        connection: The peer connection.
        addresses: IP addresses of this machine, for instance ``["127.0.0.1"]``.

    Raises:
        RuntimeError: This version of aiortc or aioice is built differently.
    """
    try:
        transports: Any = connection._RTCPeerConnection__iceTransports  # type: ignore[attr-defined]
        agents = [transport.iceGatherer._connection for transport in transports]
        for agent in agents:
            _restrict(agent, list(addresses))
    except AttributeError as error:
        raise RuntimeError(
            "this version of aiortc or aioice is not supported (aiortc 1.16 is)"
        ) from error


def _restrict(agent: Any, addresses: list[str]) -> None:
    gather = agent.get_component_candidates

    async def gather_here(component: int, addresses: list[str], **options: Any) -> Any:
        return await gather(component=component, addresses=here, **options)

    here = addresses
    agent.get_component_candidates = gather_here
