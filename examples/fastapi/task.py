"""The server as a task of an event loop that runs already, as in a notebook.

Run it here: python task.py
"""

import asyncio

from voxwire_server import serve_async
from voxwire_server.bots.registry import load_bot


async def main() -> None:
    """Serve beside other work, and end the server when that is done."""
    server = asyncio.create_task(serve_async(load_bot("offline")))
    await asyncio.to_thread(input)  # whatever else the program does
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
