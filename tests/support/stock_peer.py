"""A stock client of a channel, in virtual time: what it says, and what it was told."""

import json
from collections.abc import Callable
from typing import Any

from tests.support.inbox import FakeInbox
from voxwire_protocol import rtvi, wire
from voxwire_protocol.virtual_time import VirtualTime
from voxwire_server.control.rtvi import RtviChannel
from voxwire_server.control.rtvi_wire import Surroundings
from voxwire_server.sent_files import NO_FILES, Acceptance, FileRefusal

__all__ = ["CLIENT", "IDLE", "NOW", "SPEAKING", "FakeWire", "Peer", "state", "words"]

SPEAKING = wire.BotState.BOT_STATE_SPEAKING
IDLE = wire.BotState.BOT_STATE_IDLE
CLIENT = wire.EndReason.END_REASON_CLIENT
NOW = "2026-11-30T00:00:00.000+00:00"


class FakeWire:
    """Keeps what was sent on it.

    Attributes:
        sent: The messages, oldest first.
        pings: How many signs of life were asked for.
        closed: Code and reason, once it was closed.
        given_up: Whether its other side was taken for gone.
        confirmed: How many messages it has brought; None = all.
    """

    overflowing = False
    max_bytes = 65_536

    def __init__(self, *, answers_pings: bool = True) -> None:
        self.answers_pings = answers_pings
        self.sent: list[rtvi.RtviMessage] = []
        self.pings = 0
        self.closed: tuple[int, str] | None = None
        self.given_up = self.told_the_end = False
        self.confirmed: int | None = None

    def over(self) -> None:
        self.told_the_end = True

    def send(self, text: str) -> None:
        self.sent.append(rtvi.decode(text))

    def undelivered(self) -> list[str]:
        late = [] if self.confirmed is None else self.sent[self.confirmed :]
        return [rtvi.encode(message) for message in late]

    def ping(self) -> None:
        self.pings += 1

    def close(self, code: int, reason: str) -> None:
        self.closed = code, reason

    def give_up(self, code: int, reason: str) -> None:
        self.given_up = True

    @property
    def types(self) -> list[str]:
        return [message.type for message in self.sent]

    def of(self, kind: str) -> list[Any]:
        return [message.data for message in self.sent if message.type == kind]


class Peer:
    """A channel with a wire, a session and an ear.

    Attributes:
        cues: What is due when the ear has heard so far.
        answered: Requests that the bot answers.
        busy: Whether somebody speaks.
        heard: Audio that came as messages.
        files: Files that came.
        refusal: What they are answered with; None = they are taken.
    """

    def __init__(
        self,
        time: VirtualTime,
        *,
        evals: bool = False,
        pings: bool = True,
        features: frozenset[wire.Feature] = frozenset(),
        accepts: Acceptance = NO_FILES,
    ) -> None:
        self.wire, self.inbox = FakeWire(answers_pings=pings), FakeInbox()
        self.cues: list[tuple[float, Callable[[], object]]] = []
        self.answered: set[str] = set()
        self.busy = False
        self.tools: set[str] = set()
        self.heard: list[rtvi.RawAudio] = []
        self.files: list[rtvi.SendFile] = []
        self.refusal: FileRefusal | None = None
        self.channel = RtviChannel(
            self.wire,
            features=features,
            about={"library": "test"},
            evals=evals,
            clock=time,
            timestamp=lambda: NOW,
        )
        self.channel.begin(self.inbox)
        self.channel.follow(
            Surroundings(
                when_heard=lambda at, call: self.cues.append((at, call)),
                answers=lambda name: name in self.answered,
                hear=self.heard.append,
                busy=lambda: self.busy,
                client_tools=lambda: self.tools,
                accepts=accepts,
                send_file=self._file,
            )
        )

    def _file(self, file: rtvi.SendFile) -> FileRefusal | None:
        self.files.append(file)
        return self.refusal

    def say(self, kind: str, data: object = None, message_id: str = "m1") -> float:
        message = {"label": "rtvi-ai", "type": kind, "id": message_id, "data": data}
        return self.channel.receive(json.dumps(message))

    def tell(self, **payload: Any) -> None:
        self.channel.send(wire.Envelope(**payload))

    def hear_until(self, media_ms: float) -> None:
        due = sorted((cue for cue in self.cues if cue[0] <= media_ms), key=lambda cue: cue[0])
        self.cues = [cue for cue in self.cues if cue[0] > media_ms]
        for _, call in due:
            call()


def state(bot: wire.BotState, media_ms: int = 0) -> wire.StateChanged:
    return wire.StateChanged(bot=bot, media_ms=media_ms)


def words(*onsets_ms: int) -> wire.UtteranceWords:
    text = " ".join("abc"[: len(onsets_ms)])
    return wire.UtteranceWords(
        utterance_id="u",
        base_media_ms=1000,
        text=text,
        words=[
            wire.Word(start_ms=at, end_ms=at + 50, char_start=2 * n, char_end=2 * n + 1)
            for n, at in enumerate(onsets_ms)
        ],
    )
