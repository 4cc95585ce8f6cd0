"""What nobody meant to send: a seeded mutator over messages of the far ends, through every decode.

A dialect says what a message is, that it is nothing, or that it is none; it never fails otherwise.
That all of its branches were reached is read from what it said.
"""

import json
import random
from typing import Any

import numpy as np
import pytest

from tests.support.phone_line import KNOWN, PUBLIC
from tests.support.phone_mutator import other_bytes
from tests.support.phone_vendors import FAR_ENDS, FarEnd
from voxwire_server.config import Settings
from voxwire_server.phone.vendor import Audio, Keys, Mark, Said, Started, Stopped, WireError
from voxwire_server.phone.vendors import vendors_of

NUM_MESSAGES = 5000
VENDORS = {vendor.name: vendor for vendor in vendors_of(Settings(public_url=PUBLIC, **KNOWN))}
VALUES: list[Any] = [None, True, 7, 10**16, "", "?", "é", "000", "x" * 300, [], {}, {"a": 1}]

JSON = {"no JSON object"}
START = {"start is no object"}
SOUND = {"media is no object", "payload is no sound", "payload is no base64"}
KEYS = {"dtmf is no object", "digit are no keys"}
MARK = {"mark is no object", "name is no short text"}
REASONS = {
    "twilio": {
        *(JSON | START | SOUND | KEYS | MARK),
        *("callSid is no short text", "streamSid is no short text"),
    },
    "telnyx": {
        *(JSON | START | SOUND | KEYS | MARK),
        *("chunk is no number", "call_control_id is no short text", "stream_id is no short text"),
        *("media_format is no object", "encoding is no short text", "neither PCMU nor PCMA"),
    },
    "plivo": {
        *(JSON | START | SOUND | KEYS),
        *("name is no short text", "callId is no short text", "streamId is no short text"),
    },
    "exotel": {
        *(JSON | START | SOUND | KEYS | MARK),
        *("call_sid is no short text", "stream_sid is no short text"),
    },
    "vonage": {
        *JSON,
        *("digit are no keys", "payload is no object", "name is no short text"),
        "call is no short text",
    },
}
"""All that a dialect may find wrong."""


def recorded(far: FarEnd) -> list[str | bytes]:
    """A message of every kind."""
    sent = {"call": "C-1", "ticket": "T1"}
    return [
        *far.begins("C-1", "S-1", sent),
        far.voice(np.arange(40), 3, "S-1"),
        far.key("5", "S-1"),
        far.played("0.1", "S-1"),
        far.stop("C-1", "S-1"),
    ]


def places_in(members: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Every member of an object and of those within it."""
    found: list[tuple[dict[str, Any], str]] = []
    for name, value in members.items():
        found.append((members, name))
        if isinstance(value, dict):
            found += places_in(value)
    return found


def other_member(message: str, chance: random.Random) -> str:
    """The message without a member, or with another value of one."""
    members: dict[str, Any] = json.loads(message)
    parent, name = chance.choice(places_in(members))
    if chance.randrange(4):
        parent[name] = chance.choice(VALUES)
    else:
        del parent[name]
    return json.dumps(members, ensure_ascii=chance.random() < 0.5)


@pytest.mark.parametrize("name", FAR_ENDS)
def test_a_message_is_read_or_said_to_be_none_and_nothing_else_happens(name: str) -> None:
    vendor, far, chance = VENDORS[name], FAR_ENDS[name], random.Random(f"17 {name}")
    kinds: set[type] = set()
    reasons: set[str] = set()
    for _ in range(NUM_MESSAGES):
        dialect = vendor.dialect()
        if chance.randrange(2):
            dialect.decode(far.begins("C-1", "S-1", {"call": "C-1"})[-1])
        message = chance.choice(recorded(far))
        if isinstance(message, str) and chance.randrange(2):
            message = other_member(message, chance)
        else:
            message = other_bytes(message, chance)
        try:
            said = dialect.decode(message)
        except WireError as error:
            reasons.add(str(error))
            continue
        assert said is None or isinstance(said, Said)
        kinds.add(type(said))
        if isinstance(said, Audio):
            assert len(dialect.hears.decode(said.data)) % 2 == 0
    expected = {Started, Audio, Mark, Keys, Stopped, type(None)}
    assert kinds == (expected if name != "vonage" else expected - {Stopped})
    assert reasons == REASONS[name]
