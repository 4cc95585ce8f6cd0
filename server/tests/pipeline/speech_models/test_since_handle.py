"""What was said since a session's last handle, and what a handle knows of."""

from voxwire_server.pipeline.speech_models.since_handle import SinceHandle

NAME = [{"role": "user", "parts": [{"text": "my name is Anna"}]}]


def named() -> SinceHandle:
    since = SinceHandle()
    since.note("user", " my name is")
    since.note("user", " Anna")
    return since


def test_a_handle_knows_of_what_was_said_before_it() -> None:
    since = named()
    assert since.turns() == NAME
    since.known()
    assert not since


def test_the_handle_that_greets_a_resumed_session_does_not_know_what_it_is_told() -> None:
    """The connection may end before there is another; the next one is told again."""
    since = named()
    since.told()
    since.known()
    assert since.turns() == NAME


def test_a_handle_that_comes_once_the_model_has_spoken_does() -> None:
    since = named()
    since.told()
    since.spoke()
    since.note("model", "Nice to meet you, Anna.")
    since.known()
    assert not since


def test_who_was_told_nothing_waits_for_nothing() -> None:
    since = SinceHandle()
    since.told()
    since.note("user", "what time is it")
    since.known()
    assert not since
