"""What a pipeline is given of the session that it serves; it knows no more of it."""

from collections.abc import Callable
from dataclasses import dataclass

from voxwire_protocol import wire
from voxwire_server.capture.speech_end import VoiceTail
from voxwire_server.conversation.lane import Lane
from voxwire_server.conversation.requests import Requests
from voxwire_server.conversation.states import ConversationState
from voxwire_server.conversation.turn_timer import TurnTimer
from voxwire_server.playout.voice import Voice
from voxwire_server.ports import KeptConversation, Pipeline, SessionFacts, SessionPort
from voxwire_server.tools.client_tools import SessionTools

__all__ = ["Wires"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """The wires between a session and its pipeline.

    Attributes:
        port: The session itself.
        session_id: Its id, for logs and for the bot.
        facts: What the session was born with.
        kept: What is known of it from the process that had it before; None = it began here.
        mark: What the ids of this process end with, so that none is one of a process before.
        audio_in_sample_rate: Of the user's audio, Hz.
        audio_out_sample_rate: Of the bot's, Hz.
        answer_timeout_ms: How long the bot may take to answer; 0 = for ever.
        voice: The bot's voice.
        speech_end: Finds where the user's voice ended in the audio that came.
        state: What bot and user are doing.
        emit_state: Tells the client of a change, if there is one.
        turns: Measures how long the user waits.
        tools: The session's tool calls.
        requests: What the client's program and the bot ask of each other.
        lane: What is asked of the pipeline, one after the other.
        over: Whether the session ends or has ended.
        attached: Whether anything carries the client's messages now.
        may_answer: Whether the client may be told of one more thing that went wrong.
        audio_lost: Told how much of the user's audio was dropped, ms.
        tell: Has somebody told, too, what the client is told from now on.
        keep: Takes what the bot wants to have kept, JSON.
        changed: Told when there is more of the conversation to keep than the client is told of.
        started: The pipeline has started; from here on the session drives it. Once.
    """

    port: SessionPort
    session_id: str
    facts: SessionFacts
    audio_in_sample_rate: int
    audio_out_sample_rate: int
    answer_timeout_ms: int
    voice: Voice
    speech_end: VoiceTail
    state: ConversationState
    emit_state: Callable[[wire.StateChanged | None], None]
    turns: TurnTimer
    tools: SessionTools
    requests: Requests
    lane: Lane
    over: Callable[[], bool]
    attached: Callable[[], bool]
    may_answer: Callable[[], bool]
    audio_lost: Callable[[float], None]
    started: Callable[[Pipeline], None]
    kept: KeptConversation | None = None
    mark: str = ""
    tell: Callable[[Callable[[wire.Envelope], object]], object] = bool
    keep: Callable[[str], object] = bool
    changed: Callable[[], object] = bool
