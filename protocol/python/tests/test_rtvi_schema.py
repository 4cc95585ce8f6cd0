"""The mirror of RTVI: protobuf's own JSON of a payload is the `data` of the RTVI message.

The corpus `protocol/vectors/rtvi/payloads.json` holds what pipecat 1.14's RTVI models write, and
the forms that stock JS, iOS and Android clients and RTVI 1.x and 2.x bots send.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor, json_format, message
from google.protobuf.struct_pb2 import Struct

from voxwire_protocol.gen.voxwire.rtvi.v2 import (
    message_pb2,
    metrics_pb2,
    options_pb2,
    text_pb2,
    ui_pb2,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "rtvi" / "payloads.json"
CORPUS: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))
PAYLOAD = list(message_pb2.Message.DESCRIPTOR.oneofs_by_name["payload"].fields)

DIRECTIONS = {
    "client_to_server": options_pb2.DIRECTION_CLIENT_TO_SERVER,
    "server_to_client": options_pb2.DIRECTION_SERVER_TO_CLIENT,
}


def option(field: descriptor.FieldDescriptor, extension: Any) -> Any:
    return field.GetOptions().Extensions[extension]


TYPED = {"typed_metrics": "metrics", "typed_ui_snapshot": "ui_snapshot"}
FIELDS = {
    option(field, options_pb2.type): field
    for field in PAYLOAD
    if field.name not in {"opaque", *TYPED}
}


def whole(value: Any) -> Any:
    """Writes whole doubles as integers: protobuf prints the numbers of a Value as `3.0`."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return value


def text(value: Any) -> str:
    """JSON text to compare by: Python alone would hold `True`, `1` and `1.0` for equal."""
    return json.dumps(whole(value), sort_keys=True, ensure_ascii=False)


def over_the_wire(payload: message.Message, field_name: str) -> Any:
    """What comes back of a payload after it went through the bytes of a `Message`."""
    sent = message_pb2.Message()
    getattr(sent, field_name).CopyFrom(payload)
    received = message_pb2.Message.FromString(sent.SerializeToString())
    assert received.WhichOneof("payload") == field_name
    return json_format.MessageToDict(getattr(received, field_name))


def entry_id(entry: dict[str, Any]) -> str:
    return f"{entry['type']}-{CORPUS.index(entry)}"


@pytest.mark.parametrize("entry", CORPUS, ids=entry_id)
def test_a_payload_keeps_its_json(entry: dict[str, Any]) -> None:
    field = FIELDS[entry["type"]]
    assert option(field, options_pb2.direction) == DIRECTIONS[entry["direction"]]
    payload = getattr(message_pb2.Message(), field.name)

    json_format.ParseDict(entry.get("data", {}), payload)

    assert text(over_the_wire(payload, field.name)) == text(entry.get("data", {}))


def test_the_corpus_holds_every_payload_of_the_schema() -> None:
    assert {entry["type"] for entry in CORPUS} == set(FIELDS)


@pytest.mark.parametrize("field", PAYLOAD, ids=lambda field: field.name)
def test_a_payload_names_its_type_direction_and_versions(
    field: descriptor.FieldDescriptor,
) -> None:
    if field.name == "opaque":
        assert not option(field, options_pb2.type)
        return
    name = option(field, options_pb2.type).replace("-", "_")
    assert name == TYPED.get(field.name, field.name)
    assert option(field, options_pb2.direction) in DIRECTIONS.values()
    for version in (options_pb2.since, options_pb2.until, options_pb2.deprecated_since):
        assert re.fullmatch(r"(\d+\.\d+\.\d+)?", option(field, version))


def messages_of_the_mirror() -> list[descriptor.Descriptor]:
    files = {message_pb2.DESCRIPTOR, metrics_pb2.DESCRIPTOR, *message_pb2.DESCRIPTOR.dependencies}
    own = [file for file in files if file.package == "voxwire.rtvi.v2"]
    return [found for file in own for found in file.message_types_by_name.values()]


@pytest.mark.parametrize("found", messages_of_the_mirror(), ids=lambda found: found.name)
def test_a_member_prints_under_its_rtvi_name(found: descriptor.Descriptor) -> None:
    integers_of_64_bits = {
        descriptor.FieldDescriptor.CPPTYPE_INT64,
        descriptor.FieldDescriptor.CPPTYPE_UINT64,
    }
    for field in found.fields:
        if found.name == "RawAudio":
            assert "_" not in field.json_name
        else:
            assert field.json_name == field.name
        assert field.cpp_type not in integers_of_64_bits, "protobuf JSON prints them as strings"
        assert field.cpp_type != descriptor.FieldDescriptor.CPPTYPE_ENUM, "RTVI's sets are open"
        if field.label != field.LABEL_REPEATED:
            assert field.has_presence, "false, 0 and empty strings must survive"


COMMANDS: dict[str, type[message.Message]] = {
    "toast": ui_pb2.ToastCommand,
    "navigate": ui_pb2.NavigateCommand,
    "scroll_to": ui_pb2.ScrollToCommand,
    "highlight": ui_pb2.HighlightCommand,
    "focus": ui_pb2.FocusCommand,
    "click": ui_pb2.ClickCommand,
    "set_input_value": ui_pb2.SetInputValueCommand,
    "select_text": ui_pb2.SelectTextCommand,
}


def without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_standard_ui_command_has_its_documented_shape(name: str) -> None:
    payloads = [
        entry["data"]["payload"]
        for entry in CORPUS
        if entry["type"] == "ui-command" and entry["data"]["command"] == name
    ]
    assert payloads
    for payload in payloads:
        shape = json_format.ParseDict(payload, COMMANDS[name]())
        assert text(json_format.MessageToDict(shape)) == text(without_nulls(payload))


def test_metrics_have_their_documented_shape() -> None:
    seen: set[str] = set()
    for entry in CORPUS:
        if entry["type"] == "metrics":
            shape = json_format.ParseDict(entry["data"], metrics_pb2.Metrics())
            assert text(json_format.MessageToDict(shape)) == text(entry["data"])
            seen |= set(entry["data"])
    assert seen == set(metrics_pb2.Metrics.DESCRIPTOR.fields_by_name)


def test_a_snapshot_and_a_search_are_read_by_their_documented_shapes() -> None:
    for entry in CORPUS:
        if entry["type"] == "ui-snapshot":
            tree = entry["data"]["tree"]
            shape = ui_pb2.A11ySnapshot()
            json_format.ParseDict(tree, shape, ignore_unknown_fields=True)
            assert shape.root.ref == tree["root"]["ref"]
            assert shape.captured_at == tree["captured_at"]
        if entry["type"] == "bot-llm-search-response":
            for origin in entry["data"]["origins"]:
                json_format.ParseDict(origin, text_pb2.SearchOrigin())


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bot_output", {"text": "Hi", "mood": "good"}),
        ("bot_output", {"text": "Hi", "segment_id": 2**32}),
        ("ui_job_group", {"kind": "group_started", "job_id": "j1", "workers": []}),
        ("client_message", {"t": "big", "d": 2**53 + 1}),
    ],
    ids=["unknown member", "number above 32 bits", "empty list", "number above 2^53"],
)
def test_what_the_schema_cannot_hold_is_noticed_and_kept_opaque(
    name: str, data: dict[str, Any]
) -> None:
    field = message_pb2.Message.DESCRIPTOR.fields_by_name[name]
    payload = getattr(message_pb2.Message(), name)
    try:
        json_format.ParseDict(data, payload)
    except json_format.ParseError:
        pass
    else:
        assert text(over_the_wire(payload, name)) != text(data)

    rtvi = {"label": "rtvi-ai", "type": option(field, options_pb2.type), "data": data}
    kept = message_pb2.Message()
    kept.opaque.type = rtvi["type"]
    kept.opaque.raw_json = json.dumps(rtvi).encode()
    received = message_pb2.Message.FromString(kept.SerializeToString())
    assert json.loads(received.opaque.raw_json) == rtvi


def test_numbers_of_hot_messages_take_one_byte() -> None:
    for name in ("bot_tts_text", "bot_output", "bot_llm_text", "user_transcription"):
        assert message_pb2.Message.DESCRIPTOR.fields_by_name[name].number < 16


def test_metrics_and_snapshots_are_open_on_the_wire() -> None:
    fields = message_pb2.Message.DESCRIPTOR.fields_by_name
    assert fields["metrics"].message_type == Struct.DESCRIPTOR
    assert ui_pb2.UiSnapshot.DESCRIPTOR.fields_by_name["tree"].message_type == Struct.DESCRIPTOR
