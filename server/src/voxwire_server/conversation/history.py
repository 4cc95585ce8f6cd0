"""What a session has told its client so far, kept small: what a Snapshot is made from.

Pure. It reads the envelopes that the session sends, so it knows nothing that the client was not
shown (``protocol/spec/session.md``, "Resuming").
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.text_join import join_texts

__all__ = ["MAX_TURNS", "History"]

MAX_TURNS: Final = 200
"""Turns that are remembered; the oldest go first."""

_MAX_TEXT_CHARS: Final = 16_384


@dataclass(slots=True)
class _Spoken:
    """An utterance that has not ended."""

    started: wire.UtteranceStarted
    words: list[wire.UtteranceWords] = field(default_factory=list[wire.UtteranceWords])

    def take(self, piece: wire.UtteranceWords) -> None:
        """More words, or a revision: it reaches to the end of what is known."""
        while self.words and self.words[-1].text_offset >= piece.text_offset:
            self.words.pop()
        self.words.append(piece)

    @property
    def text(self) -> str:
        text = ""
        for piece in self.words:
            text = text[: piece.text_offset].ljust(piece.text_offset) + piece.text
        return text

    def heard_char_end(self, media_ms: float) -> int:
        """End of the words that had begun to sound by then, code points."""
        heard = [
            word.char_end
            for piece in self.words
            for word in piece.words
            if piece.base_media_ms + word.start_ms < media_ms
        ]
        return max(heard, default=0)


class History:
    """The conversation as the client was told of it."""

    def __init__(self) -> None:
        self._turns: deque[wire.Turn] = deque(maxlen=MAX_TURNS)
        self._speaking: dict[str, _Spoken] = {}
        self._state = wire.StateChanged()

    def restore(self, told: wire.Snapshot) -> None:
        """Go on from what a process before has told the client; what it was saying is over: it
        ends at what was heard.
        """
        self._turns.extend(told.turns)
        for started in (told.utterance, *told.queued_utterances):
            spoken = _Spoken(started)
            for piece in told.words:
                if piece.utterance_id == started.utterance_id:
                    spoken.take(piece)
            if cut := spoken.heard_char_end(told.heard_media_ms):
                self._add_spoken(spoken, cut)

    def note(self, envelope: wire.Envelope) -> None:
        """Take note of a message to the client; one of no lasting meaning is ignored."""
        match envelope.WhichOneof("payload"):
            case "state_changed":
                self._state.CopyFrom(envelope.state_changed)
            case "transcript" if envelope.transcript.final:
                said = envelope.transcript
                self._add(said.turn_id, wire.TurnRole.TURN_ROLE_USER, said.text, "")
            case "utterance_started":
                started = envelope.utterance_started
                self._speaking[started.utterance_id] = _Spoken(started)
            case "utterance_words":
                spoken = self._speaking.get(envelope.utterance_words.utterance_id)
                if spoken is not None:
                    spoken.take(envelope.utterance_words)
            case "utterance_ended":
                self._end(envelope.utterance_ended)
            case _:
                return

    def _end(self, ended: wire.UtteranceEnded) -> None:
        spoken = self._speaking.pop(ended.utterance_id, None)
        if spoken is None:
            return
        cut = ended.heard_char_end
        if ended.end == wire.UtteranceEnd.UTTERANCE_END_COMPLETED:
            cut = len(spoken.text)
        self._add_spoken(spoken, cut)

    def _add_spoken(self, spoken: _Spoken, cut: int) -> None:
        """It is over; ``cut`` is the end of what was heard of it."""
        text, turn_id = spoken.text, spoken.started.turn_id
        self._add(turn_id, wire.TurnRole.TURN_ROLE_BOT, text[:cut], text[cut:].lstrip())

    def _add(self, turn_id: str, role: "wire.TurnRole", text: str, unheard: str) -> None:
        turn = wire.Turn(
            turn_id=turn_id,
            role=role,
            text=text[:_MAX_TEXT_CHARS],
            unheard_text=unheard[:_MAX_TEXT_CHARS],
        )
        last = self._turns[-1] if self._turns else None
        if (
            last is not None
            and role == wire.TurnRole.TURN_ROLE_BOT
            and (last.turn_id, last.role, last.unheard_text) == (turn_id, role, "")
            and len(last.text) < _MAX_TEXT_CHARS
        ):
            last.text = join_texts(last.text, turn.text)
            last.unheard_text = turn.unheard_text
        else:
            self._turns.append(turn)

    def snapshot(
        self,
        *,
        heard_ms: float,
        muted: bool,
        max_bytes: int,
        tool_calls: Iterable[wire.ToolCallStarted] = (),
    ) -> wire.Snapshot:
        """The state of the conversation.

        Args:
            heard_ms: Where the listener is on the media clock.
            muted: Whether the user's audio is ignored.
            tool_calls: Open calls, as far as the client sees them.
            max_bytes: Largest size, encoded; the oldest turns are left out above it, then
                arguments of tools, then words, then the oldest calls and the last utterances.
        """
        speaking = list(self._speaking.values())
        snapshot = wire.Snapshot(
            words=[words for spoken in speaking for words in spoken.words],
            heard_media_ms=int(heard_ms),
            tool_calls=tool_calls,
            state=self._state,
            user_muted=muted,
            queued_utterances=[spoken.started for spoken in speaking[1:]],
        )
        if speaking:
            snapshot.utterance.CopyFrom(speaking[0].started)
        _shrink(snapshot, max_bytes)
        left = max_bytes - snapshot.ByteSize()
        kept: list[wire.Turn] = []
        for turn in reversed(self._turns):
            left -= turn.ByteSize() + 4
            if left < 0:
                break
            kept.append(turn)
        snapshot.turns.extend(reversed(kept))
        return snapshot


def _shrink(snapshot: wire.Snapshot, max_bytes: int) -> None:
    """Leave out what a client can do without until the rest fits."""
    for call in snapshot.tool_calls:
        if snapshot.ByteSize() > max_bytes:
            call.arguments_json = ""
    for part, place in (
        (snapshot.words, 0),
        (snapshot.tool_calls, 0),
        (snapshot.queued_utterances, -1),
    ):
        while part and snapshot.ByteSize() > max_bytes:
            del part[place]
