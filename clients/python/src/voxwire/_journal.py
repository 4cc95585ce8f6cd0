"""What happened to a session, for a bug report: no content, no secrets. Pure."""

from collections import deque
from dataclasses import fields
from enum import Enum
from typing import Any, Final

from voxwire_protocol import events
from voxwire_protocol.clocks import Clock
from voxwire_protocol.errors import VoxwireError

__all__ = ["Journal"]

MAX_ENTRIES: Final = 100
"""Entries that are kept; the oldest go first."""

_NOTED: Final = (
    events.PathChanged,
    events.ConnectionChanged,
    events.EventsSkipped,
    events.ErrorEvent,
    events.GoingAway,
    events.DeviceChanged,
    events.EchoControlChanged,
    events.CaptureDropped,
    events.SessionEnded,
)
_LEFT_OUT: Final = frozenset({"snapshot"})  # the conversation


class Journal:
    """The newest events that say how a session is, each with its moment."""

    def __init__(self, clock: Clock) -> None:
        """Begins empty."""
        self._clock = clock
        self._start_ms = clock.now_ms()
        self._entries: deque[dict[str, Any]] = deque(maxlen=MAX_ENTRIES)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What JSON can hold: ``at_ms`` since the connect, ``what``, and fields of the event."""
        return list(self._entries)

    def note(self, what: str, **more: Any) -> None:
        """Notes something; what is empty is left out."""
        known = {name: _plain(value) for name, value in more.items() if value not in (None, "")}
        at_ms = round(self._clock.now_ms() - self._start_ms)
        self._entries.append({"at_ms": at_ms, "what": what, **known})

    def failed(self, failure: VoxwireError) -> None:
        """Notes why it ended; of what a function of the program raised, the type."""
        cause = failure.__cause__
        if cause is None or isinstance(cause, VoxwireError | OSError):
            self.note("failed", code=failure.code, reason=failure.reason)
        else:
            self.note("failed", code=failure.code, cause=type(cause).__name__)

    def event(self, event: events.Event) -> None:
        """Notes an event, if it is one of those that say how the session is."""
        if isinstance(event, _NOTED):
            names = [field.name for field in fields(event) if field.name not in _LEFT_OUT]
            self.note(type(event).__name__, **{name: getattr(event, name) for name in names})


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name.lower() if isinstance(value, int) else value.value
    return value
