"""When an answer is overdue, and who is told to owe it, in virtual time."""

import pytest

from voxwire_server.conversation.answer_deadline import FAILED_MS, AnswerDeadline, Overdue

TIMEOUT_MS = 15_000


class Clock:
    """A deadline and the time that passes for it."""

    def __init__(self, timeout_ms: float = TIMEOUT_MS) -> None:
        self.deadline = AnswerDeadline(timeout_ms)
        self.now_ms = 0.0
        self.deadline.pass_time(0.0, waits=True, held=False)

    def wait(
        self, until_ms: float, *, waits: bool = True, held: bool = False, step_ms: float = 500
    ) -> Overdue | None:
        """Let time pass in steps; what is overdue first, if anything."""
        while self.now_ms < until_ms:
            self.now_ms = min(until_ms, self.now_ms + step_ms)
            overdue = self.deadline.pass_time(self.now_ms, waits=waits, held=held)
            if overdue is not None:
                return overdue
        return None


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_model_that_was_asked_and_says_nothing_owes(clock: Clock) -> None:
    clock.deadline.asked("llm")
    assert clock.wait(TIMEOUT_MS - 1) is None
    assert clock.wait(TIMEOUT_MS) == Overdue("llm", told=False)


def test_it_is_told_once_and_the_time_begins_anew(clock: Clock) -> None:
    clock.deadline.asked("llm")
    assert clock.wait(TIMEOUT_MS) is not None
    assert clock.wait(2 * TIMEOUT_MS - 1) is None


def test_a_model_that_stops_in_the_middle_owes_from_its_last_token_on(clock: Clock) -> None:
    clock.deadline.asked("llm")
    clock.deadline.begun("llm")
    assert clock.wait(10_000) is None
    clock.deadline.sign()
    assert clock.wait(10_000 + TIMEOUT_MS - 1) is None
    assert clock.wait(10_000 + TIMEOUT_MS) == Overdue("llm", told=False)


def test_a_voice_that_has_a_text_and_gives_no_sound_owes_before_the_model(clock: Clock) -> None:
    clock.deadline.begun("llm")
    clock.deadline.text_taken("tts", "c1")
    assert clock.wait(TIMEOUT_MS) == Overdue("tts", told=False)


def test_a_voice_that_has_given_sound_owes_nothing(clock: Clock) -> None:
    clock.deadline.begun("llm")
    clock.deadline.text_taken("tts", "c1")
    clock.deadline.sounded("c1")
    assert clock.deadline.debtor == "llm"


def test_sound_without_a_context_pays_for_every_text(clock: Clock) -> None:
    clock.deadline.text_taken("tts", "c1")
    clock.deadline.sounded("")
    assert clock.deadline.debtor == ""


def test_who_has_the_answer_last_owes_when_the_model_is_done(clock: Clock) -> None:
    clock.deadline.begun("llm")
    clock.deadline.holds("my voice")
    assert clock.deadline.debtor == "llm"
    clock.deadline.ended()
    assert clock.wait(TIMEOUT_MS) == Overdue("my voice", told=False)


def test_a_model_that_hears_by_itself_owes_what_nobody_was_asked(clock: Clock) -> None:
    clock.deadline.listener = "s2s"
    assert clock.wait(TIMEOUT_MS) == Overdue("s2s", told=False)


def test_nobody_owes_what_nobody_was_asked(clock: Clock) -> None:
    assert clock.wait(TIMEOUT_MS) == Overdue("", told=False)


def test_the_time_stands_while_a_tool_runs(clock: Clock) -> None:
    clock.deadline.asked("llm")
    assert clock.wait(10_000) is None
    assert clock.wait(100_000, held=True) is None
    assert clock.wait(104_999) is None
    assert clock.wait(105_000) == Overdue("llm", told=False)


def test_while_nothing_is_waited_for_no_time_passes(clock: Clock) -> None:
    clock.deadline.asked("llm")
    assert clock.wait(10_000) is None
    assert clock.wait(60_000, waits=False) is None
    assert clock.wait(60_000 + TIMEOUT_MS - 1) is None
    assert clock.wait(60_000 + TIMEOUT_MS) is not None


def test_a_service_that_has_said_its_error_has_less_time_and_is_not_told_again(
    clock: Clock,
) -> None:
    clock.deadline.text_taken("tts", "c1")
    clock.deadline.failed("tts")
    assert clock.wait(FAILED_MS - 1) is None
    assert clock.wait(FAILED_MS) == Overdue("tts", told=True)


def test_an_error_of_another_service_changes_nothing(clock: Clock) -> None:
    clock.deadline.asked("llm")
    clock.deadline.failed("stt")
    assert clock.wait(TIMEOUT_MS) == Overdue("llm", told=False)


def test_another_turn_owes_nothing_of_the_one_before(clock: Clock) -> None:
    clock.deadline.asked("llm")
    clock.deadline.text_taken("tts", "c1")
    clock.deadline.failed("tts")
    assert clock.wait(2000) is None
    clock.deadline.clear()
    assert clock.deadline.debtor == ""
    assert clock.wait(2000 + TIMEOUT_MS - 1) is None
    assert clock.wait(2000 + TIMEOUT_MS) == Overdue("", told=False)


def test_a_program_that_stood_still_is_no_silence_of_the_services() -> None:
    clock = Clock(timeout_ms=300)
    clock.deadline.asked("llm")
    assert clock.wait(10_000, step_ms=10_000) is None
    assert clock.wait(10_000 + 270 - 1, step_ms=clock.deadline.step_ms) is None
    assert clock.wait(10_000 + 270, step_ms=clock.deadline.step_ms) is not None


def test_a_look_that_is_a_little_late_counts_as_it_is() -> None:
    clock = Clock()
    clock.deadline.asked("llm")
    assert clock.wait(TIMEOUT_MS - 1, step_ms=1.9 * clock.deadline.step_ms) is None
    assert clock.wait(TIMEOUT_MS) is not None


def test_without_a_timeout_nothing_is_overdue() -> None:
    clock = Clock(timeout_ms=0)
    clock.deadline.asked("llm")
    assert clock.wait(1_000_000, step_ms=10_000) is None
