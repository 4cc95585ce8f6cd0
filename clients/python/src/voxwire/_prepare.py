"""`prepare`: what `connect` waits for, done before it is called."""

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, Final

from voxwire._arguments import invalid
from voxwire._connect import Connection, connect
from voxwire._environment import Environment
from voxwire._options import Options, ladder
from voxwire._peer import Peer
from voxwire._rtc_stack import load
from voxwire._timeouts import Timeouts
from voxwire._voxwire_server import VoxwireServer
from voxwire._websocket import WebSocket
from voxwire.tokens import TokenLike, TokenRequest, TokenSource, ask_for_token
from voxwire_protocol import wire
from voxwire_protocol.clocks import Timer
from voxwire_protocol.errors import VoxwireError

__all__ = ["SOCKET_MS", "TOKEN_MS", "Prepared", "prepare"]

SOCKET_MS: Final = 4000
"""How long an open socket is held: a server closes one on which nothing is said for 5 s."""

TOKEN_MS: Final = 30_000
"""How long a token is kept that a source gave: it is asked again after that."""


class Prepared:
    """What is ready for a session: made by `prepare`, and good for one.

    What was not to be had, or is too old by then, `connect` gets itself, and raises what is wrong.
    It holds an open socket for 4 s, and nothing that has to be closed after that.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: str,
        token: TokenLike,
        timeouts: Timeouts | None,
        peer: Peer | None,
        environment: Environment | None,
    ) -> None:
        """Holds nothing yet; use `prepare`.

        Raises:
            UsageError: An argument cannot be used.
        """
        self._options: dict[str, Any] = {
            "transport": transport,
            "token": token,
            "timeouts": timeouts,
            "peer": peer,
        }
        connect(url, environment=environment, **self._options)  # raises what is wrong with them
        self._url = url
        self._transport = transport
        self._peer: Peer = VoxwireServer() if peer is None else peer
        self._timeout_ms = (timeouts or Timeouts()).connect_ms
        self._environment = Environment() if environment is None else environment
        self._source: TokenSource | None = None if isinstance(token, str) else token
        self._token: tuple[float, str] | None = None
        self._socket: tuple[str, WebSocket, float] | None = None
        self._timer: Timer | None = None

    def connect(self, **options: Any) -> Connection:
        """Connects; use it with ``async with``.

        Args:
            options: Those of `voxwire.connect` that `prepare` was not given.

        Raises:
            VoxwireError: As `voxwire.connect`.
        """
        if twice := sorted(options.keys() & {*self._options, "environment"}):
            raise invalid(f"{', '.join(twice)}: give it to prepare, and not to connect")
        given = dict(self._options)
        if self._source is not None:
            given["token"] = self._give_token
        around = replace(self._environment, dial=self._dial)
        return connect(self._url, environment=around, **given, **options)

    async def close(self) -> None:
        """Lets go what it holds. May be called again, and need not be called."""
        self._let_go()
        self._token = None

    async def warm(self, *, socket: bool) -> None:
        """Gets what can be had within `Timeouts.connect_ms`; `prepare` has called it. Cancel-safe.

        Args:
            socket: True = a socket is opened, too, for a session in this very event loop.
        """
        steps: list[Awaitable[None]] = []
        carriers = ladder(self._transport, webrtc=self._environment.webrtc)
        if wire.Carrier.CARRIER_WEBRTC in carriers:
            steps.append(load())
        if self._source is not None:
            steps.append(self._hold_token(self._source))
        if socket and isinstance(self._peer, VoxwireServer):
            steps.append(self._hold_socket())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timeout_ms / 1000), asyncio.TaskGroup() as group:
                    for step in steps:
                        group.create_task(_whatever_comes_of(step))
        except BaseException:
            await self.close()
            raise

    async def _hold_socket(self) -> None:
        url = self._peer.check(self._url, Options(transport=self._transport), self._environment)
        timeout_ms = max(1, round(self._timeout_ms))
        websocket = await self._environment.dial(url, timeout_ms=timeout_ms)
        self._let_go()
        self._socket = (url, websocket, self._environment.clock.now_ms() + SOCKET_MS)
        self._timer = self._environment.clock.call_later(SOCKET_MS, self._let_go)

    async def _hold_token(self, source: TokenSource) -> None:
        token = await ask_for_token(source, TokenRequest("connect"))
        self._token = (self._environment.clock.now_ms() + TOKEN_MS, token)

    async def _give_token(self, request: TokenRequest) -> str:
        assert self._source is not None, "it is the source that this stands for"
        held, self._token = self._token, None
        until_ms, token = held or (0.0, "")
        if self._environment.clock.now_ms() < until_ms:
            return token
        return await ask_for_token(self._source, request)

    async def _dial(self, url: str, *, timeout_ms: int) -> WebSocket:
        held = self._socket
        if held is not None and held[0] == url and self._environment.clock.now_ms() < held[2]:
            self._socket = None
            self._let_go()
            return held[1]
        if held is not None and held[0] == url:  # its timer is late: the loop was blocked
            self._let_go()
        return await self._environment.dial(url, timeout_ms=timeout_ms)

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            (_, websocket, _), self._socket = self._socket, None
            websocket.abort()


async def prepare(
    url: str,
    *,
    transport: str = "auto",
    token: TokenLike = None,
    timeouts: Timeouts | None = None,
    peer: Peer | None = None,
    environment: Environment | None = None,
) -> Prepared:
    """Does what `connect` would wait for, before the user presses the button.

    ::

        prepared = await voxwire.prepare("wss://bot.example", token=source)
        ...
        async with prepared.connect(microphone=True, speaker=True) as session: ...

    All at once, it imports the WebRTC stack in a thread, asks for the token, and finds the server
    and opens a socket to it with its TLS. Trouble is not raised: `connect` meets it again and says
    so. Cancel-safe.

    Args:
        url: As for `connect`, as all of these.
        transport: What to prepare for.
        token: One that a source gave is good for 30 s; the source is asked again after that.
        timeouts: `connect_ms` bounds this, too.
        peer: To a bot of Pipecat's runner no socket is opened.
        environment: For tests.

    Raises:
        UsageError: An argument cannot be used.
    """
    prepared = Prepared(
        url,
        transport=transport,
        token=token,
        timeouts=timeouts,
        peer=peer,
        environment=environment,
    )
    await prepared.warm(socket=True)
    return prepared


async def _whatever_comes_of(step: Awaitable[None]) -> None:
    with contextlib.suppress(VoxwireError):
        await step
