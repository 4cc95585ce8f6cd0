"""A network that fails under WebRTC, inside the process that it fails for."""

from typing import Any

from aioice.ice import StunProtocol

__all__ = ["Cutter"]


class Cutter:
    """Cuts the UDP sockets of ICE, as a network does that loses every packet."""

    def __init__(self) -> None:
        self.blocks = False
        self._dead: set[StunProtocol] = set()
        self._alive: set[StunProtocol] = set()
        made, received = StunProtocol.connection_made, StunProtocol.datagram_received

        def connection_made(protocol: StunProtocol, transport: Any) -> None:
            made(protocol, transport)
            (self._dead if self.blocks else self._alive).add(protocol)
            sendto = transport.sendto

            def send(data: bytes, address: Any = None) -> None:
                if protocol not in self._dead:
                    sendto(data, address)

            protocol.transport = _Sending(transport, send)  # type: ignore[assignment]

        def datagram_received(protocol: StunProtocol, data: Any, address: Any) -> None:
            if protocol not in self._dead:
                received(protocol, data, address)

        StunProtocol.connection_made = connection_made  # type: ignore[method-assign]
        StunProtocol.datagram_received = datagram_received  # type: ignore[method-assign]

    def cut(self) -> None:
        """Cut what there is; sockets to come work."""
        self._dead |= self._alive
        self._alive.clear()

    def heal(self) -> None:
        """What was cut works again."""
        self._alive |= self._dead
        self._dead.clear()


class _Sending:
    """A transport whose ``sendto`` is another one."""

    def __init__(self, transport: Any, sendto: Any) -> None:
        self._transport = transport
        self.sendto = sendto

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
