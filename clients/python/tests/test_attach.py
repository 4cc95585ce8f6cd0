"""How long the client tries to come back, and what makes it give up."""

import itertools

import pytest

import voxwire
from voxwire._attach import Greeting, backoff_s, expired, is_final, lost
from voxwire_protocol import wire
from voxwire_protocol.errors import error_from_close, make_error

Code = voxwire.ErrorCode


URL = "ws://a/v1/session"


def greeting() -> Greeting:
    return Greeting(URL, token="t", bot="", metadata_json="", webrtc=True, resume=True)


def test_the_first_try_is_at_once_and_the_waits_grow_to_a_second() -> None:
    waits = list(itertools.islice(backoff_s(), 9))
    for wait, meant in zip(waits, (0, 0.1, 0.2, 0.5, 1, 1, 1, 1, 1), strict=True):
        assert 0.8 * meant <= wait <= 1.2 * meant
    assert len({next(itertools.islice(backoff_s(), 3, None)) for _ in range(5)}) > 1


@pytest.mark.parametrize(
    ("code", "while_attached", "while_attaching"),
    [
        (1000, False, False),
        (1006, False, False),
        (4000 + Code.SUPERSEDED, True, True),
        (4000 + Code.SESSION_EXPIRED, True, True),
        (4000 + Code.BOT_FAILED, True, True),
        (4000 + Code.CAPACITY, True, False),
        (4000 + Code.RATE_LIMITED, True, False),
        (4000 + Code.TIMEOUT, False, False),
    ],
)
def test_a_close_code_says_whether_to_come_back(
    code: int, while_attached: bool, while_attaching: bool
) -> None:
    error = error_from_close(code, "")
    assert is_final(error, attaching=False) == while_attached
    assert is_final(error, attaching=True) == while_attaching


def test_a_server_that_asks_for_a_resume_gets_one() -> None:
    error = make_error(Code.GOING_AWAY, "", action=voxwire.RecoveryAction.RESUME)
    assert not is_final(error, attaching=False)
    assert is_final(make_error(Code.GOING_AWAY, ""), attaching=True)
    assert not is_final(make_error(Code.GOING_AWAY, "", retryable=True), attaching=True)


def test_hello_is_the_same_until_it_is_welcomed() -> None:
    ours = greeting()
    first = ours.hello(0)
    assert ours.first
    assert ours.unanswered
    assert ours.hello(0) == first
    ours.welcomed(wire.Welcome(session_id="s", resume_token=b"x", features=[5]), URL)
    assert (ours.first, ours.unanswered, ours.resumable) == (False, False, True)
    assert ours.grace_ms == 60_000
    again = wire.Envelope.FromString(ours.hello(7)).hello
    assert (again.session_id, again.resume_token, again.last_seq) == ("s", b"x", 7)
    assert again.token == ""
    assert again.attach_nonce != wire.Envelope.FromString(first).hello.attach_nonce
    with pytest.raises(voxwire.SessionError, match="another session"):
        ours.welcomed(wire.Welcome(session_id="other"), URL)


def test_a_server_that_does_not_keep_sessions_is_not_asked_to() -> None:
    ours = greeting()
    ours.welcomed(wire.Welcome(session_id="s"), URL)
    assert not ours.resumable


def test_a_session_that_expired_says_how_long_it_was_tried_and_why() -> None:
    cause = lost("the cable was cut")
    error = expired(61_234, cause)
    assert error.code == Code.SESSION_EXPIRED
    assert "61.2 s" in error.reason
    assert "the cable was cut" in error.reason
    assert error.__cause__ is cause
