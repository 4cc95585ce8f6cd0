"""A server whose clock is wrong: ``clock_server.py SECONDS JSON``, its settings.

Prints its port when it listens. What the process is told of the time is so many seconds off.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

_told = time.time


def shift(off_s: float) -> None:
    """The wall clock of this process is off from here on; the monotonic one is right."""
    time.time = lambda: _told() + off_s


async def main(settings: dict[str, Any]) -> None:
    from tests.support.clicks import make_bot
    from voxwire_server.serving import configure_logging
    from voxwire_server.testing import running_server

    configure_logging("ERROR")
    async with running_server(make_bot(), **settings) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    shift(float(sys.argv[1]))
    asyncio.run(main(json.loads(sys.argv[2])))
