"""RTVI, the protocol of stock Pipecat clients and bots, both ways (protocol/spec/rtvi.md). Pure.

`decode` and `encode` are JSON text and messages; `pack` and `unpack` the same messages as
protobuf. `StockClient` is a stock client of our server, `StockBot` a stock bot of our client: what
they say as envelopes of ours, and what ours say as messages of theirs.
"""

from voxwire_protocol.rtvi.arrivals import LATE_MS
from voxwire_protocol.rtvi.bot_files import BotFiles, FileStep
from voxwire_protocol.rtvi.bot_requests import BotRequests
from voxwire_protocol.rtvi.calls import OfferedCalls
from voxwire_protocol.rtvi.chat import (
    CHAT_LABEL,
    ChatText,
    PeerLeft,
    Ping,
    Renegotiate,
    TrackStatus,
    read_chat,
    write_chat,
)
from voxwire_protocol.rtvi.client_inputs import (
    AppendToContext,
    ClientInput,
    ClientReady,
    DisconnectBot,
    Foreign,
    RawAudio,
    Said,
    SendFile,
)
from voxwire_protocol.rtvi.message import (
    ABSENT,
    LABEL,
    MAX_MESSAGE_BYTES,
    Absent,
    RtviError,
    RtviMessage,
    decode,
    encode,
)
from voxwire_protocol.rtvi.mirror import (
    MESSAGE_TYPES,
    Direction,
    MessageType,
    is_opaque,
    pack,
    unpack,
)
from voxwire_protocol.rtvi.stock_bot import StockBot
from voxwire_protocol.rtvi.stock_client import PIPELINE_MESSAGE, StockClient, error_response
from voxwire_protocol.rtvi.version import (
    RTVI_VERSION,
    Agreement,
    Version,
    agree,
    parse_version,
)

__all__ = [
    "ABSENT",
    "CHAT_LABEL",
    "LABEL",
    "LATE_MS",
    "MAX_MESSAGE_BYTES",
    "MESSAGE_TYPES",
    "PIPELINE_MESSAGE",
    "RTVI_VERSION",
    "Absent",
    "Agreement",
    "AppendToContext",
    "BotFiles",
    "BotRequests",
    "ChatText",
    "ClientInput",
    "ClientReady",
    "Direction",
    "DisconnectBot",
    "FileStep",
    "Foreign",
    "MessageType",
    "OfferedCalls",
    "PeerLeft",
    "Ping",
    "RawAudio",
    "Renegotiate",
    "RtviError",
    "RtviMessage",
    "Said",
    "SendFile",
    "StockBot",
    "StockClient",
    "TrackStatus",
    "Version",
    "agree",
    "decode",
    "encode",
    "error_response",
    "is_opaque",
    "pack",
    "parse_version",
    "read_chat",
    "unpack",
    "write_chat",
]
