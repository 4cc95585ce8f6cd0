"""What a voice session counts as heard."""

import pytest

from voxwire import HeardSource, TimingSource, UtteranceEnd, UtteranceEnded
from voxwire.testing.voice.log import VoiceLog
from voxwire_protocol.events import BotWord, PlacedWord, UtteranceStarted, UtteranceWords

SOURCE = TimingSource.PROVIDER_WORD


@pytest.mark.parametrize(("counted", "at_ms"), [(1, None), (2, 700), (3, 700)])
def test_a_word_that_the_end_counts_was_heard_though_it_was_cut_before_it_sounded_here(
    counted: int, at_ms: float | None
) -> None:
    log, texts = VoiceLog(), ("Hello,", "I", "am")
    words = tuple(
        PlacedWord(n, it, 0, 1, n * 100, n * 100 + 90, end_estimated=False)
        for n, it in enumerate(texts)
    )
    log.take(UtteranceStarted("u", "t", "", 0, SOURCE, ""), 0)
    log.take(UtteranceWords("u", 0, "Hello, I am", words, 0, SOURCE), 10)
    log.take(BotWord("u", 0, "Hello,", 0, 6, 0, 90, SOURCE), 500)
    log.take(
        UtteranceEnded("u", UtteranceEnd.INTERRUPTED, 150, 8, counted, HeardSource.CLIENT_REPORT),
        700,
    )
    assert log.heard_at_ms("hello") == 500
    assert log.heard_at_ms("hello I") == at_ms
