"""Whatever bytes come, taking them raises nothing and keeps what is held bounded."""

import asyncio
import random
from typing import Any

from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.config import Settings
from voxwire_server.control.link import ControlLink
from voxwire_server.session.session import Session

CASES = 6000
EVERY_MS = 30
"""Slow enough that little is dropped unread."""


def valid(seed: random.Random, next_seq: int) -> bytes:
    """A message of a client, with something in some of its fields."""
    fields = wire.Envelope.DESCRIPTOR.oneofs_by_name["payload"].fields
    field = seed.choice(fields)
    reliable = field.name in wire.RELIABLE_PAYLOADS
    seq = next_seq if reliable and seed.random() < 0.9 else seed.choice([0, 1, 900, 2**64 - 1])
    message = wire.Envelope(seq=seq, ack=seed.choice([0, 1]))
    inner = getattr(message, field.name)
    inner.SetInParent()
    for part in inner.DESCRIPTOR.fields:
        if part.message_type is None and part.label != part.LABEL_REPEATED and seed.random() < 0.7:
            extreme = seed.choice([0, 1, 2**31 - 1])
            kinds = {part.CPPTYPE_STRING: "x" * seed.choice([0, 1, 3000]), part.CPPTYPE_BOOL: True}
            value = kinds.get(part.cpp_type, extreme)
            if part.type == part.TYPE_BYTES:
                value = seed.randbytes(seed.choice([0, 1, 640]))
            setattr(inner, part.name, value)
    return message.SerializeToString()


def mutated(data: bytes, seed: random.Random) -> bytes:
    """Cut, lengthened, or with some bytes changed; sometimes as it was."""
    body = bytearray(data)
    for _ in range(seed.choice([0, 1, 1, 3])):
        if body:
            body[seed.randrange(len(body))] = seed.randrange(256)
    way = seed.randrange(6)
    if way == 0:
        del body[seed.randrange(len(body) + 1) :]
    elif way == 1:
        body += seed.randbytes(seed.randrange(40))
    return bytes(body)


async def nowhere(_: dict[str, Any]) -> None:
    pass


async def never(_: Session) -> None:
    await asyncio.sleep(3600)  # real time: slow


@in_virtual_time
async def test_no_bytes_raise_and_nothing_grows(time: VirtualTime) -> None:
    seed = random.Random(20)
    session = Session("o.s", settings=Settings(), run_bot=never, clock=time)
    channel, link = session.numbered, ControlLink(nowhere, clock=time)
    assert channel is not None
    channel.rebind(link, wire.Hello(), wire.Welcome())
    most = 0
    for _ in range(CASES):
        data = mutated(valid(seed, channel.last_received + 1), seed)
        channel.receive(data, link)
        await time.advance(EVERY_MS)
        most = max(most, len(session.tasks))
    assert channel.intake.dropped.bad > CASES // 10
    assert channel.intake.dropped.messages < CASES // 10
    assert 0 < most < 200

    left = session.tasks.cancel()
    await asyncio.gather(*left, return_exceptions=True)
