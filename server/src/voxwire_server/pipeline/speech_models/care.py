"""What a speech-to-speech service in care may ask of its session, and what is asked of it."""

from collections.abc import Callable
from typing import Protocol

from voxwire_protocol import wire
from voxwire_server.conversation.states import ConversationState
from voxwire_server.pipeline.output_frames import CutTurn
from voxwire_server.pipeline.speech_models.model_turns import ModelTurns

__all__ = ["Care", "LiveService"]


class LiveService(Protocol):
    """What is asked of a service that was adopted."""

    async def turn_cut(self, turn: CutTurn) -> None:
        """The listener cut a turn off; the model's memory of it should end there, too."""
        ...


class Care:
    """What an adopted service knows of the conversation that it is part of.

    Args:
        state: What bot and user are doing.
        calls_run: Whether a tool call runs.
        said_so_far: Told what the user has said of a sentence so far.
    """

    def __init__(
        self,
        state: ConversationState,
        *,
        calls_run: Callable[[], bool],
        said_so_far: Callable[[str], None],
    ) -> None:
        self._state = state
        self._calls_run = calls_run
        self.said_so_far = said_so_far
        self.turns = ModelTurns()
        """Makes contexts of the service's turns."""

    @property
    def user_speaks(self) -> bool:
        """Whether the user has the floor."""
        return self._state.user == wire.UserState.USER_STATE_SPEAKING

    @property
    def bot_speaks(self) -> bool:
        """Whether the bot's voice is placed and not heard to its end."""
        return self._state.bot == wire.BotState.BOT_STATE_SPEAKING

    @property
    def busy(self) -> bool:
        """Whether the user speaks, waits for an answer, or a tool runs."""
        waits = self._state.bot == wire.BotState.BOT_STATE_THINKING
        return self.user_speaks or waits or self._calls_run()
