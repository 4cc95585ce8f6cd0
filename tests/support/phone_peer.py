"""The far end of a telephone call, on the vendors' real wires: what plays, what marks, what clears.

It shares nothing with the server: messages, µ-law and signatures are written here once more, from
the vendors' pages. It runs by any clock, and plays to the millisecond; what a caller heard is in
its samples.
"""

import base64
import hashlib
import hmac
import json
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxwire_protocol.clocks import Clock, Timer

__all__ = ["SPELLINGS", "Network", "Phone", "Spelling", "twilio_signature"]

TICK_MS = 5
FRAME_MS = 20


# sound


def _expand(code: int) -> int:
    """G.711 µ-law, table 2a: a code as a sample."""
    code = ~code & 0xFF
    magnitude = ((2 * (code & 15) + 33) << (code >> 4 & 7)) - 33
    return (-magnitude if code & 0x80 else magnitude) * 4


MU_SAMPLES = np.array([_expand(code) for code in range(256)], np.int32)
_ORDER = np.argsort(MU_SAMPLES, kind="stable")
_BOUNDS = (MU_SAMPLES[_ORDER][1:] + MU_SAMPLES[_ORDER][:-1]) / 2


def mu_written(samples: NDArray[Any]) -> bytes:
    """The nearest code of each sample."""
    return _ORDER[np.searchsorted(_BOUNDS, samples)].astype(np.uint8).tobytes()


def mu_read(data: bytes) -> NDArray[np.int16]:
    return MU_SAMPLES[np.frombuffer(data, np.uint8)].astype(np.int16)


def plain_written(samples: NDArray[Any]) -> bytes:
    return np.asarray(samples).astype("<i2").tobytes()


def plain_read(data: bytes) -> NDArray[np.int16]:
    return np.frombuffer(data, "<i2").astype(np.int16)


# what vendors write


def twilio_signature(token: str, url: str, form: dict[str, str] | None = None) -> str:
    """Of a request: HMAC-SHA1 of the URL and of every field behind it, sorted by name."""
    signed = url + "".join(name + value for name, value in sorted((form or {}).items()))
    return base64.b64encode(
        hmac.new(token.encode(), signed.encode("utf-8"), hashlib.sha1).digest()
    ).decode()


@dataclass(frozen=True)
class Spelling:
    """How one vendor writes.

    Attributes:
        name: The vendor's.
        rate: Of its sound, Hz.
        write: Makes sound of samples.
        read: Makes samples of sound.
        cleared: What becomes of marks that are cleared: whether they come back.
        idle_marks: Whether a mark with nothing before it comes back.
    """

    name: str
    rate: int = 8000
    write: Callable[[NDArray[Any]], bytes] = mu_written
    read: Callable[[bytes], NDArray[np.int16]] = mu_read
    cleared: bool = True
    idle_marks: bool = True

    def begins(self, call_id: str, stream: str, ticket: str, **more: str) -> list[str]:
        """The messages before the first sound."""
        given = {"ticket": ticket, **more}
        match self.name:
            case "twilio":
                start = {
                    "streamSid": stream,
                    "accountSid": "AC0",
                    "callSid": call_id,
                    "tracks": ["inbound"],
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                    "customParameters": given,
                }
                first = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
                second = {
                    "event": "start",
                    "sequenceNumber": "1",
                    "start": start,
                    "streamSid": stream,
                }
                return [json.dumps(first), json.dumps(second)]
            case _:
                raise NotImplementedError(self.name)

    def voice(self, samples: NDArray[Any], number: int, stream: str) -> str | bytes:
        """A piece of the caller's voice."""
        payload = base64.b64encode(self.write(samples)).decode()
        media: dict[str, Any] = {
            "track": "inbound",
            "chunk": str(number),
            "timestamp": str((number - 1) * FRAME_MS),
            "payload": payload,
        }
        sequence = str(number + 1)
        return json.dumps(
            {"event": "media", "sequenceNumber": sequence, "media": media, "streamSid": stream}
        )

    def key(self, digit: str, stream: str) -> str:
        """A key that the caller presses."""
        pressed = {"track": "inbound_track", "digit": digit}
        return json.dumps({"event": "dtmf", "streamSid": stream, "dtmf": pressed})

    def played(self, name: str, stream: str) -> str:
        """All before a mark was played."""
        return json.dumps({"event": "mark", "streamSid": stream, "mark": {"name": name}})

    def stops(self, call_id: str, stream: str) -> str:
        """The caller has hung up."""
        return json.dumps(
            {
                "event": "stop",
                "streamSid": stream,
                "stop": {"accountSid": "AC0", "callSid": call_id},
            }
        )

    def understand(self, message: str | bytes, stream: str) -> tuple[str, Any]:
        """What the server says: ``sound`` and its samples, ``mark`` and its name, ``clear``.

        Raises:
            AssertionError: The vendor would close the stream for it.
        """
        assert isinstance(message, str), "31950: a binary message"
        said = json.loads(message)
        assert said["streamSid"] == stream
        match said["event"]:
            case "media":
                assert set(said) == {"event", "streamSid", "media"}
                return "sound", self.read(base64.b64decode(said["media"]["payload"], validate=True))
            case "mark":
                return "mark", str(said["mark"]["name"])
            case "clear":
                return "clear", None
            case other:
                raise AssertionError(f"31951: {other}")


SPELLINGS = {spelling.name: spelling for spelling in (Spelling("twilio"),)}


# the network


class Network:
    """One direction of a TCP connection: late, unevenly so, and in order.

    Args:
        clock: The clock to run by.
        deliver: Takes what arrives.
        delay_ms: How late everything is at least.
        jitter_ms: How much later it may be.
        seed: Of the jitter.
    """

    def __init__(
        self,
        clock: Clock,
        deliver: Callable[[Any], object],
        *,
        delay_ms: float = 0.0,
        jitter_ms: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._clock = clock
        self._deliver = deliver
        self._delay_ms = delay_ms
        self._jitter_ms = jitter_ms
        self._random = random.Random(seed)
        self._under_way: deque[tuple[float, Any]] = deque()
        self._last_ms = 0.0
        self._timer: Timer | None = None

    def send(self, item: Any) -> None:
        """Have it arrive later."""
        due = self._clock.now_ms() + self._delay_ms + self._random.random() * self._jitter_ms
        self._last_ms = max(self._last_ms, due)
        self._under_way.append((self._last_ms, item))
        if self._timer is None:
            self._wait()

    def _wait(self) -> None:
        delay_ms = self._under_way[0][0] - self._clock.now_ms()
        self._timer = self._clock.call_later(delay_ms, self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        while self._under_way and self._under_way[0][0] <= self._clock.now_ms() + 0.001:
            self._deliver(self._under_way.popleft()[1])
        if self._under_way and self._timer is None:
            self._wait()

    def close(self) -> None:
        """Lose what is under way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._under_way.clear()


# the telephone


@dataclass
class Cleared:
    """A ``clear`` as the far end saw it.

    Attributes:
        at: Sample of :attr:`Phone.heard` before which it came.
        dropped: Samples that were never played.
    """

    at: int
    dropped: int


@dataclass
class Phone:
    """The vendor's end of a stream, with a telephone behind it.

    Args:
        spelling: How the vendor writes.
        clock: The clock to run by.
        say: Sends a message to the server.
        call_id: The vendor's name of the call.
        stream: Its name of the stream.

    Attributes:
        cleared: The clears that came.
        marks: Names and places (samples of what was heard) of the marks that were played.
    """

    spelling: Spelling
    clock: Clock
    say: Callable[[str | bytes], object]
    call_id: str = "CA0"
    stream: str = "MZ0"
    cleared: list[Cleared] = field(default_factory=list)
    marks: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._queue: deque[Any] = deque()
        self._heard: list[NDArray[np.int16]] = []
        self._num_heard = 0
        self._voice = np.zeros(0, np.int16)
        self._pieces = 0
        self._ticks = 0
        self._began_ms = 0.0
        self._timer: Timer | None = None

    # the caller

    def dial(self, ticket: str, **parameters: str) -> None:
        """Begin the stream."""
        for message in self.spelling.begins(self.call_id, self.stream, ticket, **parameters):
            self.say(message)
        self._began_ms = self.clock.now_ms()
        self._tick()

    def speak(self, samples: NDArray[Any]) -> None:
        """Say something, behind what is being said."""
        self._voice = np.concatenate((self._voice, np.asarray(samples, np.int16)))

    @property
    def speaks(self) -> bool:
        """Whether the caller is speaking."""
        return len(self._voice) > 0

    def press(self, digits: str) -> None:
        """Press keys."""
        for digit in digits:
            self.say(self.spelling.key(digit, self.stream))

    def hang_up(self) -> None:
        """End the call."""
        self.say(self.spelling.stops(self.call_id, self.stream))
        self.stop()

    def stop(self) -> None:
        """Do nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def heard(self) -> NDArray[np.int16]:
        """All that came out of the telephone so far, with its silence."""
        self._advance()
        return np.concatenate(self._heard) if self._heard else np.zeros(0, np.int16)

    @property
    def waiting_ms(self) -> float:
        """What it has and has not played."""
        self._advance()
        waiting = sum(len(item) for item in self._queue if not isinstance(item, str))
        return waiting * 1000 / self.spelling.rate

    # the wire

    def take(self, message: str | bytes) -> None:
        """A message of the server arrives."""
        self._advance()
        kind, what = self.spelling.understand(message, self.stream)
        if kind == "sound":
            self._queue.append(what)
        elif kind == "mark":
            if self.waiting_ms or self.spelling.idle_marks:
                self._queue.append(what)
            self._reach()
        else:
            self._clear()

    def _clear(self) -> None:
        dropped = sum(len(item) for item in self._queue if not isinstance(item, str))
        self.cleared.append(Cleared(self._num_heard, dropped))
        for item in self._queue:
            if isinstance(item, str) and self.spelling.cleared:
                self.say(self.spelling.played(item, self.stream))
        self._queue.clear()

    def _tick(self) -> None:
        self._advance()
        if self._ticks * TICK_MS % FRAME_MS == 0:
            self._send_voice()
        self._ticks += 1
        due_ms = self._began_ms + self._ticks * TICK_MS
        self._timer = self.clock.call_later(max(0.0, due_ms - self.clock.now_ms()), self._tick)

    def _send_voice(self) -> None:
        size = self.spelling.rate * FRAME_MS // 1000
        frame, self._voice = self._voice[:size], self._voice[size:]
        self._pieces += 1
        padded = np.pad(frame, (0, size - len(frame)))
        self.say(self.spelling.voice(padded, self._pieces, self.stream))

    def _advance(self) -> None:
        """Play until now."""
        until = int((self.clock.now_ms() - self._began_ms) * self.spelling.rate / 1000)
        while self._num_heard < until:
            self._reach()
            left = until - self._num_heard
            if not self._queue:
                self._emit(np.zeros(left, np.int16))
                return
            sound = self._queue.popleft()
            if len(sound) > left:
                self._queue.appendleft(sound[left:])
            self._emit(sound[:left])
        self._reach()

    def _emit(self, samples: NDArray[np.int16]) -> None:
        self._heard.append(samples)
        self._num_heard += len(samples)

    def _reach(self) -> None:
        while self._queue and isinstance(self._queue[0], str):
            name = self._queue.popleft()
            self.marks.append((name, self._num_heard))
            self.say(self.spelling.played(name, self.stream))
