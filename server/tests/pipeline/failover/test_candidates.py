"""Who is asked next. Pure."""

from voxwire_server.pipeline.failover.candidates import Breaker, Candidate, Roster


def them(*names: str) -> list[Candidate]:
    return [Candidate(name, lambda: None) for name in names]  # type: ignore[arg-type,return-value]


def test_a_breaker_opens_after_five_failures_within_10_s_for_30_s() -> None:
    breaker = Breaker()
    for at in range(4):
        breaker.failed(at)
    assert not breaker.is_open(4)
    breaker.failed(4)
    assert breaker.is_open(33.9)
    assert not breaker.is_open(34)


def test_a_breaker_stays_closed_when_failures_are_rare_or_something_worked() -> None:
    rare, mended = Breaker(), Breaker()
    for at in range(20):
        rare.failed(at * 3)
    assert not rare.is_open(58)
    for at in range(20):
        mended.failed(at)
        if at % 4 == 3:
            mended.worked()
    assert not mended.is_open(20)


def test_a_breaker_opens_at_once_when_asking_again_is_no_use() -> None:
    breaker = Breaker()
    breaker.failed(0, for_good=True)
    assert breaker.is_open(299)
    assert not breaker.is_open(300)


def test_who_comes_first_is_asked_first_and_nobody_twice() -> None:
    a, b, c = them("a", "b", "c")
    roster = Roster([a, b, c])
    assert roster.next(0) is a
    assert roster.next(0, ["a"]) is b
    assert roster.next(0, ["a", "b", "c"]) is None


def test_who_failed_rests_and_is_asked_when_all_do() -> None:
    a, b = them("a", "b")
    roster = Roster([a, b])
    roster.failed(a, 0)
    assert roster.next(1) is b
    roster.failed(b, 2)
    assert roster.next(3) is a  # whose rest ends first
    assert roster.next(31) is a
    roster.worked(a)
    assert roster.next(4) is a
