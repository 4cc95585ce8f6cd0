"""A question by voice and its answer, told as JSON lines: ``auto_client.py JSON``.

The JSON holds ``url``, ``token`` and other arguments of ``connect``, and ``question``, a WAV that
is spoken from the moment on that the session is asked for. Each line has ``at_ms`` since then, what
happened (``event``) and what it says. It ends with the first utterance that answers the question.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import voxwire
from voxwire.audio import as_microphone
from voxwire_protocol.event_codec import to_dict


class LiveFile:
    """A WAV that is spoken whether it is read or not, as a person would."""

    live = True

    def __init__(self, path: str) -> None:
        self._file: Any = as_microphone(path)

    def read(self, num_samples: int) -> Any:
        return self._file.read(num_samples)

    async def run(self) -> None:
        await self._file.run()


async def talk(options: dict[str, Any]) -> None:
    """Ask, and print what happens until it is answered."""
    began = asyncio.get_running_loop().time()

    def tell(event: str, **more: Any) -> None:
        at_ms = round((asyncio.get_running_loop().time() - began) * 1000)
        print(json.dumps({"at_ms": at_ms, "event": event, **more}, default=str), flush=True)

    microphone = LiveFile(options.pop("question"))
    asked = False
    async with voxwire.connect(microphone=microphone, **options) as session:
        tell("Ready", transport=session.transport)
        async for event in session:
            tell(type(event).__name__, **to_dict(event))
            asked = asked or (isinstance(event, voxwire.UserTranscript) and event.final)
            if asked and isinstance(event, voxwire.UtteranceEnded) and event.end == "completed":
                break
        tell("Over", transport=session.transport)


if __name__ == "__main__":
    asyncio.run(talk(json.loads(sys.argv[1])))
