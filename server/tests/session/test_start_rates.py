"""How often sessions may begin: who waits, how long, and what is remembered of whom."""

import tracemalloc
from typing import Any

import pytest

from voxwire_server.config import Settings
from voxwire_server.proxies import TrustedProxies
from voxwire_server.session import start_rates
from voxwire_server.session.start_rates import StartRateError, StartRates

ADDRESS = "203.0.113.7"


class Rates:
    """Start rates under a clock that a test turns.

    Args:
        per_address: As the setting.
        per_user: As the setting.
        proxies: As the setting.
    """

    def __init__(self, per_address: str = "", per_user: str = "", proxies: str = "") -> None:
        self.now_ms = 1000.0
        self.starts = StartRates(
            per_address=per_address,
            per_user=per_user,
            proxies=TrustedProxies.parse(proxies),
            now_ms=lambda: self.now_ms,
        )

    def come(self, address: str = ADDRESS) -> int:
        """Come from an address: how long one has to wait, milliseconds; 0 = one is let in."""
        try:
            self.starts.come(address)
        except StartRateError as error:
            return error.retry_after_ms
        return 0

    def begin(self, user: str = "ada") -> int:
        """The same for a user."""
        try:
            self.starts.check_user(user)
        except StartRateError as error:
            return error.retry_after_ms
        self.starts.begun(user)
        return 0

    @property
    def remembered(self) -> int:
        """Addresses that it remembers."""
        limits: Any = vars(vars(vars(self.starts)["_addresses"])["_addresses"])["_limits"]
        return sum(len(limiter.storage) for _, limiter in limits)


def test_who_waits_as_long_as_he_is_told_is_let_in_and_who_does_not_is_not() -> None:
    rates = Rates("3/minute")
    for _ in range(3):
        assert rates.come() == 0
        rates.now_ms += 10_000
    assert rates.come() == 30_000
    rates.now_ms += 29_999
    assert rates.come() == 1
    rates.now_ms += 1
    assert rates.come() == 0
    assert rates.come() == 10_000  # the window moves: the second start is the oldest one now


def test_who_is_refused_is_not_counted() -> None:
    rates = Rates("1/minute")
    assert rates.come() == 0
    for _ in range(100):
        rates.now_ms += 500
        assert rates.come() > 0
    rates.now_ms += 10_000
    assert rates.come() == 0


def test_of_several_limits_each_holds() -> None:
    rates = Rates("2/second; 3/minute")
    assert [rates.come() for _ in range(3)] == [0, 0, 1000]
    rates.now_ms += 1000
    assert rates.come() == 0
    assert rates.come() == 59_000
    rates = Rates("2/second; 2/minute")
    assert [rates.come() for _ in range(3)] == [0, 0, 60_000]


@pytest.mark.parametrize("same", ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9%eth0"])
def test_an_ipv6_client_is_its_network(same: str) -> None:
    rates = Rates("1/minute")
    assert rates.come("2001:db8:1:2::") == 0
    assert rates.come(same) > 0
    assert rates.come("2001:db8:1:3::") == 0


def test_a_client_of_a_mapped_address_is_that_of_ipv4() -> None:
    rates = Rates("1/minute")
    assert rates.come(ADDRESS) == 0
    assert rates.come(f"::ffff:{ADDRESS}") > 0


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", ""])
def test_this_machine_has_no_limit(address: str) -> None:
    rates = Rates("1/minute")
    assert {rates.come(address) for _ in range(1000)} == {0}
    assert rates.remembered == 0


def named(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any]]:
    """What the log says, and of which address."""
    return [(record.getMessage(), vars(record)["address"]) for record in caplog.records]


def test_a_proxy_of_ours_that_names_no_client_has_no_limit_and_is_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rates = Rates("1/minute", proxies="10.0.0.0/8,127.0.0.1")
    for _ in range(100):
        rates.starts.turned_away("10.1.2.3")
    assert not caplog.records  # it may ask whether the server is well
    assert {rates.come("10.1.2.3") for _ in range(100)} == {0}
    assert rates.come("127.0.0.1") == 0
    assert rates.remembered == 0
    [(sentence, address)] = named(caplog)
    assert "X-Forwarded-For" in sentence
    assert address == "10.1.2.3"
    assert [rates.come() for _ in range(2)] == [0, 60_000]  # who is named


def test_an_address_that_is_refused_may_be_a_proxy_and_is_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rates = Rates("1/minute")
    for number in range(30):
        assert [rates.come(f"10.0.0.{number}") for _ in range(5)] == [0, *[60_000] * 4]
    assert [address for _, address in named(caplog)] == [f"10.0.0.{number}" for number in range(10)]
    assert all("set VOXWIRE_TRUSTED_PROXIES" in sentence for sentence, _ in named(caplog))


def test_where_nothing_is_limited_no_proxy_is_named(caplog: pytest.LogCaptureFixture) -> None:
    assert Rates(proxies="10.0.0.0/8").come("10.1.2.3") == 0
    assert not caplog.records


def test_users_and_addresses_are_counted_each_for_themselves() -> None:
    rates = Rates("1/minute", "2/minute")
    assert [rates.begin("ada") for _ in range(3)] == [0, 0, 60_000]
    assert rates.begin("bob") == 0
    assert rates.come() == 0
    assert rates.come() == 60_000


def test_nothing_is_counted_by_who_only_asks() -> None:
    rates = Rates("1/minute", "1/minute")
    for _ in range(10):
        rates.starts.check_address(ADDRESS)
        rates.starts.check_user("ada")
    assert (rates.come(), rates.begin()) == (0, 0)


def test_what_is_taken_back_is_no_start() -> None:
    rates = Rates("2/minute")
    for _ in range(5):
        assert rates.come() == 0
        rates.starts.take_back(ADDRESS)
    assert rates.remembered == 0
    assert [rates.come() for _ in range(3)] == [0, 0, 60_000]


def test_whoever_was_last_taken_back_is_not_counted_for_ever() -> None:
    rates = Rates("2/minute")
    rates.come("10.0.0.1")
    rates.now_ms += 30_000
    rates.come("10.0.0.2")
    rates.come("10.0.0.1")
    rates.starts.take_back("10.0.0.1")
    rates.now_ms += 30_000
    assert [rates.come("10.0.0.1") for _ in range(3)] == [0, 0, 60_000]
    rates.starts.take_back("127.0.0.1")
    rates.starts.take_back("203.0.113.9")  # nobody came from there


def test_who_is_turned_away_counts_for_himself() -> None:
    rates = Rates("2/minute")
    for _ in range(2):
        rates.starts.turned_away(ADDRESS)
    with pytest.raises(StartRateError, match="turned away") as refused:
        rates.starts.turned_away(ADDRESS)
    assert refused.value.retry_after_ms == 60_000
    assert [rates.come() for _ in range(3)] == [0, 0, 60_000]
    rates.starts.turned_away("127.0.0.1")
    rates.now_ms += 60_000
    rates.starts.turned_away(ADDRESS)


def test_without_a_setting_there_is_no_limit() -> None:
    rates = Rates()
    assert {rates.come() for _ in range(1000)} == {0}
    assert {rates.begin() for _ in range(1000)} == {0}


def test_whose_window_is_over_is_forgotten() -> None:
    rates = Rates("5/minute")
    for number in range(2000):
        rates.come(f"10.0.{number // 256}.{number % 256}")
    assert rates.remembered == 2000
    rates.now_ms += 30_000
    rates.come("10.0.0.0")  # is heard of again
    rates.now_ms += 30_000
    rates.come()
    assert rates.remembered == 2


def test_of_too_many_who_was_quiet_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_rates, "MAX_KEPT", 3)
    rates = Rates("2/minute")
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1", "10.0.0.4"):
        rates.come(address)
    assert rates.remembered == 3
    assert rates.come("10.0.0.1") > 0  # it came again meanwhile


def test_of_too_many_starts_those_of_the_quietest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start_rates, "MAX_STARTS", 10)
    rates = Rates("4/minute")
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        for _ in range(3):
            assert rates.come(address) == 0
        rates.now_ms += 1000
    assert rates.come("10.0.0.1") == 0
    assert rates.remembered == 3
    assert rates.come("10.0.0.3") == 0  # one too many: the second has been quiet longest
    assert rates.remembered == 2
    assert rates.come("10.0.0.1") > 0
    assert rates.come("10.0.0.3") > 0
    for _ in range(2):
        assert rates.come("10.0.0.4") == 0
    assert rates.remembered == 3  # what was forgotten does not count


def test_what_is_over_does_not_count_among_all_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_rates, "MAX_STARTS", 8)
    rates = Rates("4/minute")
    rates.come("10.0.0.1")
    for _ in range(40):
        rates.now_ms += 20_000
        assert rates.come("10.0.0.1") == 0
        assert rates.come("10.0.0.2") == 0
        assert rates.remembered == 2


def test_a_start_takes_some_eight_bytes_and_is_forgotten_after_a_day() -> None:
    rates = Rates(per_user="5000/day")
    tracemalloc.start()
    try:
        for _ in range(5000):
            rates.starts.begun("ada")
            rates.now_ms += 1
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 80_000
    assert rates.begin() == 86_400_000 - 5000
    rates.now_ms += 86_400_000 - 2501
    for _ in range(2500):
        assert rates.begin() == 0
    assert 0 < rates.begin() <= 2


def made(name: str, notation: str) -> Settings:
    given: dict[str, Any] = {name: notation}
    return Settings(**given)


@pytest.mark.parametrize("name", ["starts_per_address", "starts_per_user"])
@pytest.mark.parametrize(
    ("notation", "why"),
    [
        ("often", "write it as 300/minute"),
        ("20", "write it as 300/minute"),
        ("20/fortnight", "write it as 300/minute"),
        ("0/minute", "1 to 100000 sessions"),
        ("100001/day", "1 to 100000 sessions"),
        ("9/2 day", "a day at most"),
        ("3/second; 9/month", "a day at most"),
    ],
)
def test_a_setting_that_is_no_limit_is_refused(name: str, notation: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        made(name, notation)


@pytest.mark.parametrize("notation", ["", "20/minute", "2 per second; 1000 per day"])
def test_a_setting_is_in_the_notation_of_limits(notation: str) -> None:
    assert made("starts_per_user", notation).starts_per_user == notation


def test_who_has_many_64s_of_one_48_begins_sixteen_times_as_much_and_no_more() -> None:
    rates = Rates("2/minute")
    began = sum(rates.come(f"2001:db8:7:{number:x}::1") == 0 for number in range(100))
    assert began == 2 * start_rates.SITE_TIMES
    assert rates.come("2001:db8:7:ffff::1") == 60_000
    assert rates.come("2001:db8:8:ffff::1") == 0
    rates.starts.take_back("2001:db8:7:1::1")
    assert rates.come("2001:db8:7:fffe::1") == 0
    rates.now_ms += 60_000
    assert rates.come("2001:db8:7:ffff::1") == 0
    assert rates.come("2001:db8:7:ffff::2") == 0
    assert rates.come("2001:db8:7:ffff::3") == 60_000, "a /64 is held by itself, too"


def test_an_address_of_the_older_kind_has_no_48() -> None:
    rates = Rates("1/minute")
    began = [rates.come(f"203.0.113.{number}") for number in range(100)]
    assert began == [0] * 100
    mapped = [rates.come(f"::ffff:198.51.100.{number}") for number in range(100)]
    assert mapped == [0] * 100
