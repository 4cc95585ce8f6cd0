"""The player: plays a path's audio into a speaker in real time and says where it is."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

import numpy as np

from voxwire._cues import Cues
from voxwire._position import PositionClock, Reached
from voxwire.audio import Speaker
from voxwire.playout import QUIET, Block, MakeUp, PlayoutBuffer, Samples, SpanKind
from voxwire_protocol import events, wire
from voxwire_protocol.clocks import Clock, Timer

__all__ = ["TICK_MS", "Player"]

TICK_MS: Final = 20
"""Length of a block that the speaker gets."""

REPORT_TICKS: Final = 5
"""A report goes out every this many blocks while the bot speaks."""

MAX_BEHIND_S: Final = 2.0
"""After a longer stall of the event loop the speaker does not catch up any more."""


class Player:
    """Plays one track. Owned by one session, which calls `run` once and `close` at the end."""

    def __init__(
        self,
        speaker: Speaker,
        *,
        sample_rate: int,
        target_ms: int,
        continuous: bool,
        make_up: MakeUp | None = None,
        emit: Callable[[events.Event], None],
        report: Callable[[wire.PlayoutReport], None],
        clock: Clock,
    ) -> None:
        """Creates a player at position 0.

        Args:
            speaker: Where the audio goes.
            sample_rate: Of the playout, Hz.
            target_ms: Delay that the buffer starts with.
            continuous: True for a stream that sends silence too.
            make_up: Makes sound up when audio is late; None = the last of it is repeated.
            emit: Takes the events that happen at this speaker.
            report: Sends a playout report; the path is filled in there.
            clock: What the speaker is fed by.
        """
        self.buffer = PlayoutBuffer(
            sample_rate=sample_rate, target_ms=target_ms, continuous=continuous, make_up=make_up
        )
        self._speaker = speaker
        self._rate = sample_rate
        self._continuous = continuous
        self._emit = emit
        self._report = report
        self._time = clock
        self._position = PositionClock(sample_rate)
        self._cues = Cues()
        self._timer: Timer | None = None
        self._sounding = False
        self._ticks_since_report = 0
        self._reported_ms = 0
        self._shown_ms = 0
        speaker.open(sample_rate)

    @property
    def position_ms(self) -> int:
        """Position of the sample that sounds now, milliseconds of the media clock; only grows."""
        position_ms = int(self._position.position_ms(self._now_s()))
        self._shown_ms = max(self._shown_ms, position_ms)
        return self._shown_ms

    @property
    def idle(self) -> bool:
        """True when nothing is buffered and nothing sounds; a stream always has something."""
        return not self._sounding and (self._continuous or self.buffer.buffered_ms == 0)

    def take_over(self, *, target_ms: int, continuous: bool, make_up: MakeUp | None = None) -> None:
        """Another path is in use from here on: drops the audio of the one before.

        The position stays, words and states keep waiting for theirs. Reports where it really is.

        Args:
            target_ms: Delay that the buffer starts with.
            continuous: True for a stream that sends silence too.
            make_up: Makes sound up when audio is late; None = the last of it is repeated.
        """
        self._continuous = continuous
        self.buffer.restart(target_ms=target_ms, continuous=continuous, make_up=make_up)
        self._sounding = False
        self._send_report()

    def restore(self, snapshot: wire.Snapshot) -> None:
        """Goes on from what the server says is the case, in place of what was announced here."""
        self._cues.restore(snapshot)
        self._happen()

    async def run(self) -> None:
        """Feeds the speaker by deadline, 20 ms at a time, until cancelled; catches up if late."""
        due = self._now_s()
        num_samples = self._rate * TICK_MS // 1000
        while True:
            delay = due - self._now_s()
            await asyncio.sleep(max(0.0, delay))  # yields when late, too
            if delay < -MAX_BEHIND_S:
                due -= delay
            self._tick(due, num_samples)
            due += TICK_MS / 1000

    def push(self, sample_index: int, samples: Samples) -> None:
        """Takes audio at its position."""
        self.buffer.push(sample_index, samples)

    def rewind(self, sample_index: int, *, misplaced: int) -> None:
        """Takes back what was pushed at `misplaced` and behind it: see `PlayoutBuffer.rewind`."""
        self.buffer.rewind(sample_index, misplaced=misplaced)

    def handle(self, envelope: wire.Envelope) -> None:
        """Takes what the server says about utterances, words, states and silence."""
        match envelope.WhichOneof("payload"):
            case "utterance_started":
                self._cues.begin(envelope.utterance_started)
            case "utterance_words":
                self._cues.add(envelope.utterance_words)
            case "utterance_ended":
                self._cues.end(envelope.utterance_ended)
            case "state_changed":
                self._change(envelope.state_changed)
            case "flush":
                self._flush(envelope.flush)
            case _:
                return
        self._happen()

    def close(self) -> None:
        """Lets everything happen that was reached, and closes the speaker."""
        if self._timer is not None:
            self._timer.cancel()
        self._speaker.close()

    def _tick(self, at: float, num_samples: int) -> None:
        """Plays the block that sounds from time `at` on."""
        self._happen_before(at)
        block = self.buffer.pull(num_samples)
        self._position.note(at, block)
        self._speaker.write(block, at)
        self._ticks_since_report += 1
        sounding = self._sounds(block)
        if sounding != self._sounding:
            self._sounding = sounding
            self._send_report()
        elif (sounding or self._cues.speaking) and self._ticks_since_report >= REPORT_TICKS:
            self._send_report()
        self._happen()

    def _sounds(self, block: Block) -> bool:
        """True when the block has bot audio in it; a stream's idle silence is none."""
        if not any(span.kind is SpanKind.PLAYED for span in block.spans):
            return False
        if not self._continuous or self._cues.speaking:
            return True
        return bool(np.abs(block.samples.astype(np.int32)).max() > QUIET)

    def _send_report(self, *, flush_id: int = 0, media_ms: int | None = None) -> None:
        self._ticks_since_report = 0
        if media_ms is None:
            reached = self._position.position_ms(self._now_s())
            media_ms = int(reached) if self._sounding else math.ceil(reached)
        self._reported_ms = max(self._reported_ms, media_ms)
        self._report(
            wire.PlayoutReport(
                media_ms=self._reported_ms,
                buffered_ms=self.buffer.buffered_ms,
                concealed_ms=self.buffer.concealed_ms,
                flush_id=flush_id,
                playing=self._sounding and not flush_id,
            )
        )

    def _flush(self, message: wire.Flush) -> None:
        """Falls silent at once and says where."""
        until = message.until_media_ms * self._rate // 1000
        stop = self.buffer.flush(until)
        media_ms = math.ceil(stop * 1000 / self._rate)
        self._sounding = self._sounding and self.buffer.playing
        self._send_report(flush_id=message.flush_id, media_ms=media_ms)
        for event in self._cues.cut(media_ms, message.until_media_ms):
            self._emit(event)
        self._emit(
            events.Flushed(
                media_ms=media_ms,
                flush_id=message.flush_id,
                until_media_ms=message.until_media_ms,
            )
        )

    def _change(self, message: wire.StateChanged) -> None:
        event = self._cues.change(message, self._now_ms())
        if event is not None:
            self._emit(event)

    def _now_s(self) -> float:
        return self._time.now_ms() / 1000

    def _now_ms(self) -> int:
        return int(self._time.now_ms())

    def _happen(self) -> None:
        """Emits what was reached and sets a timer for what comes within this block."""
        self._release(self._position.reached(self._now_s()))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_ms = self._cues.next_ms()
        when = None if next_ms is None else self._position.time_of(next_ms)
        if when is not None:
            self._timer = self._time.call_later((when - self._now_s()) * 1000, self._happen)

    def _happen_before(self, at: float) -> None:
        """Emits what belongs to the block that ends at `at`."""
        self._release(self._position.reached(at))

    def _release(self, reached: Reached) -> None:
        for event in self._cues.due(reached, self._now_ms()):
            self._emit(event)
