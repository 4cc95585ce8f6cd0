"""Getting a socket for a session: said Hello on, welcomed, and not in use yet."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError

from voxwire._attach import (
    BUSY,
    Greeting,
    Refusal,
    SentOn,
    backoff_s,
    expired,
    is_final,
    lost,
    refused,
)
from voxwire._deadline import Deadline
from voxwire._environment import Environment
from voxwire._simulate import Gate
from voxwire._socket import Lost, Socket
from voxwire._tap import Taps
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError, error_from_wire

__all__ = ["Attached", "Dialler", "end_unused"]

DIAL_MS: Final = 3000
"""How long one attempt to come back may take, Welcome included."""

MOVED_MS: Final = 1500
"""The same where the server has sent us, since the first URL may still be dialled."""

AGAIN_S: Final = 0.5
"""A dial that is not through after this long gets another one beside it: a network that is back
takes up a connection that was asked for before only after a second and more."""

MAX_DIALS: Final = 3

SILENT_S: Final = 15.0
"""A server that has us wait says where we are every 5 s; after so long a silence it is gone."""


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
        taps: Taps | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        """Prepares.

        Args:
            greeting: Makes the Hello.
            gate: What the sockets' bytes pass through.
            environment: The way to the server, and time.
            last_received: Highest number received from the server.
            taps: See Hello and its answer.
            deadline: Is told when the server has the client wait for a place.
        """
        self._environment = environment
        self._greeting = greeting
        self._gate = gate
        self._last_received = last_received
        self._taps = Taps() if taps is None else taps
        self._deadline = Deadline(environment.clock) if deadline is None else deadline
        self._grace_from_ms = 0

    async def open(self, timeout_ms: int) -> Socket:
        """Opens a socket at the first URL. Cancel-safe.

        Raises:
            VoxwireError: Nothing answers, or it refuses.
        """
        return await self._open_at(self._greeting.addresses.first, timeout_ms)

    async def _open_at(self, url: str, timeout_ms: int) -> Socket:
        return await Socket.dial(
            url, timeout_ms=timeout_ms, gate=self._gate, environment=self._environment
        )

    def _now_ms(self) -> int:
        return int(self._environment.clock.now_ms())

    async def greet(self, socket: Socket) -> None:
        """Says Hello."""
        hello = self._greeting.hello(self._last_received())
        if self._taps:
            self._taps.see("out", wire.Envelope.FromString(hello), self._now_ms(), data=hello)
        await socket.send(hello)

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
        self._grace_from_ms = began_ms = self._now_ms()
        attempt, advised_s = 0, 0.0
        for delay_s in backoff_s(self._environment.jitter):
            trying(attempt + 1)
            spent_s, left_s = (self._now_ms() - began_ms) / 1000, self._grace_left_ms() / 1000
            await asyncio.sleep(min(max(delay_s - spent_s, advised_s, 0.0), max(0.0, left_s)))
            began_ms, advised_s = self._now_ms(), 0.0
            for place, url in enumerate(self._greeting.addresses.order):
                left_ms = self._grace_left_ms()
                if left_ms <= 0:
                    raise expired(self._now_ms() - self._grace_from_ms, cause)
                attempt += 1
                if place:
                    trying(attempt)
                try:
                    return attempt, await self._attach(url, left_ms)
                except SentOn as sent_on:
                    cause = sent_on.error
                    break
                except (Lost, Refusal) as error:
                    cause = error.error
                advised_s = max(advised_s, cause.retry_after_ms / 1000)
                if self._ends_with(cause, url):
                    raise cause
        raise AssertionError("waiting has no end")

    def _grace_left_ms(self) -> int:
        return self._grace_from_ms + self._greeting.grace_ms - self._now_ms()

    async def round(self) -> Attached:
        """Dials where the session is, and then its first URL: each once. Cancel-safe.

        Raises:
            Lost: It was not to be had.
            Refusal: The server said no.
        """
        *elsewhere, first = self._greeting.addresses.order
        for url in elsewhere:
            try:
                return await self._attach(url, DIAL_MS)
            except (Lost, Refusal) as error:
                if self._ends_with(error.error, url):
                    raise
        return await self._attach(first, DIAL_MS)

    async def attach_first(self, timeout_ms: int) -> Attached:
        """Says the first Hello where its server has sent it, or else at the first URL. Cancel-safe.

        Args:
            timeout_ms: How long the first URL's socket may take, what was tried before included.

        Raises:
            VoxwireError: Nothing answers there, or it refuses.
            Lost: The socket broke.
            Refusal: The server said no.
        """
        deadline_ms = self._now_ms() + timeout_ms
        *elsewhere, first = self._greeting.addresses.order
        for url in elsewhere:
            try:
                return await self._attach(url, timeout_ms)
            except SentOn:
                raise
            except (Lost, Refusal) as error:
                if self._ends_with(error.error, url):
                    raise
        return await self._welcomed(
            await self._open_at(first, max(1, deadline_ms - self._now_ms()))
        )

    def _ends_with(self, error: VoxwireError, url: str) -> bool:
        """True when there is no coming back; what one said elsewhere the first URL may not say."""
        if not is_final(error, attaching=True):
            return False
        return error.code == ErrorCode.SUPERSEDED or not self._greeting.addresses.refused(url)

    async def _attach(self, url: str, timeout_ms: int) -> Attached:
        """Opens one socket and says Hello on it, within the time that it may take there.

        Raises:
            Lost: The socket was not to be had, or broke, or nobody answered in time.
            Refusal: The server said no.
        """
        addresses = self._greeting.addresses
        bound_ms = DIAL_MS if url == addresses.first else MOVED_MS
        try:
            return await self._attach_within(url, min(bound_ms, timeout_ms))
        except SentOn:
            raise  # somebody is there
        except (Lost, Refusal):
            addresses.failed(url)
            raise

    async def _attach_within(self, url: str, timeout_ms: int) -> Attached:
        deadline_ms = self._now_ms() + timeout_ms
        try:
            socket = await self._open_promptly(url, timeout_ms)
        except VoxwireError as error:
            if error.code in (ErrorCode.UNAUTHORIZED, ErrorCode.FORBIDDEN, *BUSY):
                raise Refusal(error) from None
            raise Lost(lost(error.reason)) from error
        try:
            async with asyncio.timeout(max(0.001, (deadline_ms - self._now_ms()) / 1000)) as limit:
                return await self._welcomed(socket, limit)
        except TimeoutError:
            raise Lost(lost("the server did not answer Hello in time")) from None

    async def _welcomed(self, socket: Socket, limit: asyncio.Timeout | None = None) -> Attached:
        """Says Hello on a socket; drops it unless it is welcomed."""
        try:
            await self.greet(socket)
            return Attached(socket, await self.read_welcome(socket, limit), eager=False)
        except BaseException:
            socket.abort()
            raise

    async def _open_promptly(self, url: str, timeout_ms: int) -> Socket:
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
                    dials.append(
                        asyncio.create_task(self._open_at(url, left_ms), name="voxwire-dial")
                    )
                wait_s = AGAIN_S if len(dials) < MAX_DIALS else None
                done, _ = await asyncio.wait(
                    dials, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
                )
                good = [it for it in done if it.exception() is None]
                chosen = next(iter(good or done), None)
            await end_unused([dial for dial in dials if dial is not chosen])
        except BaseException:
            await end_unused(dials)
            raise
        return chosen.result()

    async def read_welcome(
        self, socket: Socket, limit: asyncio.Timeout | None = None
    ) -> wire.Welcome:
        """Reads the first message; anything but an answer to Hello is passed over.

        Args:
            socket: Where Hello was said.
            limit: Bounds it; no more so from when the server has the client wait for a place.

        Raises:
            Lost: The socket closed, or a server that has the client wait fell silent.
            SentOn: The session is elsewhere; the greeting knows where.
            Refusal: The server said no.
        """
        try:
            return await self._read_answer(socket, limit)
        finally:
            if self._deadline.place is not None:  # the time in the queue is none of the grace
                self._grace_from_ms = self._now_ms()
            self._deadline.goes_on()

    async def _read_answer(self, socket: Socket, limit: asyncio.Timeout | None) -> wire.Welcome:
        elsewhere = False
        silent_s: float | None = None
        while True:
            try:
                async with asyncio.timeout(silent_s):
                    data = await socket.receive()
            except TimeoutError:
                raise Lost(lost("the server has fallen silent while it had us wait")) from None
            try:
                message = wire.Envelope.FromString(data if isinstance(data, bytes) else b"")
            except DecodeError:
                continue
            payload = message.WhichOneof("payload")
            if self._taps:
                self._taps.see("in", message, self._now_ms())
            match payload:
                case "welcome":
                    socket.opened_ms = socket.last_received_ms  # so long nothing is acknowledged
                    return message.welcome
                case "waiting":
                    silent_s = SILENT_S
                    if limit is not None:
                        limit.reschedule(None)
                    self._deadline.waits(message.waiting)
                case "go_away":
                    resume_url = message.go_away.resume_url
                    elsewhere = self._greeting.addresses.sent_on(resume_url, here=socket.url)
                case "error" if elsewhere:
                    raise SentOn(error_from_wire(message.error))
                case "error":
                    raise refused(message.error)
                case "session_ended":
                    raise Refusal(lost("the session ended before it was ready"))
                case _:
                    continue


async def end_unused(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """Ends what nobody waits for any more; what sockets it has got are dropped. Who is cancelled
    meanwhile leaves none behind.
    """
    for task in tasks:
        task.cancel()
        task.add_done_callback(_abort_unused)
    await asyncio.gather(*tasks, return_exceptions=True)


def _abort_unused(task: "asyncio.Task[Any]") -> None:
    if task.cancelled() or task.exception() is not None:
        return
    got = task.result()
    (got.socket if isinstance(got, Attached) else got).abort()
