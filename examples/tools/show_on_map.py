"""A tool that runs here, in the client: the bot asks, this program shows the place on its map.

Run a server (make run), then: .venv/bin/python examples/tools/show_on_map.py
"""

import asyncio
import sys

import voxwire


@voxwire.tool(timeout_ms=5000, on_interruption="finish")
async def show_on_map(place: str, call: voxwire.ToolCall) -> str:
    """Show a place on the user's map.

    Args:
        place: A city, or a restaurant and its city.
        call: This call; the bot is not told of this parameter.
    """
    if place == "Rome":
        raise voxwire.ToolError("all roads lead there already")  # the bot may say so
    call.progress({"zooming": place})
    await asyncio.sleep(0.2)
    print(f"\n  [map] {place} (call {call.id}, {call.remaining_ms} ms left)")
    return f"{place}, pinned"


async def main(question: str) -> None:
    """Ask for a place and print what the bot says and does."""
    async with voxwire.connect("ws://127.0.0.1:7860", tools=[show_on_map]) as session:
        await session.wait_for(voxwire.BotWord)  # the greeting has begun
        await session.send_text(question)
        asked = False
        async for event in session:
            match event:
                case voxwire.ToolCallStarted(name=name):
                    asked = True
                    print(f"[{name}]", end=" ", flush=True)
                case voxwire.ToolCallEnded(outcome=outcome):
                    print(f"  [{outcome}]")
                case voxwire.BotWord(text=word) if asked:
                    print(word, end=" ", flush=True)
                case voxwire.UtteranceEnded() if asked:
                    print()
                    break
                case _:
                    pass


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "show Paris on the map"))
