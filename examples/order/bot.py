"""A bot that keeps an order, whichever process of a service goes on with the call.

Run it: voxwire-server run examples/order/bot.py --workers 2
"""

from typing import Any

from voxwire_server import BotSession
from voxwire_server.bots.offline.bot import bot as concierge


async def bot(session: BotSession) -> None:
    """One conversation; the app adds to its order with ``session.call("add", "pizza")``."""
    order: dict[str, int] = session.state or {}

    def add(dish: Any) -> dict[str, int]:
        order[str(dish)] = order.get(str(dish), 0) + 1
        session.state = order  # anything that is JSON, 16 KB at most
        return order

    session.on_request("add", add)
    await concierge(session)
