"""Programs that look at the messages of a session as they come and go."""

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from voxwire._arguments import invalid
from voxwire._callbacks import RAISED
from voxwire_protocol import wire
from voxwire_protocol.redaction import without_secrets

__all__ = ["Tap", "TappedMessage", "Taps", "check_tap"]

_log = logging.getLogger("voxwire")

Direction = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class TappedMessage:
    """A message of a session, as it was said or taken; to be read, not changed.

    Attributes:
        direction: ``out``: this client said it; ``in``: the other end did.
        envelope: The message, as ``voxwire.v1.Envelope``; what is secret by the schema (tokens,
            credentials) is empty.
        data: Its bytes on the wire: protobuf, of a stock bot RTVI's JSON. Written anew without the
            secrets where there were some, and in one piece where it was sent in several.
        at_ms: When, milliseconds of the session's clock.
    """

    direction: Direction
    envelope: wire.Envelope
    data: bytes
    at_ms: float


Tap = Callable[[TappedMessage], object]


def check_tap(given: object) -> Tap:
    """What a caller passed, if it can look at messages.

    Raises:
        UsageError: INVALID_ARGUMENT: it cannot.
    """
    if not callable(given) or inspect.iscoroutinefunction(given):
        raise invalid("a tap is a plain function, called with each message: it must not wait")
    return given


class Taps:
    """Those who look at the messages of one session; empty, it is false."""

    def __init__(self, *taps: Tap) -> None:
        """Creates it with those who look from the first message on."""
        self._taps = list(taps)

    def __bool__(self) -> bool:
        """True when anybody looks."""
        return bool(self._taps)

    def add(self, tap: Tap) -> Callable[[], None]:
        """Has a function called with each message from now on; returns what ends that."""
        entry: Tap = lambda message: tap(message)  # noqa: E731 - one of its own each time
        self._taps.append(entry)

        def off() -> None:
            if entry in self._taps:
                self._taps.remove(entry)

        return off

    def see(
        self, direction: Direction, envelope: wire.Envelope, at_ms: float, *, data: bytes = b""
    ) -> None:
        """Shows a message; what a tap raises is logged and goes no further.

        Args:
            direction: Who said it.
            envelope: The message.
            at_ms: When, milliseconds.
            data: Its bytes; empty = they are made of it.
        """
        shown = without_secrets(envelope)
        if not data or shown is not envelope:
            data = shown.SerializeToString()
        message = TappedMessage(direction, shown, data, at_ms)
        for tap in tuple(self._taps):
            try:
                tap(message)
            except RAISED:
                _log.exception("a tap failed at %s", envelope.WhichOneof("payload"))
