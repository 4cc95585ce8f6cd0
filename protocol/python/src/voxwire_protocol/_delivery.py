"""Parts of ``channel``: the error, the kept messages, chunks. Import them from ``channel``."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from voxwire_protocol import wire

__all__ = [
    "CHUNK_BYTES",
    "HEADER_BYTES",
    "Assembly",
    "ChannelError",
    "Replay",
    "ReplayLimits",
    "bare",
    "malformed",
    "split",
    "too_large",
    "unexpected",
    "varint_field",
]

# The most that seq and ack take in front of a payload: two tags, two varints of 64 bits. A
# message is measured with it, so that a replay with a longer ack still fits the peer's limit.
HEADER_BYTES: Final = 22
# The most that the fields around Chunk.data take, header included.
CHUNK_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """How much is kept for a replay, and how much is held that arrived early.

    Attributes:
        messages: Most messages kept; also how far ahead of a gap a number may be.
        total_bytes: Most bytes kept, and most bytes held behind a gap.
        age_ms: How long a message is kept, milliseconds.
    """

    messages: int = 2048
    total_bytes: int = 512 * 1024
    age_ms: int = 60_000


class ChannelError(ValueError):
    """A message that cannot be sent or was not accepted; the channel itself goes on.

    Attributes:
        code: What is wrong.
        reason: One sentence for a developer; never echoes the message.
        seq: Number of the message at fault; 0 = unknown or not numbered.
        delivered: Messages that became deliverable with the refused one, in order. Empty on a
            single ordered carrier; deliver them all the same.
    """

    def __init__(
        self,
        code: wire.ErrorCode.ValueType,
        reason: str,
        *,
        seq: int = 0,
        delivered: tuple[wire.Envelope, ...] = (),
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.seq = seq
        self.delivered = delivered


def malformed(reason: str, seq: int = 0) -> ChannelError:
    return ChannelError(wire.ErrorCode.ERROR_CODE_MALFORMED, reason, seq=seq)


def too_large(reason: str, seq: int = 0) -> ChannelError:
    return ChannelError(wire.ErrorCode.ERROR_CODE_TOO_LARGE, reason, seq=seq)


def unexpected(reason: str, seq: int = 0) -> ChannelError:
    return ChannelError(wire.ErrorCode.ERROR_CODE_UNEXPECTED_MESSAGE, reason, seq=seq)


def varint_field(tag: int, value: int) -> bytes:
    """A uint64 field; nothing for 0, as proto3 has it."""
    if not value:
        return b""
    out = bytearray((tag,))
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def bare(message: wire.Envelope) -> bytes:
    """The encoding without seq and ack; both stand in front of it on the wire."""
    if message.seq or message.ack:
        copy = wire.Envelope()
        copy.CopyFrom(message)
        copy.seq = copy.ack = 0
        message = copy
    return message.SerializeToString()


def split(body: bytes, piece_bytes: int) -> Iterator[bytes]:
    """Bodies of the chunks that carry ``body``."""
    for index, start in enumerate(range(0, len(body), piece_bytes)):
        end = start + piece_bytes
        chunk = wire.Chunk(
            index=index,
            last=end >= len(body),
            total_bytes=0 if index else len(body),
            data=body[start:end],
        )
        yield wire.Envelope(chunk=chunk).SerializeToString()


class Replay:
    """Sent messages that the peer has not acknowledged, with consecutive numbers."""

    __slots__ = ("_bytes", "_kept", "_limits", "acknowledged", "last")

    def __init__(self, limits: ReplayLimits) -> None:
        self.last = 0
        self.acknowledged = 0
        self._limits = limits
        self._kept: deque[tuple[int, bytes]] = deque()  # sent_ms, body; the newest is self.last
        self._bytes = 0

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest message that is kept was sent."""
        return self._kept[0][0] if self._kept else None

    def has_room(self, num_bytes: int, piece_bytes: int) -> bool:
        """True when a body of that size, in such pieces, fits without dropping another one."""
        pieces = -(-num_bytes // piece_bytes)
        return (
            len(self._kept) + pieces <= self._limits.messages
            and self._bytes + num_bytes + pieces * CHUNK_BYTES <= self._limits.total_bytes
        )

    def append(self, body: bytes, now_ms: int) -> int:
        """Keeps a message and returns its number."""
        self.last += 1
        self._kept.append((now_ms, body))
        self._bytes += len(body)
        self.expire(now_ms)
        return self.last

    def acknowledge(self, seq: int) -> None:
        """Forgets everything up to ``seq``."""
        if seq > self.last:
            raise malformed("acknowledges a message that was not sent")
        self.acknowledged = max(self.acknowledged, seq)
        for _ in range(seq - (self.last - len(self._kept))):
            self._drop_first()

    def expire(self, now_ms: int) -> None:
        """Forgets what exceeds the limits."""
        limits = self._limits
        while self._kept and (
            len(self._kept) > limits.messages
            or self._bytes > limits.total_bytes
            or now_ms - self._kept[0][0] > limits.age_ms
        ):
            self._drop_first()

    def after(self, seq: int) -> list[tuple[int, bytes]] | None:
        """Number and body of everything after ``seq``, or None when some of it is gone."""
        first = self.last - len(self._kept) + 1
        if first > seq + 1:
            return None
        return [(number, body) for number, (_, body) in enumerate(self._kept, first)]

    def _drop_first(self) -> None:
        self._bytes -= len(self._kept.popleft()[1])


class Assembly:
    """The chunked message that is arriving."""

    __slots__ = ("_data", "_index", "_max_bytes", "_total_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._data = bytearray()
        self._index = 0
        self._total_bytes = 0

    def add(self, chunk: wire.Chunk, seq: int) -> wire.Envelope | None:
        """Takes the next piece and returns the message once it is whole.

        A piece that does not fit ends the reassembly: what was there is dropped.
        """
        try:
            data = self._append(chunk, seq)
        except ChannelError:
            self._reset()
            raise
        if data is None:
            return None
        self._reset()
        try:
            message = wire.Envelope.FromString(data)
        except DecodeError as error:
            raise malformed("the chunks do not make an Envelope", seq) from error
        if message.seq or message.ack or message.WhichOneof("payload") == "chunk":
            raise malformed("a chunked message has neither numbers nor chunks in it", seq)
        message.seq = seq
        return message

    def _append(self, chunk: wire.Chunk, seq: int) -> bytes | None:
        if chunk.index != self._index or not chunk.data:
            raise malformed("this chunk does not follow the one before it", seq)
        if not chunk.index:
            if chunk.total_bytes > self._max_bytes:
                raise too_large("the chunked message is above this side's limit", seq)
            self._total_bytes = chunk.total_bytes
        self._data += chunk.data
        self._index += 1
        if len(self._data) > self._total_bytes or chunk.last != (
            len(self._data) == self._total_bytes
        ):
            raise malformed("the chunks do not add up to total_bytes", seq)
        return bytes(self._data) if chunk.last else None

    def _reset(self) -> None:
        self._data.clear()
        self._index = self._total_bytes = 0
