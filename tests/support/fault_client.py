"""Sessions in a network that fails: ``fault_client.py JSON``.

The JSON holds ``url``, ``transports`` and ``tokens`` (a session each), and ``blackout_s``. Prints
``speaking`` when the bot speaks to all of them, and in the end one line of JSON.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import voxwire
from tests.support.ledger import Ledger, Talk
from tests.support.listening import Ear


async def tell(session: voxwire.Session) -> None:
    """Send a counter for as long as the session lasts."""
    number = 0
    while True:
        await session.send_message("n", number)
        number += 1
        await asyncio.sleep(0.3)  # real time: pace


async def hold(
    ledger: Ledger, ready: asyncio.Barrier, options: dict[str, Any], blackout_s: float
) -> dict[str, Any]:
    """One conversation: a sentence with a blackout in it, and one when that is over."""
    ear = Ear()
    async with voxwire.connect(speaker=ear, **options) as session, Talk(session, ear) as talk:
        telling = asyncio.create_task(tell(session))
        try:
            await session.send_text("say 25")
            await talk.sounding()
            await ready.wait()
            dark = time.monotonic()
            await back(talk, dark, blackout_s)
            light = talk.events[-1][0]
            await talk.heard_out()
            await session.send_text("say 3")
            await talk.until(lambda: len(talk.of(voxwire.UtteranceEnded)) >= 2)
            await asyncio.sleep(0.5)  # real time: silence
        finally:
            telling.cancel()
        received = [data.hex() for data in ledger.received[session.id]]
    paths = [at for at, event in talk.events if isinstance(event, voxwire.PathChanged)]
    return {
        "id": session.id,
        "transport": session.transport,
        "received": received,
        "light": light,
        "path": paths[-1],
        "sound": first_sound(talk, light),
        "words": [event.text.strip(".") for event in talk.of(voxwire.BotWord)],
        "ends": [[e.end.value, e.heard_words] for e in talk.of(voxwire.UtteranceEnded)],
        "twice": talk.heard_twice_ms(),
        "skipped": len(talk.of(voxwire.EventsSkipped)),
    }


def first_sound(talk: Talk, after: float) -> float | None:
    """When a word was heard first after a moment."""
    words = (at for at, e in talk.events if isinstance(e, voxwire.BotWord) and at > after)
    return next(words, None)


async def back(talk: Talk, dark: float, blackout_s: float) -> None:
    """Wait for the server's first word after the blackout."""

    def there() -> bool:
        messages = [at for at, e in talk.events if isinstance(e, voxwire.AppMessage)]
        return bool(messages) and messages[-1] > dark + blackout_s

    await talk.until(there, timeout_s=blackout_s + 20)


async def main(options: dict[str, Any]) -> None:
    transports, blackout_s = options.pop("transports"), options.pop("blackout_s")
    each = [
        {"url": options["url"], "transport": transport, "token": token}
        for transport, token in zip(transports, options["tokens"], strict=True)
    ]
    ready = asyncio.Barrier(len(transports) + 1)
    ledger = Ledger()
    with ledger.listening():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(ledger, ready, it, blackout_s)) for it in each]
            await ready.wait()
            print("speaking", flush=True)
    print(json.dumps([task.result() for task in tasks]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
