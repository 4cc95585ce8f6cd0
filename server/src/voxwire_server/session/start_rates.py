"""How often sessions may begin: for one address, and for one user.

The notation and the moving window are those of the library ``limits``. Where its windows are kept
is ours: its own storage in memory keeps every key that it has ever seen (limits 5.8), starts a
thread for each start, and goes by the wall clock, which may be set back.
"""

import logging
import math
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from limits import parse_many
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

from voxwire_server.gate import group_of, is_loopback, site_of
from voxwire_server.proxies import TrustedProxies

__all__ = ["MAX_KEPT", "MAX_STARTS", "SITE_TIMES", "StartRateError", "StartRates"]

_log = logging.getLogger("voxwire.session")

MAX_KEPT: Final = 100_000
"""Most addresses, or users, that a limit remembers; beyond it the quietest is forgotten."""
MAX_STARTS: Final = 1_000_000
"""Most starts that it remembers of all of them, 8 bytes each; the same."""
SITE_TIMES: Final = 16
"""So many times what one address may begin all of an IPv6 /48 may, which has 65 536 of them."""
_MAX_NAMED: Final = 10
_MANY: Final = "sessions of one address are refused; if it is a proxy, set VOXWIRE_TRUSTED_PROXIES"
_SILENT: Final = "a trusted proxy names no client (X-Forwarded-For): its starts have no limit"


class StartRateError(Exception):
    """Too many sessions were begun by one address or user, or too many were turned away.

    Attributes:
        reason: Which of them.
        retry_after_ms: When the next one may begin.
    """

    def __init__(self, too_many: str, retry_after_ms: int) -> None:
        self.reason = f"{too_many}; try again later"
        super().__init__(self.reason)
        self.retry_after_ms = retry_after_ms


class _Windows(Storage, MovingWindowSupport):
    """When each key had its last starts, for one window of one length.

    Args:
        now_s: Monotonic time, seconds.
    """

    STORAGE_SCHEME = None

    def __init__(self, now_s: Callable[[], float]) -> None:
        super().__init__()
        self._now_s = now_s
        self._starts: OrderedDict[str, array[float]] = OrderedDict()  # the quietest key first
        self._total = 0

    def __len__(self) -> int:
        return len(self._starts)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count starts, unless that were too many."""
        _, count = self.get_moving_window(key, limit, expiry)
        if count + amount > limit:
            return False
        self._starts.setdefault(key, array("d")).extend([self._now_s()] * amount)
        self._starts.move_to_end(key)
        self._total += amount
        while len(self._starts) > MAX_KEPT or self._total > MAX_STARTS:
            self._forget_quietest()
        return True

    def _forget_quietest(self) -> None:
        _, starts = self._starts.popitem(last=False)
        self._total -= len(starts)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the first start in the window was, and how many there are."""
        now_s = self._now_s()
        while self._starts and next(iter(self._starts.values()))[-1] + expiry <= now_s:
            self._forget_quietest()
        starts = self._starts.get(key)
        if starts is None:
            return now_s, 0
        past = bisect_right(starts, now_s, key=lambda at_s: at_s + expiry)
        del starts[:past]
        self._total -= past
        if not starts:  # a later one was taken back
            del self._starts[key]
            return now_s, 0
        return starts[0], len(starts)

    def take_back(self, key: str) -> None:
        """The last start was none."""
        if starts := self._starts.get(key):
            starts.pop()
            self._total -= 1
            if not starts:
                del self._starts[key]

    def clear(self, key: str) -> None:
        """Forget a key."""
        self._total -= len(self._starts.pop(key, ()))

    def reset(self) -> int:
        """Forget all of them."""
        number = len(self._starts)
        self._starts.clear()
        self._total = 0
        return number

    def check(self) -> bool:
        """It is there."""
        return True

    # fixed windows, which nobody asks of it

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError

    def get(self, key: str) -> int:
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        raise NotImplementedError


class _Rate:
    """One setting: every one of its limits holds.

    Args:
        notation: ``20/minute``, or several, ``2/second; 20/minute``; empty = no limit.
        now_s: Monotonic time, seconds.
        times: So many times as much.
    """

    def __init__(self, notation: str, now_s: Callable[[], float], *, times: int = 1) -> None:
        given = parse_many(notation) if notation.strip() else []
        items = [type(item)(item.amount * times, item.multiples) for item in given]
        self._now_s = now_s
        self._windows = [(item, _Windows(now_s)) for item in items]
        self._limits = [(item, MovingWindowRateLimiter(each)) for item, each in self._windows]

    def __bool__(self) -> bool:
        return bool(self._limits)

    def wait_ms(self, who: str) -> int:
        """How long until the next start; 0 = it may begin."""
        waits_s = [
            limiter.get_window_stats(item, who).reset_time - self._now_s()
            for item, limiter in self._limits
            if not limiter.test(item, who)
        ]
        return math.ceil(max(waits_s, default=0) * 1000)

    def count(self, who: str) -> None:
        """One has begun."""
        for item, limiter in self._limits:
            limiter.hit(item, who)

    def take_back(self, who: str) -> None:
        """The last one has not."""
        for item, windows in self._windows:
            windows.take_back(item.key_for(who))


class _AddressRate:
    """The same for addresses: each, or its /64, and the /48 around it.

    Args:
        notation: For one address.
        now_s: Monotonic time, seconds.
    """

    def __init__(self, notation: str, now_s: Callable[[], float]) -> None:
        self._addresses = _Rate(notation, now_s)
        self._sites = _Rate(notation, now_s, times=SITE_TIMES)

    def __bool__(self) -> bool:
        return bool(self._addresses)

    def wait_ms(self, who: str) -> int:
        """How long until the next start; 0 = it may begin."""
        site = site_of(who)
        wait_ms = self._addresses.wait_ms(group_of(who))
        return max(wait_ms, self._sites.wait_ms(site)) if site else wait_ms

    def count(self, who: str) -> None:
        """One has begun."""
        self._addresses.count(group_of(who))
        if site := site_of(who):
            self._sites.count(site)

    def take_back(self, who: str) -> None:
        """The last one has not."""
        self._addresses.take_back(group_of(who))
        if site := site_of(who):
            self._sites.take_back(site)


class StartRates:
    """Counts the starts of one server's sessions.

    Pure but for the clock that it is given and the log, where the first addresses are named that a
    proxy may stand behind. Loopback has no limit, nor has who comes by a Unix socket, nor a trusted
    proxy that does not say whom it stands for: everybody there would be one address.

    Args:
        per_address: For one address (IPv6: for one /64, and 16 times as many for one /48), in the
            notation of ``limits``; empty = no limit.
        per_user: For one user of tokens; the same.
        proxies: Those whose starts count for their clients.
        now_ms: Monotonic time, milliseconds.
    """

    def __init__(
        self,
        *,
        per_address: str = "",
        per_user: str = "",
        proxies: TrustedProxies | None = None,
        now_ms: Callable[[], float],
    ) -> None:
        self._proxies = proxies or TrustedProxies()
        self._named: set[str] = set()
        self._addresses = _AddressRate(per_address, lambda: now_ms() / 1000)
        self._strangers = _AddressRate(per_address, lambda: now_ms() / 1000)
        self._users = _Rate(per_user, lambda: now_ms() / 1000)

    def check_address(self, address: str) -> None:
        """See whether one more may begin from an address. Nothing is counted.

        Raises:
            StartRateError: Not yet.
        """
        if self._counted(address):
            try:
                _check(self._addresses, address, "too many sessions were begun from this address")
            except StartRateError:
                self.crowded(address)
                raise

    def come(self, address: str) -> None:
        """Somebody who may begin one comes from an address: counted, whatever becomes of it.

        Raises:
            StartRateError: Not yet; it is not counted.
        """
        self.check_address(address)
        if self._counted(address):
            self._addresses.count(address)
        elif self._addresses and not is_loopback(address) and self._proxies.trusts(address):
            self._name(address, _SILENT)

    def take_back(self, address: str) -> None:
        """Whoever came was told that nothing could be decided, or has no good token: no start."""
        if self._counted(address):
            self._addresses.take_back(address)

    def turned_away(self, address: str) -> None:
        """Somebody comes from an address who may not begin one, or has no key: counted for itself.

        Whoever has a good token there is none the worse for it.

        Raises:
            StartRateError: There were too many of them; it is not counted.
        """
        if self._counted(address):
            _check(self._strangers, address, "too many were turned away from this address")
            self._strangers.count(address)

    def check_user(self, user: str) -> None:
        """See whether a user may begin one more. Nothing is counted.

        Raises:
            StartRateError: Not yet.
        """
        _check(self._users, user, "too many sessions were begun by this user")

    def begun(self, user: str) -> None:
        """A user's session has begun."""
        self._users.count(user)

    def _counted(self, address: str) -> bool:
        uncounted = is_loopback(address) or self._proxies.trusts(address)
        return bool(address) and not uncounted

    def counted(self, address: str) -> str:
        """What an address counts as, in limits of this kind; empty = it does not."""
        return group_of(address) if self._counted(address) else ""

    def crowded(self, address: str) -> None:
        """Too many come from an address, by a limit of this kind: the operator is told, once."""
        self._name(address, _MANY)

    def _name(self, address: str, sentence: str) -> None:
        """Have the operator look at an address, once."""
        if address not in self._named and len(self._named) < _MAX_NAMED:
            self._named.add(address)
            _log.warning("%s", sentence, extra={"address": address})


def _check(rate: _Rate | _AddressRate, who: str, too_many: str) -> None:
    """Nothing is counted.

    Raises:
        StartRateError: Not yet.
    """
    wait_ms = rate.wait_ms(who)
    if wait_ms:
        raise StartRateError(too_many, wait_ms)
