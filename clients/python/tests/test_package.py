"""What the package shows; what importing it costs is in test_import.py."""

import copy
import enum
import inspect
import pickle
import typing
from collections.abc import Callable

import pytest

import voxwire
from voxwire_protocol import errors, event_codec, event_enums, events, wire

PUBLIC = [
    "AppMessage",
    "Audio",
    "Block",
    "BotError",
    "BotResponseEnded",
    "BotResponseStarted",
    "BotResponseText",
    "BotState",
    "BotTurn",
    "BotWord",
    "CaptureDropped",
    "Carrier",
    "Check",
    "ClientStatus",
    "ClipMicrophone",
    "Connection",
    "ConnectionChanged",
    "ConnectionState",
    "Conversation",
    "Device",
    "DeviceChanged",
    "DeviceInfo",
    "DeviceKind",
    "DeviceReadiness",
    "DeviceState",
    "DeviceStatus",
    "Diagnosis",
    "EchoControl",
    "EchoControlChanged",
    "EndReason",
    "ErrorCode",
    "ErrorEvent",
    "Event",
    "EventStream",
    "EventsSkipped",
    "FallbackReason",
    "Feature",
    "FileAcceptance",
    "FileSpeaker",
    "Flushed",
    "GoingAway",
    "Grade",
    "HeardSource",
    "IceServer",
    "Interrupted",
    "InterruptionSource",
    "Latency",
    "LatencyBucket",
    "Levels",
    "LiveAudio",
    "LoggedToolCall",
    "LoggedUtterance",
    "LoggedWord",
    "MediaError",
    "MetricKind",
    "Microphone",
    "PathChanged",
    "PlacedWord",
    "PlayResult",
    "Prepared",
    "ProtocolError",
    "Quality",
    "Recording",
    "RecoveryAction",
    "ServiceMetric",
    "ServiceMetrics",
    "Session",
    "SessionEnded",
    "SessionError",
    "SessionStarted",
    "SignalingError",
    "Simulation",
    "Snapshot",
    "SoundStream",
    "Span",
    "SpanKind",
    "Speaker",
    "StateChanged",
    "TappedMessage",
    "Timeouts",
    "TimingSource",
    "TokenEndpoint",
    "TokenRequest",
    "Tool",
    "ToolCall",
    "ToolCallEnded",
    "ToolCallStarted",
    "ToolError",
    "ToolOutcome",
    "TransportError",
    "Turn",
    "TurnMetrics",
    "TurnRole",
    "UsageError",
    "UserState",
    "UserTranscript",
    "UserTurn",
    "UtteranceEnd",
    "UtteranceEnded",
    "UtteranceStarted",
    "UtteranceWords",
    "VoxwireError",
    "Waiting",
    "connect",
    "device_states",
    "diagnose",
    "event_name",
    "list_devices",
    "prepare",
    "to_dict",
    "tool",
]


def repickled(error: Exception) -> Exception:
    """What another process makes of it."""
    return pickle.loads(pickle.dumps(error))


def test_the_public_api_is_what_it_was() -> None:
    assert voxwire.__all__ == sorted(PUBLIC)
    assert all(hasattr(voxwire, name) for name in PUBLIC)


def test_every_event_is_public() -> None:
    for event in typing.get_args(events.Event):
        assert getattr(voxwire, event.__name__) is event


WITH_THREE = {"send_file"}
"""A file is its name, its type and its bytes, in that order, in every client."""


@pytest.mark.parametrize("name", PUBLIC)
def test_at_most_two_positional_parameters(name: str) -> None:
    thing = getattr(voxwire, name)
    if isinstance(thing, enum.EnumType):
        return
    if inspect.isclass(thing) and thing.__module__.startswith("voxwire."):
        own = [kind for kind in thing.__mro__ if kind.__module__.startswith("voxwire.")]
        members = [(key, value) for kind in own for key, value in vars(kind).items()]
        verbs = [value for key, value in members if not key.startswith("__")]
    else:
        verbs = [thing]
    for verb in verbs:
        if inspect.isfunction(verb):
            kinds = [p.kind for p in inspect.signature(verb).parameters.values()]
            most = 4 if verb.__name__ in WITH_THREE else 3  # self and two
            assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) <= most


def test_error_codes_and_actions_are_those_of_the_schema() -> None:
    for ours, theirs, prefix in (
        (errors.ErrorCode, wire.ErrorCode, "ERROR_CODE_"),
        (errors.RecoveryAction, wire.RecoveryAction, "RECOVERY_ACTION_"),
    ):
        named = {name.removeprefix(prefix): value for name, value in theirs.items() if value}
        assert {member.name: member.value for member in ours} == named


def test_every_code_has_a_family_and_survives_the_wire() -> None:
    families = {
        errors.UsageError: range(1, 20),
        errors.SessionError: range(20, 40),
        errors.SignalingError: range(40, 50),
        errors.TransportError: range(50, 60),
        errors.MediaError: range(60, 70),
        errors.ProtocolError: range(70, 80),
        errors.BotError: range(80, 100),
    }
    for code in errors.ErrorCode:
        made = errors.error_from_wire(
            wire.Error(code=code.value, reason="r", retryable=True, action=2, retry_after_ms=5)
        )
        assert code in families[type(made)]
        assert isinstance(made, errors.VoxwireError)
        assert (made.code, made.reason, made.retryable) == (code, "r", True)
        assert (made.action, made.retry_after_ms) == (errors.RecoveryAction.RESUME, 5)
        assert errors.error_from_close(4000 + code, "").code == code
    assert errors.error_from_wire(wire.Error(code=98)).code == errors.ErrorCode.INTERNAL
    assert errors.error_from_close(1006, "x").code == errors.ErrorCode.CONNECTION_LOST
    assert "x" in str(errors.error_from_close(4999, "x"))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, repickled])
def test_errors_pass_between_processes(again: Callable[[Exception], Exception]) -> None:
    for code in errors.ErrorCode:
        action = errors.RecoveryAction.RESUME
        error = errors.make_error(code, "why", retryable=True, action=action, retry_after_ms=7)
        error.add_note("seen at noon")
        other = again(error)
        assert other is not error
        assert type(other) is type(error)
        assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))
        assert vars(other)["code"] is code


def test_event_enums_have_a_word_for_every_value_of_the_schema() -> None:
    for name in event_enums.__all__:
        theirs = getattr(wire, name).DESCRIPTOR
        words = {member.value for member in getattr(event_enums, name)}
        for value in theirs.values:
            word = event_codec._enum(getattr(event_enums, name), theirs, value.number)
            assert (word == "unknown") == (value.number == 0), value.name
        assert len(words) == len(theirs.values)


def test_every_message_for_the_program_becomes_an_event_that_json_can_hold() -> None:
    import json

    silent = {
        *("audio", "ack_only", "media_anchor", "flush", "ping", "pong", "chunk", "path_answer"),
        *("ice_candidate", "path_ready", "path_close", "ice_servers_update"),
        *("tool_request", "tool_progress", "tool_cancel", "file_taken", "file_ended"),
    }
    for payload in wire.SERVER_PAYLOADS:
        envelope = wire.Envelope()
        getattr(envelope, payload).SetInParent()
        event = event_codec.from_envelope(envelope)
        assert (event is None) == (payload in silent), payload
        if event is not None:
            json.dumps({"type": event_codec.event_name(event), **event_codec.to_dict(event)})
    assert event_codec.from_envelope(wire.Envelope()) is None


def test_event_names_are_snake_case_but_for_the_two_that_the_contract_names() -> None:
    assert event_codec.event_name(events.EventsSkipped(1)) == "events_skipped"
    flushed = events.Flushed(media_ms=1, flush_id=1, until_media_ms=2)
    assert event_codec.event_name(flushed) == "flush"
    event = event_codec.from_envelope(wire.Envelope(error=wire.Error(code=20, reason="no")))
    assert event_codec.event_name(event) == "error"
    assert event_codec.to_dict(event)["code"] == "unauthorized"


def test_json_of_a_tool_is_decoded_and_what_is_no_json_is_none() -> None:
    for text, value in (('{"a": [1]}', {"a": [1]}), ("", None), ("{", None), ("[" * 99_999, None)):
        envelope = wire.Envelope(
            tool_call_started=wire.ToolCallStarted(name="t", arguments_json=text)
        )
        event = event_codec.from_envelope(envelope)
        assert isinstance(event, events.ToolCallStarted)
        assert event.arguments == value


def test_the_stages_of_a_turn_are_those_that_were_measured() -> None:
    message = wire.TurnMetrics(turn_id="t", response_ms=90, playout_delay_ms=10)
    older = event_codec.from_envelope(wire.Envelope(turn_metrics=message))
    assert older == events.TurnMetrics("t", 90, 10)
    assert older.stages == {}
    message.total_ms, message.vad_ms, message.llm_ms, message.output_ms = 100, 0, 80, 10
    message.heard_source = wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK
    event = event_codec.from_envelope(wire.Envelope(turn_metrics=message))
    assert isinstance(event, events.TurnMetrics)
    assert list(event.stages.items()) == [
        *(("vad", 0), ("llm", 80), ("output", 10), ("playout_delay", 10))
    ]
    assert (event.tts_ms, event.heard_source) == (None, events.HeardSource.SERVER_CLOCK)
    written = event_codec.to_dict(event)
    assert (written["total_ms"], written["tts_ms"], written["typed"]) == (100, None, False)


def test_words_are_cut_from_their_piece_of_the_text() -> None:
    event = event_codec.from_envelope(
        wire.Envelope(
            utterance_words=wire.UtteranceWords(
                utterance_id="u",
                first_index=3,
                base_media_ms=100,
                text_offset=10,
                text="häus 🎈 x",
                words=[
                    wire.Word(char_start=10, char_end=14, start_ms=1, end_ms=2),
                    wire.Word(char_start=15, char_end=16, start_ms=3, end_ms=4),
                    wire.Word(char_start=2, char_end=5),
                ],
            )
        )
    )
    assert isinstance(event, events.UtteranceWords)
    assert [(w.index, w.text, w.start_ms) for w in event.words] == [
        (3, "häus", 101),
        (4, "🎈", 103),
        (5, "", 100),
    ]
