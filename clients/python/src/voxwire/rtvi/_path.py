"""The media path of a session with a stock bot: the voices of the line that carries it all."""

from collections.abc import Awaitable, Callable

from voxwire._fallback import Progress
from voxwire._path import PLAYOUT_RATE, Arrived, Capture, Sink
from voxwire.rtvi._inflow import Inflow
from voxwire.rtvi._line import Line, LineLost
from voxwire_protocol import wire
from voxwire_protocol.errors import VoxwireError

__all__ = ["StockPath"]


class StockPath:
    """A path that is there as soon as its line is."""

    progress = Progress.CONNECTED
    trouble = None

    def __init__(
        self,
        path_id: int,
        carrier: wire.Carrier.ValueType,
        *,
        capture: Capture,
        inflow: Inflow,
        line: Callable[[], Awaitable[Line]],
    ) -> None:
        """Creates a path that is not asked for yet.

        Args:
            path_id: Its number.
            carrier: What carries it.
            capture: Gives the user's voice.
            inflow: Places the bot's.
            line: Waits for a line.
        """
        self.carrier = carrier
        self.codec = "opus" if carrier == wire.Carrier.CARRIER_WEBRTC else "pcm"
        self.codec_reason = "Pipecat's transports have one"
        self.make_up = None
        self._path_id = path_id
        self._capture = capture
        self._inflow = inflow
        self._wait_line = line
        self._line: Line | None = None

    async def offer(self) -> wire.PathOpen:
        """Returns the message that asks for this path; a stock bot is not asked."""
        return wire.PathOpen(path_id=self._path_id, carrier=self.carrier)

    def receive(self, envelope: wire.Envelope) -> None:
        """Nothing is said about it."""

    async def wait_ready(self) -> int:
        """Waits for a line; returns the playout rate, Hz. Cancel-safe."""
        self._line = await self._wait_line()
        return PLAYOUT_RATE

    def arrived(self) -> Arrived | None:
        """What came of the bot's voice, where the line can tell."""
        return None if self._line is None else self._line.arrived()

    async def run(self, sink: Sink) -> None:
        """Carries audio both ways until cancelled.

        Raises:
            VoxwireError: The line is gone.
        """
        assert self._line is not None, "wait_ready comes first"
        error: VoxwireError
        try:
            with self._inflow.into(sink):
                await self._line.carry(self._capture)
                return
        except LineLost as loss:
            error = loss.error
        raise error

    def doubt(self) -> None:
        """Nothing to look at: the line is the control channel's, too."""

    def drop(self) -> None:
        """Breaks the line, as a broken network would."""
        if self._line is not None:
            self._line.drop()

    async def close(self) -> None:
        """Nothing to give up: the line belongs to the control channel."""
        self._line = None
