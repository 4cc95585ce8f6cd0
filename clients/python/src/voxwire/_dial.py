"""Getting a socket for a session: said Hello on, welcomed, and not in use yet."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from voxwire._attach import Greeting, Refusal, backoff_s, expired, is_final, lost, refused
from voxwire._environment import Environment
from voxwire._simulate import Gate
from voxwire._socket import Lost, Socket
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError

__all__ = ["DIAL_MS", "Attached", "Dialler", "abort_unused"]

DIAL_MS: Final = 3000
"""How long one attempt to come back may take, Welcome included."""


AGAIN_S: Final = 0.5
"""A dial that is not through after this long gets another one beside it: a network that is back
takes up a connection that was asked for before only after a second and more."""

MAX_DIALS: Final = 3


@dataclass(frozen=True, slots=True)
class Attached:
    """A socket whose Welcome was read and which is not in use yet."""

    socket: Socket
    welcome: wire.Welcome
    eager: bool  # what is queued was written, or will be, on this very socket


class Dialler:
    """Dials and says Hello for one session."""

    def __init__(
        self,
        greeting: Greeting,
        gate: Gate,
        *,
        environment: Environment,
        last_received: Callable[[], int],
    ) -> None:
        """Prepares.

        Args:
            greeting: Makes the Hello.
            gate: What the sockets' bytes pass through.
            environment: The way to the server, and time.
            last_received: Highest number received from the server.
        """
        self._environment = environment
        self._greeting = greeting
        self._gate = gate
        self._last_received = last_received

    async def open(self, timeout_ms: int) -> Socket:
        """Opens a socket. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        return await Socket.dial(
            self._greeting.url,
            timeout_ms=timeout_ms,
            gate=self._gate,
            environment=self._environment,
        )

    def _now_ms(self) -> int:
        return int(self._environment.clock.now_ms())

    async def greet(self, socket: Socket) -> None:
        """Says Hello.

        Raises:
            Lost: The socket has closed meanwhile.
        """
        await socket.send_first(self._greeting.hello(self._last_received()))

    async def come_back(
        self, cause: VoxwireError, trying: Callable[[int], None]
    ) -> tuple[int, Attached]:
        """Dials until the server welcomes us, at most for the session's grace.

        Args:
            cause: Why the last socket was lost.
            trying: Is told the number of every try, from 1, before it.

        Returns:
            How many tries it took, and the socket.

        Raises:
            VoxwireError: The server does not want us, or SESSION_EXPIRED.
        """
        start_ms = began_ms = self._now_ms()
        for attempt, delay_s in enumerate(backoff_s(self._environment.jitter), 1):
            trying(attempt)
            advised_s = cause.retry_after_ms / 1000 if attempt > 1 else 0.0
            end_s = (self._greeting.grace_ms - (self._now_ms() - start_ms)) / 1000
            spent_s = (self._now_ms() - began_ms) / 1000
            await asyncio.sleep(min(max(delay_s - spent_s, advised_s, 0.0), max(0.0, end_s)))
            began_ms = self._now_ms()
            left_ms = self._greeting.grace_ms - (self._now_ms() - start_ms)
            if left_ms <= 0:
                break
            try:
                return attempt, await self.attach(min(DIAL_MS, left_ms))
            except (Lost, Refusal) as error:
                cause = error.error
            if is_final(cause, attaching=True):
                raise cause
        raise expired(self._now_ms() - start_ms, cause)

    async def attach(self, timeout_ms: int) -> Attached:
        """Opens one socket and says Hello on it. Cancel-safe.

        Raises:
            Lost: The socket was not to be had, or broke, or nobody answered in time.
            Refusal: The server said no.
        """
        deadline_ms = self._now_ms() + timeout_ms
        try:
            socket = await self._open_promptly(timeout_ms)
        except VoxwireError as error:
            if error.code in (ErrorCode.UNAUTHORIZED, ErrorCode.FORBIDDEN):
                raise Refusal(error) from None
            raise Lost(lost(error.reason)) from error
        try:
            async with asyncio.timeout(max(0.001, (deadline_ms - self._now_ms()) / 1000)):
                await self.greet(socket)
                return Attached(socket, await self.read_welcome(socket), eager=False)
        except TimeoutError:
            socket.abort()
            raise Lost(lost("the server did not answer Hello in time")) from None
        except BaseException:
            socket.abort()
            raise

    async def _open_promptly(self, timeout_ms: int) -> Socket:
        """Opens a socket; dials again beside a dial that takes long. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        deadline_ms = self._now_ms() + timeout_ms
        dials: list[asyncio.Task[Socket]] = []
        chosen: asyncio.Task[Socket] | None = None
        try:
            while chosen is None:
                if len(dials) < MAX_DIALS:
                    left_ms = max(1, deadline_ms - self._now_ms())
                    dials.append(asyncio.create_task(self.open(left_ms), name="voxwire-dial"))
                wait_s = AGAIN_S if len(dials) < MAX_DIALS else None
                done, _ = await asyncio.wait(
                    dials, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
                )
                good = [it for it in done if it.exception() is None]
                chosen = next(iter(good or done), None)
            return chosen.result()
        finally:
            for dial in dials:
                dial.cancel()
            await asyncio.gather(*dials, return_exceptions=True)
            for dial in dials:
                if dial is not chosen and not dial.cancelled() and dial.exception() is None:
                    dial.result().abort()

    async def read_welcome(self, socket: Socket) -> wire.Welcome:
        """Reads the first message; anything but an answer to Hello is passed over."""
        while True:
            data = await socket.receive()
            try:
                message = wire.Envelope.FromString(data if isinstance(data, bytes) else b"")
            except DecodeError:
                continue
            match message.WhichOneof("payload"):
                case "welcome":
                    return message.welcome
                case "error":
                    raise refused(message.error)
                case "session_ended":
                    raise Refusal(lost("the session ended before it was ready"))
                case _:
                    continue


def abort_unused(outcomes: Sequence[Attached | BaseException]) -> None:
    """Drops sockets that were welcomed when nobody waited for them any more."""
    for outcome in outcomes:
        if isinstance(outcome, Attached):
            outcome.socket.abort()
