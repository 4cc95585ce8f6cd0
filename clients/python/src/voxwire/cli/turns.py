"""When is it the user's turn? Pure: events in, time as an argument."""

from typing import Final

from voxwire_protocol import events

__all__ = ["NO_ANSWER_MS", "SETTLE_MS", "TurnWatch"]

SETTLE_MS: Final = 600
"""The bot's turn has ended when it has been quiet for this long."""

NO_ANSWER_MS: Final = 10_000
"""A bot that is idle for this long without having spoken does not answer."""

_QUIET: Final = (events.BotState.IDLE, events.BotState.LISTENING)


class TurnWatch:
    """Follows the bot's turn through fillers, tools, several utterances and interruptions."""

    def __init__(self) -> None:
        """Starts with a bot that has not spoken."""
        self._state = events.BotState.UNKNOWN
        self._user = events.UserState.UNKNOWN
        self._away = False  # nothing is heard of the bot: the connection is lost
        self._open: set[str] = set()  # utterances, responses and tools that have not ended
        self._known: set[str] = set()  # every utterance so far
        self._before: frozenset[str] = frozenset()  # those that do not belong to this turn
        self._quiet_since_ms: int | None = None
        self.spoke = False
        self.first_word_ms: int | None = None

    def arm(self, now_ms: int) -> None:
        """The user does something now: what the bot says from here on is its next turn."""
        self._before = frozenset(self._known)
        self.spoke = False
        self.first_word_ms = None
        self._quiet_since_ms = self._quiet_from(now_ms)

    def feed(self, event: events.Event, now_ms: int) -> None:
        """Takes an event."""
        match event:
            case events.ConnectionChanged():
                self._away = event.state == events.ConnectionState.RECONNECTING
            case events.EventsSkipped():
                self._open.clear()  # what is open follows
            case events.StateChanged():
                self._state, self._user = event.bot, event.user
            case events.Interrupted():
                self._open.clear()
                self.arm(now_ms)
            case events.BotWord() if event.utterance_id not in self._before:
                self.spoke = True
                if self.first_word_ms is None:
                    self.first_word_ms = now_ms
            case events.UtteranceStarted():
                self._known.add(event.utterance_id)
                self._open.add(f"u{event.utterance_id}")
                self.spoke = True
            case events.BotResponseStarted():
                self._open.add(f"r{event.response_id}")
            case events.ToolCallStarted():
                self._open.add(f"t{event.call_id}")
            case events.UtteranceEnded():
                self._open.discard(f"u{event.utterance_id}")
            case events.BotResponseEnded():
                self._open.discard(f"r{event.response_id}")
            case events.ToolCallEnded():
                self._open.discard(f"t{event.call_id}")
            case _:
                return
        self._quiet_since_ms = self._quiet_from(now_ms)

    def ended(self, now_ms: int) -> bool:
        """True when the turn is over: the bot spoke and is quiet, or will not speak any more."""
        since_ms = self._quiet_since_ms
        if since_ms is None:
            return False
        return now_ms - since_ms >= (SETTLE_MS if self.spoke else NO_ANSWER_MS)

    def barges_in(self, delay_ms: int, now_ms: int) -> bool:
        """True when the bot has been heard for so long in this turn, or says nothing in it: its
        answer may be cut before its first word, by a listener that stands still.
        """
        if self.first_word_ms is None:
            return self.ended(now_ms)
        return now_ms >= self.first_word_ms + delay_ms

    def _quiet_from(self, now_ms: int) -> int | None:
        """Since when nothing goes on; every event about the bot starts it anew."""
        speaking = self._user == events.UserState.SPEAKING
        if self._away:
            return None
        return None if speaking or self._open or self._state not in _QUIET else now_ms
