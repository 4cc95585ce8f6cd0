"""What a client may send: how fast, how large, and what is dropped beyond it.

Pure: no clock reads, no I/O; ``now_ms`` is monotonic milliseconds. The limits are the table of
``protocol/spec/limits.md``. A message that may be lost is dropped and counted; a numbered one never
is (those behind it would wait for it), so there the reader waits and TCP holds the client back.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from voxwire_protocol import wire

__all__ = [
    "EVENT_BYTES",
    "PAYLOAD_BYTES",
    "RATES",
    "Intake",
    "Rate",
    "TokenBucket",
    "Verdict",
    "limit_bytes",
    "payload_number",
]

EVENT_BYTES: Final = 16_384
"""Largest message of a kind that :data:`PAYLOAD_BYTES` does not name, bytes."""
PAYLOAD_BYTES: Final = {
    "audio": 8_192,
    "tool_result": 50_176,
    "send_text": 262_208,
    "app_message": 65_536,
    "path_open": 65_536,
    "file_begin": 65_536,
    "file_piece": 16_640,
}
"""Largest message by kind, bytes, put together if it came in chunks: 48 KiB of a tool's result,
65 536 characters of text, 16 KiB of a file."""


class Rate(NamedTuple):
    """So many a second, and so many at once."""

    per_second: float
    burst: float


RATES: Final = {
    "audio": Rate(100, 300),
    "lossy": Rate(50, 100),
    "reliable": Rate(50, 100),
    "messages": Rate(1000, 500),
    "bytes": Rate(524_288, 524_288),
    "file_bytes": Rate(1_048_576, 262_144),
    "errors": Rate(10, 50),
}
"""Rates of one session: audio blocks, other messages that may be lost, numbered ones, all of them,
their bytes without those of files, the bytes of files, and the errors that they are answered
with."""


class TokenBucket:
    """Allows a rate and a burst.

    Args:
        rate: What is allowed.
    """

    __slots__ = ("_at_ms", "_left", "_rate")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._left = float(rate.burst)
        self._at_ms: float | None = None

    def _refill(self, now_ms: float) -> None:
        if self._at_ms is not None and now_ms > self._at_ms:
            gained = (now_ms - self._at_ms) * self._rate.per_second / 1000
            self._left = min(self._rate.burst, self._left + gained)
        self._at_ms = now_ms

    def take(self, now_ms: float) -> bool:
        """Take one token; False = there is none."""
        self._refill(now_ms)
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def charge(self, amount: float, now_ms: float) -> float:
        """Take ``amount``, there or not.

        Returns:
            How long to wait until nothing is owed, milliseconds.
        """
        self._refill(now_ms)
        self._left -= amount
        return max(0.0, -self._left * 1000 / self._rate.per_second)


def payload_number(data: bytes) -> int:
    """Field number of an envelope's payload by its first bytes; 0 = none.

    Every encoder writes ``seq`` and ``ack`` first. Bytes in another order are taken for what
    stands first, which only chooses the rate that they count against.
    """
    return _payload_tag(data)[0] >> 3


def _payload_tag(data: bytes) -> tuple[int, int]:
    """Tag of an envelope's payload (0 = there is none), and where its length begins."""
    at, size = 0, len(data)
    while at < size:
        tag, at = _varint(data, at)
        if tag not in (0x08, 0x10):
            return tag, at
        _, at = _varint(data, at)
    return 0, at


def _is_piece(data: bytes) -> bool:
    """Whether a message is a piece of a file and nothing else.

    Of two payloads the last one counts: it does not come at the rate of files for what stands in
    front of it.
    """
    tag, at = _payload_tag(data)
    length, at = _varint(data, at)
    return tag == _PIECE_TAG and at + length == len(data)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value, at


def limit_bytes(payload: str) -> int:
    """Largest message of a kind, bytes."""
    return PAYLOAD_BYTES.get(payload, EVENT_BYTES)


class Verdict(NamedTuple):
    """What becomes of one message.

    Attributes:
        accepted: False = it is dropped unread.
        wait_ms: How long to wait before the next one is read.
        overrun: It was audio, one block too many.
    """

    accepted: bool
    wait_ms: float
    overrun: bool = False


_ACCEPTED: Final = Verdict(True, 0.0)
_FIELDS: Final = wire.Envelope.DESCRIPTOR.fields_by_name
_AUDIO: Final = _FIELDS["audio"].number
_PIECE_TAG: Final = _FIELDS["file_piece"].number << 3 | 2  # length-delimited
_RELIABLE: Final = frozenset(_FIELDS[name].number for name in wire.RELIABLE_PAYLOADS)


@dataclass
class Dropped:
    """What a session took no notice of, for its log.

    Attributes:
        messages: Messages dropped unread.
        bad: Messages that were none, or too large, or not the client's to send.
    """

    messages: int = 0
    bad: int = 0


class Intake:
    """Everything that bounds what one client sends. A reconnect does not begin it anew."""

    def __init__(self) -> None:
        self.dropped = Dropped()
        self._buckets = {name: TokenBucket(rate) for name, rate in RATES.items()}

    def admit(self, data: bytes, now_ms: float) -> Verdict:
        """Judge one message by its size and kind, before it is parsed."""
        buckets = self._buckets
        if _is_piece(data):  # as much as the client was let send, so that nothing waits behind it
            wait_ms = max(
                buckets["messages"].charge(1, now_ms),
                buckets["file_bytes"].charge(len(data), now_ms),
            )
            return Verdict(True, wait_ms)
        number = payload_number(data)
        wait_ms = self._charge(len(data), now_ms)
        if number in _RELIABLE:
            wait_ms = max(wait_ms, buckets["reliable"].charge(1, now_ms))
        elif not buckets["audio" if number == _AUDIO else "lossy"].take(now_ms):
            self.dropped.messages += 1
            return Verdict(False, wait_ms, number == _AUDIO)
        return Verdict(True, wait_ms) if wait_ms else _ACCEPTED

    def hold_back(self, num_bytes: int, now_ms: float, *, reliable: bool) -> float:
        """Charge a message that is none of the protocol's own; nothing of it is dropped.

        Returns:
            How long to wait before the next one is read, milliseconds.
        """
        wait_ms = self._charge(num_bytes, now_ms)
        if reliable:
            wait_ms = max(wait_ms, self._buckets["reliable"].charge(1, now_ms))
        return wait_ms

    def _charge(self, num_bytes: int, now_ms: float) -> float:
        buckets = self._buckets
        return max(
            buckets["messages"].charge(1, now_ms), buckets["bytes"].charge(num_bytes, now_ms)
        )

    def fits(self, message: wire.Envelope) -> bool:
        """True when a message is not larger than its kind may be; counted otherwise."""
        payload = str(message.WhichOneof("payload"))
        if payload == "audio":
            size = len(message.audio.data)
        else:
            size = message.ByteSize()
        if size <= limit_bytes(payload):
            return True
        self.dropped.bad += 1
        return False

    def may_answer(self, now_ms: float) -> bool:
        """True when a bad message may be answered: a flood of them is counted only."""
        return self._buckets["errors"].take(now_ms)

    def counters(self) -> dict[str, int]:
        """What was dropped, as fields of a log line."""
        return {
            "dropped_messages": self.dropped.messages,
            "bad_messages": self.dropped.bad,
        }
