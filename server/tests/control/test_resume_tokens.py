"""Resume tokens: rotated, good until their successor is used, kept as hashes."""

from voxwire_server.control.resume import TOKEN_BYTES, ResumeTokens


def test_a_token_is_good_until_its_successor_is_used() -> None:
    tokens = ResumeTokens()
    first = tokens.issue()
    assert len(first) == TOKEN_BYTES
    second = tokens.issue()
    assert tokens.check(first)
    assert tokens.check(second)
    tokens.confirm()
    assert not tokens.check(first)
    assert tokens.check(second)


def test_a_lost_welcome_may_happen_twice() -> None:
    tokens = ResumeTokens()
    first = tokens.issue()
    tokens.confirm()
    lost = tokens.issue()
    assert tokens.check(first)
    third = tokens.issue()
    assert tokens.check(first)
    assert tokens.check(lost)
    assert tokens.check(third)
    for _ in range(20):
        newest = tokens.issue()
    assert tokens.check(first)
    assert tokens.check(newest)


def test_nothing_else_is_good() -> None:
    tokens = ResumeTokens()
    assert not tokens.check(b"")
    assert not tokens.check(bytes(16))
    token = tokens.issue()
    assert not tokens.check(b"")
    assert not tokens.check(token[:-1])
    assert not tokens.check(bytes(16))
    assert token not in repr(vars(tokens)).encode()
