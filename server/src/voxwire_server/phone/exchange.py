"""Calls that begin here: over the REST interface of a vendor, within what is allowed."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urlencode

from voxwire_protocol.errors import ErrorCode, make_error
from voxwire_server.config import Settings
from voxwire_server.phone.allowance import Allowance
from voxwire_server.phone.orders import ORDERS, Orders, Wanted, name_of
from voxwire_server.phone.vendors import PhoneSettingError
from voxwire_server.proxies import PublicUrl
from voxwire_server.rest import Order, Send, send

__all__ = ["OUTGOING", "TRANSFER", "Exchange", "exchange_of"]

_log = logging.getLogger("voxwire.phone")

OUTGOING: Final = "outgoing"
"""In the query of a webhook: the call begins here, and who is called is the user."""
TRANSFER: Final = "transfer"
"""In the query of a webhook: the call is to be put through to that number."""
_KNOWN_BY: Final = {
    "twilio": "phone_twilio_token",
    "telnyx": "phone_telnyx_key",
    "plivo": "phone_plivo_token",
    "exotel": "phone_exotel",
    "vonage": "phone_vonage_secret",
}
"""The settings by which the webhooks of vendors are known."""


class Exchange:
    """Calls somebody, and puts calls through.

    Args:
        accounts: How each vendor that has an account is asked, by its name.
        allowance: Whom it may call.
        caller: The number that calls come from.
        public: Where vendors find the server.
        send: Asks a vendor: HTTP status and body.
        now_s: Seconds since the epoch.
        since_s: Seconds of a clock that does not go back.
    """

    def __init__(
        self,
        accounts: Mapping[str, Orders],
        *,
        allowance: Allowance,
        caller: str,
        public: PublicUrl,
        send: Send,
        now_s: Callable[[], float] = time.time,
        since_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._allowance = allowance
        self._caller = caller
        self._public = public
        self._send = send
        self._now_s = now_s
        self._since_s = since_s

    def number(self, to: str) -> str:
        """A number that may be called.

        Raises:
            VoxwireError: INVALID_ARGUMENT, FORBIDDEN.
        """
        return self._allowance.number(to)

    async def call(self, to: str, *, bot: str = "", vendor: str = "") -> str:
        """Call somebody; the bot begins when he answers.

        Args:
            to: Number, with its country: ``+4930123456``.
            bot: Name of the bot; empty = the only one.
            vendor: By whom; empty = the only one that has an account.

        Returns:
            The vendor's name of the call, or of the request for it (Plivo).

        Raises:
            VoxwireError: INVALID_ARGUMENT, FORBIDDEN, RATE_LIMITED; INVALID_STATE: no vendor can be
                asked; SERVICE_FAILED: it refuses.
        """
        to = self._allowance.number(to)
        vendor = vendor or (next(iter(self._accounts)) if len(self._accounts) == 1 else "")
        orders = self._accounts.get(vendor)
        if orders is None or not self._caller or not self._public.http:
            reason = "calling needs a vendor's account, VOXWIRE_CALL_FROM and VOXWIRE_PUBLIC_URL"
            raise make_error(ErrorCode.INVALID_STATE, reason)
        self._allowance.take(self._since_s())
        query = urlencode({OUTGOING: "1", **({"bot": bot} if bot else {})})
        wanted = Wanted(to, self._caller, f"{self._public.http}/phone/{vendor}?{query}")
        return name_of(await self._ask(vendor, orders.call(wanted, self._now_s())))

    async def transfer(self, vendor: str, call_id: str, to: str) -> None:
        """Put a call through; for its session that is the end.

        Raises:
            VoxwireError: As :meth:`call` does; UNSUPPORTED: the vendor has no such thing.
        """
        to = self._allowance.number(to)
        orders = self._accounts.get(vendor)
        if orders is None:
            reason = f"a transfer needs VOXWIRE_PHONE_{vendor.upper()}_ACCOUNT"
            raise make_error(ErrorCode.INVALID_STATE, reason)
        forward_url = f"{self._public.http}/phone/{vendor}?{TRANSFER}={quote(to, safe='')}"
        order = orders.transfer(call_id, to, forward_url, self._now_s())
        if order is None:
            raise make_error(ErrorCode.UNSUPPORTED, f"{vendor} cannot put a call through")
        self._allowance.take(self._since_s())
        await self._ask(vendor, order)

    async def _ask(self, vendor: str, order: Order) -> bytes:
        status, body = await self._send(order)
        if not 200 <= status < 300:
            _log.warning("a vendor refuses a call", extra={"vendor": vendor, "status": status})
            what = f"answers with HTTP {status}" if status else "is out of reach"
            again = status in (0, 429, 503)
            raise make_error(ErrorCode.SERVICE_FAILED, f"{vendor} {what}", retryable=again)
        return body


def exchange_of(settings: Settings) -> Exchange:
    """The exchange that the settings describe; the same for the same ones, so that what was called
    is counted once.

    Raises:
        PhoneSettingError: They cannot be used.
        ProxiesError: The public URL is none.
    """
    accounts = tuple(
        (vendor, getattr(settings, f"phone_{vendor}_account").strip(), _token(settings, vendor))
        for vendor in ORDERS
    )
    return _exchange(
        accounts,
        settings.call_prefixes,
        settings.calls_per_minute,
        settings.calls_per_day,
        settings.call_from.strip(),
        settings.public_url,
    )


def _token(settings: Settings, vendor: str) -> str:
    return getattr(settings, _KNOWN_BY[vendor]).partition(",")[0].strip()


@lru_cache(maxsize=8)
def _exchange(
    accounts: tuple[tuple[str, str, str], ...],
    prefixes: str,
    per_minute: int,
    per_day: int,
    caller: str,
    public_url: str,
) -> Exchange:
    try:
        allowance = Allowance(
            [part.strip() for part in prefixes.split(",") if part.strip()],
            per_minute=per_minute,
            per_day=per_day,
        )
    except ValueError as error:
        raise PhoneSettingError(f"VOXWIRE_CALL_PREFIXES cannot be used: {error}") from None
    known = {name: _orders(name, said, token) for name, said, token in accounts if said}
    public = PublicUrl.parse(public_url)
    return Exchange(known, allowance=allowance, caller=caller, public=public, send=send)


def _orders(vendor: str, account: str, token: str) -> Orders:
    number, with_token, make = ORDERS[vendor]
    parts = account.split(":", number - 1)
    name = f"VOXWIRE_PHONE_{vendor.upper()}_ACCOUNT"
    if len(parts) != number or not all(parts):
        raise PhoneSettingError(f"{name} has {number} parts, separated by colons")
    if not token:
        needed = f"VOXWIRE_{_KNOWN_BY[vendor].upper()}"
        raise PhoneSettingError(f"{name} needs {needed}: its webhook says what to do with a call")
    try:
        return make(*parts, *([token] if with_token else []))
    except (OSError, ValueError, TypeError) as error:
        why = type(error).__name__
        raise PhoneSettingError(f"{name} cannot be used: its key cannot be read ({why})") from None
