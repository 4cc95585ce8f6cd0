"""A small app, for tests of how apps are tested: it orders a pizza from a bot that asks back."""

from dataclasses import dataclass, field
from typing import Any

import voxwire


@dataclass
class Order:
    """What came of an order."""

    said: list[str] = field(default_factory=list)
    screen: list[str] = field(default_factory=list)
    end: str = "open"

    @property
    def answer(self) -> str:
        return " ".join(self.said)


async def order_pizza(
    url: str, wish: str, *, address: str = "", enough: str = "", **more: Any
) -> Order:
    """Orders, shows on the screen what the bot wants shown, and stops the bot behind a word."""
    order = Order()

    @voxwire.tool
    async def get_address() -> str:
        """Tell where the pizza goes."""
        if not address:
            raise voxwire.ToolError("the user has not said where he lives")
        return address

    async with voxwire.connect(url, tools=[get_address], **more) as session:
        session.handle("show", lambda text: order.screen.append(text))
        await session.send_text(wish)
        async for event in session:
            match event:
                case voxwire.BotWord(text=word):
                    order.said.append(word)
                    if word == enough:
                        await session.interrupt()
                case voxwire.ConnectionChanged(state=state):
                    order.screen.append(state.value)
                case voxwire.SessionEnded(reason=reason):
                    order.end = reason.value
                case _:
                    pass
    return order
