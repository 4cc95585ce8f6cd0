"""What a recogniser says beside the text reaches the client."""

from types import SimpleNamespace
from typing import Any

import pytest
from pipecat.frames.frames import InterimTranscriptionFrame, TranscriptionFrame
from pipecat.transcriptions.language import Language

from voxwire_server.pipeline.transcripts import confidence_of, language_of


def heard(*, language: Any = None, result: Any = None) -> TranscriptionFrame:
    return TranscriptionFrame("hello", "user", "now", language, result)


@pytest.mark.parametrize(
    ("language", "tag"),
    [(Language.EN_US, "en-US"), ("pt-BR", "pt-BR"), (None, ""), (5, ""), ("x" * 99, "")],
)
def test_the_language_is_a_bcp_47_tag_or_unknown(language: Any, tag: str) -> None:
    assert language_of(heard(language=language)) == tag
    assert language_of(InterimTranscriptionFrame("hello", "user", "now", language)) == tag


@pytest.mark.parametrize(
    ("result", "confidence"),
    [
        (SimpleNamespace(confidence=0.5), 0.5),
        ({"confidence": 1}, 1.0),
        (SimpleNamespace(alternatives=[SimpleNamespace(confidence=0.75)]), 0.75),  # Google
        ({"channel": {"alternatives": [{"confidence": 0.25}]}}, 0.25),  # Deepgram, as JSON
        (
            SimpleNamespace(
                channel=SimpleNamespace(alternatives=[SimpleNamespace(confidence=0.9)])
            ),
            0.9,
        ),
        (SimpleNamespace(alternatives=[SimpleNamespace(confidence=0.0)]), None),  # not filled
        ({"confidence": True}, None),
        ({"confidence": "0.5"}, None),
        ({"confidence": float("nan")}, None),
        ({"confidence": 87}, None),
        ({"alternatives": []}, None),
        ({"alternatives": 5}, None),
        ([1], None),
        ("text", None),
        (None, None),
    ],
)
def test_the_confidence_is_found_where_services_have_it(
    result: Any, confidence: float | None
) -> None:
    assert confidence_of(heard(result=result)) == confidence
