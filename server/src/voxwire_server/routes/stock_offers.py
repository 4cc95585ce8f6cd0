"""Offers of stock clients: answered at once, and a session begun when the connection is up."""

import asyncio
import logging
import secrets
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from voxwire_protocol import rtvi, wire
from voxwire_protocol.channel import ChannelError
from voxwire_server.config import Settings
from voxwire_server.control.intake import Rate, TokenBucket
from voxwire_server.ice_servers import IceServers
from voxwire_server.ports import PathError, SessionFacts
from voxwire_server.routes.bodies import RefusedRequestError
from voxwire_server.routes.stock_call import StockCall
from voxwire_server.routes.stock_starts import Asked, Owner
from voxwire_server.routes.stock_uploads import GiveUpload, Uploads
from voxwire_server.sent_files import FileRefusal
from voxwire_server.session.directory import Directory
from voxwire_server.session.listening import carrier_settings
from voxwire_server.session.ticket import Here, Refused, Ticket

if TYPE_CHECKING:
    from voxwire_server.media.stock_rtc import StockConnection

__all__ = ["Offers", "http_status", "refused_request"]

_log = logging.getLogger("voxwire.control")

_MAX_PENDING: Final = 50
"""Offers whose connection has not come about; a connection has 15 s for that."""
_RATE: Final = Rate(20, 50)
_FEATURES: Final = frozenset(
    {wire.Feature.FEATURE_WORDS, wire.Feature.FEATURE_WEBRTC, wire.Feature.FEATURE_RESUME}
)
_STATUS: Final = {
    wire.ErrorCode.ERROR_CODE_UNAUTHORIZED: 401,
    wire.ErrorCode.ERROR_CODE_FORBIDDEN: 403,
    wire.ErrorCode.ERROR_CODE_CAPACITY: 429,
    wire.ErrorCode.ERROR_CODE_RATE_LIMITED: 429,
    wire.ErrorCode.ERROR_CODE_GOING_AWAY: 503,
    wire.ErrorCode.ERROR_CODE_ICE_FAILED: 503,
    wire.ErrorCode.ERROR_CODE_TURN_FAILED: 503,
    wire.ErrorCode.ERROR_CODE_MISSING_EXTRA: 501,
    wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED: 404,
    wire.ErrorCode.ERROR_CODE_SERVICE_FAILED: 503,
}


def http_status(code: wire.ErrorCode) -> int:
    """The HTTP status of a refusal."""
    return _STATUS.get(code, 400)


def refused_request(refused: Refused) -> RefusedRequestError:
    """A refusal of the directory, as HTTP tells it."""
    return RefusedRequestError(
        http_status(refused.code),
        refused.code,
        refused.reason,
        retry_after_ms=refused.retry_after_ms,
    )


class _OfferIce:
    """The STUN and TURN servers of this side of one connection (``ports.IcePort``).

    Args:
        servers: Those of the settings.
        policy: What the server is reached by.
    """

    def __init__(self, servers: IceServers, policy: str) -> None:
        self.policy = policy
        self._servers = servers
        self._user = secrets.token_hex(8)
        self._take: Any = None

    def for_server(self) -> list[wire.IceServer]:
        """With fresh credentials."""
        return self._servers.mint(f"{self._user}.server", now_s=time.time(), ttl_s=None)

    def listen(self, path_id: int, take: Any) -> None:
        """Hand the client's candidates to ``take``."""
        self._take = take

    def forget(self, path_id: int) -> None:
        """The connection is closed."""
        self._take = None

    def candidate(self, line: str) -> None:
        """A candidate of the client; nothing is sent to it unless this side is behind TURN."""
        if self._take is not None and self.policy != "host":
            self._take(line)


@dataclass(slots=True, eq=False)
class _Connection:
    """A connection that was answered.

    Attributes:
        owner: Whose it is.
        shown: Its owner by the credential alone that it came with.
        ice: Its servers.
        before: The one whose place it takes, until it has taken it.
        call: The session that it carries; None = it is still coming about.
        task: What carries it, from the answer to its end.
    """

    owner: Owner
    shown: Owner
    ice: _OfferIce
    before: "_Connection | None" = None
    call: StockCall | None = None
    task: "asyncio.Task[None] | None" = None

    def line(self) -> "list[_Connection]":
        """This one, and those whose place it takes, the newest first."""
        found: list[_Connection] = [self]
        before = self.before
        while before is not None:
            found.append(before)
            before = before.before
        return found


class Offers:
    """The connections of stock clients, by ``pc_id``: 192 random bits, of use to their owner alone.

    Args:
        directory: Puts clients on sessions.
        settings: The server's settings.
        ice: The STUN and TURN servers.
        uploads: The files that stock clients have uploaded.
        about: What ``bot-ready`` says of this server.
        mark: What every ``pc_id`` begins with.
    """

    def __init__(
        self,
        directory: Directory,
        settings: Settings,
        ice: IceServers,
        *,
        uploads: Uploads,
        about: dict[str, Any],
        mark: str = "",
    ) -> None:
        self._mark = mark
        self._directory = directory
        self._settings = settings
        self._ice = ice
        self._about = about
        self._uploads = uploads
        self._connections: dict[str, _Connection] = {}
        self._rate = TokenBucket(_RATE)
        self._pending = 0
        self._answering: list[Owner] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._living: set[asyncio.Task[None]] = set()  # those end with their sessions

    def __len__(self) -> int:
        return len(self._connections)

    async def answer(
        self,
        sdp: str,
        ticket: Ticket,
        owner: Owner,
        asked: Asked,
        *,
        shown: Owner | None = None,
        again: str = "",
        once: bool = False,
    ) -> tuple[str, str]:
        """Answer an offer.

        Args:
            sdp: The offer.
            ticket: Who may begin a session, vouched for.
            owner: Who offers.
            asked: What he asks of a new session.
            shown: The owner by the credential alone; None = the same.
            again: The ``pc_id`` of a connection that the new one takes the place of; one that is
                not there, or is not the owner's, is none.
            once: The owner may have one session at a time.

        Returns:
            The answer, and the ``pc_id`` of the connection.

        Raises:
            RefusedRequestError: It cannot be answered.
        """
        known = self._owned(again, owner)
        if known is not None and known.call is not None and known.call.over:
            known = None
        if known is None and once and owner in self.owners():
            code = wire.ErrorCode.ERROR_CODE_INVALID_STATE
            raise RefusedRequestError(409, code, "this session has its client already")
        begins = known is None or known.call is None
        if begins:
            refused = await self._directory.doorkeeper.stranger(ticket)
            if refused is not None:
                raise refused_request(refused)
            self._check(ticket)
        if self._pending >= _MAX_PENDING or not self._rate.take(time.monotonic() * 1000):
            code = wire.ErrorCode.ERROR_CODE_RATE_LIMITED
            raise RefusedRequestError(429, code, "too many offers at once; try again in a second")
        self._pending += 1
        self._answering.append(owner)
        try:
            connection, ice, answer = await self._connection(sdp)
            if begins:
                ticket = await self._counted(ticket, connection)
        except BaseException:
            self._pending -= 1
            raise
        finally:
            self._answering.remove(owner)
        pc_id = self._mark + secrets.token_urlsafe(24)
        entry = self._connections[pc_id] = _Connection(owner, shown or owner, ice, known)
        entry.task = self._spawn(self._begin(pc_id, entry, connection, ticket, asked, once=once))
        return answer, pc_id

    def _check(self, ticket: Ticket, *, comes: bool = False) -> None:
        refused = self._directory.doorkeeper.refusal_of(ticket, comes=comes)
        if refused is not None:
            raise refused_request(refused)

    async def _counted(self, ticket: Ticket, connection: "StockConnection") -> Ticket:
        """What ``attach`` is given, now that an offer is answered: it counts for its address."""
        try:
            self._check(ticket, comes=True)
        except RefusedRequestError:  # of several at once
            await connection.close()
            raise
        return replace(ticket, counted=True)

    async def _connection(self, sdp: str) -> tuple["StockConnection", _OfferIce, str]:
        try:
            from voxwire_server.media.peer import Reachable
            from voxwire_server.media.stock_rtc import StockConnection
        except ImportError:
            reason = "WebRTC needs: pip install 'voxwire-server[webrtc]'"
            code = wire.ErrorCode.ERROR_CODE_MISSING_EXTRA
            raise RefusedRequestError(501, code, reason) from None
        carrier = carrier_settings(self._settings)
        ice = _OfferIce(self._ice, self._settings.server_ice)
        reachable = Reachable(carrier.host, carrier.ice_addresses, ice)
        connection = StockConnection(reachable, carrier.formats(wire.Codec.CODEC_OPUS))
        try:
            return connection, ice, await connection.answer(sdp)
        except BaseException as error:
            await connection.close()
            if isinstance(error, PathError):
                status = http_status(error.code)
                raise RefusedRequestError(status, error.code, error.reason) from None
            raise

    async def _begin(
        self,
        pc_id: str,
        entry: _Connection,
        connection: "StockConnection",
        ticket: Ticket,
        asked: Asked,
        *,
        once: bool,
    ) -> None:
        """Wait until the connection is up, then have a session go on over it, to its end."""
        carried = False
        try:
            try:
                await connection.connected()
                carried = await self._carry(entry, connection, ticket, asked)
            except PathError:
                _log.info("a stock client's connection did not come about")
            finally:
                self._pending -= 1
            if carried and entry.call is not None and entry.call.session is not None:
                self._living.add(self._moved())
                await entry.call.session.ended.wait()
                if once:
                    self._uploads.forget(entry.owner)
        finally:
            self._connections.pop(pc_id, None)
            await connection.close()

    def _moved(self) -> "asyncio.Task[None]":
        """This task, which is none of those any more that end with the door."""
        task: Any = asyncio.current_task()
        self._tasks.discard(task)
        return task

    async def _carry(
        self, entry: _Connection, connection: "StockConnection", ticket: Ticket, asked: Asked
    ) -> bool:
        from voxwire_server.media.peer import Reachable

        known = next((each.call for each in entry.line() if each.call is not None), None)
        if known is not None:
            try:
                known.again(connection)
            except ChannelError:
                return False
            self._take_over(entry, known)
            return True
        reachable = Reachable(self._settings.host, self._settings.ice_addresses, entry.ice)
        owners = [entry.owner, Owner.of(entry.owner.origin, ticket.secret)]

        def take_upload(url: str, give: GiveUpload) -> FileRefusal | None:
            return self._uploads.hand_on(url, owners, time.monotonic() * 1000, give)

        call = StockCall(connection, reachable, about=self._about, take_upload=take_upload)
        features = _FEATURES | {wire.Feature.FEATURE_CLIENT_TOOLS} if asked.tools else _FEATURES
        facts = SessionFacts(
            features=features,
            origin=entry.owner.origin,
            metadata_json=asked.metadata_json,
            tools=asked.tools,
        )
        answer = await self._directory.attach(ticket, facts, call)
        if isinstance(answer, Here):
            self._take_over(entry, call)
            return True
        reason = answer.reason if isinstance(answer, Refused) else "the session is elsewhere"
        said = {"error": reason, "message": reason, "fatal": True}
        connection.send(rtvi.encode(rtvi.RtviMessage("error", said)))
        connection.send(rtvi.write_chat(rtvi.PeerLeft()))
        return False

    def _take_over(self, entry: _Connection, call: StockCall) -> None:
        """A connection carries that session: those before it are of no use any more."""
        line, entry.before, entry.call = entry.line(), None, call
        for pc_id, other in list(self._connections.items()):
            if other is not entry and (other.call is call or other in line):
                del self._connections[pc_id]
                if other.task is not None:
                    other.task.cancel()

    def candidates(
        self, pc_id: str, owner: Owner, lines: Iterable[str], *, shown: Owner | None = None
    ) -> bool:
        """Take candidates of a client; False = there is no such connection of his.

        Args:
            pc_id: Of the connection.
            owner: Who sends them.
            lines: The candidates.
            shown: The owner by the credential alone; None = the same.
        """
        entry = self._owned(pc_id, owner)
        known = self._connections.get(pc_id)
        if entry is None and shown is not None and known is not None and known.shown.same(shown):
            entry = known
        if entry is not None:
            for line in lines:
                entry.ice.candidate(line)
        return entry is not None

    def owner_of(self, shown: Owner) -> Owner | None:
        """Whose living connections came with that credential; None = nobody's."""
        found = (entry.owner for entry in self._living_entries() if entry.shown.same(shown))
        return next(found, None)

    def owners(self) -> set[Owner]:
        """Whose sessions live, or are about to."""
        return {entry.owner for entry in self._living_entries()}.union(self._answering)

    def _living_entries(self) -> list[_Connection]:
        entries = self._connections.values()
        return [entry for entry in entries if entry.call is None or not entry.call.over]

    def _owned(self, pc_id: str, owner: Owner) -> _Connection | None:
        entry = self._connections.get(pc_id)
        return entry if entry is not None and entry.owner.same(owner) else None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._living.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a stock client's connection failed", exc_info=error)

    async def close(self) -> None:
        """The server ends: no connection comes about any more."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
