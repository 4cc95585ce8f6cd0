"""A voice bot inside your program: ask it something, get its words, and the talk as talk.wav.

Run a server (make run), then: .venv/bin/python examples/python_embed.py "what time is it"
"""

import asyncio
import sys

import voxwire


async def ask(question: str) -> str:
    """Hold one turn; return what the bot said."""
    async with voxwire.connect("ws://127.0.0.1:7860", record="talk.wav") as session:
        await session.send_text(question, interrupt=True)
        words: list[str] | None = None
        async for event in session:
            match event:
                case voxwire.UserTranscript(final=True):
                    words = []  # the bot has the question: what comes now is the answer
                case voxwire.BotWord(text=word) if words is not None:
                    words.append(word)
                case voxwire.StateChanged(bot=voxwire.BotState.IDLE) if words:
                    break
                case _:
                    pass
        return " ".join(words or [])


if __name__ == "__main__":
    print(asyncio.run(ask(" ".join(sys.argv[1:]) or "what is the weather in Paris")))
