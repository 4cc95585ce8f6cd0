"""What a session is, and what becomes of it: the table of protocol/spec/session.md, "Resuming".

Pure, and the only place that says so: a session looks an event up here and becomes what stands in
the cell; whoever caused it is answered what stands beside it. A test holds this table and the
spec's against each other, cell by cell.
"""

from enum import Enum
from typing import Final, NamedTuple

__all__ = ["RULES", "Answer", "Cell", "Event", "Life", "OutOfTurnError", "State"]


class State(Enum):
    """What a session is."""

    ATTACHED = "ATTACHED"
    """Something carries its control channel."""
    PARKED = "PARKED"
    """Nothing does; its client may come back."""
    ENDED = "ENDED"
    """It is over, or ends."""


class Answer(Enum):
    """What who caused an event is answered; the texts are those of the spec's cells."""

    NOTHING = ""
    OTHER_SESSION = "other session"
    SAME_WELCOME = "same Welcome"
    RESUMED = "resumed"
    SNAPSHOT = "Snapshot"
    SUPERSEDED = "`SUPERSEDED`"
    EXPIRED = "`SESSION_EXPIRED`"
    MALFORMED = "`MALFORMED`"
    CONNECTION_LOST = "`CONNECTION_LOST`"
    CLIENT = "`CLIENT`"
    BOT = "`BOT`"
    SERVER = "`SERVER`"


class Event(Enum):
    """What may happen to a session; the texts are those of the spec's rows."""

    HELLO_NEW = "Hello, new nonce"
    HELLO_AGAIN = "Hello, nonce of its first attach"
    HELLO_STALE = "Hello, nonce of its first attach, resumed since"
    HELLO_GONE = "Hello, nonce of its first attach, what is missing is gone"
    RESUME = "resume, good token"
    RESUME_AGAIN = "resume, nonce of a resume"
    RESUME_STALE = "resume, nonce of a resume, resumed since"
    WRONG_TOKEN = "resume, wrong token"
    OTHER_ORIGIN = "resume, other Origin"
    OTHER_USER = "resume, other user"
    NEVER_SENT = "resume, `last_seq` never sent"
    RESUME_GONE = "resume, what is missing is gone"
    LOST = "socket lost"
    LOST_FOR_GOOD = "socket lost, no `FEATURE_RESUME`"
    SILENT = "silent for 5 s"
    STALE_SPEAKS = "a superseded socket speaks"
    BYE = "Bye"
    BAD_MESSAGES = "three bad messages"
    BOT_ENDS = "the bot ends"
    SERVER_ENDS = "the server ends"
    GRACE_OVER = "`grace_ms` over"
    FAILS = "a limit is reached, or a part of it fails"


class Cell(NamedTuple):
    """What the session is after an event, and what who caused it is answered."""

    state: State
    answer: Answer = Answer.NOTHING


_A, _P, _E = State.ATTACHED, State.PARKED, State.ENDED
_Row = tuple[Cell | None, Cell | None, Cell | None]


def _all(attached: State, parked: State, answer: Answer, ended: Answer) -> _Row:
    return Cell(attached, answer), Cell(parked, answer), Cell(_E, ended)


_NOWHERE, _NEW, _OLD = Answer.NOTHING, Answer.OTHER_SESSION, Answer.EXPIRED

_ROWS: Final[dict[Event, _Row]] = {
    Event.HELLO_NEW: _all(_A, _P, _NEW, _NEW),
    Event.HELLO_AGAIN: _all(_A, _A, Answer.SAME_WELCOME, _NEW),
    Event.HELLO_STALE: _all(_A, _P, Answer.SUPERSEDED, _NEW),
    Event.HELLO_GONE: _all(_A, _A, Answer.SNAPSHOT, _NEW),
    Event.RESUME: _all(_A, _A, Answer.RESUMED, _OLD),
    Event.RESUME_AGAIN: _all(_A, _A, Answer.SAME_WELCOME, _OLD),
    Event.RESUME_STALE: _all(_A, _P, Answer.SUPERSEDED, _OLD),
    Event.WRONG_TOKEN: _all(_A, _P, _OLD, _OLD),
    Event.OTHER_ORIGIN: _all(_A, _P, _OLD, _OLD),
    Event.OTHER_USER: _all(_A, _P, _OLD, _OLD),
    Event.NEVER_SENT: _all(_A, _P, Answer.MALFORMED, _OLD),
    Event.RESUME_GONE: _all(_A, _A, Answer.SNAPSHOT, _OLD),
    Event.LOST: (Cell(_P), None, Cell(_E)),
    Event.LOST_FOR_GOOD: (Cell(_E), None, Cell(_E)),
    Event.SILENT: (Cell(_P, Answer.CONNECTION_LOST), None, Cell(_E)),
    Event.STALE_SPEAKS: _all(_A, _P, _NOWHERE, _NOWHERE),
    Event.BYE: (Cell(_E, Answer.CLIENT), None, Cell(_E)),
    Event.BAD_MESSAGES: (Cell(_E, Answer.MALFORMED), None, Cell(_E)),
    Event.BOT_ENDS: (Cell(_E, Answer.BOT), Cell(_E), Cell(_E)),
    Event.SERVER_ENDS: (Cell(_E, Answer.SERVER), Cell(_E), Cell(_E)),
    Event.GRACE_OVER: (Cell(_A), Cell(_E), Cell(_E)),
    Event.FAILS: _all(_E, _E, _NOWHERE, _NOWHERE),
}

RULES: Final[dict[tuple[Event, State], Cell | None]] = {
    (event, state): cell
    for event, row in _ROWS.items()
    for state, cell in zip(State, row, strict=True)
}
"""The table; None = it cannot happen."""


class OutOfTurnError(RuntimeError):
    """Something happened to a session that cannot happen to it as it is."""


class Life:
    """The state of one session: only :meth:`on` changes it."""

    def __init__(self) -> None:
        """Begins attached: a session is made when its client is there."""
        self._state = State.ATTACHED

    @property
    def state(self) -> State:
        """What it is."""
        return self._state

    @property
    def over(self) -> bool:
        """Whether it ends or has ended."""
        return self._state is State.ENDED

    def on(self, event: Event) -> Answer:
        """Become what the table says.

        Returns:
            What who caused the event is answered.

        Raises:
            OutOfTurnError: It cannot happen now. Nothing has changed.
        """
        cell = RULES[event, self._state]
        if cell is None:
            raise OutOfTurnError(f"{event.value}: not while {self._state.value}")
        self._state = cell.state
        return cell.answer

    def would(self, event: Event) -> Answer:
        """What would be answered, with nothing changed; for what may still be refused.

        Raises:
            OutOfTurnError: It cannot happen now.
        """
        cell = RULES[event, self._state]
        if cell is None:
            raise OutOfTurnError(f"{event.value}: not while {self._state.value}")
        return cell.answer
