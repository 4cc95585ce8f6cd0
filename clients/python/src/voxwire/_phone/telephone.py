"""The vendor's end of a stream, with a telephone behind it: what plays, what marks, what clears.

It runs by any clock, and plays to a few milliseconds; what a caller heard is in its samples.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxwire._phone.far_end import FarEnd
from voxwire_protocol.clocks import Clock, Timer

__all__ = ["Cleared", "Telephone"]

_TICK_MS: Final = 5


@dataclass(frozen=True)
class Cleared:
    """A ``clear`` as the far end saw it.

    Attributes:
        at: Sample of :attr:`Telephone.heard` before which it came.
        dropped: Samples that were never played.
    """

    at: int
    dropped: int


class Telephone:
    """One call's.

    Args:
        far: How the vendor behaves.
        clock: The clock to run by.
        say: Sends a message to the server.
        call_id: The vendor's name of the call.
        stream: Its name of the stream.
        buffer_ms: How long the first sound of a stretch waits in the jitter buffer, milliseconds;
            a mark is reached when what stands before it is played, so it waits as well.

    Attributes:
        cleared: The clears that came.
        marks: Names and places (samples of what was heard) of the marks that were played.
        send_piece: Sends a piece of the caller's voice; of a vendor without order, in any.
        tell: Is told what happens, by name and with what belongs to it.
    """

    def __init__(
        self,
        far: FarEnd,
        clock: Clock,
        say: Callable[[str | bytes], object],
        *,
        call_id: str = "CA0",
        stream: str = "MZ0",
        buffer_ms: float = 0.0,
    ) -> None:
        self.far = far
        self.say = say
        self.send_piece = say
        self.call_id = call_id
        self.stream = stream
        self.cleared: list[Cleared] = []
        self.marks: list[tuple[str, int]] = []
        self.tell: Callable[[str, dict[str, Any]], object] = lambda what, fields: None
        self._clock = clock
        self._buffer_ms = buffer_ms
        self._queue: deque[Any] = deque()
        self._heard: list[NDArray[np.int16]] = []
        self._num_heard = 0
        self._plays_from = 0
        self._voice = np.zeros(0, np.int16)
        self._pieces = 0
        self._ticks = 0
        self._began_ms = 0.0
        self._timer: Timer | None = None

    # the caller

    def dial(self, sent: dict[str, str]) -> None:
        """Begin the stream.

        Args:
            sent: What the answer to the webhook wanted to be sent along.
        """
        for message in self.far.begins(self.call_id, self.stream, sent):
            self.say(message)
        self._began_ms = self._clock.now_ms()
        self._tick()

    def speak(self, samples: NDArray[Any]) -> None:
        """Say something, behind what is being said: int16 mono at the rate of the far end."""
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
        """Do nothing any more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def heard(self) -> NDArray[np.int16]:
        """All that came out of the telephone so far, with its silence."""
        self._advance()
        if len(self._heard) > 1:
            self._heard = [np.concatenate(self._heard)]
        return self._heard[0] if self._heard else np.zeros(0, np.int16)

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
        """A message of the server arrives.

        Raises:
            FarEndError: The vendor would end the call for it.
        """
        self._advance()
        kind, what = self.far.understand(message, self.stream)
        if kind == "sound":
            if not self._waiting:
                self._plays_from = self._num_heard + self._samples(self._buffer_ms)
            self._queue.append(what)
        elif kind == "mark":
            if self._waiting or self.far.sends_idle:
                self._queue.append(what)
            self._reach()
        else:
            self._clear()

    def _samples(self, length_ms: float) -> int:
        return round(length_ms * self.far.rate / 1000)

    def _clear(self) -> None:
        self.cleared.append(Cleared(self._num_heard, self._waiting))
        self.tell("clear", {"dropped_ms": round(self._waiting * 1000 / self.far.rate)})
        for item in self._queue:
            if isinstance(item, str) and self.far.sends_cleared:
                self.say(self.far.played(item, self.stream))
        self._queue.clear()

    def _tick(self) -> None:
        self._advance()
        if self._ticks * _TICK_MS % self.far.voice_ms == 0:
            self._send_voice()
        self._ticks += 1
        due_ms = self._began_ms + self._ticks * _TICK_MS
        self._timer = self._clock.call_later(max(0.0, due_ms - self._clock.now_ms()), self._tick)

    def _send_voice(self) -> None:
        size = self.far.rate * self.far.voice_ms // 1000
        frame, self._voice = self._voice[:size], self._voice[size:]
        self._pieces += 1
        padded = np.pad(frame, (0, size - len(frame)))
        self.send_piece(self.far.voice(padded, self._pieces, self.stream))

    # the playout

    def _advance(self) -> None:
        """Play until now."""
        until = int((self._clock.now_ms() - self._began_ms) * self.far.rate / 1000)
        while self._num_heard < until:
            self._reach()
            left = until - self._num_heard
            if not self._queue:
                self._emit(np.zeros(left, np.int16))
                return
            if self._num_heard < self._plays_from:
                self._emit(np.zeros(min(left, self._plays_from - self._num_heard), np.int16))
                continue
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
            name: str = self._queue.popleft()
            self.marks.append((name, self._num_heard))
            self.say(self.far.played(name, self.stream))
