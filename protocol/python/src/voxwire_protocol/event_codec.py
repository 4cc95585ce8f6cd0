"""Events from wire messages, and events as JSON-ready dictionaries."""

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import IntEnum, StrEnum
from typing import Any, Final, TypeVar, cast

from google.protobuf.descriptor import EnumDescriptor

from voxwire_protocol import events, wire
from voxwire_protocol.errors import action_from_wire, code_from_wire
from voxwire_protocol.json_text import load_json
from voxwire_protocol.timeline import TimedWord

__all__ = ["event_name", "from_envelope", "snapshot_of", "to_dict", "word_event"]

_EnumT = TypeVar("_EnumT", bound=StrEnum)

_MEASURED: Final = tuple(
    field.name for field in wire.TurnMetrics.DESCRIPTOR.fields if field.has_presence
)
"""What a turn's figures may lack."""


def _enum(kind: type[_EnumT], descriptor: EnumDescriptor, value: int) -> _EnumT:
    """The member for a wire number; what this version does not know becomes ``UNKNOWN``."""
    known = descriptor.values_by_number.get(value)
    if known is None or value == 0:
        return kind("unknown")
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", descriptor.name).upper() + "_"
    try:
        return kind(known.name.removeprefix(prefix).lower())
    except ValueError:
        return kind("unknown")


def _json(text: str) -> Any:
    """Decodes JSON from the peer; None when there is none, it is not JSON, or nested too deep."""
    if not text:
        return None
    try:
        return load_json(text)
    except ValueError:
        return None


def _state_changed(message: wire.StateChanged) -> events.Event:
    return events.StateChanged(
        bot=_enum(events.BotState, wire.BotState.DESCRIPTOR, message.bot),
        user=_enum(events.UserState, wire.UserState.DESCRIPTOR, message.user),
        media_ms=message.media_ms,
        user_muted=message.user_muted,
    )


def _transcript(message: wire.Transcript) -> events.Event:
    return events.UserTranscript(
        text=message.text,
        final=message.final,
        transcript_id=message.transcript_id,
        turn_id=message.turn_id,
        language=message.language,
        typed=message.typed,
        confidence=message.confidence if message.HasField("confidence") else None,
    )


def _response_started(message: wire.ResponseStarted) -> events.Event:
    return events.BotResponseStarted(response_id=message.response_id, turn_id=message.turn_id)


def _response_text(message: wire.ResponseText) -> events.Event:
    return events.BotResponseText(response_id=message.response_id, text=message.text)


def _response_ended(message: wire.ResponseEnded) -> events.Event:
    return events.BotResponseEnded(response_id=message.response_id)


def _timing(value: int) -> events.TimingSource:
    return _enum(events.TimingSource, wire.TimingSource.DESCRIPTOR, value)


def _utterance_started(message: wire.UtteranceStarted) -> events.Event:
    return events.UtteranceStarted(
        utterance_id=message.utterance_id,
        turn_id=message.turn_id,
        response_id=message.response_id,
        media_ms=message.media_ms,
        source=_timing(message.source),
        language=message.language,
    )


def _utterance_words(message: wire.UtteranceWords) -> events.Event:
    words = tuple(
        events.PlacedWord(
            index=message.first_index + number,
            text=message.text[
                max(0, word.char_start - message.text_offset) : max(
                    0, word.char_end - message.text_offset
                )
            ],
            char_start=word.char_start,
            char_end=word.char_end,
            start_ms=message.base_media_ms + word.start_ms,
            end_ms=message.base_media_ms + word.end_ms,
            end_estimated=word.end_estimated,
        )
        for number, word in enumerate(message.words)
    )
    return events.UtteranceWords(
        utterance_id=message.utterance_id,
        text_offset=message.text_offset,
        text=message.text,
        words=words,
        revision=message.revision,
        source=_timing(message.source),
    )


def _utterance_ended(message: wire.UtteranceEnded) -> events.Event:
    return events.UtteranceEnded(
        utterance_id=message.utterance_id,
        end=_enum(events.UtteranceEnd, wire.UtteranceEnd.DESCRIPTOR, message.end),
        heard_media_ms=message.heard_media_ms,
        heard_char_end=message.heard_char_end,
        heard_words=message.heard_words,
        heard_source=_enum(events.HeardSource, wire.HeardSource.DESCRIPTOR, message.heard_source),
    )


def _tool_started(message: wire.ToolCallStarted) -> events.Event:
    return events.ToolCallStarted(
        call_id=message.call_id,
        name=message.name,
        arguments=_json(message.arguments_json),
        response_id=message.response_id,
    )


def _tool_ended(message: wire.ToolCallEnded) -> events.Event:
    return events.ToolCallEnded(
        call_id=message.call_id,
        name=message.name,
        outcome=_enum(events.ToolOutcome, wire.ToolOutcome.DESCRIPTOR, message.outcome),
        result=_json(message.result_json),
        duration_ms=message.duration_ms,
    )


def _interrupted(message: wire.Interrupted) -> events.Event:
    return events.Interrupted(
        source=_enum(events.InterruptionSource, wire.InterruptionSource.DESCRIPTOR, message.source),
        utterance_id=message.utterance_id,
    )


def _service_metrics(message: wire.ServiceMetrics) -> events.Event:
    return events.ServiceMetrics(
        metrics=tuple(
            events.ServiceMetric(
                kind=_enum(events.MetricKind, wire.MetricKind.DESCRIPTOR, metric.kind),
                processor=metric.processor,
                model=metric.model,
                value=metric.value,
            )
            for metric in message.metrics
        )
    )


def _turn_metrics(message: wire.TurnMetrics) -> events.Event:
    known = {field.name for field, _ in message.ListFields()}
    return events.TurnMetrics(
        turn_id=message.turn_id,
        response_ms=message.response_ms,
        playout_delay_ms=message.playout_delay_ms,
        typed=message.typed,
        heard_source=_enum(events.HeardSource, wire.HeardSource.DESCRIPTOR, message.heard_source),
        **{name: getattr(message, name) for name in _MEASURED if name in known},
    )


def _app_message(message: wire.AppMessage) -> events.Event:
    return events.AppMessage(
        type=message.type,
        data=_json(message.data_json),
        request_id=message.request_id,
        response=message.response,
    )


def _error(message: wire.Error) -> events.Event:
    return events.ErrorEvent(
        code=code_from_wire(message.code),
        reason=message.reason,
        retryable=message.retryable,
        action=action_from_wire(message.action),
        retry_after_ms=message.retry_after_ms,
        fatal=message.fatal,
        subject_id=message.subject_id,
    )


def _session_ended(message: wire.SessionEnded) -> events.Event:
    return events.SessionEnded(
        reason=_enum(events.EndReason, wire.EndReason.DESCRIPTOR, message.reason),
        duration_ms=message.duration_ms,
    )


def _going_away(message: wire.GoAway) -> events.Event:
    return events.GoingAway(reason=message.reason, time_left_ms=message.time_left_ms)


def _waiting(message: wire.Waiting) -> events.Event:
    return events.Waiting(position=message.position, estimated_ms=message.estimated_ms)


def _session_started(message: wire.Welcome) -> events.Event:
    return events.SessionStarted(
        session_id=message.session_id,
        bot=message.bot,
        server=message.server,
        resumed=message.resumed,
        examples=tuple(message.examples),
    )


def snapshot_of(message: wire.Snapshot) -> events.Snapshot:
    """The typed copy of a snapshot."""
    return events.Snapshot(
        turns=tuple(
            events.Turn(
                turn_id=turn.turn_id,
                role=_enum(events.TurnRole, wire.TurnRole.DESCRIPTOR, turn.role),
                text=turn.text,
                unheard_text=turn.unheard_text,
            )
            for turn in message.turns
        ),
        utterance_id=message.utterance.utterance_id,
        heard_media_ms=message.heard_media_ms,
        call_ids=tuple(call.call_id for call in message.tool_calls),
        bot=_enum(events.BotState, wire.BotState.DESCRIPTOR, message.state.bot),
        user=_enum(events.UserState, wire.UserState.DESCRIPTOR, message.state.user),
        user_muted=message.user_muted,
    )


_DECODERS: Final[dict[str, Callable[[Any], events.Event]]] = {
    "welcome": _session_started,
    "state_changed": _state_changed,
    "transcript": _transcript,
    "response_started": _response_started,
    "response_text": _response_text,
    "response_ended": _response_ended,
    "utterance_started": _utterance_started,
    "utterance_words": _utterance_words,
    "utterance_ended": _utterance_ended,
    "tool_call_started": _tool_started,
    "tool_call_ended": _tool_ended,
    "interrupted": _interrupted,
    "service_metrics": _service_metrics,
    "turn_metrics": _turn_metrics,
    "app_message": _app_message,
    "error": _error,
    "session_ended": _session_ended,
    "go_away": _going_away,
    "waiting": _waiting,
}


def from_envelope(envelope: wire.Envelope) -> events.Event | None:
    """The event that an envelope of a server stands for; None for media, signaling and acks."""
    payload = envelope.WhichOneof("payload")
    decode = _DECODERS.get(payload) if payload else None
    return None if decode is None else decode(getattr(envelope, cast(str, payload)))


def word_event(word: TimedWord) -> events.BotWord:
    """A word that the listener hears now."""
    return events.BotWord(
        utterance_id=word.utterance_id,
        index=word.index,
        text=word.text,
        char_start=word.char_start,
        char_end=word.char_end,
        start_ms=word.start_ms,
        end_ms=word.end_ms,
        source=_timing(word.source),
    )


_NAMES: Final[dict[type[Any], str]] = {events.ErrorEvent: "error", events.Flushed: "flush"}


def event_name(event: object) -> str:
    """The snake_case name of an event, as ``voxwire talk --events`` writes it."""
    kind = type(event)
    return _NAMES.get(kind) or re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def to_dict(value: Any) -> Any:
    """A JSON-ready copy of an event: enums become lower-case words, tuples lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_dict(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [to_dict(item) for item in cast("tuple[Any, ...]", value)]
    return value
