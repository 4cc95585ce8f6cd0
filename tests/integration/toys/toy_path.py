"""A telephone: sound at 8 kHz both ways, marks that say what was played, keys."""

from voxwire.testing import PushSpeaker, running_clock
from voxwire_server.ports import Cut, Format, Formats, PathSink, Report, Sound, wire

RATE, BLOCK_MS, AHEAD_MS = 8000, 20, 200
BLOCK = RATE * BLOCK_MS // 1000
PHONE = Format(wire.Codec.CODEC_PCM_S16LE, RATE, BLOCK_MS)


class ToyPath:
    """A `MediaPath` whose far end plays what it is fed and sends every mark back."""

    formats = Formats(capture=PHONE, playout=PHONE)

    def __init__(self, path_id: int, sink: PathSink, sound: Sound) -> None:
        self.path_id, self.press = path_id, sink.keys
        self.speaker = PushSpeaker(sample_rate=RATE)
        self.cuts: list[int] = []  # how many samples had sounded at each
        self._sink, self._sound, self._voice = sink, sound, b""
        self._clock = running_clock()
        self._flush_id, self._fed, self._mark = 0, 0, (0, 0)
        self._due_ms = self._clock.now_ms()
        self._tick()

    def say(self, pcm: bytes) -> None:
        """Have the user speak."""
        self._voice += pcm

    def _tick(self) -> None:
        while self._due_ms <= self._clock.now_ms():
            pcm, self._voice = self._voice[: 2 * BLOCK], self._voice[2 * BLOCK :]
            self._sink.audio(pcm.ljust(2 * BLOCK, b"\0"))
            self._due_ms += BLOCK_MS
        self.wake()
        self._timer = self._clock.call_later(self._due_ms - self._clock.now_ms(), self._tick)

    def wake(self) -> None:
        while self.speaker.waiting_ms < AHEAD_MS and (block := self._sound.take(BLOCK)):
            self.speaker.feed(block.pcm)
            self._fed += len(block.pcm) // 2
            mark = self._flush_id, block.end, self._fed
            self.speaker.mark(lambda mark=mark: self._played(*mark))

    def _played(self, flush_id: int, end: int, fed: int) -> None:
        if flush_id == self._flush_id:  # else it was cleared: the mark comes back all the same
            self._mark = end, fed
            self._sink.report(Report(end * 1000 / RATE, playing=self.speaker.waiting_ms > 0))

    def void(self, cut: Cut) -> None:
        self._flush_id = cut.flush_id
        self.speaker.clear()
        self._fed = len(self.speaker.samples)
        self.cuts.append(self._fed)
        end, fed = self._mark
        heard_ms = (end + self._fed - fed) * 1000 / RATE  # a mark may be late
        self._sink.report(Report(heard_ms, playing=False, flush_id=cut.flush_id))

    async def close(self) -> None:
        self._timer.cancel()
