"""The golden cases of protocol/vectors hold for this implementation."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, Parse, ParseDict

from voxwire_protocol import wire
from voxwire_protocol.capture import KeptCapture
from voxwire_protocol.channel import Channel, ChannelError, ReplayLimits
from voxwire_protocol.text_join import join_texts
from voxwire_protocol.timeline import Heard, TimedWord, Timeline, decode_words, encode_words

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
WORDS = {path.stem: json.loads(path.read_text()) for path in (VECTORS / "words").glob("*.json")}
CAPTURE = {path.stem: json.loads(path.read_text()) for path in (VECTORS / "capture").glob("*.json")}
CHANNEL = {path.stem: json.loads(path.read_text()) for path in (VECTORS / "channel").glob("*.json")}


def test_the_committed_files_are_what_make_py_writes() -> None:
    subprocess.run([sys.executable, VECTORS / "make.py", "--check"], check=True)


def test_there_is_one_wire_case_for_every_payload() -> None:
    payloads = {field.name for field in wire.Envelope.DESCRIPTOR.oneofs_by_name["payload"].fields}
    assert {path.stem for path in (VECTORS / "wire").glob("*.json")} == payloads
    assert {path.stem for path in (VECTORS / "wire").glob("*.binpb")} == payloads


@pytest.mark.parametrize("path", sorted((VECTORS / "wire").glob("*.json")), ids=lambda p: p.stem)
def test_json_and_bytes_of_an_envelope_are_the_same_message(path: Path) -> None:
    message = Parse(path.read_text(), wire.Envelope())
    data = path.with_suffix(".binpb").read_bytes()
    assert wire.Envelope.FromString(data) == message
    assert message.SerializeToString() == data
    assert message.WhichOneof("payload") == path.stem


@pytest.mark.parametrize("name", sorted(CHANNEL))
def test_channel_script(name: str) -> None:
    options = dict(CHANNEL[name]["options"])
    peer = options.pop("peer")
    channel = Channel(
        allowed=wire.CLIENT_PAYLOADS if peer == "client" else wire.SERVER_PAYLOADS,
        limits=ReplayLimits(**options.pop("limits")),
        **options,
    )
    for at, step in enumerate(CHANNEL[name]["steps"]):
        _channel_step(channel, step, f"{name}, step {at}")


def _channel_step(channel: Channel, step: dict[str, Any], where: str) -> None:
    now_ms: int = step.get("now_ms", 0)
    written: list[bytes] | None = None
    received: tuple[wire.Envelope, ...] = ()
    error: ChannelError | None = None
    try:
        match step["op"]:
            case "send":
                written = channel.send(ParseDict(step["message"], wire.Envelope()), now_ms)
            case "receive":
                received = tuple(channel.receive(bytes.fromhex(step["data"]), now_ms))
            case "outgoing":
                written = channel.outgoing(now_ms)
            case "resume":
                written = channel.resume(step["last_seq"], now_ms)
            case "on_lost":
                channel.on_lost(now_ms)
            case "restart":
                channel.restart()
            case _:
                names = ("last_received", "last_sent", "unacknowledged", "next_due_ms")
                state = {name: getattr(channel, name) for name in names}
                assert {"op": "state", **state} == step, where
    except ChannelError as raised:
        error, received = raised, raised.delivered
    assert (wire.ErrorCode.Name(error.code) if error else None) == step.get("error"), where
    if error is not None:
        assert error.seq == step.get("error_seq", 0), where
    if "bytes" in step:
        assert (None if written is None else [data.hex() for data in written]) == step["bytes"], (
            where
        )
    assert [MessageToDict(message) for message in received] == step.get("messages", []), where


@pytest.mark.parametrize("name", sorted(name for name in WORDS if WORDS[name]["kind"] == "decode"))
def test_decode_case(name: str) -> None:
    case = WORDS[name]
    message = ParseDict(case["message"], wire.UtteranceWords())
    assert wire.UtteranceWords.FromString(bytes.fromhex(case["bytes"])) == message
    words = decode_words(message, case["text_so_far"])
    assert words == [_timed_word(word) for word in case["words"]]
    again = encode_words(words, message.text, message.text_offset, revision=message.revision)
    assert decode_words(again, case["text_so_far"]) == words


@pytest.mark.parametrize(
    "name", sorted(name for name in WORDS if WORDS[name]["kind"] == "timeline")
)
def test_timeline_script(name: str) -> None:
    timeline = Timeline()
    for at, step in enumerate(WORDS[name]["steps"]):
        _timeline_step(timeline, step, f"{name}, step {at}")


@pytest.mark.parametrize("name", sorted(name for name in WORDS if WORDS[name]["kind"] == "join"))
def test_join_case(name: str) -> None:
    for case in WORDS[name]["joins"]:
        assert join_texts(case["before"], case["after"]) == case["text"], case


def _timeline_step(timeline: Timeline, step: dict[str, Any], where: str) -> None:
    utterance_id: str = step.get("utterance_id", "")
    match step["op"]:
        case "begin":
            timeline.begin(utterance_id, step["media_ms"])
        case "add":
            timeline.add((_timed_word(word) for word in step["words"]), step["revision"])
        case "advance":
            due = [[word.utterance_id, word.index] for word in timeline.advance(step["media_ms"])]
            assert due == step["due"], where
        case "next_due_ms":
            assert timeline.next_due_ms() == step["value"], where
        case "heard":
            heard = timeline.heard(utterance_id, step["media_ms"])
            assert heard == Heard(**step["heard"]), where
        case "cut":
            prefixes = timeline.cut(step["media_ms"], step["until_ms"])
            assert [asdict(prefix) for prefix in prefixes] == step["heard"], where
        case "end":
            timeline.end(utterance_id)
        case "words":
            indices = [word.index for word in timeline.words(utterance_id)]
            assert indices == step["indices"], where
        case "set_text":
            timeline.set_text(utterance_id, step["offset"], step["text"])
        case _:
            assert step["op"] == "text"
            assert timeline.text(utterance_id) == step["value"], where


def _timed_word(word: dict[str, Any]) -> TimedWord:
    return TimedWord(**{**word, "source": wire.TimingSource.Value(word["source"])})


@pytest.mark.parametrize("name", sorted(CAPTURE))
def test_capture_script(name: str) -> None:
    kept = KeptCapture(**CAPTURE[name]["options"])
    for at, step in enumerate(CAPTURE[name]["steps"]):
        _capture_step(kept, step, f"{name}, step {at}")


def _capture_step(kept: KeptCapture, step: dict[str, Any], where: str) -> None:
    now_ms: int = step.get("now_ms", 0)
    match step["op"]:
        case "capture":
            kept.capture(_numbered(kept.next_index, step["samples"]), now_ms)
        case "mute":
            kept.mute(step["samples"])
        case "park":
            kept.park()
        case "follow":
            kept.follow()
        case "resume":
            assert kept.resume(step["index"], now_ms) == step["lost"], where
        case "resume_after":
            assert kept.resume_after(step["age_ms"], now_ms) == step["lost"], where
        case "send":
            assert _send_all(kept, now_ms) == step["pieces"], where
        case _:
            state = {
                "op": "state",
                "next_index": kept.next_index,
                "waiting": kept.waiting_samples,
                "lost": kept.lost_samples,
            }
            assert state == step, where


def _numbered(first: int, samples: int) -> bytes:
    """Audio of which every sample is its own number."""
    return b"".join(number.to_bytes(2, "little") for number in range(first, first + samples))


def _send_all(kept: KeptCapture, now_ms: int) -> list[list[int]]:
    pieces: list[list[int]] = []
    while (piece := kept.peek(now_ms)) is not None:
        assert piece.pcm == _numbered(piece.index, len(piece.pcm) // 2)
        pieces.append([piece.index, len(piece.pcm) // 2])
        kept.sent(piece)
    return pieces
