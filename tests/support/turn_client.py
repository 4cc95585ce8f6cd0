"""A conversation by text, told as one line of JSON: ``turn_client.py JSON``.

The JSON holds ``url``, ``texts``, ``age_s`` (how old the session is at least before the second of
them), and arguments of ``connect``.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import voxwire
import voxwire_protocol.rtc  # noqa: F401  loaded before credentials begin to age
from tests.support.listening import click_onsets_ms


async def talk(url: str, texts: list[str], older_s: float, options: dict[str, Any]) -> Any:
    """Hold the conversation.

    Returns:
        Words for each text, clicks in all, how long connecting took, and how old the session was
        at the last text.
    """
    if servers := options.pop("ice_servers", None):
        options["ice_servers"] = [voxwire.IceServer(**server) for server in servers]
    recording = voxwire.Recording()
    turns: list[list[str]] = []
    started = asyncio.get_running_loop().time()
    async with voxwire.connect(url, speaker=recording, transport="webrtc", **options) as session:
        ready = asyncio.get_running_loop().time()
        age_s = 0.0
        for number, text in enumerate(texts):
            if number:
                age_s = asyncio.get_running_loop().time() - ready
                await asyncio.sleep(max(0.0, older_s - age_s))  # real time: timeout
                age_s = asyncio.get_running_loop().time() - ready
            await session.send_text(text)
            words: list[str] = []
            async with asyncio.timeout(60):
                async for event in session:
                    if isinstance(event, voxwire.BotWord):
                        words.append(event.text.strip("."))
                    if isinstance(event, voxwire.UtteranceEnded):
                        break
            turns.append(words)
        transport = session.transport
    clicks = len(click_onsets_ms(recording.samples, recording.sample_rate))
    return {
        "turns": turns,
        "clicks": clicks,
        "transport": transport,
        "connect_s": ready - started,
        "age_s": age_s,
    }


async def main(options: dict[str, Any]) -> None:
    url, texts = options.pop("url"), options.pop("texts", ["say 6"])
    older_s = options.pop("age_s", 0)
    try:
        result = await talk(url, texts, older_s, options)
    except voxwire.VoxwireError as error:
        result = {"error": error.code.name, "reason": error.reason}
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
