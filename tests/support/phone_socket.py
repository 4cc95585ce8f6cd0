"""A call on real sockets to a server of this machine, by the vendors of the tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.phone_vendors import FAR_ENDS
from voxwire._phone import dialling
from voxwire._phone.telephone import Telephone

__all__ = ["PUBLIC", "dialled"]

PUBLIC = "https://bot.example"


@asynccontextmanager
async def dialled(
    port: int, *, vendor: str = "twilio", **network: float
) -> AsyncIterator[Telephone]:
    """A telephone whose call the server on that port has answered.

    Args:
        port: Where it listens; its public URL is :data:`PUBLIC`.
        vendor: Who brings the call.
        network: Of the way between vendor and server, each way: ``delay_ms``, ``jitter_ms``.
    """
    far, url = FAR_ENDS[vendor], f"http://127.0.0.1:{port}"
    async with dialling.dialled(far, url, public=PUBLIC, **network) as call:
        yield call.telephone
