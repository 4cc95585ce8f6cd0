"""The offline bot's voice as the server has it: sentences in, speech and word times out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from voxwire_server.bots.offline.helper import HelperClient
from voxwire_server.bots.offline.helper_wire import Kind, decode
from voxwire_server.bots.offline.word_spans import WordSpan

__all__ = ["SAMPLE_RATE", "PcmPiece", "VoiceClient", "shared_voice"]

SAMPLE_RATE = 24000
"""Hz; the model's own rate."""

_MAX_CHARS = 5000
_SLOWEST, _FASTEST = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class PcmPiece:
    """A piece of speech.

    Attributes:
        pcm: int16 little-endian PCM, mono, ``SAMPLE_RATE`` Hz; a clause, a short sentence, or
            20 s of a longer one.
    """

    pcm: bytes


class VoiceClient(HelperClient):
    """Speaks sentences, about 70 times faster than they last, in a helper process.

    Owned by the event loop it was made in; not thread safe.
    """

    worker = "voxwire_server.bots.offline.voice_worker"
    name = "the voice's helper"
    package = "hibari"
    purpose = "speech output"

    async def synthesize(
        self, text: str, *, speed: float = 1.0, due_ms: float = 0
    ) -> AsyncGenerator[PcmPiece | WordSpan]:
        """Speak one sentence; the first clause of a long one comes alone, and soon.

        Cancel-safe: closing the iterator, or cancelling the task that reads it, stops the
        synthesis after the clause it is in. Close it with ``aclosing`` when you leave it early.

        Args:
            text: The sentence, at most 5000 code points.
            speed: 0.5 to 2; 1 is the voice's own.
            due_ms: When its sound is needed; a sentence that is due sooner comes first.

        Yields:
            The spans of a piece's words, then its audio, piece by piece. Every whitespace token
            of ``text`` gets exactly one span, unless the model shows no durations: then none does.

        Raises:
            ValueError: The text is too long, or the speed out of range.
            MissingExtraError: The ``offline`` extra is not installed.
            HelperError: The helper refused, died, or hung; a sentence of which nothing has been
                delivered is tried once more in a new helper first.
        """
        if len(text) > _MAX_CHARS:
            raise ValueError(f"a sentence of {len(text)} code points exceeds {_MAX_CHARS}")
        if not _SLOWEST <= speed <= _FASTEST:
            raise ValueError(f"speed must be {_SLOWEST} to {_FASTEST}, not {speed}")
        asked = json.dumps({"text": text, "speed": speed, "due_ms": due_ms}).encode()
        async with aclosing(self.request(asked)) as replies:
            async for kind, payload in replies:
                if kind is Kind.AUDIO:
                    yield PcmPiece(payload)
                elif kind is Kind.NOTE:
                    for row in decode(payload):
                        yield WordSpan(*row)


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, VoiceClient] = WeakKeyDictionary()


def shared_voice() -> VoiceClient:
    """Return the running event loop's client; whoever runs the server closes it at the end."""
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        client = _clients[loop] = VoiceClient()
    return client
