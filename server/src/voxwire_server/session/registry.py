"""The sessions of this process."""

import asyncio
import base64
import logging
import secrets
from collections.abc import Callable
from typing import Final

from voxwire_protocol import wire
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.session.session import BotRunner, Session
from voxwire_server.tokens import Claims

__all__ = ["CapacityError", "NotYoursError", "SessionRegistry"]

_log = logging.getLogger("voxwire.session")

_FAILED: Final = 4000 + wire.ErrorCode.ERROR_CODE_INTERNAL

_FEATURES: Final = frozenset(
    {
        wire.Feature.FEATURE_PLAYOUT_REPORTS,
        wire.Feature.FEATURE_FLUSH,
        wire.Feature.FEATURE_WORDS,
        wire.Feature.FEATURE_SEQUENCE,
        wire.Feature.FEATURE_RESUME,
        wire.Feature.FEATURE_CHUNKS,
        wire.Feature.FEATURE_WEBSOCKET_AUDIO,
        wire.Feature.FEATURE_WEBRTC,
        wire.Feature.FEATURE_CLIENT_TOOLS,
        wire.Feature.FEATURE_KEPT_CAPTURE,
    }
)


class CapacityError(Exception):
    """The server has as many sessions as it may."""


class NotYoursError(Exception):
    """No such session, or not the caller's: nobody is told which."""


def _random_name(num_bytes: int) -> str:
    return base64.b32encode(secrets.token_bytes(num_bytes)).decode().rstrip("=").lower()


class SessionRegistry:
    """Opens sessions, owns their tasks and ends them.

    Args:
        settings: The server's settings.
        runner_of: What runs a bot in a session.
    """

    def __init__(self, settings: Settings, runner_of: Callable[[LoadedBot], BotRunner]) -> None:
        self.settings = settings
        self._runner_of = runner_of
        self._owner = _random_name(5)
        self._sessions: dict[str, Session] = {}
        self._nonces: dict[bytes, Session] = {}
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
        return sum(1 for s in self._sessions.values() if s.user == user and not s.over)

    def attached(self, hello: wire.Hello, origin: bytes) -> Session | None:
        """The session that this Hello opened already, when its Welcome was lost on the way."""
        session = self._nonces.get(hello.attach_nonce)
        if session is None or session.over or session.origin != origin or hello.session_id:
            return None
        return session if session.control.knows(hello.attach_nonce) else None

    def find(self, hello: wire.Hello, origin: bytes) -> Session:
        """The session that a client comes back to.

        Raises:
            NotYoursError: It is over, never was, or is not this client's.
        """
        session = self._sessions.get(hello.session_id)
        if (
            session is None
            or session.over
            or session.origin != origin
            or not session.control.may_resume(hello.resume_token)
        ):
            raise NotYoursError
        return session

    def open(
        self,
        hello: wire.Hello,
        bot: LoadedBot,
        claims: Claims | None = None,
        *,
        origin: bytes = b"",
    ) -> Session:
        """Begin a session for a client's Hello.

        Args:
            hello: The client's first message.
            bot: The bot that runs in it.
            claims: What its token says, if it needed one.
            origin: Origin of the web page that it comes from; empty for a program.

        Raises:
            CapacityError: The server is full or shutting down.
        """
        if self.full:
            raise CapacityError
        session = Session(
            f"{self._owner}.{_random_name(16)}",
            settings=self.settings,
            run_bot=self._runner_of(bot),
            features=_FEATURES & frozenset(hello.features),
        )
        session.client.CopyFrom(hello.client)
        session.metadata_json = hello.metadata_json
        session.origin = origin
        session.bot, session.examples = bot.name, bot.examples
        if wire.Feature.FEATURE_CLIENT_TOOLS in session.features:
            session.tools.declare(hello.tools)
        if claims is not None:
            session.user = claims.user
            session.token_expires_at_s = claims.expires_at_s
            session.limits.allow_s(claims.limits.max_duration_s)
        self._sessions[session.id] = session
        self._nonces[hello.attach_nonce] = session
        session.nonce = hello.attach_nonce
        return session

    def discard(self, session: Session) -> None:
        """Give up a session that was opened and not started."""
        session.absence.stop_grace()
        self._forget(session)

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        if self._nonces.get(session.nonce) is session:
            del self._nonces[session.nonce]

    def start(self, session: Session) -> None:
        """Run the session's owner task."""
        task = asyncio.get_running_loop().create_task(session.run(), name=f"session {session.id}")
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._over(session, task))

    def _over(self, session: Session, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._forget(session)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("session failed", exc_info=error, extra={"session": session.id})
            if session.link is not None:
                session.link.close(_FAILED, "the session failed")

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
