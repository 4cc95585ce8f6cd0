"""WebSockets in memory, with a network between their ends that can fail."""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final

from voxwire._websocket import SocketClosed, refusal
from voxwire.testing.mailbox import Mailbox
from voxwire_protocol.clocks import Clock
from voxwire_protocol.virtual_time import running_clock

__all__ = ["End", "Network", "NetworkState"]

_BROKEN: Final = 1006
_NO_CODE: Final = 1005


class NetworkState(Enum):
    """What happens to what is dialled and sent."""

    UP = "up"
    """It arrives."""
    REFUSED = "refused"
    """Nothing listens there; sockets that stand are not touched."""
    DARK = "dark"
    """Nothing arrives: dials time out, and what was sent waits until the network is up again."""


class Network:
    """Joins clients to one server.

    Attributes:
        latency_ms: How long everything takes, one way, milliseconds.
        dialled: The URLs that were dialled, in order.
        ends: The server's ends of the sockets that stand.
    """

    def __init__(
        self,
        accept: "Callable[[End], object]",
        *,
        clock: Clock | None = None,
        latency_ms: float = 1,
    ) -> None:
        """Creates a network that is up.

        Args:
            accept: Is given the server's end of every socket that a client opens.
            clock: What passes while something is on its way; None = that of the running loop.
            latency_ms: How long everything takes, one way, milliseconds.
        """
        self.latency_ms = latency_ms
        self.dialled: list[str] = []
        self.ends: set[End] = set()
        self._accept = accept
        self._clock = clock or running_clock()
        self._state = NetworkState.UP
        self._held: list[Callable[[], object]] = []

    @property
    def state(self) -> NetworkState:
        """What happens to what is dialled and sent; may be set."""
        return self._state

    @state.setter
    def state(self, state: NetworkState) -> None:
        self._state = state
        if state is not NetworkState.DARK:
            held, self._held = self._held, []
            for arrive in held:
                arrive()

    async def dial(self, url: str, *, timeout_ms: int) -> "End":
        """Opens a socket to the server. Cancel-safe.

        Raises:
            VoxwireError: The network does not let it through: what a real one would raise.
        """
        self.dialled.append(url)
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.carry(lambda: arrived.done() or arrived.set_result(None))
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await arrived
        except TimeoutError as error:
            raise refusal(error, url) from error
        if self._state is NetworkState.REFUSED:
            error = ConnectionRefusedError()
            raise refusal(error, url) from error
        mine, theirs = End(self), End(self)
        mine.peer, theirs.peer = theirs, mine
        self.ends.add(theirs)
        self._accept(theirs)
        return mine

    def cut(self) -> None:
        """Breaks every socket that stands; both ends learn it at once."""
        for end in tuple(self.ends):
            end.break_off()

    def carry(self, arrive: Callable[[], object]) -> None:
        """Has that happen at the other end: later, and only while the network is not dark."""

        def due() -> None:
            if self._state is NetworkState.DARK:
                self._held.append(arrive)
            else:
                arrive()

        self._clock.call_later(self.latency_ms, due)


class End:
    """One end of a socket: what a client dials is one, and what the server accepts is the other.

    Attributes:
        peer: The other end.
        hanging: True = carries nothing any more, and tells nobody (a half-open connection).
        on_message: Called with every message; None = `receive` has it.
        on_closed: Called once, with the close code, when it is closed by the other end or breaks.
    """

    def __init__(self, network: Network) -> None:
        """Made by `Network.dial`."""
        self.peer: End = self
        self.hanging = False
        self.on_message: Callable[[bytes], object] | None = None
        self.on_closed: Callable[[int], object] | None = None
        self._network = network
        self._outbox: deque[Callable[[End], None]] = deque()
        self._inbox = Mailbox()
        self._closing = False

    @property
    def open(self) -> bool:
        """Whether it can be written to."""
        return self._inbox.closed is None and not self._closing

    def write(self, data: bytes) -> None:
        """Sends one message; nothing where it is closed."""
        if self.open:
            self._pass(lambda peer: peer._take(data))

    async def send(self, data: bytes) -> None:
        """Sends one message.

        Raises:
            SocketClosed: It is closed.
        """
        if self._inbox.closed is not None:
            raise self._inbox.closed
        self.write(data)
        await asyncio.sleep(0)

    async def receive(self) -> bytes:
        """Returns the next message. Cancel-safe.

        Raises:
            SocketClosed: It is closed, and everything was read.
        """
        return await self._inbox.receive()

    async def close(self) -> None:
        """Closes it with a handshake and waits for that."""
        self.shut(1000)
        await self._inbox.wait_closed()

    def shut(self, code: int = _NO_CODE, reason: str = "") -> None:
        """Begins to close it, behind everything that was sent."""
        if self.open:
            self._closing = True
            self._pass(lambda peer: peer._answer_close(code, reason))

    def abort(self) -> None:
        """Drops it at once; the other end learns it as broken, if anything arrives there."""
        if self._inbox.closed is None:
            self._over(_BROKEN)
            self._pass(lambda peer: peer._over(_BROKEN))

    def break_off(self) -> None:
        """The network breaks: both ends learn it at once."""
        for end in (self, self.peer):
            end._over(_BROKEN)

    def _pass(self, arrive: "Callable[[End], None]") -> None:
        """In order: what is carried later never arrives before this."""
        self._outbox.append(arrive)
        self._network.carry(self._deliver)

    def _deliver(self) -> None:
        arrive = self._outbox.popleft()
        if not (self.hanging or self.peer.hanging):
            arrive(self.peer)

    def _take(self, data: bytes) -> None:
        if self._inbox.closed is not None:
            return
        if self.on_message is not None:
            self.on_message(data)
        else:
            self._inbox.put(data)

    def _answer_close(self, code: int, reason: str) -> None:
        if self._inbox.closed is None and not self._closing:
            self._pass(lambda peer: peer._over(code, reason))
        self._over(code, reason)

    def _over(self, code: int, reason: str = "") -> None:
        if not self._inbox.close(SocketClosed(code, reason)):
            return
        self._network.ends.discard(self)
        if self.on_closed is not None:
            self.on_closed(code)
