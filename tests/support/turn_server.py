"""Several servers in one process, for a namespace: ``turn_server.py JSON``, a list of settings.

Prints one line when all of them listen. Each runs the bot of :mod:`tests.support.clicks`.
"""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.clicks import make_bot
from voxwire_server.serving import configure_logging
from voxwire_server.testing import running_server


async def main(settings: list[dict[str, Any]]) -> None:
    configure_logging("WARNING")
    async with contextlib.AsyncExitStack() as stack:
        for fields in settings:
            await stack.enter_async_context(running_server(make_bot(), **fields))
        print("listening", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
