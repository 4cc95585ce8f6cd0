"""Turns, responses, utterances and words of a stock bot, which names none of them. Pure."""

from typing import Any, Final

from voxwire_protocol import wire
from voxwire_protocol.rtvi.announced import Announced, progress_of
from voxwire_protocol.text_join import WORD, join_texts

__all__ = ["LATE_MS", "Arrivals"]

LATE_MS: Final = 1000
"""How long the end of an utterance waits for words that the bot has announced."""

_MAX_TEXT_CHARS: Final = 262_144
_TAIL_CHARS: Final = 16
"""How much of the text so far decides how the next word joins it."""

_BOT: Final = wire.BotState
_USER: Final = wire.UserState


class Arrivals:
    """Who speaks, and names for what is said, in the order in which messages arrive.

    An utterance is what the bot says between starting and stopping to speak. Words get the
    position at which they arrive; ``media_ms`` of every verb is the client's playout position.
    Where words that were announced have not come, the end of the utterance waits for them:
    `late_utterance_id`, `overdue`.
    """

    def __init__(self) -> None:
        """Creates the state of a session in which nobody has spoken."""
        self._bot = _BOT.BOT_STATE_UNSPECIFIED
        self._user = _USER.USER_STATE_UNSPECIFIED
        self._muted = self._told_muted = False
        self._turns = 0
        self._responses = 0
        self._response_id = ""
        self._utterances = 0
        self._utterance_id = ""
        self._chars = 0
        self._tail = ""
        self._words = 0
        self._silenced = self._stopped = False
        self._announced = Announced()
        self._late = False  # the bot has stopped, and the end of the utterance waits
        self._transcripts = 0
        self._transcript_open = False

    # who speaks

    @property
    def user_speaks(self) -> bool:
        """Whether the user has the floor."""
        return self._user == _USER.USER_STATE_SPEAKING

    def ready(self) -> list[wire.Envelope]:
        """The bot is up."""
        return self._states(_BOT.BOT_STATE_IDLE, _USER.USER_STATE_SILENT)

    def user_started(self) -> list[wire.Envelope]:
        """The user begins a turn."""
        self._turns += 1
        speaking = self._bot == _BOT.BOT_STATE_SPEAKING
        bot = self._bot if speaking else _BOT.BOT_STATE_LISTENING
        return self._states(bot, _USER.USER_STATE_SPEAKING)

    def user_stopped(self) -> list[wire.Envelope]:
        """The user ends a turn: the bot owes an answer."""
        speaking = self._bot == _BOT.BOT_STATE_SPEAKING
        bot = self._bot if speaking else _BOT.BOT_STATE_THINKING
        return self._states(bot, _USER.USER_STATE_SILENT)

    def user_muted(self, muted: bool) -> list[wire.Envelope]:
        """The bot listens to the user no more, or again."""
        self._muted = muted
        return self._states(self._bot, self._user)

    def bot_started(self, media_ms: int) -> list[wire.Envelope]:
        """The bot begins to speak; what was cut off a moment ago may still say so."""
        if self._silenced and not self._stopped:
            return self._states(_BOT.BOT_STATE_SPEAKING, self._user)
        self._silenced = False
        begun = [*self.overdue(media_ms), *self._begin(media_ms)]
        return [*begun, *self._states(_BOT.BOT_STATE_SPEAKING, self._user)]

    def bot_stopped(self, media_ms: int, *, was_cut: bool) -> list[wire.Envelope]:
        """The bot is silent, at its end or because it was cut off."""
        self._stopped = True
        bot = _BOT.BOT_STATE_LISTENING if self.user_speaks else _BOT.BOT_STATE_IDLE
        ended = self._end(media_ms, was_cut=True) if was_cut else self._stop(media_ms)
        return [*ended, *self._states(bot, self._user)]

    @property
    def late_utterance_id(self) -> str:
        """The utterance whose end waits for words; empty = none. `overdue` after `LATE_MS`."""
        return self._utterance_id if self._late else ""

    def overdue(self, media_ms: int) -> list[wire.Envelope]:
        """The end that waits for words waits no longer."""
        return self._end(media_ms, was_cut=False) if self._late else []

    def voice_started(self) -> list[wire.Envelope]:
        """The bot's voice has something new to say; it may be a while until it sounds."""
        self._silenced = False
        return []

    def interrupted(self, media_ms: int) -> list[wire.Envelope]:
        """What the bot was saying is cut off; words of it that come late are not said."""
        was_cut, name = not self._late, self._utterance_id  # else all of it has sounded
        ended = self._end(media_ms, was_cut=was_cut)
        self._silenced, self._stopped = True, False
        self._announced.clear()
        if not was_cut or not name:
            return ended
        return [*ended, wire.Envelope(interrupted=wire.Interrupted(utterance_id=name))]

    def lost(self, media_ms: int) -> list[wire.Envelope]:
        """The connection is another one: what was open has no end that will still be told."""
        self._silenced = self._muted = False
        ended = [*self.response_ended(), *self._end(media_ms, was_cut=not self._late)]
        self._announced.clear()
        return [*ended, *self._states(_BOT.BOT_STATE_IDLE, _USER.USER_STATE_SILENT)]

    # what is said

    def transcript(self, text: str, *, final: bool, typed: bool) -> list[wire.Envelope]:
        """What the user said; interim ones and the final one that ends them share a name."""
        if typed:
            self._turns += 1
        if not self._transcript_open or typed:
            self._transcripts += 1
        self._transcript_open = not final
        message = wire.Transcript(
            transcript_id=f"u{self._transcripts}",
            text=text,
            final=final,
            turn_id=self._turn_id,
            typed=typed,
        )
        return [wire.Envelope(transcript=message)]

    def response_started(self) -> list[wire.Envelope]:
        """The model begins to write; one that was writing has ended."""
        ended = self.response_ended()
        self._responses += 1
        self._response_id = f"r{self._responses}"
        started = wire.ResponseStarted(response_id=self._response_id, turn_id=self._turn_id)
        return [*ended, wire.Envelope(response_started=started)]

    def response_text(self, text: str) -> list[wire.Envelope]:
        """The model writes."""
        begun = [] if self._response_id else self.response_started()
        piece = wire.ResponseText(response_id=self._response_id, text=text)
        return [*begun, wire.Envelope(response_text=piece)]

    def response_ended(self) -> list[wire.Envelope]:
        """The model has written its answer."""
        if not self._response_id:
            return []
        name, self._response_id = self._response_id, ""
        return [wire.Envelope(response_ended=wire.ResponseEnded(response_id=name))]

    def words(self, text: str, media_ms: int) -> list[wire.Envelope]:
        """A word or a sentence sounds about now, or has sounded where it comes late."""
        if not WORD.search(text) or self._silenced:
            return []
        told = self._announced.say(text, speaks=bool(self._utterance_id))
        if told == "":
            return []
        ended = self.overdue(media_ms) if told is None else []
        told = text if told is None else told
        return [*ended, *self._tell(told, media_ms), *self._settle(media_ms)]

    def progress(self, data: Any, media_ms: int) -> list[wire.Envelope]:
        """How far the bot has come with a text that it announced: the data of ``bot-output``."""
        progress = progress_of(data)
        if self._silenced or progress is None:
            return []
        ended: list[wire.Envelope] = []
        self._announced.progress(
            progress,
            lambda: ended.extend(self.overdue(media_ms)),
            speaks=bool(self._utterance_id),
        )
        if not self._late:
            return ended
        return [*self._tell(self._announced.rest(), media_ms), *self._settle(media_ms)]

    def _stop(self, media_ms: int) -> list[wire.Envelope]:
        """The end, at once or when the words that are missing have come."""
        if not self._utterance_id:
            return []
        self._late = True
        return [*self._tell(self._announced.rest(), media_ms), *self._settle(media_ms)]

    def _settle(self, media_ms: int) -> list[wire.Envelope]:
        """The end that has waited for words, once none is missing."""
        return [] if self._announced.is_owed else self.overdue(media_ms)

    def _tell(self, text: str, media_ms: int) -> list[wire.Envelope]:
        spans = [found.span() for found in WORD.finditer(text)]
        if not spans or self._chars + len(text) >= _MAX_TEXT_CHARS:
            return []
        begun = self._begin(media_ms)
        body = text[spans[0][0] : spans[-1][1]]
        gap = len(join_texts(self._tail, body)) - len(self._tail) - len(body)
        offset = self._chars + gap
        shift = offset - spans[0][0]
        self._chars = offset + len(body)
        self._tail = body[-_TAIL_CHARS:]
        message = wire.UtteranceWords(
            utterance_id=self._utterance_id,
            first_index=self._words,
            base_media_ms=media_ms,
            text_offset=offset,
            text=body,
            words=[
                wire.Word(char_start=start + shift, char_end=end + shift, end_estimated=True)
                for start, end in spans
            ],
            source=wire.TimingSource.TIMING_SOURCE_ARRIVAL,
        )
        self._words += len(spans)
        return [*begun, wire.Envelope(utterance_words=message)]

    # inside

    @property
    def _turn_id(self) -> str:
        return f"t{self._turns}" if self._turns else ""

    def _begin(self, media_ms: int) -> list[wire.Envelope]:
        if self._utterance_id:
            return []
        self._utterances += 1
        self._utterance_id = f"s{self._utterances}"
        self._chars, self._tail, self._words = 0, "", 0
        started = wire.UtteranceStarted(
            utterance_id=self._utterance_id,
            turn_id=self._turn_id,
            response_id=self._response_id,
            media_ms=media_ms,
            source=wire.TimingSource.TIMING_SOURCE_ARRIVAL,
        )
        return [wire.Envelope(utterance_started=started)]

    def _end(self, media_ms: int, *, was_cut: bool) -> list[wire.Envelope]:
        if not self._utterance_id:
            return []
        name, self._utterance_id = self._utterance_id, ""
        self._late = False
        self._announced.end()
        how = wire.UtteranceEnd
        ended = wire.UtteranceEnded(
            utterance_id=name,
            end=how.UTTERANCE_END_INTERRUPTED if was_cut else how.UTTERANCE_END_COMPLETED,
            heard_media_ms=media_ms,
            heard_char_end=self._chars,
            heard_words=self._words,
        )
        return [wire.Envelope(utterance_ended=ended)]

    def _states(self, bot: wire.BotState, user: wire.UserState) -> list[wire.Envelope]:
        muted = self._muted
        if (bot, user, muted) == (self._bot, self._user, self._told_muted):
            return []
        self._bot, self._user, self._told_muted = bot, user, muted
        state = wire.StateChanged(bot=bot, user=user, user_muted=muted)
        return [wire.Envelope(state_changed=state)]
