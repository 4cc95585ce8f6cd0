"""What is to happen when the speaker reaches a position: words, and changes of state.

Pure: no clock is read.
"""

from dataclasses import dataclass, replace
from typing import Final

from voxwire._position import Reached
from voxwire_protocol import events, wire
from voxwire_protocol.event_codec import from_envelope, word_event
from voxwire_protocol.timeline import Timeline, decode_words

__all__ = ["Cues"]

HELD_MS: Final = 5000
"""A change of state is applied after this long, even if its position is never reached."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A change of state that waits for its position."""

    event: events.StateChanged
    since_ms: int
    after_immediate: int  # how many immediate changes had come before it


class Cues:
    """Words and changes of state of one session, by position."""

    def __init__(self) -> None:
        """Creates an empty list."""
        self._timeline = Timeline()
        self._sources: dict[str, wire.TimingSource.ValueType] = {}
        self._held: list[_Held] = []
        self._immediate = 0
        self._user = events.UserState.UNKNOWN
        self._user_muted = False

    @property
    def speaking(self) -> bool:
        """True while an utterance is announced and has not ended."""
        return bool(self._sources)

    def begin(self, message: wire.UtteranceStarted) -> None:
        """Takes the announcement of an utterance."""
        self._sources[message.utterance_id] = message.source
        self._timeline.begin(message.utterance_id, message.media_ms)

    def add(self, message: wire.UtteranceWords) -> None:
        """Takes words of an utterance, ahead of their sound."""
        source = self._sources.get(
            message.utterance_id, wire.TimingSource.TIMING_SOURCE_UNSPECIFIED
        )
        text = self._timeline.text(message.utterance_id)
        words = decode_words(message, text, source=source)
        self._timeline.set_text(message.utterance_id, message.text_offset, message.text)
        self._timeline.add(words, message.revision)

    def end(self, message: wire.UtteranceEnded) -> None:
        """Takes the end of an utterance; its words that are still to sound stay."""
        self._sources.pop(message.utterance_id, None)
        self._timeline.end(message.utterance_id)

    def change(self, message: wire.StateChanged, now_ms: int) -> events.StateChanged | None:
        """Takes a change of state; returns it if it applies at once."""
        event = from_envelope(wire.Envelope(state_changed=message))
        assert isinstance(event, events.StateChanged)
        event = self._behind_speech(event)
        if event.media_ms:
            self._held.append(_Held(event, now_ms, self._immediate))
            self._held.sort(key=lambda held: held.event.media_ms)
            return None
        self._immediate += 1
        self._user, self._user_muted = event.user, event.user_muted
        return event

    def cut(self, media_ms: int, until_ms: int) -> list[events.Event]:
        """Drops what a flush made void; returns the state that nothing newer replaces.

        Args:
            media_ms: Where the sound stops.
            until_ms: Everything from there to here will not sound.
        """
        self._timeline.cut(media_ms, until_ms)
        void = [held for held in self._held if media_ms <= held.event.media_ms <= until_ms]
        self._held = [held for held in self._held if held not in void]
        if void and void[-1].after_immediate == self._immediate:
            return [self._release(void[-1])]
        return []

    def due(self, reached: Reached, now_ms: int) -> list[events.Event]:
        """Returns what playout has reached, in order of position."""
        due: list[events.Event] = []
        for held in tuple(self._held):
            limit_ms = self._limit_ms(held, reached)
            if held.event.media_ms > limit_ms and now_ms - held.since_ms < HELD_MS:
                break
            before_ms = min(held.event.media_ms - 1, reached.sounded_ms)
            due.extend(word_event(word) for word in self._timeline.advance(before_ms))
            due.append(self._release(held))
            self._held.remove(held)
        due.extend(word_event(word) for word in self._timeline.advance(reached.sounded_ms))
        return due

    def restore(self, snapshot: wire.Snapshot) -> None:
        """Forgets everything but what a snapshot says.

        Words that were fired, and words before the snapshot's position that were not known here,
        do not fire any more.
        """
        before, self._timeline = self._timeline, Timeline()
        self._sources.clear()
        self._held.clear()
        if not snapshot.utterance.utterance_id:
            return
        spoken = [snapshot.utterance, *snapshot.queued_utterances]
        for started in spoken:
            self.begin(started)
        for message in snapshot.words:
            self.add(message)
        for started in spoken:
            utterance_id = started.utterance_id
            fired = before.delivered(utterance_id)
            if fired == len(before.words(utterance_id)):
                words = self._timeline.words(utterance_id)
                passed = sum(word.start_ms <= snapshot.heard_media_ms for word in words)
                fired = max(fired, passed)
            self._timeline.skip(utterance_id, words=fired)

    def next_ms(self) -> int | None:
        """Position of the next word or change of state; None = nothing waits."""
        positions = [held.event.media_ms for held in self._held[:1]]
        word_ms = self._timeline.next_due_ms()
        if word_ms is not None:
            positions.append(word_ms)
        return min(positions, default=None)

    def _behind_speech(self, event: events.StateChanged) -> events.StateChanged:
        """A bot that the server takes for heard is not silent before it has spoken here.

        The server's clock may run ahead of a speaker that stalls.
        """
        if event.media_ms or event.bot == events.BotState.SPEAKING or event.user != self._user:
            return event
        speech = [held for held in self._held if held.event.bot == events.BotState.SPEAKING]
        begins = [held.event.media_ms for held in speech]
        word_ms = self._timeline.last_due_ms()
        last_ms = max(begins if word_ms is None else [*begins, word_ms + 1], default=0)
        return replace(event, media_ms=last_ms)

    @staticmethod
    def _limit_ms(held: _Held, reached: Reached) -> int:
        """The bot speaks when a sample sounds; everything else happens once it is passed."""
        if held.event.bot == events.BotState.SPEAKING:
            return reached.sounded_ms
        return reached.passed_ms

    def _release(self, held: _Held) -> events.StateChanged:
        """The change as it applies now: what the user does or may do may have changed since."""
        if held.after_immediate == self._immediate:
            self._user, self._user_muted = held.event.user, held.event.user_muted
            return held.event
        return replace(held.event, user=self._user, user_muted=self._user_muted)
