"""``WS /v1/peer``: where the other processes of a service bring the clients of this one."""

import asyncio
from typing import Any, Final

from voxwire_server.routes.control import ControlRoute
from voxwire_server.routes.entrance import Receive, Send
from voxwire_server.routes.passages import serve_passage
from voxwire_server.routes.peers import PEER_SUBPROTOCOL, PeerKey, SealError
from voxwire_server.routes.sockets import SocketControl

__all__ = ["PeerDoor"]

_SPEAKS_S: Final = 5.0
_MAX_SEALED_CHARS: Final = 65_536
_POLICY: Final = 1008


class PeerDoor:
    """ASGI endpoint for processes of the same service.

    Args:
        control: Serves whom they bring.
        key: Opens what they say.
        me: Name of this process.
        app: Answers requests that name it.
    """

    def __init__(self, control: ControlRoute, key: PeerKey, me: str, app: Any) -> None:
        self._app = app
        self._control = control
        self._key = key
        self._me = me

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        await receive()  # websocket.connect
        if PEER_SUBPROTOCOL not in scope.get("subprotocols", ()):
            await send({"type": "websocket.close", "code": _POLICY, "reason": ""})
            return
        socket = SocketControl.of(scope) or SocketControl()
        socket.take_texts()
        await send({"type": "websocket.accept", "subprotocol": PEER_SUBPROTOCOL})
        try:
            async with asyncio.timeout(_SPEAKS_S):
                sealed = (await receive()).get("text") or ""
                if len(sealed) > _MAX_SEALED_CHARS:
                    raise SealError
                head = self._key.open_head(sealed, self._me)
                hello = b"" if head is not None else (await receive()).get("bytes") or b""
            errand = None if head is not None else self._key.open(sealed, hello, self._me)
        except (SealError, TimeoutError):
            await send(
                {"type": "websocket.close", "code": _POLICY, "reason": "not of this service"}
            )
            return
        if head is not None:
            await serve_passage(self._app, head, scope, receive, send, socket)
        elif errand is not None:
            await self._control.attach(errand, receive, send, socket, carried=True)
