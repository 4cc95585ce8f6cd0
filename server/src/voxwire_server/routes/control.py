"""``WS /v1/session``: the control channel."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final

from google.protobuf.message import DecodeError

from voxwire_protocol import wire
from voxwire_protocol.channel import ChannelError
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.json_text import JsonTextError, parse_json
from voxwire_server.bots.house import UnknownBotError
from voxwire_server.control.link import ControlLink
from voxwire_server.gate import Gate, Refusal
from voxwire_server.ice_servers import IceServers
from voxwire_server.logs import trace
from voxwire_server.routes.refusals import TOO_MANY, Refusals
from voxwire_server.routes.sockets import PendingSockets, SocketControl
from voxwire_server.session.admission import Admission
from voxwire_server.session.ice import SessionIce
from voxwire_server.session.registry import CapacityError, NotYoursError, SessionRegistry
from voxwire_server.session.session import Session
from voxwire_server.tokens import TokenError

__all__ = ["ControlRoute"]

_log = logging.getLogger("voxwire.control")

_MAX_HELLO_BYTES: Final = 16_384
_MAX_METADATA_BYTES: Final = 8192
_MESSAGES_A_TURN: Final = 64
_NO_SUBPROTOCOL: Final = Refusal(
    400, "VERSION", f"a client must ask for the WebSocket subprotocol {wire.SUBPROTOCOL}"
)
_CLOSE_SECS: Final = 2.0
_NO_HELLO: Final = "the first message must be a Hello"
_HELLO_TOO_LARGE: Final = (
    f"a Hello has at most {_MAX_HELLO_BYTES} bytes; its metadata, its tools or both are too large"
)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class _Refused(Exception):
    def __init__(self, error: wire.Error) -> None:
        super().__init__(error.reason)
        self.error = error


def _refuse(code: wire.ErrorCode, reason: str, retry_after_ms: int = 0) -> _Refused:
    return _Refused(
        wire.Error(
            code=code,
            reason=reason,
            fatal=True,
            retryable=bool(retry_after_ms),
            retry_after_ms=retry_after_ms,
            action=wire.RecoveryAction.RECOVERY_ACTION_NONE,
        )
    )


class ControlRoute:
    """ASGI endpoint of the control channel.

    Order of admission: Host, Origin before the upgrade; then a Hello within 5 s and 16 KB, of which
    nothing but the Hello is parsed; then capacity, token, bot, quota, and only then allocation.

    Args:
        registry: The sessions.
        gate: Looks at the head of every WebSocket.
        admission: Decides about Hellos.
        refusals: Answers those that are turned away before they said one.
        pending: Counts the sockets that have said none, on a server that is not ours (ours counts
            them itself, from the first byte).
        ice: The STUN and TURN servers.
        server: Name and version of the server.
        begin: Called for every WebSocket, before anything else.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        gate: Gate,
        *,
        admission: Admission,
        refusals: Refusals,
        pending: PendingSockets,
        ice: IceServers,
        server: str,
        begin: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._gate = gate
        self._admission = admission
        self._refusals = refusals
        self._pending = pending
        self._ice = ice
        self._server = server
        self._begin = begin

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        self._begin()
        await receive()  # websocket.connect
        refusal = self._gate.check(scope)
        if refusal is None and wire.SUBPROTOCOL not in scope.get("subprotocols", ()):
            refusal = _NO_SUBPROTOCOL
        if refusal is not None:
            await self._refusals.tell(scope, send, refusal)
            return
        socket = SocketControl.of(scope)
        if socket is not None:
            await self._talk(scope, receive, send, socket)
            return
        socket = self._pending.control_of(scope, time.monotonic() * 1000)
        if socket is None:
            await self._refusals.tell(scope, send, TOO_MANY)
            return
        try:
            await self._talk(scope, receive, send, socket)
        finally:
            socket.admitted()

    async def _talk(
        self, scope: dict[str, Any], receive: Receive, send: Send, socket: SocketControl
    ) -> None:
        """Serve one WebSocket that was let in, from its Hello on."""
        await send({"type": "websocket.accept", "subprotocol": wire.SUBPROTOCOL})
        try:
            hello = await self._hello(receive)
            if hello is None:
                return
            link = ControlLink(send, abort=socket.abort)
            session = self._attach(hello, scope, link)
        except _Refused as refused:
            await self._turn_away(refused.error, send)
            return
        socket.admitted()
        await self._serve(session, link, receive)

    async def _turn_away(self, error: wire.Error, send: Send) -> None:
        data = wire.Envelope(seq=1, error=error).SerializeToString()
        await send({"type": "websocket.send", "bytes": data})
        await send(
            {"type": "websocket.close", "code": 4000 + error.code, "reason": error.reason[:120]}
        )

    async def _hello(self, receive: Receive) -> wire.Hello | None:
        timeout_ms = self._registry.settings.hello_timeout_ms
        try:
            event = await asyncio.wait_for(receive(), timeout_ms / 1000)
        except TimeoutError:
            reason = f"no Hello within {timeout_ms} ms"
            raise _refuse(wire.ErrorCode.ERROR_CODE_TIMEOUT, reason) from None
        if event["type"] == "websocket.disconnect":
            return None
        hello = self._parse_hello(event.get("bytes"))
        if hello.protocol_version != wire.PROTOCOL_VERSION:
            raise _refuse(
                wire.ErrorCode.ERROR_CODE_VERSION,
                f"this server speaks protocol version {wire.PROTOCOL_VERSION}",
            )
        return hello

    def _attach(self, hello: wire.Hello, scope: dict[str, Any], link: ControlLink) -> Session:
        """Open a session, or put one that is open on this socket."""
        origin = next((value for name, value in scope["headers"] if name == b"origin"), b"")
        if hello.session_id:
            session, new = self._resumed(hello, origin), False
        else:
            is_local = self._gate.is_local_program(scope)
            session, new = self._admitted(hello, origin, is_local=is_local)
        try:
            session.attach(link, hello, self._welcome(session))
        except ChannelError as error:
            if new:
                self._registry.discard(session)
            raise _refuse(error.code, error.reason) from None
        if new:
            self._registry.start(session)
            if session.ice is not None:
                session.ice.start()
        return session

    def _resumed(self, hello: wire.Hello, origin: bytes) -> Session:
        if self._registry.closing:
            raise _refuse(wire.ErrorCode.ERROR_CODE_GOING_AWAY, "the server is shutting down")
        try:
            session = self._registry.find(hello, origin)
            if hello.token:  # not needed; one that comes along must be the same user's
                user = self._admission.user_of(hello.token, now_s=time.time())
                if user != session.user:
                    raise NotYoursError
            return session
        except TokenError as error:
            raise _refuse(error.code, error.reason) from None
        except NotYoursError:
            reason = "the session is over, or it is not yours"
            raise _refuse(wire.ErrorCode.ERROR_CODE_SESSION_EXPIRED, reason) from None

    def _admitted(
        self, hello: wire.Hello, origin: bytes, *, is_local: bool
    ) -> tuple[Session, bool]:
        open_already = self._registry.attached(hello, origin)
        try:
            if self._registry.full and open_already is None:
                raise CapacityError
            bot, claims = self._admission.check(
                hello,
                is_local=is_local,
                now_s=time.time(),
                again=open_already is not None,
            )
            if open_already is not None:
                return open_already, False
            return self._registry.open(hello, bot, claims, origin=origin), True
        except TokenError as error:
            raise _refuse(error.code, error.reason) from None
        except UnknownBotError as error:
            code = wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT
            raise _refuse(code, str(error)) from None
        except CapacityError:
            raise _refuse(
                wire.ErrorCode.ERROR_CODE_CAPACITY, "the server is full", retry_after_ms=2000
            ) from None

    @staticmethod
    def _parse_hello(data: bytes | None) -> wire.Hello:
        if data is not None and len(data) > _MAX_HELLO_BYTES:
            raise _refuse(wire.ErrorCode.ERROR_CODE_TOO_LARGE, _HELLO_TOO_LARGE)
        try:
            envelope = wire.Envelope.FromString(data or b"")
        except DecodeError:
            raise _refuse(wire.ErrorCode.ERROR_CODE_MALFORMED, _NO_HELLO) from None
        if envelope.WhichOneof("payload") != "hello":
            raise _refuse(wire.ErrorCode.ERROR_CODE_MALFORMED, _NO_HELLO)
        trace("hello", envelope)
        if len(envelope.hello.attach_nonce) != 16:
            raise _refuse(
                wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, "attach_nonce must be 16 bytes"
            )
        _check_metadata(envelope.hello.metadata_json)
        return envelope.hello

    def _welcome(self, session: Session) -> wire.Welcome:
        settings = session.settings
        if session.ice is None:
            session.ice = SessionIce(self._ice, session)
        return wire.Welcome(
            protocol_version=wire.PROTOCOL_VERSION,
            session_id=session.id,
            features=sorted(session.features),
            heartbeat_ms=settings.heartbeat_ms,
            grace_ms=settings.grace_ms if session.resumable else 0,
            max_message_bytes=wire.DEFAULT_MAX_MESSAGE_BYTES,
            ice_servers=session.ice.for_client(),
            session_start_unix_us=time.time_ns() // 1000,
            bot=session.bot,
            server=self._server,
            examples=session.examples,
        )

    async def _serve(self, session: Session, link: ControlLink, receive: Receive) -> None:
        """Carry the session until the socket is gone, or another one has taken it over."""
        loop = asyncio.get_running_loop()
        tasks = {
            loop.create_task(link.write()),
            loop.create_task(self._read(session, link, receive)),
            loop.create_task(_closed(link)),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            session.lost(link)
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
                    _log.warning("socket failed", exc_info=outcome, extra={"session": session.id})
            link.release()

    @staticmethod
    async def _read(session: Session, link: ControlLink, receive: Receive) -> None:
        # what a socket has at hand comes without a turn of the loop: a flood would stop the others
        for number in count(1):
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            data = event.get("bytes")
            wait_ms = session.reception.receive(data if data is not None else b"", link)
            if wait_ms:
                await asyncio.sleep(wait_ms / 1000)
            elif number % _MESSAGES_A_TURN == 0:
                await asyncio.sleep(0)


async def _closed(link: ControlLink) -> None:
    """Return when the other side had its time to take a close and did not."""
    await link.closing.wait()
    await asyncio.sleep(_CLOSE_SECS)


def _check_metadata(text: str) -> None:
    """Refuses what is neither empty nor a JSON object of at most 8 KB."""
    try:
        if not text or isinstance(parse_json(text, max_bytes=_MAX_METADATA_BYTES), dict):
            return
    except JsonTextError as error:
        if error.code == ErrorCode.TOO_LARGE:
            reason = f"metadata has at most {_MAX_METADATA_BYTES} bytes"
            raise _refuse(wire.ErrorCode.ERROR_CODE_TOO_LARGE, reason) from None
        reason = f"metadata must be a JSON object: {error.reason}"
        raise _refuse(wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, reason) from None
    raise _refuse(wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, "metadata must be a JSON object")
