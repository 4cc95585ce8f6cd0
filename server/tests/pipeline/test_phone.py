"""What a bot is given of a telephone call: who calls, keys to press, an end."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.phone.tones import tones
from voxwire_server.pipeline.bot import BotSession
from voxwire_server.pipeline.phone import Phone
from voxwire_server.pipeline.wires import Wires
from voxwire_server.ports import PhoneCall

CALL = PhoneCall(
    vendor="twilio",
    call_id="CA1",
    caller="+1",
    called="+2",
    attestation="B",
    parameters={"shop": "12"},
)


class Voice:
    """Takes what is placed."""

    def __init__(self) -> None:
        self.placed: list[tuple[bytes, bool]] = []

    def place(self, pcm: bytes, *, new_stretch: bool) -> None:
        self.placed.append((pcm, new_stretch))


class Fake:
    """A session of which a bot sees the telephone."""

    def __init__(self) -> None:
        self.voice, self.port = Voice(), FakePort()
        wires: Any = SimpleNamespace(voice=self.voice, port=self.port, audio_out_sample_rate=24_000)
        self.phone = Phone(CALL, cast("Wires", wires))


async def test_who_calls_and_what_was_sent_along() -> None:
    phone = Fake().phone
    assert (phone.vendor, phone.call_id, phone.caller, phone.called) == (
        "twilio",
        "CA1",
        "+1",
        "+2",
    )
    assert (phone.parameters, phone.attestation) == ({"shop": "12"}, "B")


async def test_keys_are_tones_behind_what_was_said() -> None:
    fake = Fake()
    await fake.phone.send_keys("1#")
    assert fake.voice.placed == [(tones("1#", 24_000), True)]
    for digits in ("", "x", "1" * 65):
        with pytest.raises(VoxwireError) as caught:
            await fake.phone.send_keys(digits)
        assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert len(fake.voice.placed) == 1


async def test_it_hangs_up() -> None:
    fake = Fake()
    await fake.phone.hang_up()
    assert fake.port.ended == [wire.EndReason.END_REASON_BOT]


def test_a_client_that_is_a_program_has_no_telephone() -> None:
    wires: Any = SimpleNamespace(facts=SimpleNamespace(phone=None))
    session = BotSession.__new__(BotSession)
    vars(session)["_wires"] = wires
    assert session.phone is None
    wires.facts.phone = CALL
    assert session.phone is not None
    assert session.phone.call_id == "CA1"
