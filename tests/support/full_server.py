"""``full_server.py``: the offline bot with one place, which is taken until somebody waits for it.

Prints its URL when the place is taken. For clients in other languages, which come one at a time.
"""

import asyncio
import sys
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import voxwire
from tests.support.waiting import PATIENT, be_patient
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.serving import configure_logging
from voxwire_server.testing import RunningServer, running_server

KEY = "an operator's key of more than 32 characters"


async def somebody_waits(server: RunningServer) -> None:
    """Returns when the line is not empty."""
    own = {"Authorization": f"Bearer {KEY}", "Connection": "close"}  # else it may close it first
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=own) as http:
        while not (await http.get("/v1/sessions")).json()["waiting"]:
            await asyncio.sleep(0.1)


async def main() -> None:
    configure_logging("WARNING")
    be_patient()
    bot = LoadedBot(name="offline", run=offline.bot, warm=offline.warm, close=offline.close)
    full = {"max_sessions": 1, "max_waiting": 1, "admin_key": KEY, **PATIENT}
    async with running_server(bot, **full) as server:
        async with voxwire.connect(server.url, transport="websocket"):
            print(server.url, flush=True)
            await somebody_waits(server)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
