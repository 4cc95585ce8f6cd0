"""The command lines tell no secret, whatever is wrong: check, run, sessions, doctor."""

import json
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.integration.test_canaries_told import token_of
from tests.support.secrets_of_a_service import SECRETS, Service, command, service

SERVER: Final = "voxwire_server.cli"
CLIENT: Final = "voxwire.cli"
WRONG: Final = "CANARY-995ec2e7-what-is-wrong"
BROKEN: Final[dict[str, dict[str, str]]] = {
    "all is well": {},
    "keys that are no JSON": {"VOXWIRE_KEYS": f"[{WRONG}"},
    "keys that are too short": {
        "VOXWIRE_KEYS": json.dumps([{"kid": "a", "alg": "HS256", "secret": WRONG[:20]}])
    },
    "keys with more than there is": {
        "VOXWIRE_KEYS": json.dumps([{"kid": "a", "alg": "HS256", "secret": WRONG, WRONG: 1}])
    },
    "a key that is too short": {"VOXWIRE_KEYS": "", "VOXWIRE_KEY": WRONG[:20]},
    "an admin key that is too short": {"VOXWIRE_ADMIN_KEY": WRONG[:20]},
    "a TURN server that is none": {"VOXWIRE_TURN_URLS": f"turn:{WRONG}@127.0.0.1:9"},
    "ICE servers that are no JSON": {"VOXWIRE_ICE_SERVERS": f"[{WRONG}"},
    "ICE servers with a password too many": {
        "VOXWIRE_ICE_SERVERS": json.dumps([{"urls": "stun:127.0.0.1:9", "credential": WRONG}])
    },
    "a name that there is not": {"VOXWIRE_KEYY": WRONG},
    "a number that is none": {"VOXWIRE_PORT": WRONG},
    "a public URL with a password": {"VOXWIRE_PUBLIC_URL": f"https://ada:{WRONG}@bot.example"},
    "a proxy that is none": {"VOXWIRE_TRUSTED_PROXIES": "x"},
    "another bot, with its key": {"VOXWIRE_BOT": "openai-realtime", "OPENAI_API_KEY": WRONG},
}


FINE: Final = ("all is well", "another bot, with its key")


@pytest.mark.parametrize("fault", BROKEN)
async def test_check_tells_no_secret(fault: str) -> None:
    more = {"VOXWIRE_PORT": "0", **BROKEN[fault]}
    made = Service(0, secrets={**SECRETS, "what is wrong": WRONG, "its beginning": WRONG[:20]})
    made.told["check"] = await command(SERVER, "check", "--json", **more)
    found = json.loads(made.told["check"].splitlines()[-1])["findings"]
    assert any(finding["state"] == "failed" for finding in found) or fault in FINE
    assert made.found() == []


@pytest.mark.timeout(300)
async def test_sessions_and_doctor_tell_no_secret(tmp_path: Path) -> None:
    async with service(tmp_path) as made:
        url, http_url = (f"{scheme}://127.0.0.1:{made.port}" for scheme in ("ws", "http"))
        async with httpx.AsyncClient(base_url=http_url, timeout=60, trust_env=False) as http:
            tokens = [await token_of(http) for _ in range(2)]
        made.secrets |= {"token": tokens[0], "another token": tokens[1], "what is wrong": WRONG}
        for where, arguments in {
            "sessions": ("--once",),
            "sessions --json": ("--once", "--json"),
            "sessions --end": ("--end", WRONG, "--reason", WRONG),
        }.items():
            made.told[where] = await command(SERVER, "sessions", "--url", http_url, *arguments)
        asked = ("sessions", "--url", http_url, "--once")
        made.told["a wrong key"] = await command(SERVER, *asked, VOXWIRE_ADMIN_KEY=WRONG)
        for where, (target, token) in {
            "a good token": (url, tokens[0]),
            "a used token": (url, tokens[0]),
            "a wrong token": (url, WRONG),
            "no token, but one in the URL": (f"{url}/?token={tokens[1]}", ""),
            "a URL with a password": (f"ws://ada:{WRONG}@127.0.0.1:{made.port}", tokens[1]),
        }.items():
            doctor = ("doctor", target, "--no-devices")
            made.told[where] = await command(CLIENT, *doctor, "--json", VOXWIRE_TOKEN=token)
            made.told[f"{where}, as text"] = await command(CLIENT, *doctor, VOXWIRE_TOKEN=token)
    assert made.found() == []
