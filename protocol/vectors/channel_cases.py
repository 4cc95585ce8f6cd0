"""Scripts for ``channel``: what one side is told to do, and what must come of it."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict

from voxwire_protocol import wire

Case = dict[str, Any]


def cases() -> Iterator[tuple[str, Case]]:
    """File name and content of each script."""
    for make in (
        _exchange,
        _ack_timing,
        _ack_on_other_messages,
        _gap,
        _duplicate,
        _chunk_send,
        _chunk_receive,
        _chunk_refused,
        _overflow,
        _resume,
        _resume_owes,
        _restart,
        _refused,
        _long_numbers,
    ):
        yield make.__name__[1:].replace("_", "-"), make()


def _case(about: str, *steps: Case, peer: str = "client", **options: int) -> Case:
    limits = {
        "messages": options.pop("messages", 2048),
        "total_bytes": options.pop("total_bytes", 524288),
        "age_ms": options.pop("age_ms", 60000),
    }
    sizes = {
        "max_send_bytes": 65536,
        "max_receive_bytes": 65536,
        "max_message_bytes": 1048576,
    }
    return {
        "about": about,
        "options": {"peer": peer, **sizes, **options, "limits": limits},
        "steps": list(steps),
    }


def _app(name: str, *, seq: int = 0, ack: int = 0) -> wire.Envelope:
    return wire.Envelope(seq=seq, ack=ack, app_message=wire.AppMessage(type=name))


def _audio(*, ack: int = 0) -> wire.Envelope:
    return wire.Envelope(ack=ack, audio=wire.AudioChunk(path_id=1, data=b"\x01\x02"))


def _ack(ack: int) -> wire.Envelope:
    return wire.Envelope(ack=ack, ack_only=wire.Ack())


def _chunk(
    seq: int, index: int, data: bytes, *, ack: int = 0, total: int = 0, last: bool = False
) -> wire.Envelope:
    chunk = wire.Chunk(index=index, last=last, total_bytes=total, data=data)
    return wire.Envelope(seq=seq, ack=ack, chunk=chunk)


def _hex(messages: tuple[wire.Envelope, ...]) -> list[str]:
    return [message.SerializeToString().hex() for message in messages]


def _dicts(messages: tuple[wire.Envelope, ...]) -> list[Case]:
    return [MessageToDict(message) for message in messages]


def _send(now_ms: int, message: wire.Envelope, *written: wire.Envelope, error: str = "") -> Case:
    step: Case = {"op": "send", "now_ms": now_ms, "message": MessageToDict(message)}
    return step | ({"error": error} if error else {"bytes": _hex(written)})


def _receive(
    now_ms: int,
    data: wire.Envelope | bytes,
    *delivered: wire.Envelope,
    error: str = "",
    seq: int = 0,
) -> Case:
    raw = data if isinstance(data, bytes) else data.SerializeToString()
    step: Case = {"op": "receive", "now_ms": now_ms, "data": raw.hex()}
    if error:
        step |= {"error": error, "error_seq": seq}
    return step | {"messages": _dicts(delivered)}


def _outgoing(now_ms: int, *written: wire.Envelope) -> Case:
    return {"op": "outgoing", "now_ms": now_ms, "bytes": _hex(written)}


def _replay(now_ms: int, last_seq: int, *written: wire.Envelope) -> Case:
    return {"op": "resume", "now_ms": now_ms, "last_seq": last_seq, "bytes": _hex(written)}


def _gone(now_ms: int, last_seq: int) -> Case:
    return {"op": "resume", "now_ms": now_ms, "last_seq": last_seq, "bytes": None}


def _lost(now_ms: int) -> Case:
    return {"op": "on_lost", "now_ms": now_ms}


def _state(received: int, sent: int, unacknowledged: int, due: int | None) -> Case:
    return {
        "op": "state",
        "last_received": received,
        "last_sent": sent,
        "unacknowledged": unacknowledged,
        "next_due_ms": due,
    }


def _exchange() -> Case:
    hello = wire.Envelope(hello=wire.Hello(protocol_version=1))
    return _case(
        "Reliable messages are numbered from 1 and say what was received; others are not.",
        _state(0, 0, 0, None),
        _receive(0, hello, hello),
        _send(0, _app("a"), _app("a", seq=1)),
        _send(1, _app("b"), _app("b", seq=2)),
        _send(1, _audio(), _audio()),
        _state(0, 2, 2, None),
        _receive(10, _app("x", seq=1, ack=1), _app("x", seq=1, ack=1)),
        _state(1, 2, 1, 260),
        _send(20, _app("c"), _app("c", seq=3, ack=1)),
        _state(1, 3, 2, None),
        _receive(30, _audio(ack=3), _audio(ack=3)),
        _receive(31, _ack(2)),
        _state(1, 3, 0, None),
        _send(40, _app("d", seq=77, ack=88), _app("d", seq=4, ack=1)),
        _send(40, _audio(ack=99), _audio()),
        _send(41, wire.Envelope(), error="ERROR_CODE_INVALID_ARGUMENT"),
        _send(41, _chunk(0, 0, b"x"), error="ERROR_CODE_INVALID_ARGUMENT"),
        _state(1, 4, 1, None),
    )


def _ack_timing() -> Case:
    steps = [
        _outgoing(0),
        _receive(100, _app("m", seq=1), _app("m", seq=1)),
        _receive(200, _app("m", seq=2), _app("m", seq=2)),
        _state(2, 0, 0, 350),
        _outgoing(349),
        _outgoing(350, _ack(2)),
        _outgoing(9000),
        _state(2, 0, 0, None),
    ]
    steps += [_receive(10000, _app("m", seq=seq), _app("m", seq=seq)) for seq in range(3, 2 + 32)]
    steps += [
        _state(33, 0, 0, 10250),
        _receive(10001, _app("m", seq=34), _app("m", seq=34)),
        _state(34, 0, 0, 10001),
        _outgoing(10001, _ack(34)),
        _receive(10002, _app("m", seq=35), _app("m", seq=35)),
        _state(35, 0, 0, 10252),
        _lost(10003),
        _state(35, 0, 0, None),
        _outgoing(20000),
    ]
    return _case("A standalone ack comes after 250 ms, or with the 32nd message.", *steps)


def _ack_on_other_messages() -> Case:
    welcome = wire.Envelope(welcome=wire.Welcome(last_seq=1))
    return _case(
        "An ack that is owed goes with the next message, reliable or not, but not with a Welcome.",
        _receive(0, _app("m", seq=1), _app("m", seq=1)),
        _send(1, welcome, welcome),
        _state(1, 0, 0, 250),
        _send(2, _audio(), _audio(ack=1)),
        _state(1, 0, 0, None),
        _send(3, _audio(), _audio()),
        _send(4, _app("a"), _app("a", seq=1, ack=1)),
    )


def _gap() -> Case:
    one, two, three, five = (_app(f"m{seq}", seq=seq) for seq in (1, 2, 3, 5))
    return _case(
        "What arrives early waits for the gap to be filled, within the limits.",
        _receive(0, three),
        _receive(1, _audio(), _audio()),
        _receive(2, two),
        _receive(3, two),
        _state(0, 0, 0, None),
        _receive(4, one, one, two, three),
        _state(3, 0, 0, 254),
        _receive(5, five),
        _receive(6, _app("far", seq=8), error="ERROR_CODE_UNEXPECTED_MESSAGE", seq=8),
        _receive(7, _app("m4", seq=4), _app("m4", seq=4), five),
        _receive(8, _app("x" * 90, seq=7)),
        _receive(9, _app("x" * 90, seq=8), error="ERROR_CODE_UNEXPECTED_MESSAGE", seq=8),
        _receive(10, _app("x" * 190, seq=6), _app("x" * 190, seq=6), _app("x" * 90, seq=7)),
        _state(7, 0, 0, 254),
        messages=4,
        total_bytes=150,
    )


def _duplicate() -> Case:
    one = _app("m", seq=1)
    return _case(
        "A repeated message is dropped and acknowledged at once.",
        _receive(0, one, one),
        _state(1, 0, 0, 250),
        _receive(40, one),
        _state(1, 0, 0, 40),
        _outgoing(40, _ack(1)),
        _receive(50, one),
        _outgoing(50, _ack(1)),
        _outgoing(51),
    )


def _large(size: int) -> wire.Envelope:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return _app((letters * (size // 26 + 1))[:size])


def _pieces(
    message: wire.Envelope, first_seq: int, sizes: list[int], ack: int = 0
) -> list[wire.Envelope]:
    body = message.SerializeToString()
    assert sum(sizes) == len(body)
    out: list[wire.Envelope] = []
    start = 0
    for index, size in enumerate(sizes):
        data = body[start : start + size]
        start += size
        out.append(
            _chunk(
                first_seq + index,
                index,
                data,
                ack=ack,
                total=0 if index else len(body),
                last=start == len(body),
            )
        )
    return out


def _chunk_send() -> Case:
    fits, large = _large(101), _large(150)  # 106 and 157 bytes encoded
    numbered = _large(101)
    numbered.seq = 1
    lossy = wire.Envelope(audio=wire.AudioChunk(data=b"x" * 130))
    huge = _large(1100)
    return _case(
        "A reliable message above max_send_bytes - 22 goes out in pieces of max_send_bytes - 64.",
        _send(0, fits, numbered),
        _send(0, large, *_pieces(large, 2, [64, 64, 29])),
        _send(0, _large(102), *_pieces(_large(102), 5, [64, 43])),
        _send(0, lossy, error="ERROR_CODE_TOO_LARGE"),
        _send(0, huge, error="ERROR_CODE_TOO_LARGE"),
        _state(0, 6, 6, None),
        _receive(1, _app("x", seq=1, ack=2), _app("x", seq=1, ack=2)),
        _lost(2),
        _replay(
            3, 2, *_pieces(large, 2, [64, 64, 29], 1)[1:], *_pieces(_large(102), 5, [64, 43], 1)
        ),
        max_send_bytes=128,
        max_message_bytes=1024,
    )


def _chunk_receive() -> Case:
    large = _large(150)
    pieces = _pieces(large, 1, [64, 64, 29])
    whole = wire.Envelope()
    whole.CopyFrom(large)
    whole.seq = 3
    return _case(
        "Pieces are put together; the message has the number of its last piece.",
        _receive(0, pieces[0]),
        _receive(1, _audio(), _audio()),
        _lost(2),
        _receive(3, pieces[2]),
        _receive(4, pieces[0]),
        _receive(5, pieces[1], whole),
        _state(3, 0, 0, 4),
    )


def _chunk_refused() -> Case:
    bad = "ERROR_CODE_MALFORMED"
    body = _app("m").SerializeToString()
    size = len(body)
    whole = {"total": size, "last": True}
    server_only = wire.Envelope(transcript=wire.Transcript(text="x")).SerializeToString()
    numbered = _app("m", seq=1).SerializeToString()
    nested = _chunk(0, 0, body, total=size, last=True).SerializeToString()
    lossy = _audio().SerializeToString()

    def one(seq: int, data: bytes, error: str) -> Case:
        piece = _chunk(seq, 0, data, total=len(data), last=True)
        return _receive(0, piece, error=error, seq=seq)

    return _case(
        "A piece that does not fit drops the message, counts as received and nothing more.",
        _receive(0, _chunk(1, 1, b"x"), error=bad, seq=1),
        _receive(0, _chunk(2, 0, b"", total=3), error=bad, seq=2),
        _receive(0, _chunk(3, 0, b"x", total=257), error="ERROR_CODE_TOO_LARGE", seq=3),
        _receive(0, _chunk(4, 0, b"xx", total=1), error=bad, seq=4),
        _receive(0, _chunk(5, 0, b"x", total=2, last=True), error=bad, seq=5),
        _receive(0, _chunk(6, 0, b"xx", total=2), error=bad, seq=6),
        _receive(0, _chunk(7, 0, b"x", total=2)),
        _receive(0, _chunk(8, 0, b"x", total=2), error=bad, seq=8),
        one(9, b"\xff\xff", bad),
        one(10, b"\x08\x01", bad),
        one(11, numbered, bad),
        one(12, nested, bad),
        one(13, lossy, bad),
        one(14, server_only, "ERROR_CODE_UNEXPECTED_MESSAGE"),
        _receive(0, _chunk(15, 0, body, **whole), _app("m", seq=15)),
        _state(15, 0, 0, 250),
        max_message_bytes=256,
    )


def _overflow() -> Case:
    def sent(seq: int, ack: int = 0) -> wire.Envelope:
        return _app(f"m{seq}", seq=seq, ack=ack)

    return _case(
        "What exceeds 3 messages, 120 bytes or 1000 ms is not kept; a resume that needs it fails.",
        *(_send(0, _app(f"m{seq}"), sent(seq)) for seq in range(1, 5)),
        _gone(0, 0),
        _replay(0, 1, sent(2), sent(3), sent(4)),
        _send(500, _app("m5"), sent(5)),
        _gone(1001, 3),
        _replay(1001, 4, sent(5)),
        _state(0, 5, 1, None),
        _send(1002, _app("m6"), sent(6)),
        _send(1002, _large(110), wire.Envelope(seq=7, app_message=_large(110).app_message)),
        _gone(1002, 5),
        _replay(1002, 6, wire.Envelope(seq=7, app_message=_large(110).app_message)),
        _send(1002, _large(120), wire.Envelope(seq=8, app_message=_large(120).app_message)),
        _gone(1002, 7),
        _replay(1002, 8),
        messages=3,
        total_bytes=120,
        age_ms=1000,
    )


def _resume() -> Case:
    return _case(
        "A resume repeats what is missing with today's ack; last_seq acknowledges the rest.",
        *(_send(0, _app(f"m{seq}"), _app(f"m{seq}", seq=seq)) for seq in (1, 2, 3)),
        _receive(1, _app("x", seq=1, ack=1), _app("x", seq=1, ack=1)),
        _lost(2),
        _send(3, _app("m4"), _app("m4", seq=4, ack=1)),
        {"op": "resume", "now_ms": 4, "last_seq": 5, "error": "ERROR_CODE_MALFORMED"},
        _replay(5, 2, _app("m3", seq=3, ack=1), _app("m4", seq=4, ack=1)),
        _state(1, 4, 2, None),
        _receive(6, _app("y", seq=2), _app("y", seq=2)),
        _replay(7, 4),
        _state(2, 4, 0, 256),
        _gone(8, 3),
    )


def _resume_owes() -> Case:
    return _case(
        "An ack that is owed is owed after a replay too, which may never be sent.",
        _send(0, _app("a"), _app("a", seq=1)),
        _receive(1, _app("x", seq=1), _app("x", seq=1)),
        _replay(2, 0, _app("a", seq=1, ack=1)),
        _state(1, 1, 1, 251),
        _replay(3, 0, _app("a", seq=1, ack=1)),
        _outgoing(251, _ack(1)),
        _state(1, 1, 1, None),
    )


def _restart() -> Case:
    return _case(
        "After a restart both directions are numbered from 1 again and nothing is left over.",
        _send(0, _app("a"), _app("a", seq=1)),
        _receive(0, _app("x", seq=1), _app("x", seq=1)),
        _receive(0, _chunk(2, 0, b"x", total=9)),
        _receive(0, _app("early", seq=4)),
        {"op": "restart"},
        _state(0, 0, 0, None),
        _replay(1, 0),
        _send(1, _app("b"), _app("b", seq=1)),
        *(_receive(1, _app("z", seq=seq), _app("z", seq=seq)) for seq in (1, 2, 3, 4)),
    )


def _refused() -> Case:
    bad, unexpected = "ERROR_CODE_MALFORMED", "ERROR_CODE_UNEXPECTED_MESSAGE"
    transcript = wire.Transcript(text="x")
    unknown = bytes.fromhex("c23e00")  # field 1000, a message without content
    audio_with_seq = _audio()
    audio_with_seq.seq = 1
    return _case(
        "What is refused changes nothing, except that a numbered message of the wrong kind counts.",
        _receive(0, b"", error=bad),
        _receive(0, b"\xff", error=bad),
        _receive(0, b"\x08\x01", error=bad, seq=1),
        _receive(0, _app("no number"), error=bad),
        _receive(0, audio_with_seq, error=bad, seq=1),
        _receive(0, _app("x" * 300, seq=1), error="ERROR_CODE_TOO_LARGE"),
        _receive(0, _app("ack", seq=1, ack=1), error=bad),
        _receive(0, _audio(ack=1), error=bad),
        _receive(0, wire.Envelope(welcome=wire.Welcome()), error=unexpected),
        _receive(0, unknown, error=unexpected),
        _state(0, 0, 0, None),
        _receive(0, wire.Envelope(seq=1, transcript=transcript), error=unexpected, seq=1),
        _receive(0, wire.Envelope(seq=1, transcript=transcript)),
        _receive(0, b"\x08\x02" + unknown, error=unexpected, seq=2),
        _receive(0, _app("m3", seq=3), _app("m3", seq=3)),
        _receive(0, _app("m5", seq=5)),
        _receive(
            0,
            wire.Envelope(seq=4, transcript=transcript),
            _app("m5", seq=5),
            error=unexpected,
            seq=4,
        ),
        _state(5, 0, 0, 0),
        max_receive_bytes=256,
    )


def _long_numbers() -> Case:
    steps: list[Case] = []
    for seq in range(1, 131):
        steps.append(_send(0, _app("m"), _app("m", seq=seq, ack=seq - 1)))
        steps.append(_receive(0, _app("x", seq=seq, ack=seq), _app("x", seq=seq, ack=seq)))
    return _case(
        "Numbers above 127 take two bytes.", *steps, _state(130, 130, 0, 250), peer="server"
    )
