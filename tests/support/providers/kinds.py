"""Pipecat's services that talk to the peers: how each is made, asked, and known to have answered.

What needs a vendor's own library is imported where it is made.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from pipecat.frames.frames import (
    InputAudioRawFrame,
    LLMContextFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService

from tests.support.providers.anthropic import anthropic_peer
from tests.support.providers.cartesia import cartesia_peer
from tests.support.providers.chat import chat_peer
from tests.support.providers.deepgram import deepgram_peer
from tests.support.providers.elevenlabs import elevenlabs_peer
from tests.support.providers.openai_audio import speech_peer, transcribing_peer
from tests.support.providers.peer import Peer
from tests.support.providers.stage import IN_RATE, OUT_RATE, Stage
from tests.support.providers.tones import speak

__all__ = ["KINDS", "SENTENCE", "Kind", "anthropic_llm", "ask_llm", "deepgram_stt"]

KEY = "local-peer-key"
HEARD = "hello there"
SENTENCE = "One two three four."
FRAME_BYTES = IN_RATE // 50 * 2


@dataclass(frozen=True)
class Kind:
    """A service with its peer."""

    name: str
    peer: Callable[[], AbstractAsyncContextManager[Peer]]
    service: Callable[[Peer], FrameProcessor]
    ask: Callable[[Stage], Awaitable[None]]
    answered: Callable[[Stage, float], bool]
    connects: bool
    """Whether the service opens a connection when the pipeline starts."""


async def say_to(stage: Stage) -> None:
    """A user says two words, at the pace of sound."""
    await stage.send(VADUserStartedSpeakingFrame())
    pcm = speak(HEARD, IN_RATE)
    for at in range(0, len(pcm), FRAME_BYTES):
        await stage.send(InputAudioRawFrame(pcm[at : at + FRAME_BYTES], IN_RATE, 1))
        await asyncio.sleep(0.02)  # real time: pace
    await stage.send(VADUserStoppedSpeakingFrame())


async def ask_llm(stage: Stage) -> None:
    """A question."""
    await stage.send(LLMContextFrame(LLMContext([{"role": "user", "content": "How is it?"}])))


async def ask_tts(stage: Stage) -> None:
    """A sentence to speak."""
    await stage.send(TTSSpeakFrame(SENTENCE))


def deepgram_stt(peer: Peer) -> FrameProcessor:
    """Deepgram's service on a peer."""
    from pipecat.services.deepgram.stt import DeepgramSTTService

    return DeepgramSTTService(api_key=KEY, base_url=peer.url, sample_rate=IN_RATE)


def anthropic_llm(peer: Peer) -> FrameProcessor:
    """Anthropic's service on a peer."""
    from anthropic import AsyncAnthropic
    from pipecat.services.anthropic.llm import AnthropicLLMService

    client = AsyncAnthropic(api_key=KEY, base_url=peer.url)
    return AnthropicLLMService(api_key=KEY, client=client)


def _cartesia(peer: Peer) -> FrameProcessor:
    settings = CartesiaTTSService.Settings(voice="voice")
    return CartesiaTTSService(api_key=KEY, url=peer.url, sample_rate=OUT_RATE, settings=settings)


def _elevenlabs(peer: Peer) -> FrameProcessor:
    settings = ElevenLabsTTSService.Settings(voice="voice")
    return ElevenLabsTTSService(api_key=KEY, url=peer.url, sample_rate=OUT_RATE, settings=settings)


def _heard(stage: Stage, since_s: float) -> bool:
    return bool(stage.of(TranscriptionFrame, since_s))


def _said(stage: Stage, since_s: float) -> bool:
    said = "".join(frame.text for frame in stage.of(LLMTextFrame, since_s))
    return said.endswith("All is well.")


def _spoke(stage: Stage, since_s: float) -> bool:
    spoken = sum(len(frame.audio) for frame in stage.of(TTSAudioRawFrame, since_s))
    return spoken >= len(speak(SENTENCE, OUT_RATE))


KINDS = (
    Kind("deepgram stt", deepgram_peer, deepgram_stt, say_to, _heard, True),
    Kind(
        "openai stt",
        transcribing_peer,
        lambda peer: OpenAISTTService(api_key=KEY, base_url=peer.url),
        say_to,
        _heard,
        False,
    ),
    Kind(
        "openai llm",
        chat_peer,
        lambda peer: OpenAILLMService(api_key=KEY, base_url=peer.url),
        ask_llm,
        _said,
        False,
    ),
    Kind("anthropic llm", anthropic_peer, anthropic_llm, ask_llm, _said, False),
    Kind(
        "openai tts",
        speech_peer,
        lambda peer: OpenAITTSService(api_key=KEY, base_url=peer.url, sample_rate=OUT_RATE),
        ask_tts,
        _spoke,
        False,
    ),
    Kind("cartesia tts", cartesia_peer, _cartesia, ask_tts, _spoke, True),
    Kind("elevenlabs tts", elevenlabs_peer, _elevenlabs, ask_tts, _spoke, True),
)
