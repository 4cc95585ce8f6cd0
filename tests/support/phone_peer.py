"""The far end of a telephone call: what plays, what marks, what clears; and a network to it.

It runs by any clock, and plays to a few milliseconds; what a caller heard is in its samples.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.phone_vendors import FarEnd
from voxwire_protocol.clocks import Clock, Timer

__all__ = ["Cleared", "Network", "Phone"]

TICK_MS = 5


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
        self.delay_ms = delay_ms
        self._clock = clock
        self._deliver = deliver
        self._jitter_ms = jitter_ms
        self._random = random.Random(seed)
        self._under_way: deque[tuple[float, Any]] = deque()
        self._last_ms = 0.0
        self._timer: Timer | None = None

    def send(self, item: Any) -> None:
        """Have it arrive later."""
        due = self._clock.now_ms() + self.delay_ms + self._random.random() * self._jitter_ms
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
        far: How the vendor behaves.
        clock: The clock to run by.
        say: Sends a message to the server.
        call_id: The vendor's name of the call.
        stream: Its name of the stream.

    Attributes:
        cleared: The clears that came.
        marks: Names and places (samples of what was heard) of the marks that were played.
        send_piece: Sends a piece of the caller's voice; of a vendor without order, in any.
    """

    far: FarEnd
    clock: Clock
    say: Callable[[str | bytes], object]
    call_id: str = "CA0"
    stream: str = "MZ0"
    cleared: list[Cleared] = field(default_factory=list[Cleared])
    marks: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def __post_init__(self) -> None:
        self.send_piece: Callable[[str | bytes], object] = self.say
        self._queue: deque[Any] = deque()
        self._heard: list[NDArray[np.int16]] = []
        self._num_heard = 0
        self._voice = np.zeros(0, np.int16)
        self._pieces = 0
        self._ticks = 0
        self._began_ms = 0.0
        self._timer: Timer | None = None

    # the caller

    def dial(self, sent: dict[str, str]) -> None:
        """Begin the stream."""
        for message in self.far.begins(self.call_id, self.stream, sent):
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
            self.say(self.far.key(digit, self.stream))

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

    def when_ms(self, sample: int) -> float:
        """When a sample of :attr:`heard` came out, by the clock."""
        return self._began_ms + sample * 1000 / self.far.rate

    @property
    def waiting_ms(self) -> float:
        """What it has and has not played."""
        self._advance()
        return self._waiting * 1000 / self.far.rate

    @property
    def _waiting(self) -> int:
        return sum(len(item) for item in self._queue if not isinstance(item, str))

    # the wire

    def take(self, message: str | bytes) -> None:
        """A message of the server arrives."""
        self._advance()
        kind, what = self.far.understand(message, self.stream)
        if kind == "sound":
            self._queue.append(what)
        elif kind == "mark":
            if self._waiting or self.far.sends_idle:
                self._queue.append(what)
            self._reach()
        else:
            self._clear()

    def _clear(self) -> None:
        self.cleared.append(Cleared(self._num_heard, self._waiting))
        for item in self._queue:
            if isinstance(item, str) and self.far.sends_cleared:
                self.say(self.far.played(item, self.stream))
        self._queue.clear()

    def _tick(self) -> None:
        self._advance()
        if self._ticks * TICK_MS % self.far.voice_ms == 0:
            self._send_voice()
        self._ticks += 1
        due_ms = self._began_ms + self._ticks * TICK_MS
        self._timer = self.clock.call_later(max(0.0, due_ms - self.clock.now_ms()), self._tick)

    def _send_voice(self) -> None:
        size = self.far.rate * self.far.voice_ms // 1000
        frame, self._voice = self._voice[:size], self._voice[size:]
        self._pieces += 1
        padded = np.pad(frame, (0, size - len(frame)))
        self.send_piece(self.far.voice(padded, self._pieces, self.stream))

    def _advance(self) -> None:
        """Play until now."""
        until = int((self.clock.now_ms() - self._began_ms) * self.far.rate / 1000)
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
            self.say(self.far.played(name, self.stream))
