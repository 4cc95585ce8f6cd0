"""Whatever bytes come, taking them raises nothing and keeps what is held bounded."""

import asyncio
import random

from voxwire_protocol import wire
from voxwire_server.config import Settings
from voxwire_server.session.session import Session

CASES = 6000


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


async def never(_: Session) -> None:
    await asyncio.sleep(3600)


async def test_no_bytes_raise_and_nothing_grows() -> None:
    seed = random.Random(20)
    session = Session("o.s", settings=Settings(), run_bot=never, features=frozenset())
    bad = 0
    for _ in range(CASES):
        data = mutated(valid(seed, session.control.channel.last_received + 1), seed)
        session.reception._receive(data, session.now_ms())
        bad = max(bad, session.intake.dropped.bad)
    assert bad > CASES // 10
    assert 0 < len(session._tasks) < 200

    session._over = True
    for task in session._tasks:
        task.cancel()
    await asyncio.wait(session._tasks)
