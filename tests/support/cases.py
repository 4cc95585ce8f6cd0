"""A session of the real server, brought into a state of the table "Resuming"."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.inside import end_reason, is_held, session_named
from tests.support.raw import RawClient
from voxwire_protocol import wire
from voxwire_server import BotSession, tokens
from voxwire_server.control.link import ControlLink
from voxwire_server.session.session import Session
from voxwire_server.testing import RunningServer, running_server

__all__ = [
    "KEY",
    "NO_RESUME",
    "Case",
    "attached",
    "case_of",
    "ended",
    "ending",
    "issue",
    "name",
    "parked",
]

KEY = "k" * 40
NO_RESUME = "socket lost, no FEATURE_RESUME"


class Case:
    """A server, one session, and the client that opened it."""

    def __init__(self, row: str) -> None:
        self.row = row
        self.stop, self.linger = asyncio.Event(), asyncio.Event()
        self.linger.set()
        self.server: RunningServer
        self.client: RawClient
        self.session: Session
        self.first_hello: wire.Hello
        self.links: list[ControlLink] = []
        self.repeated: list[wire.Welcome] = []
        self.opened: list[RawClient] = []

    async def bot(self, _: BotSession) -> None:
        try:
            await self.stop.wait()
        finally:
            await self.linger.wait()

    def hello(self, **fields: Any) -> wire.Hello:
        """A Hello of the client, as the row wants it."""
        hello = self.client.hello(**fields)
        if self.row == NO_RESUME:
            kept = [f for f in hello.features if f != wire.Feature.FEATURE_RESUME]
            del hello.features[:]
            hello.features.extend(kept)
        return hello

    async def begin(self) -> None:
        self.client = RawClient(self.server.url)
        token = ""
        if self.row == "resume, other user":
            token = issue("ann")
        self.first_hello = self.hello(token=token)
        await self.client.attach(self.first_hello)
        await self.client.until(lambda: bool(self.client.welcomes))
        self.session = session_named(self.server, self.client.welcome.session_id)
        self.note_link()

    def note_link(self) -> None:
        assert self.session.link is not None
        self.links.append(self.session.link)

    @property
    def state(self) -> str:
        if self.session.over:
            return "ENDED"
        return "PARKED" if self.session.link is None else "ATTACHED"

    async def becomes(self, state: str) -> None:
        async with asyncio.timeout(60):
            while self.state != state:
                await asyncio.sleep(0.005)

    @property
    def reason(self) -> str:
        """Why the session is over; empty while it is not."""
        return end_reason(self.session)

    async def ask(self, hello: wire.Hello, *, origin: str | None = None) -> str:
        """Say Hello on another socket. What the answer is, in the words of the table."""
        first = await self.dial(hello, origin=origin)
        if first.HasField("error"):
            assert first.error.fatal
            return name(first.error.code)
        given = first.welcome
        if given.session_id != self.session.id:
            assert not given.resumed
            return "other session"
        self.note_link()
        if given.HasField("snapshot"):
            assert not given.resumed
            return "Snapshot"
        known = [w for w in self.welcomes if w.epoch == given.epoch]
        if known:
            assert all(same(w, given) for w in known)
            return "same Welcome"
        assert given.resumed
        assert given.epoch == max(w.epoch for w in self.welcomes) + 1
        return "resumed"

    async def dial(self, hello: wire.Hello, *, origin: str | None = None) -> wire.Envelope:
        """Say Hello on another socket; the first message that comes."""
        other = RawClient(self.server.url, origin=origin)
        await other.open_socket()
        self.opened.append(other)
        await other.send_raw(wire.Envelope(hello=hello).SerializeToString())
        assert other.socket is not None
        async with asyncio.timeout(60):
            data = await other.socket.recv(decode=False)
            first = wire.Envelope.FromString(data)
            if first.HasField("error"):
                await other.socket.wait_closed()
                assert other.socket.close_code == 4000 + first.error.code
        return first

    @property
    def welcomes(self) -> list[wire.Welcome]:
        """Those of this session, as far as somebody got them."""
        return self.client.welcomes + self.repeated

    async def said(self, kind: str) -> Any:
        """The only message of a kind that the client has been or will be sent."""
        await self.client.until(lambda: bool(self.client.of(kind)))
        [message] = self.client.of(kind)
        return message


def name(code: int) -> str:
    return wire.ErrorCode.Name(code).removeprefix("ERROR_CODE_")  # type: ignore[arg-type]


def issue(user: str) -> str:
    return tokens.TokenIssuer(tokens.KeyRing.parse(key=KEY)).issue(user, now_s=time.time())


def same(one: wire.Welcome, other: wire.Welcome) -> bool:
    return (one.epoch, one.resume_token, one.resumed) == (
        other.epoch,
        other.resume_token,
        other.resumed,
    )


@asynccontextmanager
async def case_of(row: str, **settings: Any) -> AsyncIterator[Case]:
    """A server with one session, for one row of the table."""
    case = Case(row)
    async with running_server(case.bot, **settings) as server:
        case.server = server
        await case.begin()
        try:
            yield case
        finally:
            case.stop.set()
            case.linger.set()
            for client in [case.client, *case.opened]:
                await client.stop_reading()
                if client.socket is not None:
                    client.socket.transport.abort()


# how a session comes into a state


async def attached(case: Case) -> None:
    assert case.state == "ATTACHED"


async def parked(case: Case) -> None:
    await case.client.drop()
    await case.becomes("PARKED")


async def ending(case: Case) -> None:
    """Over; its bot is not done yet, and its socket is there."""
    case.linger.clear()
    await case.client.send(bye=wire.Bye())
    await case.becomes("ENDED")


async def ended(case: Case) -> None:
    """Over, and nothing of it is left."""
    case.stop.set()
    await case.session.ended.wait()
    case.stop.clear()  # for the sessions that begin after it
    await case.client.until(lambda: case.client.close_code is not None)
    async with asyncio.timeout(60):
        while is_held(case.server, case.session):
            await asyncio.sleep(0.005)
