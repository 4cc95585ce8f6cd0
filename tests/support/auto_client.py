"""Questions by voice and their answers, told as JSON lines: ``auto_client.py JSON``.

The JSON holds ``tokens`` (a session each, one after the other), ``question``, a WAV that is spoken
from the moment that a session is asked for, and arguments of ``connect``. Each line has ``at_ms``
since that moment, ``event`` and what it says. A session ends when the word ``answer`` was heard of
the bot. With ``again`` the question is asked once more when another carrier is in use, and has to
be answered twice. With ``polite`` it is asked when the greeting is over.
"""

import asyncio
import json
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import voxwire
from voxwire_protocol.event_codec import to_dict


class Person(voxwire.ClipMicrophone):
    """Who speaks whether anybody listens or not."""

    live = True

    def __init__(self, question: str) -> None:
        super().__init__()
        with wave.open(question, "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            self._question, self._rate = samples, file.getframerate()

    def ask(self) -> None:
        """Speak."""
        self.play(self._question, sample_rate=self._rate)


async def talk(
    options: dict[str, Any], question: str, *, answer: str, again: bool, polite: bool
) -> None:
    """Ask, and print what happens until it is answered."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    def tell(event: str, **more: Any) -> None:
        at_ms = round((loop.time() - began) * 1000)
        print(json.dumps({"at_ms": at_ms, "event": event, **more}, default=str), flush=True)

    person = Person(question)
    if not polite:
        person.ask()
    carrier, answers = None, 0
    async with voxwire.connect(microphone=person, **options) as session:
        tell("Ready", transport=session.transport)
        async for event in session:
            tell(type(event).__name__, **to_dict(event))
            if isinstance(event, voxwire.PathChanged):
                if again and carrier not in (None, event.carrier):
                    person.ask()
                carrier = event.carrier
            if polite and isinstance(event, voxwire.UtteranceEnded):
                person.ask()
                polite = False
            if isinstance(event, voxwire.BotWord) and answer in event.text:
                tell("Answered")
                answers += 1
                if answers == 1 + again:
                    break
        tell("Over", transport=session.transport)


async def main(options: dict[str, Any]) -> None:
    question, answer = options.pop("question"), options.pop("answer")
    again, polite = options.pop("again", False), options.pop("polite", False)
    for token in options.pop("tokens"):
        await talk({**options, "token": token}, question, answer=answer, again=again, polite=polite)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
