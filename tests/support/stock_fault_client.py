"""A stock SmallWebRTC client in a network that fails: ``stock_fault_client.py JSON``.

The JSON holds ``url``, ``address`` (its own), ``token`` and ``blackout_s``. It tells the server a
counter, and is told one. Prints ``talking``, and in the end one line of JSON: the session, the
counter that it told, and what it was told.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import httpx

from tests.support.stock_rtc import StockRtcClient


async def tell(client: StockRtcClient, told: list[int]) -> None:
    """Send a counter for as long as it takes."""
    while True:
        client.say("client-message", {"t": "n", "d": len(told)})
        told.append(len(told))
        await asyncio.sleep(0.2)  # real time: pace


def numbers(client: StockRtcClient) -> list[int]:
    """The counter that came."""
    return [int(data["d"]) for data in client.of("server-message") if data["t"] == "n"]


async def main(options: dict[str, Any]) -> None:
    bearer = {"Authorization": f"Bearer {options['token']}"}
    told: list[int] = []
    async with httpx.AsyncClient(base_url=options["url"], timeout=60, trust_env=False) as http:
        client = StockRtcClient(http, address=options["address"], **bearer)
        await client.connect()
        await client.ready()
        telling = asyncio.create_task(tell(client, told))
        try:
            await client.until(lambda: len(numbers(client)) > 5)
            print("talking", flush=True)
            began, gap = time.monotonic(), len(numbers(client))
            enough = options["blackout_s"] / 0.2 + 20
            await client.until(lambda: len(numbers(client)) > gap + enough)
            lasted = time.monotonic() - began
        finally:
            telling.cancel()
        last = client.say("update-config")  # is answered behind all that was said
        await client.until(lambda: client.of("error-response"))
        assert [m["id"] for m in client.messages if m["type"] == "error-response"] == [last]
        said = {"told": told, "heard": numbers(client), "signals": client.signals, "s": lasted}
        print(json.dumps(said), flush=True)
        await client.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
