"""What the bot of a `FakeSession` says: placed on the media clock, sent in time, heard or cut."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from voxwire.playout import Samples
from voxwire.testing.sound import PLAYOUT_RATE, spoken_words
from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock, Timer
from voxwire_protocol.timeline import TimedWord, encode_words

__all__ = ["Heard", "Speech"]

AHEAD_MS: Final = 300
"""Audio is sent this far ahead of what was heard (protocol/spec/media-clock.md)."""

REPORT_MS: Final = 150
"""How long the answer to a flush is waited for."""

_BLOCK_MS: Final = 20
_BLOCK: Final = PLAYOUT_RATE * _BLOCK_MS // 1000
_SOURCE: Final = wire.TimingSource.TIMING_SOURCE_PROVIDER_WORD


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of something that the bot said.

    Attributes:
        text: The words of it that began to sound.
        words: How many they are.
        media_ms: Where it ended, or was cut, on the media clock.
        interrupted: True when it was cut.
    """

    text: str
    words: int
    media_ms: int
    interrupted: bool


@dataclass(slots=True, eq=False)
class _Spoken:
    """An utterance that is not over."""

    utterance_id: str
    words: list[TimedWord]
    text: str
    start_ms: int
    samples: Samples
    heard: asyncio.Future[Heard]
    started: wire.UtteranceStarted
    sent: int = 0

    @property
    def end_ms(self) -> int:
        return self.start_ms + len(self.samples) * 1000 // PLAYOUT_RATE

    def sent_ms(self) -> int:
        return self.start_ms + self.sent * 1000 // PLAYOUT_RATE


@dataclass(slots=True, eq=False)
class _Cut:
    """A flush that is not answered yet."""

    flush_id: int
    source: wire.InterruptionSource.ValueType
    spoken: list[_Spoken]
    timer: Timer | None = None


@dataclass(slots=True)
class _Place:
    """Where the media clock is: it runs while a path is there."""

    clock: Clock
    base_ms: float = 0.0
    since_ms: float | None = None

    def now_ms(self) -> float:
        running_ms = 0.0 if self.since_ms is None else self.clock.now_ms() - self.since_ms
        return self.base_ms + running_ms

    def run(self, running: bool) -> None:
        self.base_ms = self.now_ms()
        self.since_ms = self.clock.now_ms() if running else None


@dataclass(slots=True)
class Speech:
    """The bot's voice.

    Args:
        emit: Sends one payload to the client.
        clock: What it is placed by.
        idle: Called when the last of what was said is over, with whether it was cut, and by whom.
    """

    emit: Callable[..., None]
    clock: Clock
    idle: Callable[[wire.InterruptionSource.ValueType | None], None]
    heard_ms: int = 0
    path_id: int = 0
    _place: _Place = field(init=False)
    _spoken: list[_Spoken] = field(default_factory=list[_Spoken])
    _cut: _Cut | None = None
    _unsaid: wire.Flush | None = None
    _placed_ms: int = 0
    _numbers: int = 0
    _flushes: int = 0

    def __post_init__(self) -> None:
        self._place = _Place(self.clock)

    @property
    def speaking(self) -> bool:
        """Whether something that was said is not over."""
        return bool(self._spoken)

    def say(self, text: str, *, turn_id: str, word_ms: int, audio: Samples | None) -> Any:
        """Says something behind what is said already; the future has what was heard of it."""
        self._numbers += 1
        utterance_id, response_id = f"u{self._numbers}", f"r{self._numbers}"
        names = text.split()
        self.emit(response_started=wire.ResponseStarted(response_id=response_id, turn_id=turn_id))
        for number, name in enumerate(names, 1):
            piece = name if number == len(names) else f"{name} "
            self.emit(response_text=wire.ResponseText(response_id=response_id, text=piece))
        self.emit(response_ended=wire.ResponseEnded(response_id=response_id))
        start_ms = max(round(self._place.now_ms()), self._placed_ms)
        samples = spoken_words(len(names), word_ms=word_ms) if audio is None else audio
        spoken = _Spoken(
            utterance_id=utterance_id,
            words=_timed(utterance_id, names, start_ms, word_ms),
            text=" ".join(names),
            start_ms=start_ms,
            samples=samples,
            heard=asyncio.get_running_loop().create_future(),
            started=wire.UtteranceStarted(
                utterance_id=utterance_id,
                turn_id=turn_id,
                response_id=response_id,
                media_ms=start_ms,
                source=_SOURCE,
            ),
        )
        self._placed_ms = spoken.end_ms
        self._spoken.append(spoken)
        self.emit(utterance_started=spoken.started)
        return spoken

    def begin(self, spoken: Any) -> "asyncio.Future[Heard]":
        """Sends the words and the sound of what `say` placed."""
        if spoken.words:
            self.emit(utterance_words=encode_words(spoken.words, spoken.text))
        self._send_due()
        return spoken.heard

    def report(self, report: wire.PlayoutReport) -> None:
        """The listener says where he is."""
        if report.path_id != self.path_id:
            return
        self.heard_ms = max(self.heard_ms, report.media_ms)
        if self._cut is not None and report.flush_id == self._cut.flush_id:
            self._end_cut(self.heard_ms)
        over = [one for one in self._spoken if one.end_ms <= self.heard_ms]
        for one in over:
            self._spoken.remove(one)
            self._end(one, one.end_ms, interrupted=False)
        if over and not self._spoken:
            self.idle(None)
        self._send_due()

    def cut(self, source: wire.InterruptionSource.ValueType) -> None:
        """Cuts off what is being said, and all that waits behind it."""
        if not self._spoken or self._cut is not None:
            return
        self._flushes += 1
        flush = wire.Flush(
            path_id=self.path_id, flush_id=self._flushes, until_media_ms=self._placed_ms
        )
        self._cut = _Cut(self._flushes, source, self._spoken)
        self._spoken = []
        if not self.path_id:
            self._unsaid = flush
            self._end_cut(self.heard_ms)
            return
        self.emit(flush=flush)
        self._cut.timer = self.clock.call_later(REPORT_MS, lambda: self._end_cut(self.heard_ms))

    def attach(self, path_id: int) -> None:
        """Another path is there: what was not heard is sent on it, silences first."""
        self.path_id = path_id
        self._place.run(True)
        if self._unsaid is not None:
            self._unsaid.path_id = path_id
            self.emit(flush=self._unsaid)
            self._unsaid = None
        for one in self._spoken:
            heard = max(0, self.heard_ms - one.start_ms) * PLAYOUT_RATE // 1000
            one.sent = min(len(one.samples), heard)
        self._send_due()

    def detach(self) -> None:
        """There is no path."""
        self.path_id = 0
        self._place.run(False)

    def snapshot(self) -> wire.Snapshot:
        """What is being said, for a client that has missed it."""
        shown = wire.Snapshot(heard_media_ms=self.heard_ms)
        if self._spoken:
            shown.utterance.CopyFrom(self._spoken[0].started)
        shown.queued_utterances.extend(one.started for one in self._spoken[1:])
        shown.words.extend(encode_words(one.words, one.text) for one in self._spoken if one.words)
        return shown

    def close(self) -> None:
        """Whoever waits to be heard is told that he was cut."""
        if self._cut is not None and self._cut.timer is not None:
            self._cut.timer.cancel()
        for one in [*self._spoken, *(self._cut.spoken if self._cut else ())]:
            self._settle(one, self.heard_ms, interrupted=True)
        self._spoken, self._cut = [], None

    def _send_due(self) -> None:
        """Sends audio up to `AHEAD_MS` beyond what was heard."""
        room_ms = AHEAD_MS
        for one in self._spoken:
            room_ms -= max(0, one.sent_ms() - max(one.start_ms, self.heard_ms))
        for one in self._spoken:
            while self.path_id and room_ms > 0 and one.sent < len(one.samples):
                block = one.samples[one.sent : one.sent + _BLOCK]
                index = one.start_ms * PLAYOUT_RATE // 1000 + one.sent
                data = block.astype("<i2").tobytes()
                chunk = wire.AudioChunk(path_id=self.path_id, sample_index=index, data=data)
                self.emit(audio=chunk)
                one.sent += len(block)
                room_ms -= _BLOCK_MS

    def _end_cut(self, media_ms: int) -> None:
        cut, self._cut = self._cut, None
        if cut is None:
            return
        if cut.timer is not None:
            cut.timer.cancel()
        for one in cut.spoken:
            self._end(one, min(max(media_ms, one.start_ms), one.end_ms), interrupted=True)
            self.emit(
                interrupted=wire.Interrupted(source=cut.source, utterance_id=one.utterance_id)
            )
        self.idle(cut.source)

    def _end(self, one: _Spoken, media_ms: int, *, interrupted: bool) -> None:
        heard = [word for word in one.words if word.start_ms < media_ms]
        how = wire.UtteranceEnd
        self.emit(
            utterance_ended=wire.UtteranceEnded(
                utterance_id=one.utterance_id,
                end=how.UTTERANCE_END_INTERRUPTED if interrupted else how.UTTERANCE_END_COMPLETED,
                heard_media_ms=media_ms,
                heard_char_end=heard[-1].char_end if heard else 0,
                heard_words=len(heard),
                heard_source=wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT,
            )
        )
        self._settle(one, media_ms, interrupted=interrupted)

    def _settle(self, one: _Spoken, media_ms: int, *, interrupted: bool) -> None:
        heard = [word.text for word in one.words if word.start_ms < media_ms]
        if not one.heard.done():
            one.heard.set_result(Heard(" ".join(heard), len(heard), media_ms, interrupted))


def _timed(utterance_id: str, names: list[str], start_ms: int, word_ms: int) -> list[TimedWord]:
    timed: list[TimedWord] = []
    char = 0
    for index, name in enumerate(names):
        timed.append(
            TimedWord(
                utterance_id=utterance_id,
                index=index,
                text=name,
                char_start=char,
                char_end=char + len(name),
                start_ms=start_ms + index * word_ms,
                end_ms=start_ms + (index + 1) * word_ms,
                end_estimated=False,
                source=_SOURCE,
            )
        )
        char += len(name) + 1
    return timed
