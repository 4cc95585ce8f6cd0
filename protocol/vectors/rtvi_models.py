"""What the RTVI models of the installed pipecat wheel write: every message, least and most.

For each message class of ``pipecat.processors.frameworks.rtvi.models`` (and for each data class
that ``RTVIProcessor`` reads of a client) one message with the required members only, one with all
of them, and one for each value of a closed set. A class that is new in the wheel is in the corpus
as soon as this runs again.
"""

import types
import typing
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Literal

from pydantic import BaseModel

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pipecat.audio.dtmf.types import KeypadEntry
    from pipecat.metrics import metrics
    from pipecat.processors.frameworks.rtvi import models

# What RTVIProcessor._handle_message validates the data of a client's message with.
CLIENT_DATA = {
    "client-ready": models.ClientReadyData,
    "client-message": models.RawClientMessageData,
    "send-text": models.SendTextData,
    "send-file": models.SendFileData,
    "dtmf": models.DTMFInputData,
    "llm-function-call-result": models.LLMFunctionCallResultData,
}

# Keys of `metrics` (RTVIObserver._handle_metrics) and the models behind them.
METRICS = {
    "ttfb": metrics.TTFBMetricsData,
    "ttfa": metrics.TTFAMetricsData,
    "ttfat": metrics.TTFATMetricsData,
    "processing": metrics.ProcessingMetricsData,
    "characters": metrics.TTSUsageMetricsData,
    "stt_usage": metrics.STTUsageMetricsData,
    "tokens": metrics.LLMTokenUsage,
}

# Values of members that may be anything.
ANY = [
    "text",
    0,
    17,
    0.25,
    False,
    [],
    ["a", None, 2],
    {"city": "Zürich", "zip": None, "near": [{"lat": 47.37, "lon": 8.54}]},
]

TEXTS = {
    "text": "Hello, wörld 👋",
    "base64": "AAECAwQF",
    "timestamp": "2026-08-21T10:11:12.345+00:00",
    "version": "2.2.0",
    "audio": "AAABAAIAAwA=",
    "bytes": "iVBORw0KGgo=",
    "url": "https://example.com/a.pdf",
    "format": "application/pdf",
}

CLIENT_CLASSES = {"ui-event", "ui-snapshot", "ui-cancel-job-group"}


def corpus() -> dict[str, Any]:
    """The corpus of the installed wheel."""
    messages = [*_of_clients(), *_of_bots(), *_of_metrics()]
    return {
        "source": f"pipecat-ai {version('pipecat-ai')}: processors/frameworks/rtvi/models.py",
        "rtvi": models.PROTOCOL_VERSION,
        "messages": messages,
    }


def check(sender: str, message: dict[str, Any]) -> None:
    """Holds a message against the wheel's model of it.

    Raises:
        ValueError: The model refuses it.
    """
    if sender == "client":
        models.Message(**message)
        model = CLIENT_DATA.get(message["type"])
        if model is not None:
            model.model_validate(message["data"])
        return
    for model in vars(models).values():
        if isinstance(model, type) and issubclass(model, BaseModel):
            kind = getattr(model.model_fields.get("type"), "default", None)
            if kind == message["type"] and "label" in model.model_fields:
                model.model_validate(message)
                return
    raise ValueError(f"pipecat has no message {message['type']}")


def _of_clients() -> Iterator[dict[str, Any]]:
    for kind, model in CLIENT_DATA.items():
        for data in _variants(model):
            message = models.Message(type=kind, id="a1b2c3d4", data=_dump(data))
            yield _entry("client", message)
    for kind in ("disconnect-bot", "raw-audio", "raw-audio-batch"):
        data: dict[str, Any] | None = None
        if kind != "disconnect-bot":  # read without a model: RTVIProcessor._handle_audio_buffer
            data = {"sampleRate": 16000, "numChannels": 1}
            batch = kind == "raw-audio-batch"
            data |= {"base64AudioBatch": ["AAA=", "AQE="]} if batch else {"base64Audio": "AAAA"}
        yield _entry("client", models.Message(type=kind, id="a1b2c3d4", data=data))


def _of_bots() -> Iterator[dict[str, Any]]:
    for model in vars(models).values():
        if not isinstance(model, type) or not issubclass(model, BaseModel):
            continue
        kind = getattr(model.model_fields.get("type"), "default", None)
        if not isinstance(kind, str) or "label" not in model.model_fields or kind == "metrics":
            continue
        for message in _variants(model):
            yield _entry("client" if kind in CLIENT_CLASSES else "bot", message)


def _of_metrics() -> Iterator[dict[str, Any]]:
    for key, model in METRICS.items():
        entries = [_dump(found) for found in _variants(model)]
        yield _entry("bot", models.MetricsMessage(data={key: entries}))
    yield _entry("bot", models.MetricsMessage(data={}))


def _entry(sender: str, message: BaseModel) -> dict[str, Any]:
    return {"from": sender, "message": _dump(message)}


def _dump(model: BaseModel) -> dict[str, Any]:
    # as RTVIProcessor.push_transport_message does
    return model.model_dump(exclude_none=True, mode="json")


def _variants(model: type[BaseModel]) -> list[BaseModel]:
    """The least and the most of a model, and each value of its closed sets and open members."""
    fields = model.model_fields
    choices = {name: _values(name, field.annotation) for name, field in fields.items()}
    required = {name for name, field in fields.items() if field.is_required()}
    found = [{name: choices[name][0] for name in required}]
    for at in range(max((len(values) for values in choices.values()), default=0)):
        found.append({name: values[at % len(values)] for name, values in choices.items() if values})
    models_made: dict[str, BaseModel] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for members in found:
            made = model(**members)
            models_made.setdefault(made.model_dump_json(exclude_none=True), made)
    return list(models_made.values())


def _values(name: str, kind: Any) -> list[Any]:
    """What a member of a type may be."""
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return [value for one in arguments if one is not type(None) for value in _values(name, one)]
    if origin is Literal:
        return list(arguments)
    if origin is list:
        inner = _values(name, arguments[0])
        return [inner[:3]] if arguments[0] is not KeypadEntry else [inner, inner[:1]]
    if origin in (dict, Mapping) or kind is dict or getattr(origin, "__name__", "") == "Mapping":
        return [{}, ANY[-1]]
    if kind is Any:
        return ANY
    if isinstance(kind, type):
        return _plain_values(name, kind)
    raise TypeError(f"{name}: {kind} is new in the wheel; say what it may be")


def _plain_values(name: str, kind: type) -> list[Any]:
    if issubclass(kind, BaseModel):
        if kind is models.A11yNode and name == "children":
            return [models.A11yNode(ref="e2", role="button", name="Send", state=["focused"])]
        return list(_variants(kind))
    if issubclass(kind, KeypadEntry):
        return list(kind)
    if kind is bool:
        return [False, True]
    if kind is int:
        return [0, 1724239472123] if name in ("at", "captured_at") else [0, 42]
    if kind is float:
        return [0.0, 0.125]
    if issubclass(kind, str):
        return [TEXTS.get(name, f"a {name}"), ""]
    raise TypeError(f"{name}: {kind} is new in the wheel; say what it may be")
