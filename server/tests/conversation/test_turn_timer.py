"""How long the user waited, and for what."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol import wire
from voxwire_server.conversation.turn_timer import TurnTimer
from voxwire_server.ports import VoiceEnd

LOUD = np.full(240, 9000, np.int16).tobytes()
STAGES = [
    *("vad_ms", "stt_ms", "turn_ms", "llm_ms", "tool_ms", "tts_ms", "output_ms"),
    *("playout_delay_ms", "lead_silence_ms"),
]


def stages(metrics: wire.TurnMetrics | None) -> dict[str, int]:
    """The stages that are present, in order."""
    assert metrics is not None
    known = {field.name for field, _ in metrics.ListFields()} | {"playout_delay_ms"}
    return {name: getattr(metrics, name) for name in STAGES if name in known}


def answered(turns: TurnTimer, *, at: float = 1400, lead: int = 0, context: str = "c") -> Any:
    """The answer's audio is placed 60 ms before its first audible sample is heard."""
    turns.bot_placed(context, 5000, at - 60, "t1")
    turns.sound(bytes(2 * lead * 24) + LOUD, 5000, 24_000)
    return turns.reported(5000 + lead + 30, at + 30, playing=True)


def test_every_stage_of_a_spoken_turn() -> None:
    turns = TurnTimer()
    turns.speech_ended(1000, 1200, VoiceEnd(970.4, 7321.6))
    turns.transcribed(1250)
    turns.asked(1253)
    turns.tool_started("a", 1260)
    turns.tool_started("b", 1265)
    turns.tool_ended("a", 1270)
    turns.tool_ended("b", 1280)
    turns.text_taken("c", 1300)
    turns.text_taken("c", 1310)
    turns.audio_made("c", 1330)
    turns.audio_made("c", 1335)
    turns.bot_placed("c", 5000, 1331, "t1")
    turns.bot_placed("d", 9000, 1900, "t1")
    assert turns.sound(bytes(480), 5000, 24_000) is None, "silence"
    assert turns.sound(LOUD, 5010, 24_000) == 5010
    assert turns.sound(LOUD, 5020, 24_000) is None, "once"
    assert turns.reported(5000, 1370, playing=True) is None, "not there yet"
    metrics = turns.reported(5100, 1470, playing=True)
    assert stages(metrics) == {
        "vad_ms": 230,  # from 970.4
        "stt_ms": 50,
        "turn_ms": 3,
        "llm_ms": 27,
        "tool_ms": 20,
        "tts_ms": 30,
        "output_ms": 1,
        "playout_delay_ms": 39,
        "lead_silence_ms": 10,
    }
    assert metrics is not None
    assert (metrics.turn_id, metrics.response_ms, metrics.total_ms) == ("t1", 331, 410)
    assert (metrics.first_audio_media_ms, metrics.user_stopped_capture_ms) == (5000, 7322)
    assert metrics.user_stopped_server_us == 970_400
    assert not metrics.typed
    assert metrics.heard_source == wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
    assert turns.reported(5200, 1570, playing=True) is None, "once a turn"


def test_a_typed_turn_has_no_speech() -> None:
    turns = TurnTimer()
    turns.typed(1000)
    turns.asked(1010)
    turns.text_taken("c", 1100)
    turns.audio_made("c", 1130)
    metrics = answered(turns)
    assert metrics.typed
    assert not metrics.HasField("user_stopped_capture_ms")
    found = stages(metrics)
    assert (found["vad_ms"], found["stt_ms"], found["turn_ms"]) == (0, 0, 10)
    assert "tool_ms" not in found
    assert sum(found.values()) == metrics.total_ms == 400


def test_a_model_that_speaks_by_itself_has_no_recogniser_and_no_synthesiser() -> None:
    turns = TurnTimer()
    turns.speech_ended(1000, 1200)
    turns.audio_made("", 1330)
    metrics = answered(turns, context="", lead=20)
    assert stages(metrics) == {
        "vad_ms": 200,
        "llm_ms": 130,
        "output_ms": 10,
        "playout_delay_ms": 40,
        "lead_silence_ms": 20,
    }
    assert metrics.total_ms == 400


def test_the_first_utterance_counts_and_not_the_text_of_another() -> None:
    turns = TurnTimer()
    turns.speech_ended(1000, 1200)
    turns.text_taken("other", 1210)
    turns.audio_made("other", 1220)
    turns.text_taken("c", 1300)
    turns.audio_made("c", 1320)
    assert stages(answered(turns))["tts_ms"] == 20


def test_a_tool_that_still_runs_counts_until_the_text() -> None:
    turns = TurnTimer()
    turns.speech_ended(1000, 1200)
    turns.asked(1200)
    turns.tool_started("a", 1210)
    turns.text_taken("c", 1300)
    turns.audio_made("c", 1310)
    turns.tool_ended("a", 1320)
    found = stages(answered(turns))
    assert (found["llm_ms"], found["tool_ms"]) == (10, 90)


def test_what_nobody_asked_for_is_not_measured() -> None:
    turns = TurnTimer()
    turns.asked(50)
    turns.text_taken("greeting", 60)
    assert answered(turns, context="greeting") is None
    turns.speech_ended(1000, 1200)
    turns.speech_started()
    assert answered(turns) is None, "the user went on"
    turns.typed(1000)
    turns.drop()
    assert answered(turns) is None, "the client cut the bot off before it spoke"


def test_an_answer_that_is_cut_before_it_is_heard_has_no_figures() -> None:
    turns = TurnTimer()
    turns.typed(1000)
    turns.cut()  # what was said before the question
    turns.bot_placed("c", 5000, 1340, "t1")
    turns.sound(LOUD, 5000, 24_000)
    turns.cut()
    assert turns.reported(5030, 1430, playing=True) is None
    assert answered(turns) is None, "the turn is over"


def test_a_position_from_before_the_sound_is_no_sign_of_it() -> None:
    turns = TurnTimer()
    turns.typed(1000)
    turns.bot_placed("c", 5000, 1340, "t1")
    assert turns.reported(9000, 1341, playing=True) is None, "nothing audible is known"
    turns.sound(LOUD, 5000, 24_000)
    assert turns.reported(5000, 1342, playing=False) is None, "it stands there, and is silent"
    assert turns.reported(5000, 1400, playing=True) is not None


def test_without_reports_the_servers_clock_counts() -> None:
    turns = TurnTimer()
    assert turns.reached(1) is None
    turns.typed(1000)
    turns.bot_placed("c", 5000, 1340, "t1")
    assert turns.reached(1341) is None
    turns.sound(LOUD, 5000, 24_000)
    metrics = turns.reached(1400)
    assert metrics is not None
    assert metrics.heard_source == wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK
    assert metrics.total_ms == 400


MOMENT = st.none() | st.floats(0, 3000)


@given(
    moments=st.lists(MOMENT, min_size=9, max_size=9),
    stopped=st.floats(0, 3000),
    voice=MOMENT,
    placed=st.floats(0, 3000),
    heard=st.floats(0, 3000),
    lead=st.integers(0, 100),
)
def test_stages_in_any_order_are_never_negative_and_sum_to_the_whole(
    moments: list[float | None],
    stopped: float,
    voice: float | None,
    placed: float,
    heard: float,
    lead: int,
) -> None:
    turns = TurnTimer()
    found = None if voice is None else VoiceEnd(voice, None)
    turns.speech_ended(stopped - 200, stopped, found)
    calls = [
        turns.transcribed,
        turns.asked,
        lambda at: turns.tool_started("a", at),
        lambda at: turns.tool_ended("a", at),
        lambda at: turns.text_taken("c", at),
        lambda at: turns.audio_made("c", at),
    ]
    for call, moment in zip(calls, moments, strict=False):
        if moment is not None:
            call(moment)
    turns.bot_placed("c", 5000, placed, "t1")
    turns.sound(bytes(2 * lead * 24) + LOUD, 5000, 24_000)
    metrics = turns.reported(5000 + lead, heard, playing=True)
    assert metrics is not None
    assert sum(stages(metrics).values()) == metrics.total_ms
