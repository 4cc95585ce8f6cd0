"""Trouble on demand: what a network does to a session, for tests and for trying it out."""

import asyncio
from collections.abc import Callable

from voxwire._arguments import number

__all__ = ["Gate", "Simulation"]


class Gate:
    """What every byte of a session's control channel passes through."""

    def __init__(self) -> None:
        """Creates it open."""
        self.frozen_until = 0.0
        self.bytes_per_s = 0

    async def let_pass(self, num_bytes: int) -> None:
        """Waits as long as the simulated network takes for so much. Cancel-safe."""
        loop = asyncio.get_running_loop()
        if self.bytes_per_s:
            await asyncio.sleep(num_bytes / self.bytes_per_s)
        while (wait_s := self.frozen_until - loop.time()) > 0:  # noqa: ASYNC110 - may be prolonged
            await asyncio.sleep(wait_s)


class Simulation:
    """Makes the network of one session fail; got from `Session.simulate`."""

    def __init__(
        self, gate: Gate, *, drop_control: Callable[[], None], drop_media: Callable[[], None]
    ) -> None:
        """Takes what it works on."""
        self._gate = gate
        self._drop_control = drop_control
        self._drop_media = drop_media

    def drop_control(self) -> None:
        """Aborts the TCP connection of the control channel, without a closing handshake."""
        self._drop_control()

    def drop_media(self) -> None:
        """Lets no audio through any more, either way, on the path in use; nobody is told.

        Over WebSocket the control channel carries the audio: the same as `drop_control`.
        """
        self._drop_media()

    def freeze(self, duration_ms: int) -> None:
        """Stops reading and writing on the control channel; its sockets stay open.

        Args:
            duration_ms: How long from now, milliseconds; 0 = no longer.
        """
        number(duration_ms, "duration_ms")
        loop = asyncio.get_running_loop()
        self._gate.frozen_until = loop.time() + duration_ms / 1000

    def slow(self, bytes_per_s: int) -> None:
        """Throttles reading and writing on the control channel, each on its own.

        Args:
            bytes_per_s: Payload of messages a second; 0 = as fast as it goes.
        """
        self._gate.bytes_per_s = int(number(bytes_per_s, "bytes_per_s"))
