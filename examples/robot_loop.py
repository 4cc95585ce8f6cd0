"""A robot that listens and talks: numpy in, numpy out, in a control loop of 20 ms.

Run a server (make run), then: .venv/bin/python examples/robot_loop.py

Each turn of the loop hands in what four microphones heard, takes out what the loudspeaker plays,
and moves the arm. `Robot` stands in for the hardware: it hears examples/show-paris.wav ("show Paris
on the map"), plays into robot.wav, and its arm turns 0.4 degrees a step. Put yours in its place.
"""

import argparse
import threading
import time
import wave
from collections import deque
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import voxwire
from voxwire.sync import Session, connect

Block = NDArray[np.int16]
BLOCK_S = 0.02
HEARD, PLAYED = 16_000, 24_000  # Hz
BEARINGS = {"Paris": 24.0, "London": -18.0, "Berlin": 75.0, "Rome": 132.0}


class Robot:
    """Four microphones, a loudspeaker and an arm."""

    def __init__(self, sound: Path, out: Path) -> None:
        with wave.open(str(sound), "rb") as file:
            self._sound = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        self._out = out
        self._played: list[Block] = []
        self.heading = self.goal = 0.0
        self.arrived = threading.Event()

    def hear(self) -> Block:
        """The next 20 ms of the microphones, samples × 4 at 16 kHz."""
        size = round(HEARD * BLOCK_S)
        block, self._sound = self._sound[:size], self._sound[size:]
        return np.tile(np.pad(block, (0, size - len(block)))[:, None], 4)

    def play(self, block: Block) -> None:
        """Play 20 ms, mono at 24 kHz."""
        self._played.append(block)

    def move(self) -> None:
        """Turn the arm a step towards its goal, degrees."""
        self.heading += max(-0.4, min(0.4, self.goal - self.heading))
        if self.heading == self.goal:
            self.arrived.set()

    def close(self) -> None:
        """Switch off."""
        with wave.open(str(self._out), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(PLAYED)
            file.writeframes(b"".join(block.tobytes() for block in self._played))


class Ears:
    """A microphone for `connect` that is handed its sound; what is too old is dropped."""

    live = True  # the session listens from `connect` on: no first word is lost

    def __init__(self) -> None:
        self._blocks = deque[Block](maxlen=150)  # 3 s, if the session is held up
        self._rest = np.zeros(HEARD // 10, np.int16)  # 100 ms ahead: no two clocks are quite even

    def put(self, block: Block) -> None:
        """Take samples × microphones at 16 kHz, from any thread."""
        self._blocks.append(block.mean(axis=1).astype(np.int16))

    def read(self, num_samples: int) -> Block:
        """Give the session what it asks for, or what is there."""
        while len(self._rest) < num_samples and self._blocks:
            self._rest = np.concatenate([self._rest, self._blocks.popleft()])
        taken, self._rest = self._rest[:num_samples], self._rest[num_samples:]
        return taken

    async def run(self) -> None:
        """Nothing to do: the control loop brings the sound."""


class Mouth:
    """A speaker for `connect` whose sound is taken out."""

    def __init__(self) -> None:
        self._blocks = deque[Block](maxlen=25)

    def __call__(self, samples: Block, media_ms: int) -> None:
        """Take 20 ms from the session."""
        self._blocks.append(samples)

    def take(self) -> Block:
        """20 ms for the loudspeaker, mono at 24 kHz; silence when there is nothing to say."""
        return self._blocks.popleft() if self._blocks else np.zeros(480, np.int16)


def control(robot: Robot, ears: Ears, mouth: Mouth, over: threading.Event) -> None:
    """The loop: sound in, sound out, a step; every 20 ms by the clock."""
    due = time.monotonic()
    while not over.is_set():
        ears.put(robot.hear())
        robot.play(mouth.take())
        robot.move()
        due += BLOCK_S
        time.sleep(max(0.0, due - time.monotonic()))


def main() -> None:
    """Hold one turn with the bot, and do what it asks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="ws://127.0.0.1:7860")
    parser.add_argument("--hear", type=Path, default=Path(__file__).with_name("show-paris.wav"))
    parser.add_argument("--play", type=Path, default=Path("robot.wav"))
    options = parser.parse_args()
    robot, ears, mouth = Robot(options.hear, options.play), Ears(), Mouth()

    @voxwire.tool(name="show_on_map")  # what the built-in bot calls; to a bot of yours: point_at
    def point_at(place: str) -> str:
        """Point at a place, and wait until the arm is there."""
        robot.arrived.clear()
        robot.goal = BEARINGS.get(place, 0.0)
        if not robot.arrived.wait(timeout=8):
            raise voxwire.ToolError("the arm is stuck")
        return f"pointing at {place}"

    over = threading.Event()
    loop = threading.Thread(target=control, args=(robot, ears, mouth, over))
    loop.start()
    try:
        with connect(options.url, microphone=ears, speaker=mouth, tools=[point_at]) as session:
            follow(session, robot)
    finally:
        over.set()
        loop.join()
        robot.close()


def follow(session: Session, robot: Robot) -> None:
    """Print what happens, until the bot has answered."""
    asked = False
    for event in session:
        match event:
            case voxwire.UserTranscript(text=text, final=True):
                asked = True
                print(f"\nheard: {text}")
            case voxwire.ToolCallEnded(name=name, outcome=outcome):
                print(f"[{name}: {outcome}, the arm at {robot.heading:.1f}°]")
            case voxwire.BotWord(text=word):
                print(word, end=" ", flush=True)
            case voxwire.StateChanged(bot=voxwire.BotState.IDLE) if asked:
                break
            case _:
                pass
    print()


if __name__ == "__main__":
    main()
