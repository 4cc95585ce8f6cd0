"""What the commands print while a server has no place for them."""

import sys

from voxwire_protocol.events import Waiting

__all__ = ["say_place", "waiting_line"]


def waiting_line(place: Waiting) -> str:
    """``place 3 in the queue, about 40 s``; without a time where none is known."""
    line = f"place {place.position} in the queue"
    if not place.estimated_ms:
        return line
    return f"{line}, about {max(1, round(place.estimated_ms / 1000))} s"


def say_place(place: Waiting) -> None:
    """Prints it to stderr: what the bot says is all that stdout has."""
    print(f"voxwire: {waiting_line(place)}", file=sys.stderr, flush=True)
