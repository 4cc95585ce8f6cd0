"""Ask a bot something and print each word as it is heard.

Run a server (make run), then: .venv/bin/python examples/client/listen.py "what time is it"
"""

import asyncio
import sys

import voxwire


async def main(question: str) -> None:
    """Hold one turn."""
    async with voxwire.connect("ws://127.0.0.1:7860", speaker="answer.wav") as session:
        await session.send_text(question)
        async for event in session:
            match event:
                case voxwire.BotWord(text=word):
                    print(word, end=" ", flush=True)
                case voxwire.ToolCallStarted(name=name):
                    print(f"[{name}]", end=" ", flush=True)
                case voxwire.UtteranceEnded() if session.position_ms > 0:
                    print()
                case voxwire.StateChanged(bot=voxwire.BotState.IDLE) if session.position_ms > 0:
                    break
                case _:
                    pass


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "what time is it"))
