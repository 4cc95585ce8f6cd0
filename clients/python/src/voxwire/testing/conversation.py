"""What user and bot of a `FakeSession` say to each other, and what the client is told of it."""

import asyncio
from collections.abc import Callable
from typing import Final

import numpy as np

from voxwire.playout import Samples
from voxwire.testing.ears import Ears
from voxwire.testing.speech import Heard, Speech
from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock, Timer

__all__ = ["Conversation"]

VOICE_GAP_MS: Final = 2000
"""What is being said is cut when nobody has listened for this long (protocol/spec/session.md)."""

_USER: Final = wire.InterruptionSource.INTERRUPTION_SOURCE_USER
_GAP: Final = wire.InterruptionSource.INTERRUPTION_SOURCE_GAP


class Conversation:
    """Speaks, listens and reads for a bot; says `StateChanged` as the real server does.

    Attributes:
        speech: The bot's voice.
        ears: What came of the user.
        texts: What the user has typed and the bot has not read.
        muted: Whether the user has closed his microphone.
        user_muted: Whether the bot does not listen to him, by rules of its own.
    """

    def __init__(self, emit: Callable[..., None], clock: Clock) -> None:
        """Creates it before the bot has started.

        Args:
            emit: Sends one payload to the client.
            clock: What passes meanwhile.
        """
        self.speech = Speech(emit, clock, self._fell_silent)
        self.ears = Ears()
        self.texts: asyncio.Queue[str] = asyncio.Queue()
        self.muted = self.user_muted = False
        self._emit = emit
        self._clock = clock
        self._gap: Timer | None = None
        self._listeners: list[asyncio.Future[None]] = []
        self._turns = self._transcripts = 0
        self._bot = wire.BotState.BOT_STATE_STARTING
        self._user = wire.UserState.USER_STATE_SILENT

    @property
    def state(self) -> wire.StateChanged:
        """What bot and user do."""
        return wire.StateChanged(bot=self._bot, user=self._user, user_muted=self.user_muted)

    async def say(self, text: str, *, word_ms: int, audio: Samples | None) -> Heard:
        """Says words and waits until they were heard or cut."""
        spoken = self.speech.say(text, turn_id=f"t{self._turns}", word_ms=word_ms, audio=audio)
        self.show(bot=wire.BotState.BOT_STATE_SPEAKING, media_ms=spoken.start_ms)
        return await asyncio.shield(self.speech.begin(spoken))

    async def listen(self, transcript: str) -> None:
        """Waits until the user has spoken and is quiet again."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listeners.append(over)
        await over
        self.transcript(transcript)
        thinking, silent = wire.BotState.BOT_STATE_THINKING, wire.UserState.USER_STATE_SILENT
        self.show(bot=thinking, user=silent)

    def transcript(self, text: str, *, final: bool = True, typed: bool = False) -> None:
        """Tells what the user is taken to have said."""
        name = f"s{self._transcripts}"
        self._transcripts += final
        self._emit(
            transcript=wire.Transcript(
                transcript_id=name, text=text, final=final, turn_id=f"t{self._turns}", typed=typed
            )
        )

    def type(self, message: wire.SendText) -> None:
        """The user has typed."""
        self._turns += 1
        self.transcript(message.text, typed=True)
        if message.run_immediately:
            if not self.speech.speaking:
                self.show(bot=wire.BotState.BOT_STATE_THINKING)
            self.texts.put_nowait(message.text)

    def hear(self, chunk: wire.AudioChunk) -> None:
        """Audio of the user came."""
        if self.muted or self.user_muted or chunk.path_id != self.speech.path_id:
            return
        samples = np.frombuffer(chunk.data, "<i2").astype(np.int16)
        if not self.ears.take(chunk.sample_index, samples):
            return
        if self.ears.speaking:
            self._begin_turn()
        elif waiting := [it for it in self._listeners if not it.done()]:
            self._listeners.clear()
            for listener in waiting:
                listener.set_result(None)
        else:
            self.show(user=wire.UserState.USER_STATE_SILENT)

    def attach(self, path_id: int) -> None:
        """A media path is there."""
        if self._gap is not None:
            self._gap.cancel()
        self.speech.attach(path_id)

    def detach(self) -> None:
        """The media path is gone: the bot's voice waits for its listener, for a while."""
        if self.speech.path_id:
            self.speech.detach()
            self._gap = self._clock.call_later(VOICE_GAP_MS, lambda: self.speech.cut(_GAP))

    def close(self) -> None:
        """The session is over."""
        if self._gap is not None:
            self._gap.cancel()
        self.speech.close()

    def show(
        self,
        *,
        bot: wire.BotState.ValueType | None = None,
        user: wire.UserState.ValueType | None = None,
        media_ms: int = 0,
    ) -> None:
        """Tells the state of the conversation, where it is another one."""
        before = self._bot, self._user
        self._bot, self._user = bot or self._bot, user or self._user
        if before != (self._bot, self._user):
            changed = self.state
            changed.media_ms = media_ms
            self._emit(state_changed=changed)

    def mute_user(self, muted: bool) -> None:
        """Listens to the user no more, or again."""
        if muted != self.user_muted:
            self.user_muted = muted
            self._emit(state_changed=self.state)

    def _begin_turn(self) -> None:
        self._turns += 1
        speaking = wire.UserState.USER_STATE_SPEAKING
        if self.speech.speaking:
            self.show(user=speaking)
            self.speech.cut(_USER)
        else:
            self.show(bot=wire.BotState.BOT_STATE_LISTENING, user=speaking)

    def _fell_silent(self, source: wire.InterruptionSource.ValueType | None) -> None:
        """All that was said is over, or was cut by that."""
        states = wire.BotState
        self.show(bot=states.BOT_STATE_LISTENING if source == _USER else states.BOT_STATE_IDLE)
