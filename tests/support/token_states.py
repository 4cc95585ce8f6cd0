"""Every state that a credential can be in, for a server with the bot ``test``."""

import base64
import os
import time
from typing import Any, Final

import websockets

from voxwire_protocol import wire
from voxwire_server.keys import KeyRing
from voxwire_server.tokens import TokenIssuer

__all__ = ["ADMIN_KEY", "KEY", "STATES", "Credentials", "dial", "first_use"]

KEY: Final = "an operator's secret of more than 32 characters"
ADMIN_KEY: Final = "another one of the operator, of more than 32 characters"
_STRANGERS_KEY: Final = "a stranger's secret, as long as the operator's own"

STATES: Final = (
    "none",
    "malformed",
    "another algorithm",
    "another key",
    "expired",
    "not yet",
    "used",
    "another bot",
)
"""States in which a token opens nothing."""


def _issue(*, key: str = KEY, after_s: int = 0, bot: str | None = None) -> str:
    return TokenIssuer(KeyRing.parse(key=key)).issue("ada", now_s=time.time() + after_s, bot=bot)


def _unsigned(token: str) -> str:
    """The same claims under the algorithm ``none`` (RFC 8725 §2.1)."""
    header = base64.urlsafe_b64encode(b'{"typ":"JWT","alg":"none"}').rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


class Credentials:
    """Tokens in every state.

    Args:
        used: One that a session was begun with.
    """

    def __init__(self, used: str) -> None:
        self._tokens = {
            "none": "",
            "malformed": "not.a.token",
            "another algorithm": _unsigned(_issue()),
            "another key": _issue(key=_STRANGERS_KEY),
            "expired": _issue(after_s=-3600),
            "not yet": _issue(after_s=3600),
            "used": used,
            "another bot": _issue(bot="other"),
        }
        assert set(self._tokens) == set(STATES)

    def token(self, state: str) -> str:
        """The token of a state; ``right`` = a new one."""
        return self._tokens[state] if state in self._tokens else _issue()

    def headers(self, state: str) -> dict[str, str]:
        """The header that carries it."""
        token = self.token(state)
        return {"Authorization": f"Bearer {token}"} if token else {}


def dial(place: int | str, target: str, **options: Any) -> websockets.connect:
    """Open a WebSocket to a server on this machine.

    Args:
        place: The server's port on 127.0.0.1, or the path of its Unix socket.
        target: The Host that it goes by, and what is asked for: ``bot.example/v1/session``.
        **options: As for ``websockets.connect``.
    """
    if isinstance(place, str):
        return websockets.unix_connect(place, f"ws://{target}", **options)
    there: dict[str, Any] = {"host": "127.0.0.1", "port": place, "proxy": None}
    return websockets.connect(f"ws://{target}", **there, **options)


async def first_use(place: int | str, host: str) -> str:
    """Begin a session with a token, and leave it.

    Args:
        place: As for `dial`.
        host: The Host that it goes by.

    Returns:
        The token, which is used up now.
    """
    token, ours = _issue(), websockets.Subprotocol(wire.SUBPROTOCOL)
    async with dial(place, f"{host}/v1/session", subprotocols=[ours]) as socket:
        hello = wire.Hello(protocol_version=1, attach_nonce=os.urandom(16), token=token)
        await socket.send(wire.Envelope(hello=hello).SerializeToString())
        answer = wire.Envelope.FromString(bytes(await socket.recv(decode=False)))
        assert answer.HasField("welcome"), answer
        await socket.send(wire.Envelope(seq=1, bye=wire.Bye()).SerializeToString())
        await socket.wait_closed()
    return token
