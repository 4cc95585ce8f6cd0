"""Talk to a voice bot: hear it, see each word as your speaker reaches it, interrupt it.

::

    async with voxwire.connect("ws://127.0.0.1:7860", microphone="question.wav") as session:
        async for event in session:
            print(event)

A name loads what it needs when it is first used, so that ``import voxwire`` costs next to nothing;
``from voxwire import connect`` loads a whole session beforehand, for a program whose event loop
must not stand still at its first one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from voxwire._connect import Connection, connect
    from voxwire._dispatcher import EventStream
    from voxwire._features import Feature
    from voxwire._files import FileAcceptance
    from voxwire._ice import IceServer
    from voxwire._live.audio import Levels, LiveAudio, list_devices
    from voxwire._live.backend import Device, DeviceInfo
    from voxwire._prepare import Prepared, prepare
    from voxwire._simulate import Simulation
    from voxwire._sound import SoundStream
    from voxwire._states import ClientStatus
    from voxwire._tap import TappedMessage
    from voxwire._timeouts import Timeouts
    from voxwire._voice import PlayResult
    from voxwire.audio import Audio, ClipMicrophone, FileSpeaker, Microphone, Recording, Speaker
    from voxwire.conversation import (
        BotTurn,
        Conversation,
        LoggedToolCall,
        LoggedUtterance,
        LoggedWord,
        UserTurn,
    )
    from voxwire.diagnosis import (
        Check,
        DeviceReadiness,
        DeviceStatus,
        Diagnosis,
        device_states,
        diagnose,
    )
    from voxwire.latency import Latency, LatencyBucket
    from voxwire.playout import Block, Span, SpanKind
    from voxwire.session import Session
    from voxwire.tokens import TokenEndpoint, TokenRequest
    from voxwire.tools import Tool, ToolCall, ToolError, tool
    from voxwire_protocol.errors import (
        BotError,
        ErrorCode,
        MediaError,
        ProtocolError,
        RecoveryAction,
        SessionError,
        SignalingError,
        TransportError,
        UsageError,
        VoxwireError,
    )
    from voxwire_protocol.event_codec import event_name, to_dict
    from voxwire_protocol.events import (
        AppMessage,
        BotResponseEnded,
        BotResponseStarted,
        BotResponseText,
        BotState,
        BotWord,
        CaptureDropped,
        Carrier,
        ConnectionChanged,
        ConnectionState,
        DeviceChanged,
        DeviceKind,
        DeviceState,
        EchoControl,
        EchoControlChanged,
        EndReason,
        ErrorEvent,
        Event,
        EventsSkipped,
        FallbackReason,
        Flushed,
        GoingAway,
        Grade,
        HeardSource,
        Interrupted,
        InterruptionSource,
        MetricKind,
        PathChanged,
        PlacedWord,
        Quality,
        ServiceMetric,
        ServiceMetrics,
        SessionEnded,
        SessionStarted,
        Snapshot,
        StateChanged,
        TimingSource,
        ToolCallEnded,
        ToolCallStarted,
        ToolOutcome,
        Turn,
        TurnMetrics,
        TurnRole,
        UserState,
        UserTranscript,
        UtteranceEnd,
        UtteranceEnded,
        UtteranceStarted,
        UtteranceWords,
        Waiting,
    )

__all__ = [
    "AppMessage",
    "Audio",
    "Block",
    "BotError",
    "BotResponseEnded",
    "BotResponseStarted",
    "BotResponseText",
    "BotState",
    "BotTurn",
    "BotWord",
    "CaptureDropped",
    "Carrier",
    "Check",
    "ClientStatus",
    "ClipMicrophone",
    "Connection",
    "ConnectionChanged",
    "ConnectionState",
    "Conversation",
    "Device",
    "DeviceChanged",
    "DeviceInfo",
    "DeviceKind",
    "DeviceReadiness",
    "DeviceState",
    "DeviceStatus",
    "Diagnosis",
    "EchoControl",
    "EchoControlChanged",
    "EndReason",
    "ErrorCode",
    "ErrorEvent",
    "Event",
    "EventStream",
    "EventsSkipped",
    "FallbackReason",
    "Feature",
    "FileAcceptance",
    "FileSpeaker",
    "Flushed",
    "GoingAway",
    "Grade",
    "HeardSource",
    "IceServer",
    "Interrupted",
    "InterruptionSource",
    "Latency",
    "LatencyBucket",
    "Levels",
    "LiveAudio",
    "LoggedToolCall",
    "LoggedUtterance",
    "LoggedWord",
    "MediaError",
    "MetricKind",
    "Microphone",
    "PathChanged",
    "PlacedWord",
    "PlayResult",
    "Prepared",
    "ProtocolError",
    "Quality",
    "Recording",
    "RecoveryAction",
    "ServiceMetric",
    "ServiceMetrics",
    "Session",
    "SessionEnded",
    "SessionError",
    "SessionStarted",
    "SignalingError",
    "Simulation",
    "Snapshot",
    "SoundStream",
    "Span",
    "SpanKind",
    "Speaker",
    "StateChanged",
    "TappedMessage",
    "Timeouts",
    "TimingSource",
    "TokenEndpoint",
    "TokenRequest",
    "Tool",
    "ToolCall",
    "ToolCallEnded",
    "ToolCallStarted",
    "ToolError",
    "ToolOutcome",
    "TransportError",
    "Turn",
    "TurnMetrics",
    "TurnRole",
    "UsageError",
    "UserState",
    "UserTranscript",
    "UserTurn",
    "UtteranceEnd",
    "UtteranceEnded",
    "UtteranceStarted",
    "UtteranceWords",
    "VoxwireError",
    "Waiting",
    "connect",
    "device_states",
    "diagnose",
    "event_name",
    "list_devices",
    "prepare",
    "to_dict",
    "tool",
]

_EVENTS: Final = "voxwire_protocol.events"
_NAMES: Final = {
    "voxwire._connect": ["Connection", "connect"],
    "voxwire._dispatcher": ["EventStream"],
    "voxwire._features": ["Feature"],
    "voxwire._files": ["FileAcceptance"],
    "voxwire._ice": ["IceServer"],
    "voxwire._live.audio": ["Levels", "LiveAudio", "list_devices"],
    "voxwire._live.backend": ["Device", "DeviceInfo"],
    "voxwire._prepare": ["Prepared", "prepare"],
    "voxwire._simulate": ["Simulation"],
    "voxwire._sound": ["SoundStream"],
    "voxwire._states": ["ClientStatus"],
    "voxwire._tap": ["TappedMessage"],
    "voxwire._timeouts": ["Timeouts"],
    "voxwire._voice": ["PlayResult"],
    "voxwire.audio": [
        "Audio",
        "ClipMicrophone",
        "FileSpeaker",
        "Microphone",
        "Recording",
        "Speaker",
    ],
    "voxwire.conversation": [
        "BotTurn",
        "Conversation",
        "LoggedToolCall",
        "LoggedUtterance",
        "LoggedWord",
        "UserTurn",
    ],
    "voxwire.diagnosis": [
        "Check",
        "DeviceReadiness",
        "DeviceStatus",
        "Diagnosis",
        "device_states",
        "diagnose",
    ],
    "voxwire.latency": ["Latency", "LatencyBucket"],
    "voxwire.playout": ["Block", "Span", "SpanKind"],
    "voxwire.session": ["Session"],
    "voxwire.tokens": ["TokenEndpoint", "TokenRequest"],
    "voxwire.tools": ["Tool", "ToolCall", "ToolError", "tool"],
    "voxwire_protocol.errors": [
        "BotError",
        "ErrorCode",
        "MediaError",
        "ProtocolError",
        "RecoveryAction",
        "SessionError",
        "SignalingError",
        "TransportError",
        "UsageError",
        "VoxwireError",
    ],
    "voxwire_protocol.event_codec": ["event_name", "to_dict"],
}
"""Public names by the module that defines them; all others are those of `_EVENTS`."""

_MODULES: Final = {name: module for module, names in _NAMES.items() for name in names}

_SUBMODULES: Final = frozenset(
    module.removeprefix("voxwire.")
    for module in _NAMES
    if module.startswith("voxwire.") and not module.startswith("voxwire._")
)
"""Modules that ``import voxwire`` is enough for: ``voxwire.audio.Audio``."""


if not TYPE_CHECKING:  # a type checker would take any name for one of these

    def __getattr__(name: str) -> Any:
        """Loads a public name or module (PEP 562)."""
        if name in _SUBMODULES:
            return import_module(f"voxwire.{name}")
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        value = getattr(import_module(_MODULES.get(name, _EVENTS)), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
