"""The schema says who sends a payload and how it is delivered; the package stays light."""

import subprocess
import sys

import pytest

from voxwire_protocol import wire
from voxwire_protocol.gen.voxwire.v1 import options_pb2

FIELDS = list(wire.Envelope.DESCRIPTOR.oneofs_by_name["payload"].fields)
NAMES = {field.name for field in FIELDS}


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_payload_says_who_sends_it_and_how_it_is_delivered(field) -> None:
    options = field.GetOptions()
    assert options.Extensions[options_pb2.sender] != options_pb2.SENDER_UNSPECIFIED
    assert options.Extensions[options_pb2.delivery] != options_pb2.DELIVERY_UNSPECIFIED


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_payload_type_is_exported(field) -> None:
    exported = getattr(wire, field.message_type.name)
    assert exported.DESCRIPTOR is field.message_type
    assert field.message_type.name in wire.__all__


def test_payload_sets_follow_the_options() -> None:
    assert wire.CLIENT_PAYLOADS | wire.SERVER_PAYLOADS == NAMES
    both = wire.CLIENT_PAYLOADS & wire.SERVER_PAYLOADS
    assert both == {
        "audio", "ack_only", "ping", "pong", "chunk", "error", "ice_candidate", "path_close",
        "tool_progress", "tool_cancel", "app_message",
    }  # fmt: skip
    assert wire.RELIABLE_PAYLOADS < NAMES
    assert not wire.RELIABLE_PAYLOADS & {
        "audio", "playout_report", "ack_only", "ping", "pong", "hello", "welcome",
    }  # fmt: skip


def test_payload_sets_can_be_asked_for_by_delivery_only() -> None:
    lossy = wire._payloads(reliable=False)
    assert lossy == NAMES - wire.RELIABLE_PAYLOADS


def test_frequent_payloads_have_one_byte_tags() -> None:
    frequent = {"audio", "playout_report", "utterance_words", "ack_only", "ping", "pong"}
    assert frequent <= {field.name for field in FIELDS if field.number < 16}


def test_all_is_complete_and_sorted_by_kind() -> None:
    assert all(hasattr(wire, name) for name in wire.__all__)
    assert len(set(wire.__all__)) == len(wire.__all__)


def test_importing_the_package_pulls_in_no_stack() -> None:
    heavy = (
        "asyncio", "socket", "ssl", "numpy", "pydantic", "pipecat", "fastapi", "starlette",
        "uvicorn", "websockets", "aiortc", "av", "daily",
    )  # fmt: skip
    script = f"""
import sys
before = set(sys.modules)
import voxwire_protocol
from voxwire_protocol import channel, clock, timeline, wire
print(*sorted((set(sys.modules) - before) & set({heavy!r})))
"""
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert run.stdout.split() == []
