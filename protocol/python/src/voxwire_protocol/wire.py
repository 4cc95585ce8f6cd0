"""The wire types: the one module of this package that imports the generated ``voxwire.v1``.

(The mirror of RTVI is read in ``rtvi/mirror.py`` alone.)

Everything else imports messages and enums from here, and asks here who may send a payload and
how it is delivered; both are options of the schema (``protocol/proto/voxwire/v1/options.proto``).
"""

from typing import Final

from voxwire_protocol.gen.voxwire.v1 import options_pb2
from voxwire_protocol.gen.voxwire.v1.envelope_pb2 import Envelope
from voxwire_protocol.gen.voxwire.v1.error_pb2 import Error, ErrorCode, RecoveryAction
from voxwire_protocol.gen.voxwire.v1.files_pb2 import (
    FileAcceptance,
    FileBegin,
    FileCancel,
    FileEnded,
    FilePiece,
    FileTaken,
)
from voxwire_protocol.gen.voxwire.v1.input_pb2 import (
    AppMessage,
    Interrupt,
    Mute,
    SendText,
    UserActivity,
)
from voxwire_protocol.gen.voxwire.v1.media_pb2 import (
    AudioChunk,
    Flush,
    MediaAnchor,
    PlayoutReport,
)
from voxwire_protocol.gen.voxwire.v1.metrics_pb2 import (
    MetricKind,
    ServiceMetric,
    ServiceMetrics,
    TurnMetrics,
)
from voxwire_protocol.gen.voxwire.v1.session_pb2 import (
    Ack,
    Bye,
    Chunk,
    ClientInfo,
    EndReason,
    Feature,
    GoAway,
    Hello,
    Ping,
    Pong,
    SessionEnded,
    Snapshot,
    Turn,
    TurnRole,
    Waiting,
    Welcome,
)
from voxwire_protocol.gen.voxwire.v1.signaling_pb2 import (
    AudioFormat,
    Carrier,
    Codec,
    IceCandidate,
    IceServer,
    IceServersUpdate,
    PathAnswer,
    PathClose,
    PathOpen,
    PathReady,
)
from voxwire_protocol.gen.voxwire.v1.speech_pb2 import (
    BotState,
    Interrupted,
    InterruptionSource,
    ResponseEnded,
    ResponseStarted,
    ResponseText,
    StateChanged,
    Transcript,
    UserState,
)
from voxwire_protocol.gen.voxwire.v1.tools_pb2 import (
    ToolAccepted,
    ToolCallEnded,
    ToolCallStarted,
    ToolCancel,
    ToolDeclaration,
    ToolInterruptionPolicy,
    ToolOutcome,
    ToolProgress,
    ToolReportLevel,
    ToolRequest,
    ToolResult,
)
from voxwire_protocol.gen.voxwire.v1.words_pb2 import (
    HeardSource,
    TimingSource,
    UtteranceEnd,
    UtteranceEnded,
    UtteranceStarted,
    UtteranceWords,
    Word,
)

__all__ = [
    "CLIENT_PAYLOADS",
    "DEFAULT_MAX_MESSAGE_BYTES",
    "PROTOCOL_VERSION",
    "RELIABLE_PAYLOADS",
    "SERVER_PAYLOADS",
    "SUBPROTOCOL",
    "Ack",
    "AppMessage",
    "AudioChunk",
    "AudioFormat",
    "BotState",
    "Bye",
    "Carrier",
    "Chunk",
    "ClientInfo",
    "Codec",
    "EndReason",
    "Envelope",
    "Error",
    "ErrorCode",
    "Feature",
    "FileAcceptance",
    "FileBegin",
    "FileCancel",
    "FileEnded",
    "FilePiece",
    "FileTaken",
    "Flush",
    "GoAway",
    "HeardSource",
    "Hello",
    "IceCandidate",
    "IceServer",
    "IceServersUpdate",
    "Interrupt",
    "Interrupted",
    "InterruptionSource",
    "MediaAnchor",
    "MetricKind",
    "Mute",
    "PathAnswer",
    "PathClose",
    "PathOpen",
    "PathReady",
    "Ping",
    "PlayoutReport",
    "Pong",
    "RecoveryAction",
    "ResponseEnded",
    "ResponseStarted",
    "ResponseText",
    "SendText",
    "ServiceMetric",
    "ServiceMetrics",
    "SessionEnded",
    "Snapshot",
    "StateChanged",
    "TimingSource",
    "ToolAccepted",
    "ToolCallEnded",
    "ToolCallStarted",
    "ToolCancel",
    "ToolDeclaration",
    "ToolInterruptionPolicy",
    "ToolOutcome",
    "ToolProgress",
    "ToolReportLevel",
    "ToolRequest",
    "ToolResult",
    "Transcript",
    "Turn",
    "TurnMetrics",
    "TurnRole",
    "UserActivity",
    "UserState",
    "UtteranceEnd",
    "UtteranceEnded",
    "UtteranceStarted",
    "UtteranceWords",
    "Waiting",
    "Welcome",
    "Word",
]

SUBPROTOCOL: Final = "voxwire.v1"
"""WebSocket subprotocol of ``WS /v1/session`` (RFC 6455 §1.9)."""

PROTOCOL_VERSION: Final = 1
"""Version that this library writes into Hello."""

DEFAULT_MAX_MESSAGE_BYTES: Final = 65536
"""Largest envelope that either side accepts unless it says otherwise."""


def _payloads(*, reliable: bool | None = None, sender: int | None = None) -> frozenset[str]:
    """Names of the envelope's payloads with the given options."""
    names: set[str] = set()
    for field in Envelope.DESCRIPTOR.oneofs_by_name["payload"].fields:
        options = field.GetOptions()
        delivery = options.Extensions[options_pb2.delivery]
        who = options.Extensions[options_pb2.sender]
        if reliable is not None and (delivery == options_pb2.DELIVERY_RELIABLE) != reliable:
            continue
        if sender is not None and who not in (
            sender,
            options_pb2.SENDER_BOTH,
            options_pb2.SENDER_UNSPECIFIED,
        ):
            continue
        names.add(field.name)
    return frozenset(names)


RELIABLE_PAYLOADS: Final = _payloads(reliable=True)
"""Payloads that are numbered, acknowledged and replayed."""

CLIENT_PAYLOADS: Final = _payloads(sender=options_pb2.SENDER_CLIENT)
"""Payloads that a client may send."""

SERVER_PAYLOADS: Final = _payloads(sender=options_pb2.SENDER_SERVER)
"""Payloads that a server may send."""
