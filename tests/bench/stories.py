"""Users who listen to a long story: `python -m tests.bench.stories --port N --sessions N`.

Prints a JSON line when the bot speaks to all of them, and one when the time is over.
"""

import argparse
import asyncio
import json
import sys

import voxwire

DEADLINE_S = 60


async def listen(port: int, transport: str, speaking: asyncio.Barrier, seconds: float) -> int:
    """One user; returns the number of words heard while all of them listened."""
    async with voxwire.connect(f"ws://127.0.0.1:{port}", transport=transport) as session:
        async with asyncio.timeout(DEADLINE_S):
            await session.wait_for(voxwire.BotWord)
            await session.interrupt()
            await session.wait_for(voxwire.UtteranceEnded)
            await session.send_text("tell me a long story")
            await session.wait_for(voxwire.BotWord)
            await speaking.wait()
        words = 0
        try:
            async with asyncio.timeout(seconds):
                async for event in session:
                    words += isinstance(event, voxwire.BotWord)
        except TimeoutError:
            pass
        return words


async def run(options: argparse.Namespace) -> None:
    """Has all of them listen at once."""
    speaking = asyncio.Barrier(options.sessions + 1)
    users = [
        asyncio.create_task(listen(options.port, options.transport, speaking, options.seconds))
        for _ in range(options.sessions)
    ]
    await speaking.wait()
    print(json.dumps({"event": "speaking"}), flush=True)
    await asyncio.sleep(options.seconds - 1)  # until nobody has hung up yet
    print(json.dumps({"event": "done"}), flush=True)
    print(json.dumps({"event": "result", "words": await asyncio.gather(*users)}), flush=True)


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sessions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--transport", choices=["websocket", "webrtc"], default="webrtc")
    asyncio.run(run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
