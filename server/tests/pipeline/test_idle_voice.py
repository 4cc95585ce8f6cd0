"""A voice detector of a bot's own waits for a client that was cut off."""

from typing import Any

import pytest
from pipecat.audio.vad.vad_analyzer import VADAnalyzer
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.audio.vad_processor import VADProcessor

from voxwire_protocol.capture import KEPT_MS
from voxwire_server.pipeline.idle_voice import IDLE_SECS, wait_for_voice


class Detector(VADAnalyzer):
    """Hears nothing."""

    def num_frames_required(self) -> int:
        return 512

    def voice_confidence(self, buffer: bytes) -> float:
        return 0.0


def idle_secs(processor: Any) -> float:
    return processor._vad_controller._audio_idle_timeout


@pytest.mark.parametrize(("given", "kept"), [({}, IDLE_SECS), ({"audio_idle_timeout": 2.5}, 2.5)])
def test_pipecats_second_becomes_longer_than_what_a_client_keeps(
    given: dict[str, float], kept: float
) -> None:
    params = LLMUserAggregatorParams(vad_analyzer=Detector(), **given)
    user = LLMContextAggregatorPair(LLMContext(), user_params=params).user()
    alone = VADProcessor(vad_analyzer=Detector(), **given)
    assert IDLE_SECS * 1000 > KEPT_MS
    wait_for_voice([Pipeline([alone, Pipeline([user])])])
    assert [idle_secs(one) for one in (alone, user)] == [kept, kept]
