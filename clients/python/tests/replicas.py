"""Two servers with one store of sessions, and the ways in which one of them may be dead."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import voxwire
from voxwire.testing import Environment, FakeServer, FakeSession, NetworkState
from voxwire.testing.network import End
from voxwire_protocol import wire

Code = voxwire.ErrorCode
FIRST = "ws://voxwire.test/v1/session"
OTHER = "ws://other.test/v1/session"


class SendsOn(FakeServer):
    """A replica of servers that have their sessions in common; some are elsewhere.

    Attributes:
        owner_url: Who has the session: every Hello is answered with that, while it is set.
    """

    owner_url = ""

    def _answer(self, end: End, hello: wire.Hello) -> bool:
        if not self.owner_url:
            return super()._answer(end, hello)
        away = wire.GoAway(reason="the session is elsewhere", resume_url=self.owner_url)
        action = wire.RecoveryAction.RECOVERY_ACTION_RESUME
        error = wire.Error(
            code=wire.ErrorCode.ERROR_CODE_GOING_AWAY, fatal=True, retryable=True, action=action
        )
        for said in (wire.Envelope(go_away=away), wire.Envelope(error=error)):
            end.write(said.SerializeToString())
        end.shut(4000 + error.code)
        return False


class Replicas:
    """Two servers with one store of sessions, each at its own name."""

    def __init__(self, bot: Callable[[FakeSession], Any] | None = None) -> None:
        self.first, self.other = (SendsOn(bot) if bot else SendsOn() for _ in range(2))
        self.other.sessions = self.first.sessions
        self.dialled: list[tuple[float, str]] = []

    @property
    def environment(self) -> Environment:
        async def dial(url: str, *, timeout_ms: int) -> End:
            self.dialled.append((self.first.clock.now_ms(), url))
            server = self.other if url == OTHER else self.first
            return await server.network.dial(url, timeout_ms=timeout_ms)

        return replace(self.first.environment, dial=dial)

    @property
    def urls(self) -> list[str]:
        """What was dialled after the connect."""
        return [url for _, url in self.dialled[1:]]

    @property
    def session(self) -> FakeSession:
        return self.first.session

    def connect(self, **options: Any) -> voxwire.Connection:
        options = {"environment": self.environment, **options}
        return voxwire.connect(self.first.url, **options)

    async def __aenter__(self) -> "Replicas":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.first.close()


def refused(replicas: Replicas) -> None:
    replicas.other.network.state = NetworkState.REFUSED


def dark(replicas: Replicas) -> None:
    replicas.other.network.state = NetworkState.DARK


def mute(replicas: Replicas) -> None:
    """It opens sockets and answers no Hello."""
    replicas.other.mute = True


def unknown(replicas: Replicas) -> None:
    """It has come back without its memory."""
    replicas.other.refuse_with(Code.SESSION_EXPIRED)


def not_let_in(replicas: Replicas) -> None:
    replicas.other.refuse_with(Code.FORBIDDEN)


def full(replicas: Replicas) -> None:
    replicas.other.refuse_with(Code.CAPACITY, retry_after_ms=60_000)


DEAD = [refused, dark, mute, unknown, not_let_in, full]
