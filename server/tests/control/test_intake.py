"""How fast and how large a client may send."""

import pytest

from voxwire_protocol import wire
from voxwire_server.control.intake import (
    EVENT_BYTES,
    PAYLOAD_BYTES,
    RATES,
    Intake,
    Rate,
    TokenBucket,
    limit_bytes,
    payload_number,
)

BLOCK = 640  # 20 ms at 16 kHz


def encoded(seq: int = 0, ack: int = 0, **payload: object) -> bytes:
    return wire.Envelope(seq=seq, ack=ack, **payload).SerializeToString()  # type: ignore[arg-type]


AUDIO = encoded(audio=wire.AudioChunk(path_id=1, data=bytes(BLOCK)))
MUTE = encoded(seq=1, mute=wire.Mute(muted=True))


# rates


def test_a_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = TokenBucket(Rate(10, 3))
    assert [bucket.take(0) for _ in range(5)] == [True, True, True, False, False]
    assert not bucket.take(99)
    assert bucket.take(100)
    assert not bucket.take(100)


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(Rate(10, 3))
    bucket.take(0)
    assert [bucket.take(1e9) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(Rate(10, 1))
    assert bucket.take(1000)
    assert not bucket.take(0)


def test_what_is_owed_is_waited_for() -> None:
    bucket = TokenBucket(Rate(10, 2))
    assert bucket.charge(2, 0) == 0
    assert bucket.charge(1, 0) == 100
    assert bucket.charge(1, 100) == 100
    assert bucket.charge(0, 10_000) == 0


# messages


def test_audio_at_twice_real_time_passes_and_a_flood_is_dropped_and_counted() -> None:
    intake = Intake()
    assert all(intake.admit(AUDIO, at * 10).accepted for at in range(1000))
    verdicts = [intake.admit(AUDIO, 10_000) for _ in range(5000)]
    accepted = sum(verdict.accepted for verdict in verdicts)
    assert accepted == RATES["audio"].burst
    assert sum(verdict.overrun for verdict in verdicts) == 5000 - accepted
    assert intake.dropped.messages == 5000 - accepted


def test_a_flood_of_what_may_be_lost_is_dropped_unread() -> None:
    intake = Intake()
    ping = encoded(ping=wire.Ping(number=1))
    accepted = sum(intake.admit(ping, 0).accepted for _ in range(1000))
    assert accepted == RATES["lossy"].burst
    assert intake.counters()["dropped_messages"] == 1000 - accepted


def test_a_numbered_message_is_never_dropped_but_the_next_one_waits() -> None:
    intake = Intake()
    verdicts = [intake.admit(MUTE, 0) for _ in range(200)]
    assert all(verdict.accepted for verdict in verdicts)
    assert [verdict.wait_ms > 0 for verdict in verdicts].index(True) == RATES["reliable"].burst
    assert verdicts[-1].wait_ms == pytest.approx(100 * 1000 / RATES["reliable"].per_second)


@pytest.mark.parametrize("as_varint", [False, True])
def test_a_piece_of_a_file_in_front_lets_nothing_come_at_the_rate_of_files(as_varint: bool) -> None:
    """protobuf: of several members of a oneof the last one counts."""
    text = encoded(send_text=wire.SendText(text="x"))
    front = encoded(file_piece=wire.FilePiece())
    if as_varint:  # as a field that nobody knows, with a "length" up to the end
        front = bytes([front[0] & 0xF8, *front[1:-1], len(text)])
    data = front + text
    assert wire.Envelope.FromString(data).WhichOneof("payload") == "send_text"
    intake = Intake()
    waits = [intake.admit(data, 0).wait_ms > 0 for _ in range(200)]
    assert waits.index(True) == RATES["reliable"].burst


def test_pieces_of_files_count_by_their_own_rate_alone() -> None:
    intake = Intake()
    piece = encoded(seq=1, file_piece=wire.FilePiece(file_id="f", offset=300, data=bytes(1000)))
    verdicts = [intake.admit(piece, 0) for _ in range(200)]
    assert all(verdict == (True, 0.0, False) for verdict in verdicts)
    assert intake.admit(MUTE, 0).wait_ms == 0


def test_bytes_are_held_back_whatever_they_are() -> None:
    intake = Intake()
    waits = [intake.admit(bytes(65_536), 0).wait_ms for _ in range(9)]
    assert waits[:8] == [0] * 8
    assert waits[8] == pytest.approx(65_536 * 1000 / RATES["bytes"].per_second)


def test_a_flood_of_anything_is_held_back() -> None:
    intake = Intake()
    for _ in range(int(RATES["messages"].burst)):
        assert intake.admit(b"", 0).wait_ms == 0
    verdict = intake.admit(b"", 0)
    assert not verdict.accepted
    assert verdict.wait_ms == pytest.approx(1)


@pytest.mark.parametrize(
    ("payload", "size", "fits"),
    [
        ("audio", PAYLOAD_BYTES["audio"], True),
        ("audio", PAYLOAD_BYTES["audio"] + 1, False),
        ("app_message", 20_000, True),
        ("bye", 10_000, True),
        ("bye", EVENT_BYTES, False),
    ],
)
def test_every_kind_has_its_largest_size(payload: str, size: int, fits: bool) -> None:
    message = {
        "audio": lambda: wire.Envelope(audio=wire.AudioChunk(data=bytes(size))),
        "app_message": lambda: wire.Envelope(app_message=wire.AppMessage(data_json="x" * size)),
        "bye": lambda: wire.Envelope(bye=wire.Bye(reason="x" * size)),
    }[payload]()
    intake = Intake()
    assert intake.fits(message) is fits
    assert intake.counters()["bad_messages"] == (not fits)


def test_what_is_bounded_by_name_is_what_a_client_may_send() -> None:
    assert set(PAYLOAD_BYTES) <= wire.CLIENT_PAYLOADS
    assert {limit_bytes(name) for name in wire.CLIENT_PAYLOADS} == {
        *PAYLOAD_BYTES.values(),
        EVENT_BYTES,
    }


def test_a_block_of_60_ms_fits_at_every_rate() -> None:
    assert PAYLOAD_BYTES["audio"] >= 48_000 * 60 // 1000 * 2


def test_a_flood_of_bad_messages_is_answered_ten_times_a_second() -> None:
    intake = Intake()
    answered = sum(intake.may_answer(at) for at in range(0, 10_000, 10))
    assert answered == RATES["errors"].burst + 10 * 10 - 1


# which kind


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (AUDIO, 3),
        (encoded(ack=300, audio=wire.AudioChunk(data=b"ab")), 3),
        (MUTE, 62),
        (encoded(seq=2**64 - 1, ack=2**64 - 1, mute=wire.Mute()), 62),
        (encoded(ack=7, ack_only=wire.Ack()), 6),
        (b"", 0),
        (b"\x08", 0),
        (b"\x08\x96", 0),
        (b"\x10" + b"\xff" * 30, 2**60 - 1),
        (b"\xff" * 30, 2**67 - 1),
    ],
)
def test_the_kind_is_read_from_the_first_bytes(data: bytes, number: int) -> None:
    got = payload_number(data)
    assert got == number or (number > 1000 and got > 1000)


def test_every_payload_of_a_client_is_recognised() -> None:
    for field in wire.Envelope.DESCRIPTOR.oneofs_by_name["payload"].fields:
        envelope = wire.Envelope(seq=5, ack=9)
        getattr(envelope, field.name).SetInParent()
        assert payload_number(envelope.SerializeToString()) == field.number
