"""Audio of a telephone call on its vendor's WebSocket, and marks that say what the caller heard."""

from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock, Timer
from voxwire_server.control.link import ControlLink
from voxwire_server.phone.marks import Marks
from voxwire_server.phone.vendor import Dialect
from voxwire_server.ports import Block, Cut, Format, Formats, PathSink, Report, Sound

__all__ = ["PhonePath"]

_AHEAD_MS: Final = 400
"""What is sent ahead of the caller's ear: a vendor drops it when it is told to."""
_SPARE_MS: Final = 200
"""What the vendor has left at least when it is heard that a stretch has begun."""
_MARK_MS: Final = 100
_LONGEST_WAIT_MS: Final = 60.0
_BATCH_MS: Final = 112
"""What the resampler before it gives out at once, at most (soxr 1.0, from 16 to 8 kHz)."""
_REST_MS: Final = 130
"""How long a part of a piece waits for what completes it, where a vendor takes whole ones."""
_SAMPLE_BYTES: Final = 2
_PCM: Final = wire.Codec.CODEC_PCM_S16LE


class PhonePath:
    """A :class:`~voxwire_server.ports.MediaPath` to the vendor of a call.

    A cut is answered at once, by where the caller will be when it arrives: the mark that would say
    so comes a round trip later, and with those of what was dropped.

    Args:
        path_id: Its number.
        sink: Where the caller's audio, marks and keys go.
        sound: The bot's voice, at the rate of the dialect.
        dialect: How the vendor writes.
        link: The vendor's socket.
        clock: The session's clock.
    """

    def __init__(
        self,
        path_id: int,
        sink: PathSink,
        sound: Sound,
        *,
        dialect: Dialect,
        link: ControlLink,
        clock: Clock,
    ) -> None:
        self.path_id = path_id
        form = Format(_PCM, dialect.encoding.sample_rate, dialect.block_ms)
        self.formats = Formats(capture=form, playout=form)
        self.marks = Marks(echoes=dialect.echoes)
        self._sink = sink
        self._sound = sound
        self._dialect = dialect
        self._link = link
        self._clock = clock
        self._rate = dialect.encoding.sample_rate
        self._newest_ms = 0.0  # where the newest block begins
        self._behind = 0  # messages behind it that were handed over with it
        self._unmarked_ms = 0.0
        self._piece_bytes = self._rate * dialect.block_ms // 1000 * _SAMPLE_BYTES
        self._part: Block | None = None  # was taken, and is less than a piece
        self._first: Block | None = None  # was taken, and begins a stretch
        self._timer: Timer | None = None
        self._rest: Timer | None = None
        self._first_heard: Timer | None = None
        self._closed = False
        link.on_drained = self.wake

    # what comes

    def begin(self) -> None:
        """The stream is there: measure the way."""
        self._probe()

    def hear(self, data: bytes) -> None:
        """The caller's voice, as it is written."""
        self._sink.audio(self._dialect.hears.decode(data))

    def alive(self) -> None:
        """Something came from the vendor."""
        self._sink.audio(b"")

    def marked(self, name: str) -> None:
        """A mark came back."""
        report = self.marks.came(name, self._clock.now_ms())
        if report is not None and not self._closed:
            self._sink.report(report)
            self._probe()

    def press(self, digits: str) -> None:
        """The caller pressed keys."""
        self._sink.keys(digits)

    def _probe(self) -> None:
        name = self.marks.probe(self._clock.now_ms())
        if name:
            self._link.send_event(self._dialect.mark(name))

    # the bot's voice

    def wake(self) -> None:
        """Send what is due, as the ear goes on."""
        self._disarm()
        while not self._closed and self._sound.pending and self._link.takes_audio:
            most_ms = max(_AHEAD_MS, self.marks.rtt_ms + _SPARE_MS)
            ahead_ms = self._sound.ahead_ms - most_ms
            if ahead_ms >= 0:
                delay_ms = min(max(5.0, ahead_ms), _LONGEST_WAIT_MS)
                self._timer = self._clock.call_later(delay_ms, self.wake)
                return
            block = self._next()
            if block is None:
                return
            if not self._waits(block):
                self._send(block)

    def _waits(self, block: Block) -> bool:
        """Whether a piece waits for the next one: it begins a stretch, which is shorter than what
        the resampler gives out at once, and the far end would run dry behind it.
        """
        first, self._first = self._first, None
        if first is not None:
            self._send(first)
            return False
        whole = self._dialect.unit_bytes > 1 and self._dialect.block_ms < _BATCH_MS
        if not whole or self.marks.plays(self._clock.now_ms()):
            return False
        self._first = block
        self._keep(self._part)
        return True

    def _next(self) -> Block | None:
        """The next piece; None = there is no whole one where the vendor takes nothing else."""
        while self._sound.pending:
            part = self._part
            have = 0 if part is None else len(part.pcm)
            if part is not None and have >= self._piece_bytes:
                self._keep(None)
                return part
            block = self._sound.take((self._piece_bytes - have) // _SAMPLE_BYTES)
            if block is None:
                return None
            if part is not None and block.start != part.end:
                self._keep(block)
                return part  # a stretch ends in it
            if part is not None:
                block = Block(part.start, part.pcm + block.pcm)
            if self._dialect.unit_bytes == 1 or len(block.pcm) >= self._piece_bytes:
                self._keep(None)
                return block
            self._keep(block)
        return None

    def _keep(self, part: Block | None) -> None:
        self._part = part
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if part is not None or self._first is not None:
            self._rest = self._clock.call_later(_REST_MS, self._let_go)

    def _let_go(self) -> None:
        """Nothing completes a piece: it is sent as it is, filled up."""
        first, part = self._first, self._part
        if self._closed or not self._link.takes_audio:
            self._keep(part)
            return
        self._forget()
        for block in (first, part):
            if block is not None:
                self._send(block)

    def _forget(self) -> None:
        self._first = None
        self._keep(None)

    def _send(self, block: Block) -> None:
        now_ms, dialect = self._clock.now_ms(), self._dialect
        start_ms, end_ms = block.start * 1000 / self._rate, block.end * 1000 / self._rate
        before = self.marks.begins(start_ms, now_ms)
        if before:
            self._link.send_audio(dialect.mark(before))
            self._unmarked_ms = 0.0
        elif (
            before is not None and self.marks.rtt_ms
        ):  # no mark would come before the first piece has ended
            self._first_heard = self._clock.call_later(self.marks.rtt_ms, self._presume)
        self._link.send_audio(dialect.media(self._written(block.pcm)))
        self.marks.sent(end_ms)
        self._newest_ms, self._behind = start_ms, 0
        self._unmarked_ms += end_ms - start_ms
        if self._unmarked_ms < _MARK_MS and self._sound.pending:
            return
        self._unmarked_ms, self._behind = 0.0, 1
        self._link.send_audio(dialect.mark(self.marks.ends(now_ms)))

    def _presume(self) -> None:
        """The far end has begun by now, though no mark says so yet."""
        self._first_heard = None
        report = self.marks.presumed(self._clock.now_ms())
        if report is not None and not self._closed:
            self._sink.report(report)

    def _written(self, pcm: bytes) -> bytes:
        """PCM as the vendor takes it, filled up with silence where it wants whole units."""
        encoding, unit = self._dialect.encoding, self._dialect.unit_bytes
        data = encoding.encode(pcm)
        short = -len(data) % unit
        return data + encoding.silence * (short // len(encoding.silence))

    def void(self, cut: Cut) -> float | None:
        """Have the vendor drop what it has not played, and say what the caller will have heard."""
        dropped = self._link.drop_audio()
        left_ms = self._newest_ms if dropped > self._behind else None
        if not self._closed:
            self._link.send_event(self._dialect.clear())
        self._forget()
        self._doubt()
        self._unmarked_ms = 0.0
        heard_ms = self.marks.cut(self._clock.now_ms(), left_ms=left_ms)
        self._sink.report(Report(heard_ms, playing=False, flush_id=cut.flush_id))
        return heard_ms

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _doubt(self) -> None:
        """Nothing is presumed of what was cut."""
        if self._first_heard is not None:
            self._first_heard.cancel()
            self._first_heard = None

    async def close(self) -> None:
        """Give it up; the socket goes on. Idempotent."""
        self._closed = True
        self._forget()
        self._doubt()
        self._disarm()
        if self._link.on_drained == self.wake:
            self._link.on_drained = None
