"""A call of Twilio's on real sockets: webhook, stream and a telephone in real time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import websockets

from tests.support.phone_peer import Network, Phone
from tests.support.phone_vendors import FAR_ENDS
from voxwire_protocol.clocks import SYSTEM_CLOCK

__all__ = ["HOST", "PUBLIC", "dialled"]

HOST = "bot.example"
PUBLIC = f"https://{HOST}"
CALL_ID = "CA0123456789abcdef0123456789abcdef"


@asynccontextmanager
async def dialled(
    port: int,
    *,
    vendor: str = "twilio",
    now_s: float,
    delay_ms: float = 0.0,
    jitter_ms: float = 0.0,
) -> AsyncIterator[Phone]:
    """A telephone whose call the server on that port of this machine has answered.

    Args:
        port: Where the server listens; its public URL is :data:`PUBLIC`.
        vendor: Who brings the call.
        now_s: Seconds since the epoch.
        delay_ms: Of the network between vendor and server, each way.
        jitter_ms: How much later it may be.
    """
    far, path = FAR_ENDS[vendor], f"/phone/{vendor}"
    webhook = far.announce(f"{PUBLIC}{path}", CALL_ID, now_s)
    form = {"content-type": "application/x-www-form-urlencoded", "host": HOST}
    async with httpx.AsyncClient(trust_env=False) as client:
        answered = await client.request(
            webhook.method,
            f"http://127.0.0.1:{port}{path}?{webhook.query}".rstrip("?"),
            content=webhook.body,
            headers=form | webhook.headers,
        )
    assert answered.status_code == 200, answered.text
    url, sent = far.opened(answered.text)
    async with websockets.connect(
        url.replace("wss:", "ws:"),
        host="127.0.0.1",
        port=port,
        proxy=None,
        additional_headers=far.head(url),
    ) as socket:
        out: asyncio.Queue[Any] = asyncio.Queue()
        network = {"delay_ms": delay_ms, "jitter_ms": jitter_ms}
        up = Network(SYSTEM_CLOCK, out.put_nowait, **network)
        phone = Phone(far, SYSTEM_CLOCK, up.send, call_id=CALL_ID)
        down = Network(SYSTEM_CLOCK, phone.take, seed=1, **network)

        async def write() -> None:
            while True:
                await socket.send(await out.get())

        async def read() -> None:
            async for message in socket:
                down.send(message)

        tasks = [asyncio.ensure_future(work) for work in (write(), read())]
        phone.dial(sent)
        try:
            yield phone
        finally:
            phone.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            up.close()
            down.close()
