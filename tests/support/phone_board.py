"""A switchboard in virtual time: calls of every vendor, and bots that click."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from tests.support.front_door import House
from tests.support.phone_clicks import ClickingBot
from tests.support.phone_line import WSS, Answered, Exchange, Line
from tests.support.phone_vendors import FAR_ENDS
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime
from voxwire_server.session.session import Session

__all__ = ["FORBIDDEN", "STREAM", "TIMEOUT", "VENDORS", "Board", "board", "ringing", "turned_away"]

FORBIDDEN: Final = 4000 + wire.ErrorCode.ERROR_CODE_FORBIDDEN
TIMEOUT: Final = 4000 + wire.ErrorCode.ERROR_CODE_TIMEOUT
STREAM: Final = f"{WSS}/phone/twilio/media"
VENDORS: Final = pytest.mark.parametrize("vendor", FAR_ENDS)


class Board:
    """An exchange, its bots, and what they are told."""

    def __init__(self, time: VirtualTime, **settings: object) -> None:
        self.bots: list[ClickingBot] = []
        self._time = time
        self.exchange = Exchange(time, house=House(self._run), **settings)

    async def _run(self, session: Session) -> None:
        self.bots.append(ClickingBot(session))
        await self.bots[-1].run()

    async def taken(self, vendor: str, *, query: str) -> str:
        """A call whose webhook has that query, once its bot is there; its name."""
        answered = await self.exchange.ring(vendor, query=query)
        url, sent = answered.opens
        line = self.exchange.line(vendor, answered.call_id)
        line.open(url)
        line.phone.dial(sent)
        await self._time.advance(100)
        return answered.call_id

    @property
    def sessions(self) -> int:
        return len(self.exchange.process.sessions)


@asynccontextmanager
async def board(time: VirtualTime, **settings: object) -> AsyncIterator[Board]:
    """A switchboard; at its end nothing is left."""
    made = Board(time, **settings)
    yield made
    await made.exchange.close()
    assert made.sessions == 0


async def turned_away(line: Line, time: VirtualTime) -> int:
    """Code that the line was closed with."""
    await time.advance(10)
    assert line.closed is not None
    assert line.exchange.process.sessions == []
    return line.closed[0]


async def ringing(made: Board, vendor: str = "twilio") -> tuple[Line, Answered]:
    """A line of a call that was announced, and what its webhook was answered."""
    answered = await made.exchange.ring(vendor)
    return made.exchange.line(vendor, answered.call_id), answered
