"""The states of a client, as a table of its steps. Pure.

The table of ``protocol/spec/session.md``, "The client's states", is this one; names are those of
the JavaScript client's ``ClientStatus``.
"""

import logging
from enum import StrEnum
from typing import Final

__all__ = ["STEPS", "ClientStates", "ClientStatus", "Step"]

_log = logging.getLogger("voxwire")


class ClientStatus(StrEnum):
    """What a client is doing; no message says it."""

    IDLE = "idle"
    """Nothing yet: the connection was not entered."""
    CONNECTING = "connecting"
    """It asks for a token, dials, waits for a place, or for the bot and its media path."""
    READY = "ready"
    """The session has its control channel and a media path."""
    RECONNECTING = "reconnecting"
    """One of them is lost; what is sent meanwhile arrives when both are back."""
    CLOSING = "closing"
    """It hangs up, or has been hung up on and plays out what it was given."""
    CLOSED = "closed"
    """Nothing of it is left."""


class Step(StrEnum):
    """What happens to a client, in the words of the specification."""

    CONNECT = "the program connects"
    UP = "channel and path are there"
    LOST = "channel or path is lost"
    CLOSE = "the end begins"
    GONE = "nothing is left"


_IDLE, _CONNECTING, _READY, _RECONNECTING, _CLOSING, _CLOSED = ClientStatus

STEPS: Final[dict[tuple[Step, ClientStatus], ClientStatus]] = {
    (Step.CONNECT, _IDLE): _CONNECTING,
    (Step.UP, _CONNECTING): _READY,
    (Step.UP, _READY): _READY,
    (Step.UP, _RECONNECTING): _READY,
    (Step.UP, _CLOSING): _CLOSING,
    (Step.LOST, _CONNECTING): _CONNECTING,
    (Step.LOST, _READY): _RECONNECTING,
    (Step.LOST, _RECONNECTING): _RECONNECTING,
    (Step.LOST, _CLOSING): _CLOSING,
    (Step.CLOSE, _CONNECTING): _CLOSING,
    (Step.CLOSE, _READY): _CLOSING,
    (Step.CLOSE, _RECONNECTING): _CLOSING,
    (Step.CLOSE, _CLOSING): _CLOSING,
    (Step.CLOSE, _CLOSED): _CLOSED,
    (Step.GONE, _CLOSING): _CLOSED,
}
"""Where a step leads; one that is not here cannot happen."""


class ClientStates:
    """Goes through the states of one client."""

    def __init__(self) -> None:
        """Begins idle."""
        self.status = ClientStatus.IDLE

    def take(self, step: Step) -> bool:
        """Something happened; True = the status is another one now."""
        before, after = self.status, STEPS.get((step, self.status))
        if after is None:
            self.refuse(step)
            return False
        self.status = after
        return after is not before

    def refuse(self, step: Step) -> None:
        """A step that cannot happen is a fault of this library: logged, and nothing changes.

        It costs no program its session; in the tests of this repository it fails the test.
        """
        _log.error("a step that cannot happen in the state %s: %s", self.status.value, step.value)
