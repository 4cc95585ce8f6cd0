"""Audio of a session through a room of Daily's: no positions, and nothing written comes back."""

import asyncio
from typing import Final, Protocol, cast

from voxwire_protocol import wire
from voxwire_protocol.clocks import Timer
from voxwire_protocol.daily import BLOCK_MS, MOST_BLOCKS, Room
from voxwire_protocol.errors import VoxwireError
from voxwire_server.daily.rooms import DailyRooms, PreparedRoom
from voxwire_server.media.stretches import QUIET_MS, Stretches
from voxwire_server.playout.anchors import SHED_WINDOW
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import (
    Block,
    Cut,
    Format,
    Formats,
    PathError,
    PathSink,
    SessionPort,
    Sound,
)

__all__ = ["DailyPath", "Listener"]

_OTHER_MS: Final = 20_000
"""How long the other may take to enter."""
_SDK_MS: Final = 25.0
"""What a block that is written to an idle SDK takes until it has left."""
_HOP_MS: Final = 30.0
"""One way, while the SDK has not measured any."""
_JITTER_BUFFER_MS: Final = 60.0
"""What a listener's jitter buffer holds, about: 40 to 80 ms (WebRTC's NetEq)."""
_SILENT_MS: Final = 1000
"""Silence that comes is handed over for so long; it may be nobody's."""
_SAMPLE_BYTES: Final = 2
_PCM: Final = wire.Codec.CODEC_PCM_S16LE
_LOST: Final = wire.ErrorCode.ERROR_CODE_CONNECTION_LOST
_TIMEOUT: Final = wire.ErrorCode.ERROR_CODE_TIMEOUT


class Listener(Protocol):
    """The one who listens, as far as the path sees whether it can be reached."""

    def lost(self, since_ms: float) -> None:
        """It is out of reach since then; the first call of a gap counts."""
        ...

    async def returned(self) -> None:
        """It is back: cut what would be late, and have the rest come again where it stopped."""
        ...


class DailyPath:
    """A :class:`~voxwire_server.ports.MediaPath` through a room.

    At most two blocks are inside the SDK, which takes 20 ms for each. Where its sound stands is
    said on the control channel, to be found by ear (``media.stretches``). It owns its room: closed,
    the room is deleted.

    Args:
        path_id: Its number.
        sink: Where the user's audio and the path's end go.
        sound: The bot's voice, at the session's rate.
        playout: What was placed, for where the listener is.
        listener: Told, and asked, about the one who listens.
        port: The session.
        room: The bot's side of its room, not entered yet.
        prepared: What lets into it.
        rooms: Whose it is.
        capture_rate: Of the user's audio, Hz.
        stays: Whether the other is there until Daily says that it has left: one without a control
            channel may say nothing for long.
    """

    def __init__(
        self,
        path_id: int,
        *,
        sink: PathSink,
        sound: Sound,
        playout: Playout,
        listener: Listener,
        port: SessionPort,
        room: Room,
        prepared: PreparedRoom,
        rooms: DailyRooms,
        capture_rate: int,
        stays: bool = False,
    ) -> None:
        self.path_id = path_id
        rate = sound.sample_rate
        self.formats = Formats(
            capture=Format(_PCM, capture_rate, BLOCK_MS), playout=Format(_PCM, rate, BLOCK_MS)
        )
        self._sink, self._sound, self._playout = sink, sound, playout
        self._listener, self._port = listener, port
        self._room, self._prepared, self._rooms = room, prepared, rooms
        self._stays = stays
        self._stretches = Stretches(sample_rate=rate)
        self._block_samples = rate * BLOCK_MS // 1000
        self._worth_samples = rate * QUIET_MS // 1000 + self._block_samples
        self._part: Block | None = None  # was taken, and is less than a block
        self._kept: Block | None = None  # was taken, and begins another stretch
        self._writing = 0
        self._backlogs: list[int] = []
        self._in_use = self._held = self._closed = False
        self._silent_since_ms: float | None = None
        self._timer: Timer | None = None
        self._returning: asyncio.Task[None] | None = None
        self._here: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        room.on_audio(self._hear)
        room.on_joined(self._joined)
        room.on_left(self._left)

    # coming and going

    @property
    def way_ms(self) -> float:
        """How long a sample takes from here to the listener's ear, by estimate."""
        rtt_ms = self._room.stats().rtt_ms
        hops_ms = _HOP_MS if rtt_ms is None else rtt_ms
        return _SDK_MS + hops_ms + _JITTER_BUFFER_MS

    async def connected(self) -> None:
        """Enter the room and wait for the other.

        Raises:
            PathError: Either did not happen in time.
        """
        try:
            await self._room.join(self._prepared.url, self._prepared.bot_token)
        except VoxwireError as error:
            raise PathError(cast("wire.ErrorCode", error.code.value), error.reason) from error
        try:
            async with asyncio.timeout(_OTHER_MS / 1000):
                await asyncio.shield(self._here)
        except TimeoutError:
            reason = f"the client did not enter its Daily room within {_OTHER_MS // 1000} s"
            raise PathError(_TIMEOUT, reason) from None

    def _joined(self) -> None:
        if not self._here.done():
            self._here.set_result(None)

    def _left(self, reason: str) -> None:
        if not self._closed:
            self._sink.gone(PathError(_LOST, reason))

    async def close(self) -> None:
        """Leave the room, and have it deleted. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._disarm()
        self._here.cancel()
        try:
            await self._room.leave()
        finally:
            self._rooms.give_up(self._prepared.name)

    # the user

    def _hear(self, pcm: bytes) -> None:
        """What comes. Silence for long is no sign of anybody: the SDK makes it up, too."""
        if self._held:
            self.wake()  # nothing is written that would ask again
        now_ms = self._port.clock.now_ms()
        if pcm.count(0) < len(pcm):
            self._silent_since_ms = None
        elif self._silent_since_ms is None:
            self._silent_since_ms = now_ms
        elif now_ms - self._silent_since_ms > _SILENT_MS:
            return
        self._sink.audio(pcm)

    # the bot's voice

    def wake(self) -> None:
        """Write what is due. Begins to carry."""
        self._in_use = True
        self._disarm()
        while self._writing < MOST_BLOCKS and self._may_play():
            block = self._next()
            if block is None:
                break
            now_ms = self._port.clock.now_ms()
            wait_ms = self._stretches.wait_ms(block.start, now_ms)
            if wait_ms > 0:
                self._kept = block
                self._arm(wait_ms)
                return
            self._write(block, now_ms)
        ends_ms = self._stretches.ends_ms(self._port.clock.now_ms())
        if not self._writing and ends_ms is not None and not self._closed:
            self._arm(max(1.0, ends_ms))

    def _next(self) -> Block | None:
        """The next block; less than a whole one where a stretch ends, or the SDK runs dry."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return kept
        while self._sound.pending:
            part, have = self._part, 0
            if part is not None:
                have = part.end - part.start
            block = self._sound.take(self._block_samples - have)
            if block is None:
                break
            if part is not None and block.start != part.end:
                self._part = block
                return part
            self._part = block if part is None else Block(part.start, part.pcm + block.pcm)
            if self._part.end - self._part.start >= self._block_samples:
                whole, self._part = self._part, None
                return whole
        if self._writing:
            return None
        part, self._part = self._part, None
        return part

    def _write(self, block: Block, now_ms: float) -> None:
        padding = self._block_samples - (block.end - block.start)
        self._playout.heard.way_ms = self.way_ms
        onset = self._stretches.wrote(block, now_ms, padding=padding)
        if onset is not None:
            self._say(onset, runs=True)
        self._shed()
        self._writing += 1
        self._room.write(block.pcm + bytes(padding * _SAMPLE_BYTES), self._wrote)

    def _wrote(self) -> None:
        self._writing -= 1
        if not self._closed:
            self.wake()

    def _shed(self) -> None:
        """Drop what a live source (echo, translation) lastingly is behind.

        What follows begins a stretch, behind a silence in which as much again comes: only more than
        that is worth it.
        """
        self._backlogs.append(self._playout.live_backlog_samples())
        if len(self._backlogs) == SHED_WINDOW:
            excess = min(self._backlogs)
            self._backlogs.clear()
            if excess > self._worth_samples:
                self._playout.skip_live(excess)

    def _say(self, position: int, *, runs: bool) -> None:
        rate = self._sound.sample_rate
        anchor = wire.MediaAnchor(
            path_id=self.path_id,
            media_ms=position * 1000 // rate,
            clock_rate=rate if runs else 0,
            estimated=True,
        )
        self._port.emit(media_anchor=anchor)

    def void(self, cut: Cut) -> float | None:
        """Write no more of it; what is in the SDK, 40 ms at most, leaves still."""
        left = self._part if self._kept is None else self._kept
        self._part = self._kept = None
        self._stop()
        return None if left is None else left.start * 1000 / self._sound.sample_rate

    def _stop(self) -> None:
        end = self._stretches.cut()
        if end is not None:
            self._say(end, runs=False)

    def _look(self) -> None:
        """A moment that was waited for: the silence ahead of a stretch, or behind one."""
        self._timer = None
        end = self._stretches.ended(self._port.clock.now_ms())
        if end is not None:
            self._say(end, runs=False)
        self.wake()

    # whether anybody is there

    def _may_play(self) -> bool:
        """False while the listener is out of reach, or cannot play: its voice is kept for it."""
        if not self._in_use or self._closed:
            return False
        now_ms, heard = self._port.clock.now_ms(), self._playout.heard
        if self._stays:
            heard.peer_alive(now_ms)
        if heard.suspended:
            if not self._held:
                self._held = True
                self._stop()
        elif heard.out_of_reach(now_ms):
            if not self._held:
                self._held = True
                self._stop()
                self._listener.lost(heard.peer_at_ms)
        elif self._held and self._returning is None:
            self._returning = self._port.spawn(self._return())
        return not self._held

    async def _return(self) -> None:
        self._part = self._kept = None  # comes again, with all that he did not hear
        try:
            await self._listener.returned()
        finally:
            self._returning = None
        self._held = False
        self.wake()

    def _arm(self, delay_ms: float) -> None:
        self._timer = self._port.clock.call_later(delay_ms, self._look)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
