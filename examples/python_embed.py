"""A voice bot inside your program: ask it something, get its words, and the talk as talk.wav.

Run a server (make run), then: .venv/bin/python examples/python_embed.py "what time is it"
"""

import asyncio
import contextlib
import sys

import voxwire


async def ask(question: str) -> str:
    """Return what the bot answers, once it has said it and been quiet for a second."""
    words: list[str] = []
    async with voxwire.connect("ws://127.0.0.1:7860", record="talk.wav") as session:
        await session.send_text(question, interrupt=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as quiet:
                async for event in session:
                    match event:
                        case voxwire.UserTranscript(final=True):
                            words.clear()  # what came before is the greeting
                        case voxwire.BotWord(text=word):
                            words.append(word)
                        case voxwire.StateChanged(bot=state):
                            idle = words and state is voxwire.BotState.IDLE
                            now = asyncio.get_running_loop().time()
                            quiet.reschedule(now + 1 if idle else None)
                        case _:
                            pass
    return " ".join(words)


if __name__ == "__main__":
    print(asyncio.run(ask(" ".join(sys.argv[1:]) or "what is the weather in Paris")))
