"""Messages of a vendor as nobody meant to send them."""

import random

__all__ = ["other_bytes"]


def other_bytes(message: str | bytes, chance: random.Random) -> str | bytes:
    """The message with a few bytes other, more or less; now and then of the other kind."""
    data = bytearray(message.encode() if isinstance(message, str) else message)
    for _ in range(chance.randrange(4)):
        place = chance.randrange(len(data) + 1)
        match chance.randrange(3):
            case 0:
                data[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[place : place + chance.randrange(40)]
            case _:
                data[place:place] = chance.choice((b'"', b"{", b"}", b"0", b"null", b"\\", b"["))
    as_text = isinstance(message, str) == (chance.randrange(10) > 0)
    return data.decode(errors="replace") if as_text else bytes(data)
