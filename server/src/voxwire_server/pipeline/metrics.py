"""What Pipecat measures of its services, as the client is told. Pure."""

import math
from typing import Any, Final

from pipecat.frames.frames import MetricsFrame
from pipecat.metrics.metrics import (
    LLMUsageMetricsData,
    ProcessingMetricsData,
    TTFBMetricsData,
    TTSUsageMetricsData,
)

from voxwire_protocol import wire
from voxwire_server.outgoing import sendable

__all__ = ["service_metrics"]

_MS: Final = 1000


def service_metrics(frame: MetricsFrame) -> list[wire.ServiceMetric]:
    """The measures of one frame: seconds become milliseconds, zeros are left out."""
    return [metric for data in frame.data for metric in _metrics_of(data)]


def _metrics_of(data: Any) -> list[wire.ServiceMetric]:
    kind = wire.MetricKind
    if isinstance(data, TTFBMetricsData):
        pairs = [(kind.METRIC_KIND_TTFB, data.value * _MS)]
    elif isinstance(data, ProcessingMetricsData):
        pairs = [(kind.METRIC_KIND_PROCESSING, data.value * _MS)]
    elif isinstance(data, LLMUsageMetricsData):
        pairs = [
            (kind.METRIC_KIND_PROMPT_TOKENS, float(data.value.prompt_tokens)),
            (kind.METRIC_KIND_COMPLETION_TOKENS, float(data.value.completion_tokens)),
        ]
    elif isinstance(data, TTSUsageMetricsData):
        pairs = [(kind.METRIC_KIND_TTS_CHARACTERS, float(data.value))]
    else:
        pairs = []
    return [
        wire.ServiceMetric(
            kind=k, processor=sendable(data.processor), model=sendable(data.model or ""), value=v
        )
        for k, v in pairs
        if v and math.isfinite(v)
    ]
