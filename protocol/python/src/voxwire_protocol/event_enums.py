"""The enums of events: lower-case words that compare equal to plain strings."""

from enum import StrEnum

__all__ = [
    "BotState",
    "Carrier",
    "EndReason",
    "HeardSource",
    "InterruptionSource",
    "MetricKind",
    "TimingSource",
    "ToolOutcome",
    "TurnRole",
    "UserState",
    "UtteranceEnd",
]


class BotState(StrEnum):
    """What the bot is doing, as the listener hears it."""

    UNKNOWN = "unknown"
    STARTING = "starting"
    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"


class UserState(StrEnum):
    """What the user is doing."""

    UNKNOWN = "unknown"
    SILENT = "silent"
    SPEAKING = "speaking"


class TimingSource(StrEnum):
    """Where the times of a word come from."""

    UNKNOWN = "unknown"
    PROVIDER_WORD = "provider_word"
    PROVIDER_CHAR = "provider_char"
    FORCED_ALIGNMENT = "forced_alignment"
    ESTIMATED = "estimated"
    ARRIVAL = "arrival"


class UtteranceEnd(StrEnum):
    """How an utterance ended."""

    UNKNOWN = "unknown"
    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class HeardSource(StrEnum):
    """How it is known what was heard."""

    UNKNOWN = "unknown"
    CLIENT_REPORT = "client_report"
    SERVER_CLOCK = "server_clock"


class ToolOutcome(StrEnum):
    """How a tool call ended. ``lost``: the server that ran it is no more, and nobody knows."""

    UNKNOWN = "unknown"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"


class InterruptionSource(StrEnum):
    """Who cut the bot off."""

    UNKNOWN = "unknown"
    USER = "user"
    CLIENT = "client"
    SERVER = "server"
    GAP = "gap"


class EndReason(StrEnum):
    """Why a session ended."""

    UNKNOWN = "unknown"
    CLIENT = "client"
    BOT = "bot"
    SERVER = "server"
    ERROR = "error"
    EXPIRED = "expired"
    IDLE = "idle"


class Carrier(StrEnum):
    """What carries the audio of a path."""

    UNKNOWN = "unknown"
    WEBSOCKET = "websocket"
    WEBRTC = "webrtc"
    DAILY = "daily"


class MetricKind(StrEnum):
    """What a service metric measures."""

    UNKNOWN = "unknown"
    TTFB = "ttfb"
    PROCESSING = "processing"
    PROMPT_TOKENS = "prompt_tokens"
    COMPLETION_TOKENS = "completion_tokens"
    TTS_CHARACTERS = "tts_characters"


class TurnRole(StrEnum):
    """Who a turn belongs to."""

    UNKNOWN = "unknown"
    USER = "user"
    BOT = "bot"
