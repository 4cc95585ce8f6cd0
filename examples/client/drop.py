"""Lose the connection in mid-sentence, and hear the rest of it all the same.

Run a server (make run), then: .venv/bin/python examples/client/drop.py
"""

import asyncio

import voxwire


def redraw(snapshot: voxwire.Snapshot | None) -> None:
    """Show the conversation from the server's summary of it."""
    for turn in snapshot.turns if snapshot else ():
        print(f"\n{turn.role}: {turn.text}")


async def main() -> None:
    """Listen to the greeting across a cut."""
    async with voxwire.connect("ws://127.0.0.1:7860") as session:
        await session.wait_for(voxwire.BotWord)  # the greeting has begun
        session.simulate.drop_control()
        async for event in session:
            match event:
                case voxwire.ConnectionChanged(state=state):
                    print(f"[{state}]", end=" ", flush=True)  # "reconnecting", then "connected"
                case voxwire.EventsSkipped(snapshot=snapshot):
                    redraw(snapshot)  # away for so long that events are gone
                case voxwire.BotWord(text=word):
                    print(word, end=" ", flush=True)
                case voxwire.UtteranceEnded():
                    print()
                    break
                case _:
                    pass


if __name__ == "__main__":
    asyncio.run(main())
