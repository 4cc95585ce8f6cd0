"""What bot and user are doing, as one small state machine.

Pure: inputs are facts of the pipeline and of playout, the output is the ``StateChanged`` to send,
or None when nothing changed. Table: ``protocol/spec/session.md``, "States of the conversation".
"""

from voxwire_protocol import wire

__all__ = ["ConversationState"]

_Bot = wire.BotState
_User = wire.UserState


class ConversationState:
    """Follows the conversation and says when its state changes."""

    def __init__(self) -> None:
        self.bot: wire.BotState = _Bot.BOT_STATE_STARTING
        self.user: wire.UserState = _User.USER_STATE_SILENT
        self.user_muted = False
        """Whether the pipeline drops what the user says."""
        self._speaking = False
        self._spoken_from_ms = 0
        self._told_muted = False
        self._owed = 0
        self._responding = False
        self._answered = True

    @property
    def busy(self) -> bool:
        """True while someone speaks, or an answer is owed or being written."""
        speaks = self.user == _User.USER_STATE_SPEAKING
        return speaks or self.bot != _Bot.BOT_STATE_IDLE

    def ready(self) -> wire.StateChanged | None:
        """The pipeline has started."""
        return self._settle()

    def user_started(self) -> wire.StateChanged | None:
        """The user took the floor."""
        self._responding = self._answered = False
        self._owed = 0
        return self._set(user=_User.USER_STATE_SPEAKING)

    def user_stopped(self) -> wire.StateChanged | None:
        """The user's turn ended; an answer is expected, unless it has begun already."""
        self._owed = 0 if self._answered else 1
        return self._set(user=_User.USER_STATE_SILENT)

    def muted(self, *, muted: bool) -> wire.StateChanged | None:
        """The pipeline listens to the user no more, or again: one of its mute strategies.

        While the bot speaks it takes effect where its voice began, since that may be still to come.
        """
        self.user_muted = muted
        if self.bot == _Bot.BOT_STATE_STARTING:
            return None  # told when it has started
        return self._settle(self._spoken_from_ms if self._speaking else 0)

    def answer_owed(self) -> wire.StateChanged | None:
        """Something other than speech asks for an answer (typed text, a tool's result)."""
        self._owed = 1
        return self._settle()

    def answer_dropped(self) -> wire.StateChanged | None:
        """No answer will come."""
        self._owed = 0
        self._responding = False
        return self._settle()

    def response_started(self) -> wire.StateChanged | None:
        """The model began to write."""
        self._owed = 0
        self._responding = self._answered = True
        return self._settle()

    def response_ended(self) -> wire.StateChanged | None:
        """The model finished; its speech may still be on the way."""
        self._responding = False
        return self._settle()

    def bot_started(self, media_ms: int) -> wire.StateChanged | None:
        """The bot's voice was placed from ``media_ms`` on."""
        self._speaking, self._spoken_from_ms = True, media_ms
        return self._settle(media_ms)

    def bot_stopped(self) -> wire.StateChanged | None:
        """The bot's voice was heard to its end, or cut."""
        self._speaking = False
        return self._settle()

    def _settle(self, media_ms: int = 0) -> wire.StateChanged | None:
        return self._set(user=self.user, media_ms=media_ms)

    def _set(self, *, user: wire.UserState, media_ms: int = 0) -> wire.StateChanged | None:
        if self._speaking:
            bot = _Bot.BOT_STATE_SPEAKING
        elif user == _User.USER_STATE_SPEAKING:
            bot = _Bot.BOT_STATE_LISTENING
        elif self._owed or self._responding:
            bot = _Bot.BOT_STATE_THINKING
        else:
            bot = _Bot.BOT_STATE_IDLE
        muted = self.user_muted
        if (bot, user, muted) == (self.bot, self.user, self._told_muted):
            return None
        self.bot, self.user, self._told_muted = bot, user, muted
        return wire.StateChanged(bot=bot, user=user, media_ms=media_ms, user_muted=muted)
