"""``WS /v1/session``: the control channel."""

import asyncio
import logging
import time
from dataclasses import replace
from typing import Any, Final

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_server.control.link import ControlLink
from voxwire_server.control.numbered import NumberedChannel
from voxwire_server.gate import Refusal, address_of, headers_of
from voxwire_server.lifecycle import Event
from voxwire_server.routes.carrying import carry, read
from voxwire_server.routes.entrance import Entrance, Receive, Send
from voxwire_server.routes.hello import RefusedError, facts_of, read_hello, ticket_of
from voxwire_server.routes.peers import Carrier, Errand, PeerBusyError
from voxwire_server.routes.sockets import SocketControl
from voxwire_server.routes.waiting_socket import MAX_KEPT_BYTES, WaitingSocket
from voxwire_server.session.directory import Directory
from voxwire_server.session.session import Session
from voxwire_server.session.ticket import At, Here, Refused

__all__ = ["ControlRoute"]

_log = logging.getLogger("voxwire.control")

_NO_SUBPROTOCOL: Final = Refusal(
    400, "VERSION", f"a client must ask for the WebSocket subprotocol {wire.SUBPROTOCOL}"
)
_ELSEWHERE: Final = "another process of this service has the session"
_ELSEWHERE_MS: Final = 1000
_BUSY_THERE: Final = Refused(
    wire.ErrorCode.ERROR_CODE_CAPACITY,
    "the process that has the session takes nobody just now",
    retry_after_ms=_ELSEWHERE_MS,
)
_OVERFULL: Final = Refused(
    wire.ErrorCode.ERROR_CODE_TOO_LARGE,
    f"who waits for a place may say {MAX_KEPT_BYTES} bytes, with 256 for each message",
)


class _Socket:
    """A client that came by a WebSocket with a Hello.

    Args:
        link: What writes to it.
        hello: What it said.
        server: Name and version of the server.
    """

    def __init__(self, link: ControlLink, hello: wire.Hello, server: str) -> None:
        self._link = link
        self._hello = hello
        self._server = server

    def channel(self, features: frozenset["wire.Feature"], clock: Clock) -> NumberedChannel:
        """A channel for a new session, numbered from 1."""
        return NumberedChannel(features, clock=clock)

    def bind(self, session: Session) -> None:
        """Put the session on the socket: Welcome, then what the client has not received.

        Raises:
            ChannelError: It cannot be. Nothing has changed then.
        """
        _numbered(session).rebind(self._link, self._hello, self._welcome(session))

    def coming(self, session: Session) -> Event | None:
        """What the Hello is to the session."""
        return _numbered(session).coming(self._hello)

    def leave(self, session: Session) -> None:
        """The socket was lost before anybody served it."""
        _numbered(session).lost(self._link)

    def _welcome(self, session: Session) -> wire.Welcome:
        settings, facts = session.settings, session.facts
        return wire.Welcome(
            protocol_version=wire.PROTOCOL_VERSION,
            session_id=session.id,
            features=sorted(session.features),
            heartbeat_ms=settings.heartbeat_ms,
            grace_ms=settings.grace_ms if session.resumable else 0,
            max_message_bytes=wire.DEFAULT_MAX_MESSAGE_BYTES,
            ice_servers=session.ice.for_client(),
            session_start_unix_us=time.time_ns() // 1000,
            bot=facts.bot,
            server=self._server,
            examples=facts.examples,
            accepts=facts.accepts.told(),
        )


class ControlRoute:
    """ASGI endpoint of the control channel.

    Order of admission: Host, Origin before the upgrade; then a Hello within 5 s and 16 KB, of which
    nothing but the Hello is parsed; then what the directory decides.

    Args:
        directory: Puts clients on sessions.
        entrance: Lets WebSockets in.
        hello_timeout_ms: Longest wait for a Hello.
        server: Name and version of the server.
        carrier: Carries clients to other processes; None = there are none.
    """

    def __init__(
        self,
        directory: Directory,
        entrance: Entrance,
        *,
        hello_timeout_ms: int,
        server: str,
        carrier: Carrier | None = None,
    ) -> None:
        self._directory = directory
        self._entrance = entrance
        self._hello_timeout_ms = hello_timeout_ms
        self._server = server
        self._carrier = carrier

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        ours = wire.SUBPROTOCOL in scope.get("subprotocols", ())
        refusal = None if ours else _NO_SUBPROTOCOL
        async with self._entrance.let_in(scope, receive, send, refusal) as socket:
            if socket is not None:
                await self._talk(scope, receive, send, socket)

    async def _talk(
        self, scope: dict[str, Any], receive: Receive, send: Send, socket: SocketControl
    ) -> None:
        """Serve one WebSocket that was let in, from its Hello on."""
        await send({"type": "websocket.accept", "subprotocol": wire.SUBPROTOCOL})
        try:
            hello = await self._hello(receive)
        except RefusedError as error:
            await _turn_away(send, error.refused)
            return
        if hello is None:
            return
        headers = scope["headers"]
        errand = Errand(
            hello,
            address=address_of(scope),
            is_local=self._entrance.gate.is_local_program(scope),
            origin=next((value for name, value in headers if name == b"origin"), b""),
            headers=headers_of(scope),
        )
        await self.attach(errand, receive, send, socket)

    async def attach(
        self,
        errand: Errand,
        receive: Receive,
        send: Send,
        socket: SocketControl,
        *,
        carried: bool = False,
        unreachable: frozenset[str] = frozenset(),
    ) -> None:
        """Put somebody on his session, and serve him until his socket is gone.

        Args:
            errand: Who comes, with his first message.
            receive: ASGI ``receive`` of his socket, which is accepted.
            send: ASGI ``send`` of the same.
            socket: What else can be done to it.
            carried: Another process has carried him here; it is not done again.
            unreachable: Names of processes to which he could not be carried.
        """
        try:
            hello = read_hello(errand.hello)
        except RefusedError as error:
            await _turn_away(send, error.refused)
            return
        link = ControlLink(send, abort=socket.abort)
        waiting = WaitingSocket(receive, send, socket)
        attach = self._directory.attach(
            replace(
                ticket_of(
                    hello,
                    is_local=errand.is_local,
                    address=errand.address,
                    headers=errand.headers,
                ),
                may_be_carried=self._carrier is not None and not carried,
                unreachable=unreachable,
            ),
            facts_of(hello, origin=errand.origin),
            _Socket(link, hello, self._server),
            waits=waiting.tell if wire.Feature.FEATURE_WAITING in hello.features else None,
        )
        match answer := await waiting.attend(attach):
            case None:
                if waiting.overfull:
                    await _turn_away(send, _OVERFULL)
            case Here(session):
                socket.admitted()
                await _serve(session, link, waiting.receive)
            case At(replica):
                socket.admitted()
                if carried or self._carrier is None or not replica.peer_url:
                    await _send_on(send, replica.public_url)
                    return
                try:
                    carry = self._carrier.carry(errand, replica, waiting.receive, send)
                    was_there = await carry
                except PeerBusyError:
                    await _turn_away(send, _BUSY_THERE)
                    return
                if not was_there:
                    dead = unreachable | {replica.name}
                    await self.attach(errand, waiting.receive, send, socket, unreachable=dead)
            case Refused():
                await _turn_away(send, answer)

    async def _hello(self, receive: Receive) -> bytes | None:
        """The first message; None = there is none, and nobody any more."""
        timeout_ms = self._hello_timeout_ms
        try:
            event = await asyncio.wait_for(receive(), timeout_ms / 1000)
        except TimeoutError:
            reason = f"no Hello within {timeout_ms} ms"
            raise RefusedError(wire.ErrorCode.ERROR_CODE_TIMEOUT, reason) from None
        return None if event["type"] == "websocket.disconnect" else event.get("bytes") or b""


async def _serve(session: Session, link: ControlLink, receive: Receive) -> None:
    """Carry the session until the socket is gone, or another one has taken it over."""
    channel = _numbered(session)

    def take(data: str | bytes) -> float:
        return channel.receive(data if isinstance(data, bytes) else b"", link)

    def gone(_: int) -> None:
        channel.lost(link)

    await carry(session.id, link, read(receive, take), gone)


def _numbered(session: Session) -> NumberedChannel:
    if session.numbered is None:
        raise RuntimeError("the session has another kind of client")
    return session.numbered


async def _turn_away(send: Send, refused: Refused) -> None:
    error = wire.Error(
        code=refused.code,
        reason=refused.reason,
        fatal=True,
        retryable=bool(refused.retry_after_ms),
        retry_after_ms=refused.retry_after_ms,
        action=wire.RecoveryAction.RECOVERY_ACTION_NONE,
    )
    await _close(send, [wire.Envelope(error=error)], error)


async def _send_on(send: Send, url: str) -> None:
    """Another process owns the session: say where, and that the client goes on there."""
    if not url:
        code = wire.ErrorCode.ERROR_CODE_GOING_AWAY
        await _turn_away(send, Refused(code, _ELSEWHERE, _ELSEWHERE_MS))
        return
    error = wire.Error(
        code=wire.ErrorCode.ERROR_CODE_GOING_AWAY,
        reason=_ELSEWHERE,
        fatal=True,
        retryable=True,
        action=wire.RecoveryAction.RECOVERY_ACTION_RESUME,
    )
    where = wire.GoAway(reason=_ELSEWHERE, resume_url=url)
    await _close(send, [wire.Envelope(go_away=where), wire.Envelope(error=error)], error)


async def _close(send: Send, messages: list[wire.Envelope], error: wire.Error) -> None:
    for seq, message in enumerate(messages, 1):
        message.seq = seq
        await send({"type": "websocket.send", "bytes": message.SerializeToString()})
    await send({"type": "websocket.close", "code": 4000 + error.code, "reason": error.reason[:120]})
