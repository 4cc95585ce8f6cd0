"""Measurements: ours are milliseconds and one list, RTVI's are seconds and a list a kind. Pure."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from voxwire_protocol import wire

__all__ = ["metrics_from_rtvi", "metrics_to_rtvi"]

_Kind = wire.MetricKind
_SECONDS: Final = {"ttfb": _Kind.METRIC_KIND_TTFB, "processing": _Kind.METRIC_KIND_PROCESSING}
_TOKENS: Final = {
    "prompt_tokens": _Kind.METRIC_KIND_PROMPT_TOKENS,
    "completion_tokens": _Kind.METRIC_KIND_COMPLETION_TOKENS,
}
_MAX_METRICS: Final = 256
"""Most measurements read of one message."""


def metrics_to_rtvi(message: wire.ServiceMetrics) -> dict[str, Any]:
    """The data of ``metrics``: durations in seconds, as pipecat writes them."""
    data: dict[str, list[dict[str, Any]]] = {}
    tokens: dict[tuple[str, str], dict[str, Any]] = {}
    for metric in message.metrics:
        if not math.isfinite(metric.value):
            continue
        about: dict[str, Any] = {"processor": metric.processor}
        if metric.model:
            about["model"] = metric.model
        for name, kind in _SECONDS.items():
            if metric.kind == kind:
                data.setdefault(name, []).append({**about, "value": metric.value / 1000})
        for name, kind in _TOKENS.items():
            if metric.kind == kind:
                entry = tokens.setdefault((metric.processor, metric.model), about)
                entry[name] = int(metric.value)
        if metric.kind == _Kind.METRIC_KIND_TTS_CHARACTERS:
            data.setdefault("characters", []).append({**about, "value": int(metric.value)})
    if tokens:
        data["tokens"] = [
            {**entry, **{name: entry.get(name, 0) for name in _TOKENS}, "total_tokens": _sum(entry)}
            for entry in tokens.values()
        ]
    return data


def metrics_from_rtvi(data: object) -> tuple[wire.ServiceMetrics, bool]:
    """The measurements that ours have a kind for, and whether there was anything else."""
    found: list[wire.ServiceMetric] = []
    is_whole = isinstance(data, dict)
    members = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    for name, entries in members.items():
        read = _READERS.get(name)
        if read is None or not isinstance(entries, list):
            is_whole = False
            continue
        for entry in cast("list[Any]", entries)[:_MAX_METRICS]:
            if isinstance(entry, dict):
                found.extend(read(name, cast("dict[str, Any]", entry)))
    return wire.ServiceMetrics(metrics=found[:_MAX_METRICS]), not is_whole


def _seconds(name: str, entry: dict[str, Any]) -> Iterable[wire.ServiceMetric]:
    value = _number(entry.get("value"))
    return [] if value is None else [_metric(_SECONDS[name], entry, value * 1000)]


def _characters(_: str, entry: dict[str, Any]) -> Iterable[wire.ServiceMetric]:
    value = _number(entry.get("value"))
    return [] if value is None else [_metric(_Kind.METRIC_KIND_TTS_CHARACTERS, entry, value)]


def _tokens(_: str, entry: dict[str, Any]) -> Iterable[wire.ServiceMetric]:
    values = ((kind, _number(entry.get(name))) for name, kind in _TOKENS.items())
    return [_metric(kind, entry, value) for kind, value in values if value is not None]


def _metric(kind: wire.MetricKind, entry: dict[str, Any], value: float) -> wire.ServiceMetric:
    return wire.ServiceMetric(
        kind=kind,
        processor=_text(entry.get("processor")),
        model=_text(entry.get("model")),
        value=value,
    )


def _sum(entry: dict[str, Any]) -> int:
    return sum(int(entry.get(name, 0)) for name in _TOKENS)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


_READERS: Final[dict[str, Callable[[str, dict[str, Any]], Iterable[wire.ServiceMetric]]]] = {
    "ttfb": _seconds,
    "processing": _seconds,
    "characters": _characters,
    "tokens": _tokens,
}
