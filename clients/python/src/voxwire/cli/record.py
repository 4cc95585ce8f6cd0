"""The record of a conversation: events as JSON lines, and the playout beside them."""

import json
import time
from typing import IO, Any, Final

from voxwire.audio import Speaker
from voxwire.playout import Block
from voxwire_protocol.event_codec import event_name, to_dict
from voxwire_protocol.events import Event

__all__ = ["EventLog", "LoggedSpeaker"]

PLAYOUT_EVERY_MS: Final = 100


class EventLog:
    """Writes one JSON object a line; `t_ms` counts from the making of the log."""

    def __init__(self, file: IO[str] | None) -> None:
        """Starts the clock.

        Args:
            file: Where lines go; None = nowhere. Closed by the caller.
        """
        self._file = file
        self._zero = time.monotonic()

    def now_ms(self) -> int:
        """Milliseconds since the start."""
        return self.at_ms(time.monotonic())

    def at_ms(self, at: float) -> int:
        """A monotonic time, seconds, as milliseconds since the start."""
        return round((at - self._zero) * 1000)

    def event(self, event: Event) -> None:
        """Writes an event with the present time."""
        fields: dict[str, Any] = to_dict(event)
        if fields.get("type") is not None:  # the field of an AppMessage
            fields["message_type"] = fields.pop("type")
        self.write(self.now_ms(), event_name(event), fields)

    def write(self, t_ms: int, kind: str, fields: dict[str, Any]) -> None:
        """Writes a line."""
        if self._file is not None and not self._file.closed:
            line = {"t_ms": t_ms, "type": kind, **fields}
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")


class LoggedSpeaker:
    """A speaker that also writes down where it is: every 100 ms, and where the position jumps.

    Between two of these lines the position moves evenly or stands still, so that it can be
    interpolated. The times are those at which samples sound, not those of writing.
    """

    def __init__(self, speaker: Speaker, log: EventLog) -> None:
        """Wraps `speaker`."""
        self._speaker = speaker
        self._log = log
        self._rate = 1
        self._next_ms = 0.0
        self._position = 0
        self._moves = False
        self._written = -1

    def open(self, sample_rate: int) -> None:
        """Opens the speaker."""
        self._rate = sample_rate
        self._speaker.open(sample_rate)

    def write(self, block: Block, at: float) -> None:
        """Writes the block to the speaker and the position, if it is due, to the log."""
        self._speaker.write(block, at)
        for span in block.spans:
            start = at + span.offset / self._rate
            jumps = span.position != self._position
            if jumps or span.kind.moves != self._moves:
                self._line(start, self._position)
            if jumps:
                self._line(start, span.position)
            self._moves = span.kind.moves
            self._position = span.position + (span.length if self._moves else 0)
        if at * 1000 >= self._next_ms:
            self._next_ms = max(self._next_ms + PLAYOUT_EVERY_MS, at * 1000)
            self._line(at, block.spans[0].position)

    def close(self) -> None:
        """Closes the speaker."""
        self._speaker.close()

    def _line(self, at: float, position: int) -> None:
        """Writes a position; never one before the last."""
        media_ms = position * 1000 // self._rate
        if media_ms >= self._written:
            self._written = media_ms
            self._log.write(self._log.at_ms(at), "playout", {"media_ms": media_ms})
