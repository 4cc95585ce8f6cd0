"""Trouble on demand: what a network does to a session, for tests and for trying it out."""

import asyncio
from collections.abc import Callable

from voxwire._arguments import number
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock

__all__ = ["Gate", "Simulation"]


class Gate:
    """What every byte of a session's control channel passes through."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        """Creates it open."""
        self.bytes_per_s = 0
        self._clock = clock
        self._frozen_until_ms = 0.0

    async def let_pass(self, num_bytes: int) -> None:
        """Waits as long as the simulated network takes for so much. Cancel-safe."""
        if self.bytes_per_s:
            await asyncio.sleep(num_bytes / self.bytes_per_s)
        clock = self._clock
        while (wait_ms := self._frozen_until_ms - clock.now_ms()) > 0:  # noqa: ASYNC110 - prolonged
            await asyncio.sleep(wait_ms / 1000)

    def freeze(self, duration_ms: float) -> None:
        """Lets nothing pass for so long from now; 0 = from now on it passes again."""
        self._frozen_until_ms = self._clock.now_ms() + duration_ms


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
        self._gate.freeze(duration_ms)

    def slow(self, bytes_per_s: int) -> None:
        """Throttles reading and writing on the control channel, each on its own.

        Args:
            bytes_per_s: Payload of messages a second; 0 = as fast as it goes.
        """
        self._gate.bytes_per_s = int(number(bytes_per_s, "bytes_per_s"))
