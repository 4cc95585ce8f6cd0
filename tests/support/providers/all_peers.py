"""All peers at once, and the environment with which the presets of a cascade talk to them."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from tests.support.providers.anthropic import anthropic_peer
from tests.support.providers.cartesia import cartesia_peer
from tests.support.providers.chat import chat_peer
from tests.support.providers.deepgram import deepgram_peer
from tests.support.providers.elevenlabs import elevenlabs_peer
from tests.support.providers.hearing import Hears
from tests.support.providers.minds import Answers
from tests.support.providers.openai_audio import speech_peer, transcribing_peer
from tests.support.providers.peer import Peer

__all__ = ["AllPeers", "all_peers"]

KEY = "local-peer-key"


@dataclass(frozen=True)
class AllPeers:
    """The peers, by part and name: ``("stt", "deepgram")``."""

    by_name: dict[tuple[str, str], Peer]

    def __getitem__(self, named: tuple[str, str]) -> Peer:
        """One of them."""
        return self.by_name[named]

    @property
    def environ(self) -> dict[str, str]:
        """The variables of the presets."""
        urls = {
            f"VOXWIRE_{name}_{part}_URL".upper(): peer.url
            for (part, name), peer in self.by_name.items()
        }
        keys = {f"{name.upper()}_API_KEY": KEY for _, name in self.by_name}
        voices = {f"VOXWIRE_{name}_TTS_VOICE": "voice" for name in ("CARTESIA", "ELEVENLABS")}
        return urls | keys | voices | {"VOXWIRE_OLLAMA_LLM_MODEL": "small"}

    @property
    def busy(self) -> dict[str, int]:
        """Who serves how many requests and connections, as far as there are any."""
        return {" ".join(named): it.busy for named, it in self.by_name.items() if it.busy}


@contextlib.asynccontextmanager
async def all_peers(
    *,
    hears: Hears = ("how is it",),
    answers: Answers = ("All is well.",),
    speed: float = 8.0,
) -> AsyncGenerator[AllPeers]:
    """Run a peer for each preset that is tested with one, until the block ends.

    Args:
        hears: What those that hear write down.
        answers: What those that think answer.
        speed: How many times faster than real time speech is sent.
    """
    made = {
        ("stt", "deepgram"): deepgram_peer(hears=hears),
        ("stt", "openai"): transcribing_peer(hears=hears),
        ("llm", "openai"): chat_peer(answers=answers),
        ("llm", "anthropic"): anthropic_peer(answers=answers),
        ("llm", "ollama"): chat_peer(answers=answers),
        ("tts", "openai"): speech_peer(),
        ("tts", "cartesia"): cartesia_peer(speed=speed),
        ("tts", "elevenlabs"): elevenlabs_peer(speed=speed),
    }
    async with contextlib.AsyncExitStack() as stack:
        yield AllPeers({named: await stack.enter_async_context(it) for named, it in made.items()})
