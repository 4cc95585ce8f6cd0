"""``eval_server.py HOST``: the bots of the scenarios, each as it is and with its fault.

One server of many bots: that of a scenario has its name, the one with the fault the name and
``-broken``. Prints ``listening`` and its address.
"""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.interop.bots import FAULTS, concierge
from tests.support.waiting import PATIENT
from voxwire_server.bots.house import Servable
from voxwire_server.testing import running_server

KEY = "an operator's secret of more than 32 characters"


def bots() -> Servable:
    """All of them."""
    whole = {name: replace(concierge(name), name=name) for name in FAULTS}
    broken = {
        f"{name}-broken": replace(concierge(name, fault), name=f"{name}-broken")
        for name, fault in FAULTS.items()
    }
    return {**whole, **broken}


async def main(host: str) -> None:
    settings = {"host": host, "port": 7871, "key": KEY, "max_sessions": 32, **PATIENT}
    async with running_server(bots(), **settings):
        print("listening", host, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
