"""Numbered delivery: sequence, acknowledge, replay, deduplicate, reassemble.

One ``Channel`` per session and side. It turns envelopes into bytes and back and knows nothing of
what carries them: one ordered socket, several carriers at once, or one that loses, repeats and
reorders. It reads no clock; ``now_ms`` is any monotonic clock in milliseconds
(protocol/spec/session.md).
"""

from typing import Final

from google.protobuf.message import DecodeError

from voxwire_protocol import wire
from voxwire_protocol._delivery import (
    CHUNK_BYTES,
    HEADER_BYTES,
    Assembly,
    ChannelError,
    Replay,
    ReplayLimits,
    bare,
    malformed,
    split,
    too_large,
    unexpected,
    varint_field,
)

__all__ = ["ACK_DELAY_MS", "ACK_EVERY", "MIN_SEND_BYTES", "Channel", "ChannelError", "ReplayLimits"]

ACK_EVERY: Final = 32
"""Received messages after which a standalone acknowledgement is due at once."""

ACK_DELAY_MS: Final = 250
"""Longest time that a received message waits for an acknowledgement."""

MIN_SEND_BYTES: Final = 128
"""Smallest ``max_send_bytes``; below it a chunk would hardly hold anything."""

# The peer learns what arrived from last_seq in these two, and they may open a new numbering.
_WITHOUT_ACK: Final = frozenset({"hello", "welcome"})
# First byte of an envelope that is nothing but audio, the hot path: tag of Envelope.audio.
_AUDIO: Final = b"\x1a"
_DEFAULT_LIMITS: Final = ReplayLimits()


class Channel:
    """One side of a session's numbered message exchange."""

    def __init__(
        self,
        *,
        allowed: frozenset[str],
        max_send_bytes: int = wire.DEFAULT_MAX_MESSAGE_BYTES,
        max_receive_bytes: int = wire.DEFAULT_MAX_MESSAGE_BYTES,
        max_message_bytes: int = 1_048_576,
        limits: ReplayLimits = _DEFAULT_LIMITS,
    ) -> None:
        """Creates a channel that has neither sent nor received anything.

        Args:
            allowed: Payload names that the peer may send: ``wire.CLIENT_PAYLOADS`` on the
                server, ``wire.SERVER_PAYLOADS`` on the client.
            max_send_bytes: Largest envelope that the peer accepts; a larger reliable message
                goes out in chunks.
            max_receive_bytes: Largest envelope accepted from the peer.
            max_message_bytes: Largest chunked message in either direction.
            limits: Bounds of what is kept and held.

        Raises:
            ValueError: ``max_send_bytes`` is below ``MIN_SEND_BYTES``.
        """
        self.max_send_bytes = max_send_bytes
        self._allowed = allowed
        self._direct = allowed - wire.RELIABLE_PAYLOADS - {"ack_only"}
        self._max_receive_bytes = max_receive_bytes
        self._max_message_bytes = max_message_bytes
        self._limits = limits
        self.restart()

    def restart(self) -> None:
        """Forgets everything and numbers anew in both directions.

        For after a resume that was answered with ``resumed=false``.
        """
        self._replay = Replay(self._limits)
        self._assembly = Assembly(self._max_message_bytes)
        self._received = 0
        # Early messages by number, with their size; None stands for a refused one.
        self._held: dict[int, tuple[wire.Envelope | None, int]] = {}
        self._held_bytes = 0
        self._ack_due_ms: int | None = None
        self._ack_count = 0

    @property
    def max_send_bytes(self) -> int:
        """Largest envelope that the peer accepts, bytes; settable once the peer has said it."""
        return self._max_send_bytes

    @max_send_bytes.setter
    def max_send_bytes(self, value: int) -> None:
        if value < MIN_SEND_BYTES:
            raise ValueError(f"max_send_bytes must be at least {MIN_SEND_BYTES}, not {value}")
        self._max_send_bytes = value

    @property
    def last_received(self) -> int:
        """Highest number received without a gap; 0 = none."""
        return self._received

    @property
    def last_sent(self) -> int:
        """Highest number sent; 0 = none."""
        return self._replay.last

    @property
    def unacknowledged(self) -> int:
        """How many sent messages the peer has not acknowledged."""
        return self._replay.last - self._replay.acknowledged

    @property
    def waiting_since_ms(self) -> int | None:
        """When the oldest unacknowledged message was sent; None = the peer has everything."""
        return self._replay.oldest_ms

    def has_room(self, message: wire.Envelope) -> bool:
        """False when sending a message would push an unacknowledged one out of the replay."""
        return self._replay.has_room(message.ByteSize(), self._max_send_bytes - CHUNK_BYTES)

    @property
    def next_due_ms(self) -> int | None:
        """When ``outgoing`` wants to be called next; None = not before the next receive."""
        return self._ack_due_ms

    def send(self, message: wire.Envelope, now_ms: int) -> list[bytes]:
        """Numbers, encodes and keeps a message.

        The message is not changed; a ``seq`` or ``ack`` in it is ignored.

        Args:
            message: An envelope with any payload but ``chunk``.
            now_ms: Monotonic clock, milliseconds.

        Returns:
            Encoded envelopes, to be written in this order.

        Raises:
            ChannelError: INVALID_ARGUMENT without a payload or with a chunk; TOO_LARGE above
                ``max_send_bytes`` (lossy) or ``max_message_bytes`` (reliable). Nothing is
                numbered then.
        """
        data = message.SerializeToString()
        if data[:1] == _AUDIO and self._ack_due_ms is None and len(data) <= self._max_send_bytes:
            return [data]
        if message.seq or message.ack:
            data = bare(message)
        payload = message.WhichOneof("payload")
        if payload in wire.RELIABLE_PAYLOADS and payload != "chunk":
            return self._send_reliable(data, now_ms)
        if payload is None or payload == "chunk":
            raise ChannelError(
                wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT,
                "an envelope needs a payload, and chunks are made by the channel",
            )
        owed = self._ack_due_ms is not None and payload not in _WITHOUT_ACK
        if owed:
            data = varint_field(0x10, self._received) + data
        if len(data) > self._max_send_bytes:
            raise too_large(f"{payload} is above the peer's limit and is not chunked")
        if owed:
            self._take_ack()
        return [data]

    def receive(self, data: bytes, now_ms: int) -> list[wire.Envelope]:
        """Takes one envelope from a carrier.

        Bytes that are no valid message change nothing. A numbered message with a payload that
        the peer may not send, or that this version does not know, counts as received, so that
        those behind it do not wait for ever.

        Args:
            data: One encoded envelope.
            now_ms: Monotonic clock, milliseconds.

        Returns:
            What is now deliverable, in order: lossy messages at once, reliable ones without
            gaps or repetitions, chunked ones whole (their seq is that of the last chunk).

        Raises:
            ChannelError: MALFORMED, TOO_LARGE or UNEXPECTED_MESSAGE.
        """
        if len(data) > self._max_receive_bytes:
            raise too_large("the envelope is above this side's limit")
        try:
            message = wire.Envelope.FromString(data)
        except DecodeError as error:
            raise malformed("these bytes are not an Envelope") from error
        payload = message.WhichOneof("payload")
        if payload in self._direct and not message.seq:
            if message.ack:
                self._replay.acknowledge(message.ack)
            return [message]
        self._check_form(message, payload)
        if message.ack:
            self._replay.acknowledge(message.ack)
        if message.seq:
            return self._receive_reliable(message, payload in self._allowed, len(data), now_ms)
        if payload not in self._allowed:
            raise unexpected("this side does not accept that payload")
        return []  # ack_only: the channel's own

    def outgoing(self, now_ms: int) -> list[bytes]:
        """Returns the standalone acknowledgement if it is due.

        Args:
            now_ms: Monotonic clock, milliseconds.
        """
        if self._ack_due_ms is None or now_ms < self._ack_due_ms:
            return []
        ack = wire.Envelope(ack=self._take_ack(), ack_only=wire.Ack())
        return [ack.SerializeToString()]

    def on_lost(self, now_ms: int) -> None:
        """Notes that the carrier is gone: an acknowledgement owed on it is not owed any more.

        The handshake of the next one says ``last_received``. What was held or half assembled
        stays; the replay continues it.

        Args:
            now_ms: Monotonic clock, milliseconds.
        """
        self._replay.expire(now_ms)
        self._ack_due_ms = None
        self._ack_count = 0

    def resume(self, last_seq: int, now_ms: int) -> list[bytes] | None:
        """Encodes again what the peer has not received.

        Args:
            last_seq: ``last_received`` of the peer; acknowledges everything up to it.
            now_ms: Monotonic clock, milliseconds.

        Returns:
            Encoded envelopes in order, or None when some are no longer kept: the session then
            goes on from a Snapshot and both sides ``restart``.

        Raises:
            ChannelError: MALFORMED when ``last_seq`` was never sent.
        """
        self._replay.acknowledge(last_seq)
        self._replay.expire(now_ms)
        missing = self._replay.after(last_seq)
        if missing is None:
            return None
        if not missing:
            return []
        ack = varint_field(0x10, self._received)  # still owed: the replay may never be sent
        return [varint_field(0x08, seq) + ack + body for seq, body in missing]

    def _send_reliable(self, body: bytes, now_ms: int) -> list[bytes]:
        if len(body) > self._max_message_bytes:
            raise too_large("the message is above max_message_bytes")
        ack = varint_field(0x10, self._take_ack())
        if len(body) + HEADER_BYTES <= self._max_send_bytes:
            return [varint_field(0x08, self._replay.append(body, now_ms)) + ack + body]
        return [
            varint_field(0x08, self._replay.append(piece, now_ms)) + ack + piece
            for piece in split(body, self._max_send_bytes - CHUNK_BYTES)
        ]

    def _check_form(self, message: wire.Envelope, payload: str | None) -> None:
        """Raises MALFORMED for what no version of the protocol may say."""
        if payload is None:
            if not bare(message):
                raise malformed("the envelope has no payload", message.seq)
        elif (payload in wire.RELIABLE_PAYLOADS) != bool(message.seq):
            need = "needs" if payload in wire.RELIABLE_PAYLOADS else "must not have"
            raise malformed(f"{payload} {need} a sequence number", message.seq)

    def _receive_reliable(
        self, message: wire.Envelope, accepted: bool, size_bytes: int, now_ms: int
    ) -> list[wire.Envelope]:
        seq = message.seq
        if seq <= self._received:
            self._owe_ack(0, now_ms)
            return []
        if seq in self._held:
            return []
        if seq != self._received + 1 and (
            seq - self._received > self._limits.messages
            or self._held_bytes + size_bytes > self._limits.total_bytes
        ):
            raise unexpected("too much is missing before this message", seq)
        self._held[seq] = (message if accepted else None, size_bytes)
        self._held_bytes += size_bytes
        delivered, errors = self._drain(now_ms)
        if not accepted:
            errors.insert(0, unexpected("this side does not accept that payload", seq))
        if errors:
            errors[0].delivered = tuple(delivered)
            raise errors[0]
        return delivered

    def _drain(self, now_ms: int) -> tuple[list[wire.Envelope], list[ChannelError]]:
        """Takes everything that has no gap before it."""
        delivered: list[wire.Envelope] = []
        errors: list[ChannelError] = []
        before = self._received
        while self._received + 1 in self._held:
            self._received += 1
            message, size_bytes = self._held.pop(self._received)
            self._held_bytes -= size_bytes
            try:
                if message is not None and message.HasField("chunk"):
                    message = self._assemble(message.chunk)
            except ChannelError as error:
                errors.append(error)
            else:
                if message is not None:
                    delivered.append(message)
        if self._received > before:
            self._owe_ack(self._received - before, now_ms)
        return delivered, errors

    def _assemble(self, chunk: wire.Chunk) -> wire.Envelope | None:
        message = self._assembly.add(chunk, self._received)
        if message is not None:
            payload = message.WhichOneof("payload")
            self._check_form(message, payload)
            if payload not in self._allowed:
                raise unexpected("this side does not accept that payload", self._received)
        return message

    def _owe_ack(self, count: int, now_ms: int) -> None:
        """Notes ``count`` more messages to acknowledge; 0 = a repetition, acknowledged at once."""
        self._ack_count += count
        at_once = not count or self._ack_count >= ACK_EVERY
        due_ms = now_ms if at_once else now_ms + ACK_DELAY_MS
        if self._ack_due_ms is None or due_ms < self._ack_due_ms:
            self._ack_due_ms = due_ms

    def _take_ack(self) -> int:
        """The acknowledgement to write; nothing is owed after it."""
        self._ack_due_ms = None
        self._ack_count = 0
        return self._received
