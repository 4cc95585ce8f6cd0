"""The vendors' REST interfaces, as far as they are asked: everything is taken down and accepted."""

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from voxwire_protocol.clocks import Clock
from voxwire_server.phone.allowance import Allowance
from voxwire_server.phone.exchange import Exchange
from voxwire_server.phone.orders import (
    ExotelOrders,
    Order,
    Orders,
    PlivoOrders,
    TelnyxOrders,
    TwilioOrders,
)
from voxwire_server.proxies import PublicUrl

__all__ = ["CALLER", "PUBLIC", "Rest", "said_by"]

PUBLIC: Final = "https://bot.example/voice"
CALLER: Final = "+15550199"


def said_by(order: Order) -> dict[str, Any]:
    """What a request says: its form, or its JSON."""
    if order.headers["content-type"] == "application/json":
        return json.loads(order.body)
    return dict(parse_qsl(order.body.decode(), strict_parsing=True))


class Rest:
    """The far end of them all.

    Attributes:
        asked: The requests.
        answer: What each is answered with: HTTP status and body.
    """

    def __init__(self) -> None:
        self.asked: list[Order] = []
        self.answer: tuple[int, bytes] = 201, b'{"sid": "CA77"}'

    async def send(self, order: Order) -> tuple[int, bytes]:
        """Take a request down."""
        self.asked.append(order)
        return self.answer

    def exchange(
        self, clock: Clock, now_s: Callable[[], float], *names: str, caller: str = CALLER
    ) -> Exchange:
        """An exchange that may call Germany, three times a minute and five times a day.

        Args:
            clock: The clock to run by.
            now_s: Seconds since the epoch.
            names: The vendors that have an account; none = all but Vonage.
            caller: The number that calls come from.
        """
        accounts: dict[str, Orders] = {
            "twilio": TwilioOrders("AC0", "a token"),
            "telnyx": TelnyxOrders("acc", "app", "KEY0"),
            "plivo": PlivoOrders("MA0", "a token"),
            "exotel": ExotelOrders("exo", "key", "token", "77"),
        }
        return Exchange(
            {name: orders for name, orders in accounts.items() if not names or name in names},
            allowance=Allowance(["+49"], per_minute=3, per_day=5),
            caller=caller,
            public=PublicUrl.parse(PUBLIC),
            send=self.send,
            now_s=now_s,
            since_s=lambda: clock.now_ms() / 1000,
        )
