"""A server that tells what it sends: ``fault_server.py JSON``, its settings and ``ledger``, a file.

Each line of the ledger has a session, ``sent`` or ``got``, and a message. Every session is sent a
counter every 200 ms. The bot is that of :mod:`tests.support.clicks`. Prints its port.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.clicks import make_bot
from tests.support.inside import delivered_messages, emitted_messages, sessions
from tests.support.ledger import bare
from voxwire_protocol import wire
from voxwire_server.serving import configure_logging
from voxwire_server.testing import RunningServer, running_server


@contextmanager
def recording(file: TextIO) -> Iterator[None]:
    """Write down what sessions send, and what applications sent to them."""

    def send(session_id: str, envelope: wire.Envelope) -> None:
        if envelope.WhichOneof("payload") in wire.RELIABLE_PAYLOADS:
            print(session_id, "sent", bare(envelope).hex(), file=file)

    def take(session_id: str, message: wire.Envelope) -> None:
        if message.HasField("app_message"):
            print(session_id, "got", message.app_message.data_json, file=file)

    with emitted_messages(send), delivered_messages(take):
        yield


async def count(server: RunningServer) -> None:
    """Send a counter to every session."""
    number = 0
    while True:
        for session in sessions(server):
            if session.pipeline_ready.is_set():
                session.emit(app_message=wire.AppMessage(type="n", data_json=str(number)))
        number += 1
        await asyncio.sleep(0.2)  # real time: pace


async def main(options: dict[str, Any]) -> None:
    configure_logging("INFO")
    with Path(options.pop("ledger")).open("w", encoding="utf-8", buffering=1) as file:
        with recording(file):
            async with running_server(make_bot(), **options) as server:
                print("listening", server.port, flush=True)
                await count(server)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
