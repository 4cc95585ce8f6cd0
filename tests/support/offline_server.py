"""The offline bot for a namespace: ``offline_server.py JSON``, its settings.

Prints one line when it listens and its recogniser and voice are loaded.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.serving import configure_logging
from voxwire_server.testing import running_server


async def main(settings: dict[str, Any]) -> None:
    configure_logging("WARNING")
    bot = LoadedBot(name="offline", run=offline.bot, warm=offline.warm, close=offline.close)
    async with running_server(bot, **settings):
        print("listening", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
