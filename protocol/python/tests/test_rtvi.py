"""RTVI: nothing is lost in either form, a stock client and a stock bot say what the vectors say."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol import rtvi, wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.rtvi import Direction
from voxwire_protocol.rtvi.message import message_of

VECTORS = Path(__file__).parents[2] / "vectors" / "rtvi"
NOW = "2026-08-21T10:11:12.345Z"


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


def corpus() -> Iterator[tuple[str, dict[str, Any]]]:
    """The version of the peer, and a message."""
    wheel = load("corpus-pipecat")
    for entry in wheel["messages"]:
        yield wheel["rtvi"], entry["message"]
    for group in [*load("corpus-clients"), *load("corpus-older")]:
        for message in group["messages"]:
            yield group["rtvi"], message
    for entry in load("payloads"):
        message = {"label": "rtvi-ai", "type": entry["type"]}
        yield "2.2.0", message | ({"data": entry["data"]} if "data" in entry else {})


CORPUS = list(corpus())


def dumps(message: Any) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def sorted_text(text: str) -> str:
    """JSON to compare by: 1 and 1.0 are one number there, True is none."""

    def number(digits: str) -> float | int:
        value = float(digits)
        return int(value) if value.is_integer() else value

    return json.dumps(json.loads(text, parse_float=number), sort_keys=True)


def says_nothing(message: rtvi.RtviMessage) -> bool:
    """Whether its data is the empty one of a message that says all by its type."""
    return message.data in (None, {}) and message.type in {
        "disconnect-bot",
        "user-started-speaking",
        "bot-interrupted",
    }


# the corpus


@pytest.mark.parametrize(("version", "message"), CORPUS)
def test_a_message_comes_back_from_text_and_from_bytes(
    version: str, message: dict[str, Any]
) -> None:
    read = rtvi.decode(dumps(message))
    assert json.loads(rtvi.encode(read)) == message
    assert rtvi.decode(rtvi.encode(read).encode()) == read
    unpacked = rtvi.unpack(rtvi.pack(read))
    if says_nothing(read):
        assert (unpacked.type, unpacked.id, unpacked.data) == (read.type, read.id, rtvi.ABSENT)
    else:
        assert sorted_text(rtvi.encode(unpacked)) == sorted_text(rtvi.encode(read))


def test_no_message_of_rtvi_2_needs_the_fallback_and_bytes_are_small(
    capsys: pytest.CaptureFixture[str],
) -> None:
    json_bytes = packed_bytes = opaque = 0
    for version, message in CORPUS:
        packed = rtvi.pack(rtvi.decode(dumps(message)))
        json_bytes += len(dumps(message).encode())
        packed_bytes += len(packed)
        opaque += rtvi.is_opaque(packed)
        if version.startswith("2."):
            assert not rtvi.is_opaque(packed), message
    types = {message["type"] for _, message in CORPUS}
    with capsys.disabled():
        print(
            f"\n  rtvi: {len(CORPUS)} messages of {len(types)} types, 0 lossy, {opaque} through the"
            f" fallback (0 of RTVI 2), {packed_bytes} of {json_bytes} bytes"
            f" ({100 * packed_bytes / json_bytes:.1f} %)"
        )
    assert packed_bytes <= 0.4 * json_bytes


def test_the_corpus_has_every_type_of_the_schema() -> None:
    assert {message["type"] for _, message in CORPUS} >= set(rtvi.MESSAGE_TYPES)


def test_what_the_models_of_the_wheel_write_is_in_the_schema() -> None:
    wheel = {entry["message"]["type"] for entry in load("corpus-pipecat")["messages"]}
    assert wheel <= set(rtvi.MESSAGE_TYPES)


@pytest.mark.parametrize("entry", load("refused"))
def test_what_is_no_message_is_a_typed_error(entry: dict[str, Any]) -> None:
    text = "".join(piece * times for piece, times in entry["text"])
    for form in (text, text.encode()):
        with pytest.raises(rtvi.RtviError) as caught:
            rtvi.decode(form)
        assert caught.value.code.name == entry["error"]


def test_the_spec_says_what_becomes_of_every_type() -> None:
    spec = (VECTORS.parents[1] / "spec" / "rtvi.md").read_text("utf-8")
    tables = {
        Direction.CLIENT_TO_SERVER: "## Client to server",
        Direction.SERVER_TO_CLIENT: "## Server to client",
    }
    for name, kind in rtvi.MESSAGE_TYPES.items():
        section = spec.split(tables[kind.direction])[1].split("\n## ")[0]
        assert f"`{name}`" in section, name


def test_a_limit_is_the_callers() -> None:
    text = dumps({"label": "rtvi-ai", "type": "x", "data": "é" * 40_000})
    assert rtvi.decode(text, max_bytes=100_000).data == "é" * 40_000
    with pytest.raises(rtvi.RtviError, match="above 100 bytes"):
        rtvi.decode(text.encode(), max_bytes=100)


# what no script says


def test_every_payload_of_a_server_is_written_or_left_to_the_carrier() -> None:
    client = rtvi.StockClient()
    for name in wire.SERVER_PAYLOADS:
        envelope = wire.Envelope()
        getattr(envelope, name).SetInParent()
        for message in client.write(envelope, timestamp=NOW):
            rtvi.encode(message)


def test_every_message_of_a_bot_is_read_with_nothing_lost_that_has_no_envelope() -> None:
    for _, message in CORPUS:
        read = rtvi.decode(dumps(message))
        bot = rtvi.StockBot(new_id=lambda: "x")
        try:
            found = bot.read(read, media_ms=0)
        except rtvi.RtviError:
            continue
        for envelope in found:
            if envelope.app_message.type == rtvi.LABEL:
                assert json.loads(envelope.app_message.data_json) == message
                assert bot.write(envelope)[0].type == read.type


# the data channel of SmallWebRTC


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ping: 1755771072123", rtvi.Ping(1755771072123)),
        (
            '{"type":"signalling","message":{"type":"trackStatus","receiver_index":1,"enabled":false}}',
            rtvi.TrackStatus(1, enabled=False),
        ),
        ('{"type":"signalling","message":{"type":"renegotiate"}}', rtvi.Renegotiate()),
        ('{"type":"signalling","message":{"type":"peerLeft"}}', rtvi.PeerLeft()),
        ('{"label":"rtvi-ai","type":"bot-llm-started"}', rtvi.RtviMessage("bot-llm-started")),
        (
            '{"label":"rtvi-ai","type":"signalling","data":1}',
            rtvi.RtviMessage("signalling", 1),
        ),
    ],
)
def test_the_chat_channel_carries_pings_and_signaling_too(text: str, said: rtvi.ChatText) -> None:
    assert rtvi.read_chat(text) == rtvi.read_chat(text.encode()) == said
    assert rtvi.write_chat(said) == text


@pytest.mark.parametrize(
    "text",
    [
        "pingpong",
        "ping: " + "9" * 50,
        '{"type":"signalling"}',
        '{"type":"signalling","message":[]}',
        '{"type":"signalling","message":{"type":"x"}}',
        '{"type":"signalling","message":{"type":"trackStatus","receiver_index":true,"enabled":true}}',
        '{"type":"signalling","message":{"type":"trackStatus","receiver_index":3,"enabled":true}}',
        '{"type":"signalling","message":{"type":"trackStatus","receiver_index":0,"enabled":1}}',
        '{"type":"renegotiate"}',
    ],
)
def test_other_texts_of_the_chat_channel_are_typed_errors(text: str) -> None:
    for form in (text, text.encode()):
        with pytest.raises(rtvi.RtviError) as caught:
            rtvi.read_chat(form)
        assert caught.value.code is ErrorCode.MALFORMED


# any bytes

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "t", "d", "arguments", "x", "", "é"]), inner)
    ),
    max_leaves=12,
)
TYPES = sorted(rtvi.MESSAGE_TYPES)
NAMES = sorted(
    {
        field
        for _, message in CORPUS
        if isinstance(message.get("data"), dict)
        for field in message["data"]
    }
)
MESSAGES = st.builds(
    lambda kind, data, message_id, extra: {
        "label": "rtvi-ai",
        "type": kind,
        **({"data": data} if data != "absent" else {}),
        **({"id": message_id} if message_id is not None else {}),
        **extra,
    },
    st.sampled_from(TYPES) | st.text(min_size=1, max_size=20),
    st.just("absent") | JSON | st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6),
    st.none() | st.text(max_size=12),
    st.just({}) | st.dictionaries(st.sampled_from(["x", "metrics"]), JSON, max_size=2),
)


@given(st.binary(max_size=400) | st.text(max_size=200))
def test_any_bytes_are_a_message_or_a_typed_error(data: bytes | str) -> None:
    with suppress(rtvi.RtviError):
        rtvi.encode(rtvi.decode(data))
    with suppress(rtvi.RtviError):
        rtvi.write_chat(rtvi.read_chat(data))
    if isinstance(data, bytes):
        with suppress(rtvi.RtviError):
            rtvi.encode(rtvi.unpack(data))


@given(MESSAGES)
def test_any_message_survives_text_and_bytes(message: dict[str, Any]) -> None:
    read = rtvi.decode(dumps(message))
    assert read == message_of(message)
    assert json.loads(rtvi.encode(read)) == message
    back = rtvi.unpack(rtvi.pack(read))
    assert (back.type, back.id, back.extra) == (read.type, read.id, read.extra)
    if read.data is not None and read.data != {}:
        pruned = rtvi.unpack(rtvi.pack(back))
        assert back == pruned
        assert _without_nulls(back.data) == _without_nulls(read.data)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return value


@given(st.lists(MESSAGES, max_size=12))
def test_no_message_of_a_peer_raises_anything_but_the_typed_error(
    messages: list[dict[str, Any]],
) -> None:
    client = rtvi.StockClient(client_tools=frozenset({"", "x"}))
    bot = rtvi.StockBot(new_id=lambda: "1", tools=frozenset({"", "x"}))
    for message in messages:
        read = rtvi.decode(dumps(message))
        try:
            said = client.read(read).said
            if isinstance(said, wire.Envelope):
                said.SerializeToString()
        except rtvi.RtviError:
            pass
        try:
            for envelope in bot.read(read, media_ms=10):
                wire.Envelope.FromString(envelope.SerializeToString())
                for told in client.write(envelope, timestamp=NOW):
                    rtvi.encode(told)
        except rtvi.RtviError:
            pass
    client.advance(1 << 40)
