"""What a server has sent and what its client's channel has delivered, session by session."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

import voxwire
from tests.support.driven import Driven
from tests.support.inside import emitted_messages
from tests.support.listening import Ear, click_onsets_ms
from voxwire._inbox import Inbox
from voxwire_protocol import wire

__all__ = ["Ledger", "Talk", "bare"]

CLICK = 3000
"""Samples above this are a click's."""


@dataclass
class Ledger:
    """Reliable messages of every session, in order, each as the schema has it."""

    sent: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """By the server, before they were numbered."""
    received: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """By the client, as its channel delivered them."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen where sessions send and where clients take, while the block lasts."""
        handle = Inbox.handle

        def take(inbox: Inbox, envelope: wire.Envelope) -> None:
            _note(self.received[inbox.welcome.session_id], envelope)
            handle(inbox, envelope)

        def send(session_id: str, envelope: wire.Envelope) -> None:
            _note(self.sent[session_id], envelope)

        def delivered(driven: Driven, data: bytes) -> None:
            self.received[driven.id].append(bare(wire.Envelope.FromString(data)))

        with (
            emitted_messages(send),
            mock.patch.object(Inbox, "handle", take),
            mock.patch.object(Driven, "delivered", delivered),
        ):
            yield

    async def settled(self, session_id: str, *, timeout_s: float = 60) -> list[bytes]:
        """Wait until as much was received as was sent; what was received."""
        async with asyncio.timeout(timeout_s):
            while len(self.received[session_id]) < len(self.sent[session_id]):
                await asyncio.sleep(0.02)
        return self.received[session_id]


def bare(envelope: wire.Envelope) -> bytes:
    """A message as the schema has it, without what the channel adds."""
    copy = wire.Envelope()
    copy.CopyFrom(envelope)
    copy.seq = copy.ack = 0
    return copy.SerializeToString(deterministic=True)


def _note(messages: list[bytes], envelope: wire.Envelope) -> None:
    if envelope.WhichOneof("payload") in wire.RELIABLE_PAYLOADS:
        messages.append(bare(envelope))


class Talk:
    """A session of the client with everything that it has told, and when (monotonic seconds).

    ::

        async with voxwire.connect(url, speaker=ear) as session, Talk(session, ear) as talk: ...
    """

    def __init__(self, session: voxwire.Session, ear: Ear) -> None:
        self.session = session
        self.ear = ear
        self.events: list[tuple[float, voxwire.Event]] = []
        self.failure: voxwire.VoxwireError | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Talk":
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reader is not None
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for event in self.session:
                self.events.append((time.monotonic(), event))
        except voxwire.VoxwireError as failure:
            self.failure = failure

    def of(self, kind: type[Any]) -> list[Any]:
        """Events of a kind."""
        return [event for _, event in self.events if isinstance(event, kind)]

    async def until(self, true: Callable[[], Any], *, timeout_s: float = 60) -> float:
        """Wait for something; how long that took, seconds."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                while not true():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            tail = [event for _, event in self.events[-12:]]
            raise AssertionError(f"never happened; failure {self.failure}; last {tail}") from None
        return time.monotonic() - began

    async def sounding(self) -> bool:
        """Wait until a word is heard that was not heard before; false when the bot was done
        before that.
        """
        words, ends = len(self.of(voxwire.BotWord)), len(self.of(voxwire.UtteranceEnded))
        await self.until(
            lambda: (
                len(self.of(voxwire.BotWord)) > words or len(self.of(voxwire.UtteranceEnded)) > ends
            )
        )
        return len(self.of(voxwire.BotWord)) > words

    async def heard_out(self, number: int = 1) -> Any:
        """Wait for the end of so many utterances since the session began; the last one."""
        await self.until(lambda: len(self.of(voxwire.UtteranceEnded)) >= number)
        return self.of(voxwire.UtteranceEnded)[number - 1]

    async def back(self, epoch: int, *, path_id: int = 0) -> None:
        """Wait until the control channel has that epoch; with ``path_id`` for that path, too."""

        def there() -> bool:
            states = self.of(voxwire.ConnectionChanged)
            paths = self.of(voxwire.PathChanged)
            connected = [s for s in states if s.state == "connected" and s.epoch >= epoch]
            return bool(connected) and (not path_id or paths[-1].path_id >= path_id)

        await self.until(there)

    async def on_path(self, path_id: int) -> float:
        """Wait until that path or a later one is in use; how long that took, seconds."""
        return await self.until(lambda: self.of(voxwire.PathChanged)[-1].path_id >= path_id)

    def heard_twice_ms(self) -> list[float]:
        """Positions of clicks that sounded more than once, milliseconds."""
        rate, heard, twice = self.ear.sample_rate, set[int](), list[int]()
        for _, block in self.ear.blocks:
            for span in (span for span in block.spans if span.kind is voxwire.SpanKind.PLAYED):
                samples = block.samples[span.offset : span.offset + span.length].astype(int)
                loud = {span.position + int(i) for i in np.flatnonzero(np.abs(samples) > CLICK)}
                twice += heard & loud
                heard |= loud
        return sorted(position * 1000 / rate for position in twice)

    def clicks_in_place(self) -> list[float]:
        """Positions of the clicks on the media clock, milliseconds."""
        return click_onsets_ms(self.ear.samples, self.ear.sample_rate)
