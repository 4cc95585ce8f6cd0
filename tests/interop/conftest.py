"""A bot of Pipecat's runner for all tests here, and phrases that it understands, spoken."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support.espeak import render_pcm, shared_espeak
from tests.support.stock_bots import StockBotProcess, running_stock_bot

PHRASES = ("show Paris on the map", "what is the weather in London", "tell me a joke")


@pytest.fixture(scope="session")
def runner() -> Iterator[StockBotProcess]:
    """A runner with the stock bot; its WebSocket asks for a token, which a start gives."""
    with running_stock_bot(arguments=("--ws-auth", "token")) as bot:
        yield bot


@pytest.fixture(scope="session")
def voices() -> dict[str, np.ndarray]:
    """The phrases by their text, int16 at 16 kHz."""

    async def speak() -> dict[str, np.ndarray]:
        try:
            found = [(await render_pcm(phrase))[0] for phrase in PHRASES]
        finally:
            await shared_espeak().aclose()
        return {
            phrase: np.frombuffer(pcm, "<i2") for phrase, pcm in zip(PHRASES, found, strict=True)
        }

    with ThreadPoolExecutor(1) as pool:  # in an event loop of its own
        return pool.submit(asyncio.run, speak()).result()
