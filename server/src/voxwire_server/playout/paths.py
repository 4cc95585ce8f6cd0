"""The media paths of a session: opened on request of the client, replaced, closed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from voxwire_protocol import wire
from voxwire_server.playout.gap import Gap
from voxwire_server.playout.inlet import Inlet, InletEnds
from voxwire_server.playout.path_formats import formats_known, path_answer
from voxwire_server.playout.path_line import PathLine
from voxwire_server.playout.placed import Playout
from voxwire_server.playout.sound import make_sound
from voxwire_server.ports import (
    MediaPath,
    Opened,
    Opener,
    PathError,
    PathSink,
    SessionPort,
    Sound,
)

__all__ = ["Paths", "UserAudio"]

_log = logging.getLogger("voxwire.session")

_MAX_OPENING: Final = 4
_MAX_PATHS: Final = 1000


class UserAudio(Protocol):
    """The user's audio, as far as media paths bring it."""

    def ready(
        self,
        path_id: int,
        *,
        numbered: bool,
        sample_rate: int | None = None,
        opus: bool = False,
    ) -> wire.PathReady:
        """A path is ready: from here on its audio is taken.

        Args:
            path_id: The path.
            numbered: Whether its audio comes as numbered chunks of the control channel.
            sample_rate: Of what it brings itself, Hz; None = the session's.
            opus: Whether those chunks hold Opus; else int16 PCM.
        """
        ...

    def take(self, path_id: int, pcm: bytes, timestamp: int | None = None) -> None:
        """Take the user's voice that a path brings itself; one that is not ready is not heard.

        Args:
            path_id: The path.
            pcm: int16 little-endian mono PCM at the rate that :meth:`ready` was told.
            timestamp: RTP timestamp of the first sample, 48 kHz; None where there is none.
        """
        ...

    def closed(self, path_id: int) -> None:
        """A path is gone, or takes no audio any more; the one in use goes on."""
        ...

    async def hush(self) -> None:
        """Give the pipeline the silence that nobody sends."""
        ...


_Make = Callable[[], Awaitable[Opened]]


class Paths:
    """The media paths of one session: those that open, the one in use, those that close.

    Args:
        port: The session; its owner task awaits :meth:`release` at the end.
        playout: What is played on them.
        gap: The time without a listener.
        carriers: Who opens which carrier.
        ends: Where goes what comes by a path.
        user: The user's audio.
        started: Waits until the bot's pipeline has started.
        opened: Told of the path that is in use from now on.
        close_timeout_ms: How long a path may take to close when the session is over.
        session_id: For logs.
    """

    def __init__(
        self,
        port: SessionPort,
        playout: Playout,
        gap: Gap,
        *,
        carriers: Mapping["wire.Carrier", Opener],
        ends: InletEnds,
        user: UserAudio,
        started: Callable[[], Awaitable[object]],
        opened: Callable[[MediaPath], None],
        close_timeout_ms: int,
        session_id: str,
    ) -> None:
        self._port = port
        self._playout = playout
        self._gap = gap
        self._carriers = carriers
        self._ends = ends
        self._user = user
        self._started = started
        self._opened = opened
        self._close_timeout_ms = close_timeout_ms
        self._session_id = session_id
        self._lines: dict[int, PathLine] = {}
        self._closing: set[MediaPath] = set()
        self._used: set[int] = set()
        self._current: PathLine | None = None
        self._released = False

    @property
    def current(self) -> MediaPath | None:
        """The path in use; None while there is none."""
        return self._current.path if self._current is not None else None

    @property
    def way_ms(self) -> float | None:
        """How long sound takes on the path in use, by estimate, where it gives no positions."""
        return None if self._current is None else self._current.way_ms

    @property
    def on_channel(self) -> bool:
        """Whether the path in use travels on the control channel."""
        return self._current is not None and self._current.on_channel

    # opening

    def open(self, request: wire.PathOpen) -> None:
        """Begin to open a path. What comes of it is ``PathReady`` or ``PathClose``."""
        path_id = request.path_id
        if path_id == 0 or path_id in self._used:
            # no PathClose: that would name the path which has the number already
            self._port.emit_error(
                wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT,
                "path_id starts at 1 and is used once in a session",
                subject=str(path_id),
            )
            return
        try:
            opener = self._admit(request)
        except PathError as error:
            self._refuse(path_id, error)
            return
        line = self._new_line(path_id)

        async def make() -> Opened:
            return await opener(request, line.inlet, lambda rate: self.sound(path_id, rate))

        self._begin(line, make)

    def _admit(self, request: wire.PathOpen) -> Opener:
        opening = sum(1 for line in self._lines.values() if line.opening is not None)
        if opening >= _MAX_OPENING or len(self._used) >= _MAX_PATHS:
            code = wire.ErrorCode.ERROR_CODE_RATE_LIMITED
            raise PathError(code, "too many media paths were asked for")
        self._used.add(request.path_id)
        if not formats_known(request):
            code = wire.ErrorCode.ERROR_CODE_UNSUPPORTED_FORMAT
            raise PathError(code, "a format that this server does not carry")
        opener = self._carriers.get(request.carrier)
        if opener is None:
            code = wire.ErrorCode.ERROR_CODE_UNSUPPORTED
            raise PathError(code, "this server does not carry audio so")
        return opener

    def sink(self, path_id: int) -> PathSink:
        """The way in of a path that is not opened by a ``PathOpen``; :meth:`use` follows.

        Raises:
            ValueError: The number is used already, or is not one.
        """
        if path_id <= 0 or path_id in self._used:
            raise ValueError(f"path_id {path_id}: starts at 1 and is used once in a session")
        self._used.add(path_id)
        return self._new_line(path_id).inlet

    def sound(self, path_id: int, sample_rate: int) -> Sound:
        """The bot's voice for a path, at its rate in Hz; nothing while it is not in use."""

        def in_use() -> bool:
            return self.current is not None and self.current.path_id == path_id

        def wake() -> None:
            if self.current is not None and in_use():
                self.current.wake()

        clock = self._port.clock
        return make_sound(self._playout, clock, sample_rate=sample_rate, wake=wake, in_use=in_use)

    def use(self, path: MediaPath, *, way_ms: float | None = None) -> None:
        """Have ``path`` carry the conversation as soon as the bot's pipeline has started.

        Args:
            path: The path.
            way_ms: How long sound takes on it, by estimate, where it gives no positions.

        Raises:
            LookupError: :meth:`sink` was not asked for one of that number, it is used already, or
                the session is over: the path is still the caller's to close.
        """
        line = self._lines.get(path.path_id) if not self._released else None
        if line is None or line.path is not None or line.opening is not None:
            raise LookupError(f"path {path.path_id} is not one to be used")

        line.path = path

        async def made() -> Opened:
            return Opened(path=path, way_ms=way_ms)

        self._begin(line, made, answer=False)

    def _new_line(self, path_id: int) -> PathLine:
        def gone(error: PathError) -> None:
            self._gone(line, error)

        line = PathLine(Inlet(path_id, self._ends, gone=gone))
        self._lines[path_id] = line
        return line

    def _begin(self, line: PathLine, make: _Make, *, answer: bool = True) -> None:
        task = self._port.spawn(self._open(line, make, answer=answer))
        if task is not None:
            line.opening = task
            task.add_done_callback(lambda _: self._opening_ended(line))

    def _opening_ended(self, line: PathLine) -> None:
        line.opened()
        if line.begun:
            return
        if line.error is not None:  # cancelled before its first step
            self._refuse(line.path_id, line.error)
        self._port.spawn(self._give_up(line))

    async def _open(self, line: PathLine, make: _Make, *, answer: bool) -> None:
        line.begun = True
        try:
            with line.unless_gone():
                made = await make()
                line.path, line.on_channel = made.path, made.on_channel
                line.way_ms = made.way_ms
                if answer:
                    self._port.emit(path_answer=path_answer(made))
                if made.connected is not None:
                    await made.connected()
                await self._started()
                line.check()
                self._tell_ready(made)
                line.ready = True
                await self._put_in_use(line, made.path)
        except PathError as error:
            self._refuse(line.path_id, error)
            await self._give_up(line)
        except BaseException:
            await self._give_up(line)
            raise
        finally:
            if self._current is not line:
                self._user.closed(line.path_id)
                self._port.spawn(self._user.hush())

    def _tell_ready(self, made: Opened) -> None:
        """From here on the user's audio is taken."""
        ready = self._user.ready(
            made.path.path_id,
            numbered=made.on_channel,
            sample_rate=made.path.formats.capture.sample_rate,
            opus=made.on_channel and made.path.formats.capture.codec == wire.Codec.CODEC_OPUS,
        )
        self._port.emit(path_ready=ready)

    async def _give_up(self, line: PathLine) -> None:
        if self._current is not line:
            self._lines.pop(line.path_id, None)
            if line.path is not None:
                await self.retire(line.path)

    async def _put_in_use(self, line: PathLine, path: MediaPath) -> None:
        """Make it the one that carries the conversation; the older one is closed.

        Raises:
            PathError: It went meanwhile. Nothing has changed then.
        """
        now_ms = self._port.clock.now_ms()
        stalled_ms = self._playout.heard.stalled_ms(now_ms)
        if self._current is not None and stalled_ms > 0:
            self._gap.lost(now_ms - stalled_ms)
        await self._gap.settle()
        line.check()
        old, self._current = self._current, line
        if old is not None:
            self._playout.detach(self._port.clock.now_ms())
        self._opened(path)
        if old is not None:
            self._user.closed(old.path_id)
            await self._give_up(old)

    # closing

    def close(self, path_id: int) -> None:
        """Give a path up, whether it opens still or is in use."""
        line = self._lines.get(path_id)
        if line is not None and line.opening is not None:
            line.opening.cancel()
        self._port.spawn(self.drop(path_id))  # one in use may still be closing the one before

    async def drop(self, path_id: int) -> None:
        """Give the path in use up; the bot is parked until another one comes."""
        line = self._current
        if line is not None and line.path_id == path_id:
            now_ms = self._port.clock.now_ms()
            self._current = None
            self._playout.detach(now_ms)
            self._gap.path_lost(now_ms)
            self._user.closed(path_id)
            self._port.spawn(self._user.hush())
            await self._give_up(line)

    def channel_lost(self, since_ms: float) -> None:
        """The control channel is gone, and with it what travels on it."""
        code = wire.ErrorCode.ERROR_CODE_CONNECTION_LOST
        for line in list(self._lines.values()):
            if not line.on_channel:
                continue
            if line is self._current:  # its client knows
                self._gap.lost(since_ms)
                self._port.spawn(self.drop(line.path_id))
            else:
                line.fail(PathError(code, "the control channel that carried the audio was lost"))
                if line.ready and self._current is None:  # its listener was about to hear
                    self._gap.lost(since_ms)

    def _gone(self, line: PathLine, error: PathError) -> None:
        if line is not self._current:
            line.fail(error)
            return
        self._refuse(line.path_id, error)
        self._port.spawn(self.drop(line.path_id))

    async def retire(self, path: MediaPath) -> None:
        """Close a path; when this is cancelled, :meth:`release` sees to the rest."""
        self._closing.add(path)
        await path.close()
        self._closing.discard(path)

    async def release(self) -> None:
        """Close whatever is left. The session has cancelled its tasks before."""
        self._current, self._released = None, True
        left = {line.path for line in self._lines.values() if line.path is not None}
        left |= self._closing
        self._lines.clear()
        if not left:
            return
        closing = {asyncio.get_running_loop().create_task(p.close()) for p in left}
        done, slow = await asyncio.wait(closing, timeout=self._close_timeout_ms / 1000)
        for task in slow:
            task.cancel()
            _log.warning("media path did not close in time", extra={"session": self._session_id})
        for error in (task.exception() for task in done):
            if error is not None:
                _log.error("media path failed", exc_info=error, extra={"session": self._session_id})

    def _refuse(self, path_id: int, error: PathError) -> None:
        """The one place where a path's error is told."""
        close = wire.PathClose(path_id=path_id, code=error.code, reason=error.reason)
        self._port.emit(path_close=close)
