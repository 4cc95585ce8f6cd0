"""The front door without sockets: a directory, those who come to it, and a store that dawdles."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Collection
from functools import cache
from typing import Any

from voxwire_protocol import wire
from voxwire_protocol.channel import Channel
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_server.authenticator import Authenticator
from voxwire_server.caps import Amounts, Payer
from voxwire_server.config import Settings
from voxwire_server.control.link import ControlLink
from voxwire_server.control.numbered import NumberedChannel
from voxwire_server.daily.rooms import DailyRooms
from voxwire_server.keys import KeyRing
from voxwire_server.lifecycle import Event
from voxwire_server.ports import ControlChannel, SessionFacts
from voxwire_server.session.admission import Admission, ChosenBot, NoSuchBotError
from voxwire_server.session.directory import Directory
from voxwire_server.session.load import Load
from voxwire_server.session.local_store import LocalStore
from voxwire_server.session.registry import SessionRegistry
from voxwire_server.session.session import Session
from voxwire_server.session.snapshots import Snapshots
from voxwire_server.session.start_pace import StartPace
from voxwire_server.session.start_rates import StartRates
from voxwire_server.session.store import Heard, Held, Located, Replica, Saved
from voxwire_server.session.ticket import Ticket
from voxwire_server.tokens import Claims, Limits, TokenIssuer, TokenVerifier

__all__ = ["KEY", "NOW_S", "RESUME", "Caller", "House", "Process", "SlowStore", "token_of"]

KEY = "an operator's secret of more than 32 characters"
NOW_S = 1_800_000_000.0
RESUME = frozenset({wire.Feature.FEATURE_RESUME})


def token_of(user: str = "ada", *, token_id: str = "token-of-ada", **claims: Any) -> str:
    """A token that is good at ``NOW_S``."""
    issuer = TokenIssuer(_ring(KEY), new_id=lambda: token_id)
    limits = Limits(**{k: v for k, v in claims.items() if k in Limits.model_fields})
    rest = {k: v for k, v in claims.items() if k not in Limits.model_fields}
    return issuer.issue(user, now_s=NOW_S, limits=limits, **rest)


@cache
def _settings(**settings: Any) -> Settings:
    return Settings(**settings)


@cache
def _ring(key: str) -> KeyRing:
    return KeyRing.parse(key=key)


class _Verified(TokenVerifier):
    """Remembers what it has verified: the same tokens come thousands of times."""

    def __init__(self, ring: KeyRing) -> None:
        super().__init__(ring)
        self._known: dict[str, Claims] = {}

    def verify(self, token: str, *, now_s: float) -> Claims:
        if token not in self._known:
            self._known[token] = super().verify(token, now_s=now_s)
        return self._known[token]


@cache
def _verified(key: str) -> _Verified:
    return _Verified(_ring(key))


def _admission(key: str, house: "House", authenticator: Authenticator | None) -> Admission:
    admission = Admission(_ring(key), loopback=True, bots=house, authenticator=authenticator)
    vars(admission)["_verifier"] = _verified(key)
    return admission


async def _wait_for_ever(_: Session) -> None:
    await asyncio.Event().wait()


class House:
    """The bots ``a`` and ``b``.

    Args:
        run: Runs either.
        says: What each says of itself: fields of ``ChosenBot``.
    """

    def __init__(
        self,
        run: Callable[[Session], Awaitable[None]] = _wait_for_ever,
        **says: dict[str, Any],
    ) -> None:
        self._run = run
        self._says = says

    def choose(self, name: str) -> ChosenBot:
        if name not in ("a", "b"):
            raise NoSuchBotError("name one of: a, b")
        return ChosenBot(name, (f"hello {name}",), self._run, **self._says.get(name, {}))


class SlowStore(LocalStore):
    """A store whose every verb takes its time, before it acts and after.

    Args:
        seed: Of its delays.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(now_s=lambda: NOW_S)
        self._random = random.Random(seed)

    async def pause(self) -> None:
        """Let anything happen."""
        pause_ms = self._random.choice((None, 0, 2, 5, 20))
        if pause_ms is not None:
            await asyncio.sleep(pause_ms / 1000)  # real time: slow

    async def beat(
        self, me: Replica, sessions: Collection[Held] = (), *, gone: bool = False
    ) -> Heard:
        return await self._slowly(super().beat(me, sessions, gone=gone))

    async def locate(self, session_id: str) -> Located | None:
        return await self._slowly(super().locate(session_id))

    async def take(self, session_id: str, *, of: str, by: str) -> Saved | None:
        return await self._slowly(super().take(session_id, of=of, by=by))

    async def count(
        self, user: str, session_id: str, *, limit: int | None = None, back: bool = False
    ) -> bool:
        return await self._slowly(super().count(user, session_id, limit=limit, back=back))

    async def claim(
        self, what: str, value: bytes = b"", *, instead_of: bytes = b"", until_s: float
    ) -> bytes:
        claiming = super().claim(what, value, instead_of=instead_of, until_s=until_s)
        return await self._slowly(claiming)

    async def save(
        self, session_id: str, me: str, snapshot: bytes, *, term: int, behind: bool = False
    ) -> bool:
        saving = super().save(session_id, me, snapshot, term=term, behind=behind)
        return await self._slowly(saving)

    async def spend(self, payer: Payer, amounts: Amounts, *, now_s: float) -> Amounts:
        return await self._slowly(super().spend(payer, amounts, now_s=now_s))

    async def _slowly(self, verb: Awaitable[Any]) -> Any:
        await self.pause()
        result = await verb
        await self.pause()
        return result


class Process:
    """What one process of a service has: its sessions, and the door to them."""

    def __init__(
        self,
        store: LocalStore | None = None,
        *,
        key: str = KEY,
        house: House | None = None,
        url: str = "",
        clock: Clock = SYSTEM_CLOCK,
        load: Load | None = None,
        starts: StartRates | None = None,
        authenticator: Authenticator | None = None,
        pace: StartPace | None = None,
        jitter: Callable[[], float] = lambda: 0.0,
        wall_s: Callable[[], float] = lambda: NOW_S,
        keeps: bool = False,
        peer_url: str = "",
        rooms: DailyRooms | None = None,
        **settings: Any,
    ) -> None:
        made = _settings(**settings)
        self.store = LocalStore(now_s=lambda: NOW_S) if store is None else store
        self.registry = SessionRegistry(made.max_sessions)
        self.directory = Directory(
            self.registry,
            _admission(key, house or House(), authenticator),
            settings=made,
            store=self.store,
            snapshots=Snapshots(KEY.encode()) if keeps else None,
            url=url,
            peer_url=peer_url,
            clock=clock,
            load=load,
            starts=starts,
            pace=pace,
            jitter=jitter,
            wall_s=wall_s,
            rooms=rooms,
        )

    @property
    def sessions(self) -> list[Session]:
        """Its sessions."""
        return list(self.registry)

    @property
    def idle(self) -> bool:
        """True when nobody is on the way in or out, and nothing is reserved."""
        inside = vars(self.directory)
        users = inside["_uses"].users
        lines = (inside["_attempts"], inside["_moves"], users)
        return not (inside["_work"] or any(lines) or self.registry.reserved)

    async def close(self) -> None:
        """End every session; nothing may remain, here or in the store."""
        await self.directory.close(5000)
        assert self.idle
        assert len(self.registry) == 0
        assert not vars(self.registry)["_tasks"]


class Caller:
    """Somebody who comes with a Hello, and reads what the session says.

    Args:
        token: Connect token.
        token_id: Its ``jti``.
        nonce: Attach nonce; None = a new one.
        bot: The bot that is asked for.
        back: The Welcome of the session that is resumed.
        origin: The page's.
        address: Where he comes from.
        fields: Further fields of the Hello.
    """

    def __init__(
        self,
        token: str = "",
        *,
        token_id: str = "",
        nonce: bytes | None = None,
        bot: str = "a",
        back: wire.Welcome | None = None,
        origin: bytes = b"",
        address: str = "",
        **fields: Any,
    ) -> None:
        if back is not None:
            fields = {"session_id": back.session_id, "epoch": back.epoch, **fields}
            fields = {"resume_token": back.resume_token, **fields}
        nonce = os.urandom(16) if nonce is None else nonce
        self.hello = wire.Hello(token=token, attach_nonce=nonce, bot=bot, **fields)
        self.token_id = token_id
        self.ticket = Ticket(
            token=token,
            nonce=nonce,
            bot=bot,
            session_id=self.hello.session_id,
            resume_token=self.hello.resume_token,
            epoch=self.hello.epoch,
            address=address,
        )
        self.facts = SessionFacts(features=RESUME, origin=origin)
        self.link = ControlLink(self._send)
        self.events: list[wire.Envelope] = []
        self.closed: tuple[int, str] | None = None
        self.bound: Session | None = None
        self.left = False
        self._channel = Channel(allowed=wire.SERVER_PAYLOADS)

    async def _send(self, event: dict[str, Any]) -> None:
        if event["type"] == "websocket.close":
            self.closed = (event["code"], event["reason"])
        else:
            self.events += self._channel.receive(event["bytes"], 0)

    def channel(self, features: frozenset[wire.Feature], clock: Clock) -> ControlChannel:
        """Ours."""
        return NumberedChannel(features, clock=clock)

    def bind(self, session: Session) -> None:
        """The session goes on here."""
        welcome = wire.Welcome(session_id=session.id)
        assert session.numbered is not None
        session.numbered.rebind(self.link, self.hello, welcome)
        self.bound = session

    def coming(self, session: Session) -> Event | None:
        """What it is that comes."""
        assert session.numbered is not None
        return session.numbered.coming(self.hello)

    def leave(self, session: Session) -> None:
        """Gone before it was served."""
        self.left = True
        assert session.numbered is not None
        session.numbered.lost(self.link)

    async def come(self, process: Process) -> Any:
        """Ask to be let in."""
        return await process.directory.attach(self.ticket, self.facts, self)

    async def read(self) -> list[wire.Envelope]:
        """Read until the session closes its link; the messages."""
        await self.link.write()
        return self.events

    @property
    def welcome(self) -> wire.Welcome:
        """The Welcome that waits to be read."""
        data = vars(self.link)["_events"][0]
        return wire.Envelope.FromString(data).welcome
