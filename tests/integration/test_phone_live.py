"""A real call of Twilio's: `pytest -m live`, with an account and a name that Twilio reaches.

``TWILIO_ACCOUNT_SID``, ``TWILIO_AUTH_TOKEN``: the account; ``TWILIO_FROM``, ``TWILIO_TO``: two
numbers, the first one the account's; ``VOXWIRE_TEST_PUBLIC_URL``: what leads to port 7860 of this
machine (a tunnel). Twilio calls ``TWILIO_TO``, and whoever answers hears the offline bot greet.
"""

import asyncio
import os

import httpx
import pytest

from tests.support.waiting import until
from voxwire_protocol import wire
from voxwire_server.bots.registry import load_bot
from voxwire_server.testing import running_server

NEEDED = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM", "TWILIO_TO")
PUBLIC = os.environ.get("VOXWIRE_TEST_PUBLIC_URL", "")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not PUBLIC or not all(os.environ.get(name) for name in NEEDED),
        reason=f"needs {', '.join(NEEDED)} and VOXWIRE_TEST_PUBLIC_URL",
    ),
]


async def test_a_real_call_hears_the_greeting_and_says_what_was_heard_of_it() -> None:
    sid, token, caller, called = (os.environ[name] for name in NEEDED)
    form = {"From": caller, "To": called, "Url": f"{PUBLIC.rstrip('/')}/phone/twilio"}
    settings = {"key": "k" * 40, "public_url": PUBLIC, "phone_twilio_token": token, "port": 7860}
    async with asyncio.timeout(90), running_server(load_bot("offline"), **settings) as server:
        async with httpx.AsyncClient(auth=(sid, token)) as client:
            calls = f"https://api.twilio.com/2010-04-01/Accounts/{sid}/Calls"
            made = await client.post(f"{calls}.json", data=form)
            made.raise_for_status()
            await until(lambda: len(server.registry))
            [session] = list(server.registry)
            await until(lambda: session.voice.heard_ms() > 2000)
            assert session.voice.heard_at()[1] == wire.HeardSource.HEARD_SOURCE_CLIENT_REPORT
            assert session.playout.heard.clamped == 0
            over = f"{calls}/{made.json()['sid']}.json"
            (await client.post(over, data={"Status": "completed"})).raise_for_status()
        await session.ended.wait()
