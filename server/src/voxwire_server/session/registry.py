"""The sessions of this process."""

import asyncio
import base64
import secrets
from typing import Final

from voxwire_protocol import wire
from voxwire_server.config import Settings
from voxwire_server.session.session import BotRunner, Session
from voxwire_server.tokens import Claims

__all__ = ["CapacityError", "SessionRegistry"]

_FEATURES: Final = frozenset(
    {
        wire.Feature.FEATURE_PLAYOUT_REPORTS,
        wire.Feature.FEATURE_FLUSH,
        wire.Feature.FEATURE_WORDS,
        wire.Feature.FEATURE_SEQUENCE,
        wire.Feature.FEATURE_CHUNKS,
        wire.Feature.FEATURE_WEBSOCKET_AUDIO,
        wire.Feature.FEATURE_WEBRTC,
        wire.Feature.FEATURE_CLIENT_TOOLS,
    }
)


class CapacityError(Exception):
    """The server has as many sessions as it may."""


def _random_name(num_bytes: int) -> str:
    return base64.b32encode(secrets.token_bytes(num_bytes)).decode().rstrip("=").lower()


class SessionRegistry:
    """Opens sessions, owns their tasks and ends them.

    Args:
        settings: The server's settings.
        run_bot: Runs the bot of a session.
    """

    def __init__(self, settings: Settings, run_bot: BotRunner) -> None:
        self.settings = settings
        self._run_bot = run_bot
        self._owner = _random_name(5)
        self._sessions: dict[str, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.closing = False

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def full(self) -> bool:
        """True when no more sessions are taken."""
        return self.closing or len(self._sessions) >= self.settings.max_sessions

    def sessions_of(self, user: str) -> int:
        """Number of sessions of a user."""
        return sum(1 for session in self._sessions.values() if session.user == user)

    def open(self, hello: wire.Hello, claims: Claims | None = None) -> Session:
        """Begin a session for a client's Hello.

        Args:
            hello: The client's first message.
            claims: What its token says, if it needed one.

        Raises:
            CapacityError: The server is full or shutting down.
        """
        if self.full:
            raise CapacityError
        session = Session(
            f"{self._owner}.{_random_name(16)}",
            settings=self.settings,
            run_bot=self._run_bot,
            features=_FEATURES & frozenset(hello.features),
        )
        session.client.CopyFrom(hello.client)
        session.metadata_json = hello.metadata_json
        if wire.Feature.FEATURE_CLIENT_TOOLS in session.features:
            session.tools.declare(hello.tools)
        if claims is not None:
            session.user = claims.user
            session.max_duration_ms = (claims.limits.max_duration_s or 0) * 1000
        self._sessions[session.id] = session
        return session

    def start(self, session: Session) -> None:
        """Run the session's owner task."""
        task = asyncio.get_running_loop().create_task(session.run(), name=f"session {session.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._sessions.pop(session.id, None))

    async def close(self, timeout_ms: int) -> None:
        """End every session and wait until nothing of them remains."""
        self.closing = True
        for session in list(self._sessions.values()):
            session.end(wire.EndReason.END_REASON_SERVER)
        tasks = list(self._tasks)
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=timeout_ms / 1000)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=1)
