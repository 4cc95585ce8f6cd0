"""``WS /v1/session``: the control channel."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final

from google.protobuf.message import DecodeError

from voxwire_protocol import wire
from voxwire_server.gate import Gate
from voxwire_server.routes.sockets import SocketControl
from voxwire_server.session.admission import Admission
from voxwire_server.session.link import ControlLink
from voxwire_server.session.registry import CapacityError, SessionRegistry
from voxwire_server.session.session import Session
from voxwire_server.tokens import TokenError
from voxwire_server.turn import IceServers

__all__ = ["ControlRoute"]

_MAX_HELLO_BYTES: Final = 16_384
_MESSAGES_A_TURN: Final = 64

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

    Order of admission (design, section 5): Host, Origin before the upgrade; then a Hello within
    5 s and 16 KB, of which nothing but the Hello is parsed; then capacity, token, quota, and only
    then allocation.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        gate: Gate,
        *,
        admission: Admission,
        ice: IceServers,
        server: str,
        bot: str,
    ) -> None:
        self._registry = registry
        self._gate = gate
        self._admission = admission
        self._ice = ice
        self._server = server
        self._bot = bot
        self.examples: list[str] = []

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        await receive()  # websocket.connect
        refusal = self._gate.check(scope["headers"])
        if refusal is not None or wire.SUBPROTOCOL not in scope.get("subprotocols", ()):
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        await send({"type": "websocket.accept", "subprotocol": wire.SUBPROTOCOL})
        has_origin = any(name == b"origin" for name, _ in scope["headers"])
        try:
            session, hello = await self._admit(receive, has_origin=has_origin)
        except _Refused as refused:
            await self._turn_away(refused.error, send)
            return
        if session is None or hello is None:
            return
        socket = SocketControl.of(scope)
        socket.admitted()
        await self._serve(session, receive, send, abort=socket.abort)

    async def _turn_away(self, error: wire.Error, send: Send) -> None:
        data = wire.Envelope(seq=1, error=error).SerializeToString()
        await send({"type": "websocket.send", "bytes": data})
        await send(
            {"type": "websocket.close", "code": 4000 + error.code, "reason": error.reason[:120]}
        )

    async def _admit(
        self, receive: Receive, *, has_origin: bool
    ) -> tuple[Session | None, wire.Hello | None]:
        timeout_ms = self._registry.settings.hello_timeout_ms
        try:
            event = await asyncio.wait_for(receive(), timeout_ms / 1000)
        except TimeoutError:
            reason = f"no Hello within {timeout_ms} ms"
            raise _refuse(wire.ErrorCode.ERROR_CODE_TIMEOUT, reason) from None
        if event["type"] == "websocket.disconnect":
            return None, None
        hello = self._parse_hello(event.get("bytes"))
        if hello.protocol_version != wire.PROTOCOL_VERSION:
            raise _refuse(
                wire.ErrorCode.ERROR_CODE_VERSION,
                f"this server speaks protocol version {wire.PROTOCOL_VERSION}",
            )
        try:
            if self._registry.full:
                raise CapacityError
            claims = self._admission.check(hello, has_origin=has_origin, now_s=time.time())
            return self._registry.open(hello, claims), hello
        except TokenError as error:
            raise _refuse(error.code, error.reason) from None
        except CapacityError:
            raise _refuse(
                wire.ErrorCode.ERROR_CODE_CAPACITY, "the server is full", retry_after_ms=2000
            ) from None

    @staticmethod
    def _parse_hello(data: bytes | None) -> wire.Hello:
        if not data or len(data) > _MAX_HELLO_BYTES:
            raise _refuse(wire.ErrorCode.ERROR_CODE_MALFORMED, "the first message must be a Hello")
        try:
            envelope = wire.Envelope.FromString(data)
        except DecodeError:
            raise _refuse(
                wire.ErrorCode.ERROR_CODE_MALFORMED, "the first message must be a Hello"
            ) from None
        if envelope.WhichOneof("payload") != "hello":
            raise _refuse(wire.ErrorCode.ERROR_CODE_MALFORMED, "the first message must be a Hello")
        if len(envelope.hello.attach_nonce) != 16:
            raise _refuse(
                wire.ErrorCode.ERROR_CODE_INVALID_ARGUMENT, "attach_nonce must be 16 bytes"
            )
        return envelope.hello

    def _welcome(self, session: Session) -> wire.Welcome:
        settings = session.settings
        return wire.Welcome(
            protocol_version=wire.PROTOCOL_VERSION,
            session_id=session.id,
            epoch=1,
            features=sorted(session.features),
            heartbeat_ms=settings.heartbeat_ms,
            max_message_bytes=wire.DEFAULT_MAX_MESSAGE_BYTES,
            ice_servers=self._ice.mint(session.id, now_s=time.time(), ttl_s=None),
            session_start_unix_us=time.time_ns() // 1000,
            bot=self._bot,
            server=self._server,
            examples=self.examples,
        )

    async def _serve(
        self, session: Session, receive: Receive, send: Send, *, abort: Callable[[], None]
    ) -> None:
        link = ControlLink(send, abort=abort)
        session.link = link
        session.emit(welcome=self._welcome(session))
        writer = asyncio.get_running_loop().create_task(link.write())
        reader = asyncio.get_running_loop().create_task(self._read(session, receive))
        self._registry.start(session)
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            session.end(
                wire.EndReason.END_REASON_ERROR,
                wire.Error(
                    code=wire.ErrorCode.ERROR_CODE_CONNECTION_LOST,
                    reason="the control channel closed",
                ),
            )
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
            link.closed = True
            session.link = None

    @staticmethod
    async def _read(session: Session, receive: Receive) -> None:
        # what a socket has at hand comes without a turn of the loop: a flood would stop the others
        for number in count(1):
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            data = event.get("bytes")
            wait_ms = session.receive(data if data is not None else b"")
            if wait_ms:
                await asyncio.sleep(wait_ms / 1000)
            elif number % _MESSAGES_A_TURN == 0:
                await asyncio.sleep(0)
